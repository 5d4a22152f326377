// Traps 6 and 18: the kernel holds pages for a device or a pipe while the pager evicts them. A transfer in flight loses
// no byte. A registered io_uring buffer stays the program's page while it is pinned.

#include "traps/trap_support.hpp"

#include "store/swap_file.hpp"
#include "sys/file_descriptor.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

namespace faultline::test {
namespace {

constexpr std::uint64_t kFileUnits = 256;
constexpr std::uint64_t kBufferUnits = 8;
constexpr std::size_t kBufferBytes = kBufferUnits * kBasePageBytes;
constexpr auto kWholeBuffer = static_cast<ssize_t>(kBufferBytes);
constexpr int kTransfers = 150;

/// Returns an unnamed file with direct I/O that holds the words of fill_with_units(). The descriptor is closed if the
/// file system has no direct I/O.
sys::FileDescriptor direct_file_of_words() {
    const std::string directory = store::default_swap_directory();
    sys::FileDescriptor file{::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    if (!file) return file;
    std::vector<std::uint64_t> words(kFileUnits * kBasePageBytes / sizeof(std::uint64_t));
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_of_unit(i * sizeof words[0] / kBasePageBytes);
    const std::size_t bytes = words.size() * sizeof words[0];
    if (::pwrite(file.get(), words.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return {};
    if (::fsync(file.get()) != 0 || ::fcntl(file.get(), F_SETFL, O_DIRECT) != 0) return {};
    return file;
}

#define FAULTLINE_DIRECT_FILE_OR_SKIP(file)                  \
    const sys::FileDescriptor file = direct_file_of_words(); \
    if (!file) GTEST_SKIP() << "the swap directory's file system has no direct I/O"

/// Counts the words of the buffer (the region's first units) that differ from the file's, which begin at unit `first`.
std::size_t words_unlike_file(const Region& region, std::uint64_t first) {
    std::size_t unlike = 0;
    for (std::size_t offset = 0; offset < kBufferBytes; offset += sizeof(std::uint64_t)) {
        if (read_word(region.data() + offset) != word_of_unit(first + offset / kBasePageBytes)) ++unlike;
    }
    return unlike;
}

enum class Hold : std::uint8_t { pinned, bare };

Pin hold_buffer(Region& region, Hold hold, PinFor purpose) {
    return hold == Hold::pinned ? region.pin(region.data(), kBufferBytes, purpose) : Pin{};
}

/// Repeats `transfer` while another thread evicts the region. Returns the sum of its results.
template <typename Transfer>
std::size_t sum_during_evictions(Region& region, Transfer transfer) {
    std::atomic<bool> done{false};
    std::size_t sum = 0;
    run_threads(2, [&](unsigned index) {
        if (index == 0) {
            while (!done.load()) region.advise(region.data(), region.size(), Advice::dontneed);
            return;
        }
        for (int i = 0; i < kTransfers; ++i) sum += transfer();
        done.store(true);
    });
    return sum;
}

/// Reads from the file into the buffer. Returns the number of wrong words.
std::size_t wrong_words_of_direct_reads(Region& region, int file, std::uint64_t seed, Hold hold) {
    Random random{seed};
    return sum_during_evictions(region, [&]() -> std::size_t {
        const std::uint64_t first = random.below(kFileUnits - kBufferUnits);
        {
            const Pin pin = hold_buffer(region, hold, PinFor::writing);
            const auto offset = static_cast<off_t>(first * kBasePageBytes);
            if (::pread(file, region.data(), kBufferBytes, offset) != kWholeBuffer) return kBufferBytes;
        }
        return words_unlike_file(region, first);
    });
}

/// Writes the buffer to the file. Returns the number of words in the file that are not the program's.
std::size_t wrong_words_of_direct_writes(Region& region, int file, std::uint64_t seed, Hold hold) {
    Random random{seed};
    std::vector<std::byte> memory(kBufferBytes + kBasePageBytes);
    void* begin = memory.data();
    std::size_t space = memory.size();
    const auto* const check = static_cast<const std::byte*>(std::align(kBasePageBytes, kBufferBytes, begin, space));
    return sum_during_evictions(region, [&]() -> std::size_t {
        const std::uint64_t stamp = random.next();
        for (std::size_t at = 0; at < kBufferBytes; at += sizeof stamp) write_word(region.data() + at, stamp + at);
        {
            const Pin pin = hold_buffer(region, hold, PinFor::reading);
            if (::pwrite(file, region.data(), kBufferBytes, 0) != kWholeBuffer) return kBufferBytes;
        }
        if (::pread(file, begin, kBufferBytes, 0) != kWholeBuffer) return kBufferBytes;
        std::size_t wrong = 0;
        for (std::size_t at = 0; at < kBufferBytes; at += sizeof stamp) wrong += read_word(check + at) != stamp + at;
        return wrong;
    });
}

class Trap06Devices : public TrapMatrix {};

TEST_P(Trap06Devices, DirectReadIntoPinnedPagesLosesNoByte) {
    FAULTLINE_DIRECT_FILE_OR_SKIP(file);
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    EXPECT_EQ(wrong_words_of_direct_reads(region, file.get(), seed(), Hold::pinned), 0U);
}

TEST_P(Trap06Devices, DirectWriteFromPinnedPagesLosesNoByte) {
    FAULTLINE_DIRECT_FILE_OR_SKIP(file);
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    EXPECT_EQ(wrong_words_of_direct_writes(region, file.get(), seed(), Hold::pinned), 0U);
}

/// vmsplice puts the program's own pages into a pipe. Evicting them must not change what the reader of the pipe gets.
TEST_P(Trap06Devices, PagesLentToAPipeKeepTheirBytes) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    fill_with_units(region);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const sys::FileDescriptor out{ends[0]};
    const sys::FileDescriptor in{ends[1]};
    const iovec lent{region.data(), kBufferBytes};
    {
        const Pin pin = region.pin(lent.iov_base, lent.iov_len, PinFor::reading);
        ASSERT_EQ(::vmsplice(in.get(), &lent, 1, 0), kWholeBuffer);
    }
    for (int i = 0; i < 10; ++i) region.advise(region.data(), region.size(), Advice::dontneed);
    std::vector<std::uint64_t> words(kBufferBytes / sizeof(std::uint64_t));
    ASSERT_EQ(::read(out.get(), words.data(), kBufferBytes), kWholeBuffer);
    for (std::size_t i = 0; i < words.size(); ++i) {
        ASSERT_EQ(words[i], word_of_unit(i * sizeof words[0] / kBasePageBytes)) << "word " << i;
    }
    evict_all(region);  // the pipe no longer holds the pages
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap06Devices, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

/// Without a pin only the kernel knows that a device uses the page: it refuses a move, but would not refuse a copy.
class Trap06BareDevices : public TrapMatrix {};

TEST_P(Trap06BareDevices, DirectReadIntoUnpinnedPagesLosesNoByte) {
    FAULTLINE_DIRECT_FILE_OR_SKIP(file);
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    EXPECT_EQ(wrong_words_of_direct_reads(region, file.get(), seed(), Hold::bare), 0U);
}

TEST_P(Trap06BareDevices, DirectWriteFromUnpinnedPagesLosesNoByte) {
    FAULTLINE_DIRECT_FILE_OR_SKIP(file);
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    EXPECT_EQ(wrong_words_of_direct_writes(region, file.get(), seed(), Hold::bare), 0U);
}

constexpr Variant kMovedByThreads{Delivery::uffd_threads, Eviction::move};
constexpr Variant kMovedInOrder{Delivery::uffd_threads, Eviction::move, Replacement::fifo};
constexpr Variant kLargeMovedByThreads{Delivery::uffd_threads, Eviction::move, Replacement::second_chance, 65536};
INSTANTIATE_TEST_SUITE_P(Matrix, Trap06BareDevices,
                         testing::Values(kMovedByThreads, kMovedInOrder, kLargeMovedByThreads), VariantName{});

// ---- 18 registered buffers on managed pages

class Ring {
public:
    Ring() : error_{::io_uring_queue_init(4, &ring_, 0)} {}
    ~Ring() {
        if (error_ == 0) ::io_uring_queue_exit(&ring_);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] io_uring* get() noexcept { return &ring_; }

    /// Returns the result of the one request that `prepare` makes.
    template <typename Prepare>
    int run(Prepare prepare) {
        prepare(::io_uring_get_sqe(&ring_));
        io_uring_cqe* done = nullptr;
        if (const int error = ::io_uring_submit_and_wait(&ring_, 1); error < 0) return error;
        if (const int error = ::io_uring_wait_cqe(&ring_, &done); error < 0) return error;
        const int result = done->res;
        ::io_uring_cqe_seen(&ring_, done);
        return result;
    }

private:
    io_uring ring_{};
    int error_;
};

class Trap18 : public TrapMatrix {};

TEST_P(Trap18, RegisteredBufferUnderAPinStaysTheProgramsPage) {
    FAULTLINE_DIRECT_FILE_OR_SKIP(file);
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Ring ring;
    if (ring.error() != 0) GTEST_SKIP() << "this machine does not permit io_uring";
    Region region = pager.reserve(kBufferUnits * GetParam().page_size, options());
    {
        const Pin pin = region.pin(region.data(), kBufferBytes, PinFor::writing);
        const iovec buffer{region.data(), kBufferBytes};
        const int registered = ::io_uring_register_buffers(ring.get(), &buffer, 1);
        if (registered == -ENOMEM) GTEST_SKIP() << "see `ulimit -l`";
        ASSERT_EQ(registered, 0);
        Random random{seed()};
        for (int transfer = 0; transfer < 50; ++transfer) {
            region.advise(region.data(), region.size(), Advice::dontneed);
            const std::uint64_t first = random.below(kFileUnits - kBufferUnits);
            const int got = ring.run([&](io_uring_sqe* entry) {
                ::io_uring_prep_read_fixed(entry, file.get(), region.data(), static_cast<unsigned>(kBufferBytes),
                                           first * kBasePageBytes, 0);
            });
            ASSERT_EQ(got, kWholeBuffer);
            ASSERT_EQ(words_unlike_file(region, first), 0U);
        }
        fill_with_units(region);
        ::io_uring_unregister_buffers(ring.get());
    }
    evict_all(region);
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap18, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
