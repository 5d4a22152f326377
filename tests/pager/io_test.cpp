// faultline::io: system calls on managed memory transfer the right bytes whichever pages are absent. They are short
// only where that is harmless, report why they failed, and leave nothing pinned.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include "sys/file_descriptor.hpp"

#include <faultline/io.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace faultline::test {
namespace {

using sys::FileDescriptor;

constexpr std::size_t kPage = kBasePageBytes;

constexpr ssize_t signed_size(std::size_t bytes) { return static_cast<ssize_t>(bytes); }

/// Bytes that identify their place, at any offset.
std::vector<std::byte> pattern(std::size_t count, std::uint64_t seed = 0) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(stamp(i / 8, seed) >> (i % 8 * 8));
    return bytes;
}

FileDescriptor file_with(std::span<const std::byte> bytes) {
    FileDescriptor file{::memfd_create("faultline-test", MFD_CLOEXEC)};
    EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0), signed_size(bytes.size()));
    return file;
}

struct Ends {
    FileDescriptor out;
    FileDescriptor in;
};

Ends make_pipe(int flags) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | flags), 0);
    return {FileDescriptor{ends[0]}, FileDescriptor{ends[1]}};
}

Ends make_sockets(int type) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    return {FileDescriptor{ends[0]}, FileDescriptor{ends[1]}};
}

class IoTest : public VariantTest {
protected:
    static constexpr std::size_t kLimit = 24;
    static constexpr std::size_t kMostPinned = kLimit - Pager::kMinimumPages;
    static constexpr std::size_t kPages = 4 * kLimit;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        pager_.emplace(config_for(GetParam(), kLimit * kPage));
        region_ = pager_->reserve(kPages * kPage);
    }
    void TearDown() override {
        if (!region_) return;
        EXPECT_EQ(region_.stats().pinned_bytes, 0U);
        {
            const Pin all = region_.pin(at(0), kMostPinned * kPage, PinFor::reading);
            EXPECT_TRUE(all) << "the books of the limit are not balanced";
        }
        EXPECT_NO_THROW(region_.destroy());
    }

    [[nodiscard]] std::byte* at(std::uint64_t page, std::size_t offset = 0) {
        return region_.data() + page * kPage + offset;
    }
    void evict_all() {
        FakePager::settle();
        region_.advise(region_.data(), region_.size(), Advice::dontneed);
    }
    void fill(std::byte* to, std::span<const std::byte> bytes) {
        std::memcpy(to, bytes.data(), bytes.size());
        evict_all();
    }
    /// Compares after the pages were evicted and read back: a change that was not noticed would be lost.
    void expect_bytes(const std::byte* from, std::span<const std::byte> bytes) {
        evict_all();
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), from));
    }

    std::optional<Pager> pager_;
    Region region_;
};

template <typename Call>
void expect_error(Call call, int error) {
    errno = 0;
    EXPECT_EQ(call(), -1);
    EXPECT_EQ(errno, error) << std::strerror(errno);
}

// ---- every function

constexpr std::size_t kSmall = 3 * kPage + 100;  // with an unaligned begin, five pages

TEST_P(IoTest, ReadAndPreadBringBytesIntoAbsentPages) {
    const std::vector<std::byte> bytes = pattern(kSmall);
    const FileDescriptor file = file_with(bytes);
    EXPECT_EQ(io::read(file.get(), at(0, 4000), kSmall), signed_size(kSmall)) << std::strerror(errno);
    expect_bytes(at(0, 4000), bytes);
    fill(at(8), pattern(8 * kPage, 1));
    EXPECT_EQ(io::pread(file.get(), at(8, 7), kSmall - 9, 9), signed_size(kSmall - 9));
    expect_bytes(at(8, 7), std::span{bytes}.subspan(9));
    expect_bytes(at(8), pattern(7, 1));
    EXPECT_EQ(io::read(file.get(), at(0), kPage), 0) << "at the end of the file";
}

TEST_P(IoTest, WriteAndPwriteTakeBytesFromAbsentPages) {
    const std::vector<std::byte> bytes = pattern(kSmall);
    const FileDescriptor file = file_with({});
    fill(at(2, 4090), bytes);
    EXPECT_EQ(io::write(file.get(), at(2, 4090), kSmall), signed_size(kSmall)) << std::strerror(errno);
    evict_all();
    EXPECT_EQ(io::pwrite(file.get(), at(2, 4090), kSmall, signed_size(kSmall)), signed_size(kSmall));
    std::vector<std::byte> copy(2 * kSmall);
    ASSERT_EQ(::pread(file.get(), copy.data(), copy.size(), 0), signed_size(copy.size()));
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), copy.begin()));
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), copy.begin() + signed_size(kSmall)));
}

TEST_P(IoTest, WritingUntouchedPagesGivesZeros) {
    const FileDescriptor file = file_with({});
    EXPECT_EQ(io::write(file.get(), at(5), 2 * kPage), signed_size(2 * kPage));
    std::vector<std::byte> copy(2 * kPage, std::byte{1});
    EXPECT_EQ(::pread(file.get(), copy.data(), copy.size(), 0), signed_size(copy.size()));
    EXPECT_TRUE(all_zeros(copy.data(), copy.size()));
}

TEST_P(IoTest, SendAndRecvWorkOnAbsentPages) {
    const std::vector<std::byte> bytes = pattern(kSmall);
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        const Ends sockets = make_sockets(type);
        fill(at(0, 9), bytes);
        EXPECT_EQ(io::send(sockets.in.get(), at(0, 9), kSmall, 0), signed_size(kSmall)) << std::strerror(errno);
        EXPECT_EQ(io::recv(sockets.out.get(), at(20, 5), kSmall + 50, 0), signed_size(kSmall));
        expect_bytes(at(20, 5), bytes);
        expect_error([&] { return io::recv(sockets.out.get(), at(20), kPage, 0); }, EAGAIN);
    }
}

TEST_P(IoTest, ReadvAndWritevMixManagedAndOtherBuffers) {
    const std::vector<std::byte> bytes = pattern(3 * kPage);
    const FileDescriptor file = file_with(bytes);
    std::vector<std::byte> other(kPage);
    fill(at(0), pattern(4 * kPage, 1));
    // Neighbours in one page, an empty buffer, unmanaged memory, and another page.
    const std::array<iovec, 5> parts{
        {{at(0, 100), 10}, {at(0, 110), 1000}, {at(50), 0}, {other.data(), kPage}, {at(1, 50), kPage}}};
    constexpr std::size_t kSum = 1010 + 2 * kPage;
    ASSERT_EQ(io::readv(file.get(), parts.data(), 5), signed_size(kSum)) << std::strerror(errno);
    const std::span all{bytes};
    expect_bytes(at(0, 100), all.first(1010));
    EXPECT_TRUE(std::equal(other.begin(), other.end(), bytes.begin() + 1010));
    expect_bytes(at(1, 50), all.subspan(1010 + kPage, kPage));

    const FileDescriptor copy = file_with({});
    ASSERT_EQ(io::writev(copy.get(), parts.data(), 5), signed_size(kSum)) << std::strerror(errno);
    std::vector<std::byte> written(kSum);
    ASSERT_EQ(::pread(copy.get(), written.data(), kSum, 0), signed_size(kSum));
    EXPECT_TRUE(std::equal(written.begin(), written.end(), bytes.begin()));
}

TEST_P(IoTest, MostBuffersInOnePageCountAsOnePage) {
    const std::vector<std::byte> bytes = pattern(IOV_MAX * 2);
    const FileDescriptor file = file_with(bytes);
    std::vector<iovec> parts;
    for (std::size_t i = 0; i < IOV_MAX; ++i) parts.push_back({at(3, 2 * i), 2});
    EXPECT_EQ(io::readv(file.get(), parts.data(), IOV_MAX), signed_size(bytes.size())) << std::strerror(errno);
    expect_bytes(at(3), bytes);
}

TEST_P(IoTest, ArrayOfBuffersMayBeManaged) {
    const std::vector<std::byte> bytes = pattern(kPage);
    const FileDescriptor file = file_with(bytes);
    const std::array<iovec, 2> parts{{{at(0), 100}, {at(9), kPage - 100}}};
    std::memcpy(at(30), parts.data(), sizeof parts);
    evict_all();
    EXPECT_EQ(io::readv(file.get(), reinterpret_cast<const iovec*>(at(30)), 2), signed_size(kPage));
    expect_bytes(at(9), std::span{bytes}.subspan(100));
}

// ---- more than may be pinned

TEST_P(IoTest, BuffersLargerThanTheBudgetAreTransferredInSteps) {
    constexpr std::size_t kBytes = (kPages - 2) * kPage;
    const std::vector<std::byte> bytes = pattern(kBytes);
    const FileDescriptor file = file_with(bytes);
    std::size_t steps = 0;
    for (std::size_t done = 0; done < kBytes; ++steps) {
        const ssize_t moved = io::read(file.get(), at(0, 11 + done), kBytes - done);
        ASSERT_GT(moved, 0) << std::strerror(errno);
        done += static_cast<std::size_t>(moved);
    }
    EXPECT_GT(steps, 1U);
    EXPECT_LE(steps, kPages / (kMostPinned / 2) + 1) << "each step moves what half of the room for pins holds";
    expect_bytes(at(0, 11), bytes);

    const FileDescriptor copy = file_with({});
    for (std::size_t done = 0; done < kBytes;) {
        const ssize_t moved = io::pwrite(copy.get(), at(0, 11 + done), kBytes - done, signed_size(done));
        ASSERT_GT(moved, 0) << std::strerror(errno);
        done += static_cast<std::size_t>(moved);
    }
    std::vector<std::byte> written(kBytes);
    ASSERT_EQ(::pread(copy.get(), written.data(), kBytes, 0), signed_size(kBytes));
    EXPECT_TRUE(written == bytes);
}

TEST_P(IoTest, VectorsLargerThanTheBudgetAreCutWhereThePinsEnd) {
    const std::vector<std::byte> bytes = pattern(kPages * kPage);
    const FileDescriptor file = file_with(bytes);
    std::vector<std::byte> other(100);
    const std::array<iovec, 3> parts{{{other.data(), other.size()}, {at(0), 40 * kPage}, {at(50), kPage}}};
    EXPECT_EQ(io::readv(file.get(), parts.data(), 3), signed_size(100 + kMostPinned / 2 * kPage));
    EXPECT_TRUE(std::equal(other.begin(), other.end(), bytes.begin()));
    expect_bytes(at(0), std::span{bytes}.subspan(100, kMostPinned / 2 * kPage));
    EXPECT_TRUE(all_zeros(at(kMostPinned / 2), kPage)) << "moved more than it said";
}

TEST_P(IoTest, OnePageThatMayBePinnedSufficesAndWithoutItTheCallFailsWithEnomem) {
    const std::vector<std::byte> bytes = pattern(4 * kPage);
    const FileDescriptor file = file_with(bytes);
    Pin held = region_.pin(at(40), (kMostPinned - 1) * kPage);
    EXPECT_EQ(io::pread(file.get(), at(0, 96), 4 * kPage, 0), signed_size(kPage - 96));
    const Pin last = region_.pin(at(60), kPage);
    expect_error([&] { return io::pread(file.get(), at(0), 4 * kPage, 0); }, ENOMEM);
    std::vector<std::byte> other(kPage);
    const std::array<iovec, 2> parts{{{other.data(), kPage}, {at(0), kPage}}};
    EXPECT_EQ(io::writev(file.get(), parts.data(), 2), signed_size(kPage)) << "what needs no pin is moved";
    held.release();
    EXPECT_EQ(io::pread(file.get(), at(0), 4 * kPage, 0), signed_size(4 * kPage));
}

TEST_P(IoTest, LargeTransfersMoveOneWindow) {
    Pager roomy{config_for(GetParam(), std::size_t{8} << 20)};
    Region region = roomy.reserve(std::size_t{4} << 20);
    const FileDescriptor zeros{::open("/dev/zero", O_RDWR | O_CLOEXEC)};
    EXPECT_EQ(io::read(zeros.get(), region.data() + 9, region.size() - 9), 1 << 20);
    EXPECT_EQ(region.stats().pinned_bytes, 0U);
    const FileDescriptor file = file_with({});
    EXPECT_EQ(io::write(file.get(), region.data() + 9, region.size() - 9), 1 << 20);
    EXPECT_EQ(io::write(file.get(), region.data() + 9, 1 << 20), 1 << 20)
        << "one of that size is whole, aligned or not";
}

// ---- what must not be short

TEST_P(IoTest, DatagramsAreSentWholeOrNotAtAll) {
    constexpr std::size_t kMost = kMostPinned * kPage;
    const std::vector<std::byte> bytes = pattern(kMost + kPage);
    for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
        const Ends sockets = make_sockets(type);
        fill(at(0), bytes);
        expect_error([&] { return io::send(sockets.in.get(), at(0), kMost + 1, 0); }, ENOMEM);
        expect_error([&] { return io::write(sockets.in.get(), at(0), kMost + 1); }, ENOMEM);
        std::array<iovec, 2> parts{{{at(0), kMost}, {at(50), 1}}};
        expect_error([&] { return io::writev(sockets.in.get(), parts.data(), 2); }, ENOMEM);
        std::vector<std::byte> got(kMost + kPage);
        expect_error([&] { return ::recv(sockets.out.get(), got.data(), got.size(), 0); }, EAGAIN);
        // More than half of the pages that can be pinned, which a stream would not get.
        EXPECT_EQ(io::send(sockets.in.get(), at(0), kMost, 0), signed_size(kMost)) << std::strerror(errno);
        EXPECT_EQ(::recv(sockets.out.get(), got.data(), got.size(), 0), signed_size(kMost));
        EXPECT_TRUE(std::equal(got.begin(), got.begin() + signed_size(kMost), bytes.begin()));
    }
}

TEST_P(IoTest, DatagramsAreReceivedWholeOrNotAtAll) {
    constexpr std::size_t kMost = kMostPinned * kPage;
    const std::vector<std::byte> bytes = pattern(kMost);
    const Ends sockets = make_sockets(SOCK_DGRAM);
    ASSERT_EQ(::send(sockets.in.get(), bytes.data(), kMost, 0), signed_size(kMost));
    expect_error([&] { return io::recv(sockets.out.get(), at(0), kMost + 1, 0); }, ENOMEM);
    EXPECT_EQ(io::recv(sockets.out.get(), at(0), kMost, 0), signed_size(kMost)) << "and is still there";
    expect_bytes(at(0), bytes);
}

TEST_P(IoTest, AtomicWritesToPipesAreNotCut) {
    const Ends pipe = make_pipe(O_NONBLOCK);
    const Pin held = region_.pin(at(40), (kMostPinned - 1) * kPage);
    expect_error([&] { return io::write(pipe.in.get(), at(1, 4000), PIPE_BUF); }, ENOMEM);
    EXPECT_EQ(io::write(pipe.in.get(), at(1, 4000), PIPE_BUF + 1), 96) << "not atomic in any case";
    EXPECT_EQ(io::write(pipe.in.get(), at(1), PIPE_BUF), PIPE_BUF);
}

TEST_P(IoTest, PacketsInPipesAreNotCut) {
    const Ends pipe = make_pipe(O_NONBLOCK | O_DIRECT);
    const std::vector<std::byte> bytes = pattern(kPage);
    ASSERT_EQ(::write(pipe.in.get(), bytes.data(), kPage), signed_size(kPage));
    Pin held = region_.pin(at(40), (kMostPinned - 1) * kPage);
    expect_error([&] { return io::read(pipe.out.get(), at(0, 4000), kPage); }, ENOMEM);
    held.release();
    held = region_.pin(at(40), (kMostPinned - 2) * kPage);  // two pages are left, and half of them would not be enough
    EXPECT_EQ(io::read(pipe.out.get(), at(0, 4000), 20 * kPage), signed_size(kPage));
    held.release();
    expect_bytes(at(0, 4000), bytes);
    expect_error([&] { return io::write(pipe.in.get(), at(0), (kMostPinned + 1) * kPage); }, ENOMEM);
}

TEST_P(IoTest, RecvThatWaitsForAllIsNotCut) {
    constexpr std::size_t kMost = kMostPinned * kPage;
    const std::vector<std::byte> bytes = pattern(kMost);
    const Ends sockets = make_sockets(SOCK_STREAM);
    ASSERT_EQ(::send(sockets.in.get(), bytes.data(), kMost, 0), signed_size(kMost));
    expect_error([&] { return io::recv(sockets.out.get(), at(0), kMost + 1, MSG_WAITALL); }, ENOMEM);
    EXPECT_EQ(io::recv(sockets.out.get(), at(0), kMost, MSG_WAITALL), signed_size(kMost));
    expect_bytes(at(0), bytes);
}

// ---- other memory

TEST_P(IoTest, OtherMemoryIsPassedToTheKernelAndItsErrorsToTheCaller) {
    std::vector<std::byte> other(4 * kPage);
    const std::vector<std::byte> bytes = pattern(4 * kPage);
    const FileDescriptor file = file_with(bytes);
    EXPECT_EQ(io::read(file.get(), other.data(), other.size()), signed_size(other.size()));
    EXPECT_TRUE(other == bytes);
    EXPECT_EQ(io::pwrite(file.get(), other.data(), 100, 50), 100);
    EXPECT_EQ(io::pread(file.get(), nullptr, 0, 0), 0);
    expect_error([&] { return io::pread(file.get(), nullptr, 1, 0); }, EFAULT);
    expect_error([&] { return io::pread(file.get(), other.data(), 1, -1); }, EINVAL);
    expect_error([&] { return io::read(-1, other.data(), 1); }, EBADF);
    expect_error([&] { return io::recv(file.get(), other.data(), 1, 0); }, ENOTSOCK);
}

TEST_P(IoTest, ErrorsOfTheCallReachTheCallerWithManagedBuffers) {
    expect_error([&] { return io::read(-1, at(0), kPage); }, EBADF);
    expect_error([&] { return io::write(-1, at(0), region_.size()); }, EBADF);
    const FileDescriptor file = file_with(pattern(kPage));
    expect_error([&] { return io::pread(file.get(), at(0), kPage, -1); }, EINVAL);
    expect_error([&] { return io::send(file.get(), at(0), kPage, 0); }, ENOTSOCK);
    const Ends pipe = make_pipe(O_NONBLOCK);
    expect_error([&] { return io::read(pipe.out.get(), at(0), kPage); }, EAGAIN);
    expect_error([&] { return io::read(pipe.in.get(), at(0), kPage); }, EBADF);
    EXPECT_EQ(io::read(file.get(), at(0), 0), 0);
}

TEST_P(IoTest, InvalidVectorsAreRefusedAsByTheKernel) {
    const FileDescriptor file = file_with(pattern(kPage));
    const std::vector<iovec> parts(IOV_MAX + 1, iovec{at(0), 1});
    expect_error([&] { return io::readv(file.get(), parts.data(), IOV_MAX + 1); }, EINVAL);
    expect_error([&] { return io::readv(file.get(), parts.data(), -1); }, EINVAL);
    EXPECT_EQ(io::readv(file.get(), nullptr, 0), 0);
    const std::array<iovec, 2> endless{{{at(0), 1}, {at(1), std::numeric_limits<std::size_t>::max()}}};
    const ssize_t of_kernel = ::readv(file.get(), endless.data(), 2);
    const int error = errno;
    EXPECT_EQ(of_kernel, -1);
    expect_error([&] { return io::readv(file.get(), endless.data(), 2); }, error);
    expect_error([&] { return io::read(file.get(), at(0), std::numeric_limits<std::size_t>::max()); }, EINVAL);
}

/// Two regions without a gap between them. The kernel puts a mapping that is too large for any gap below all others, so
/// two such mappings become neighbours if everything smaller finds a gap.
struct Neighbours {
    explicit Neighbours(Pager& pager) {
        constexpr std::size_t kGap = std::size_t{16} << 20;
        constexpr std::size_t kLarge = std::size_t{1} << 30;
        const auto map = [](std::size_t bytes) {
            return ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        };
        void* const gap = map(kGap);
        void* const floor = map(kPage);
        ::munmap(gap, kGap);
        high = pager.reserve(kLarge);
        low = pager.reserve(kLarge);
        ::munmap(floor, kPage);
    }
    [[nodiscard]] bool adjacent() const { return low.data() + low.size() == high.data(); }

    Region high;
    Region low;
};

TEST_P(IoTest, BuffersAcrossNeighbouringRegionsAreOneBuffer) {
    Neighbours regions{*pager_};
    if (!regions.adjacent()) GTEST_SKIP() << "the kernel put something between the regions";
    const std::vector<std::byte> bytes = pattern(3 * kPage);
    const FileDescriptor file = file_with(bytes);
    std::byte* const begin = regions.high.data() - kPage - 100;
    EXPECT_EQ(io::pread(file.get(), begin, 3 * kPage, 0), signed_size(3 * kPage)) << std::strerror(errno);
    FakePager::settle();
    regions.low.advise(begin, kPage + 100, Advice::dontneed);
    regions.high.advise(regions.high.data(), 2 * kPage, Advice::dontneed);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), begin));
    EXPECT_EQ(regions.low.stats().pinned_bytes + regions.high.stats().pinned_bytes, 0U);
}

TEST_P(IoTest, HolesBehindARegionGiveTheKernelsResult) {
    Neighbours regions{*pager_};
    if (!regions.adjacent()) GTEST_SKIP() << "the kernel put something between the regions";
    Region& region = regions.low;
    regions.high.destroy();
    const std::vector<std::byte> bytes = pattern(2 * kPage);
    const FileDescriptor file = file_with(bytes);
    const Ends sockets = make_sockets(SOCK_DGRAM);
    std::byte* const last = region.data() + region.size() - kPage;
    const auto evict = [&] {
        FakePager::settle();
        region.advise(last, kPage, Advice::dontneed);
    };
    Pin present = region.pin(last, kPage);
    const ssize_t expected = ::pread(file.get(), last, 2 * kPage, 0);
    const ssize_t expected_of_socket = ::send(sockets.in.get(), last, 2 * kPage, 0);
    const int error = errno;
    EXPECT_EQ(expected, signed_size(kPage));
    EXPECT_EQ(expected_of_socket, -1);
    present.release();
    evict();
    EXPECT_EQ(io::pread(file.get(), last, 2 * kPage, 0), expected);
    EXPECT_TRUE(std::equal(last, last + kPage, bytes.begin()));
    evict();
    expect_error([&] { return io::send(sockets.in.get(), last, 2 * kPage, 0); }, error);
    expect_error([&] { return io::pread(file.get(), last + kPage, kPage, 0); }, EFAULT);
}

TEST_P(IoTest, BuffersThatBeginBeforeARegionAreOneBuffer) {
    // Needs the page before the region, which must be free; else the test is skipped.
    std::byte* const before = region_.data() - kPage;
    void* const mapped =
        ::mmap(before, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped == MAP_FAILED) GTEST_SKIP() << "the addresses before the region are taken";
    const std::vector<std::byte> bytes = pattern(2 * kPage);
    const FileDescriptor file = file_with(bytes);
    EXPECT_EQ(io::pread(file.get(), before, 2 * kPage, 0), signed_size(2 * kPage)) << std::strerror(errno);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), before));
    ::munmap(mapped, kPage);
}

// ---- pages that cannot be made resident

TEST_P(IoTest, ProtectedPagesGiveEfaultAndTheBytesBeforeThemAreMoved) {
    const std::vector<std::byte> bytes = pattern(3 * kPage);
    const FileDescriptor file = file_with(bytes);
    fill(at(0), pattern(4 * kPage, 1));
    region_.protect(at(2), kPage, Access::read);
    expect_error([&] { return io::pread(file.get(), at(2, 8), 100, 0); }, EFAULT);
    EXPECT_EQ(io::pread(file.get(), at(0, 96), 3 * kPage, 0), signed_size(2 * kPage - 96));
    EXPECT_EQ(io::pwrite(file.get(), at(2), kPage, 0), signed_size(kPage)) << "reading is allowed";
    region_.protect(at(2), kPage, Access::none);
    expect_error([&] { return io::pwrite(file.get(), at(2), kPage, 0); }, EFAULT);
    EXPECT_EQ(io::pwrite(file.get(), at(1), 2 * kPage, 0), signed_size(kPage));
    const Ends sockets = make_sockets(SOCK_DGRAM);
    expect_error([&] { return io::send(sockets.in.get(), at(1), 2 * kPage, 0); }, EFAULT);
    region_.protect(at(2), kPage, Access::read_write);
    const std::vector<std::byte> before = pattern(4 * kPage, 1);
    expect_bytes(at(2), std::span{before}.subspan(2 * kPage, kPage));
}

TEST_P(IoTest, PagesThatCannotBeReadBackGiveEio) {
    FakePager fake{GetParam(), plain_config(GetParam()), 8, kLimit};
    for (std::uint64_t page = 0; page < 8; ++page) write_stamps(fake.page(page), kPage, stamp(page));
    fake.evict_all();
    fake.store().read_error_at.store(3 * kPage);
    fake.store().read_error.store(EIO);
    const FileDescriptor file = file_with({});
    expect_error([&] { return io::write(file.get(), fake.page(3), kPage); }, EIO);
    EXPECT_EQ(io::write(file.get(), fake.page(1), 4 * kPage), signed_size(2 * kPage)) << "what could be had";
    const Ends sockets = make_sockets(SOCK_DGRAM);
    expect_error([&] { return io::send(sockets.in.get(), fake.page(1), 4 * kPage, 0); }, EIO);
    fake.store().read_error.store(0);
    fake.retry_all();
    EXPECT_EQ(io::write(file.get(), fake.page(3), kPage), signed_size(kPage));
    EXPECT_EQ(fake.settled_stats().pinned_bytes, 0U);
}

// ---- threads

TEST_P(IoTest, ThreadsMoveTheRightBytesWhilePagesAreEvicted) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 4;
    constexpr std::size_t kOwn = kPages / kThreads;
    constexpr std::size_t kBytes = (kOwn - 1) * kPage;
    std::atomic<unsigned> working{kThreads};
    run_threads(kThreads + 1, [&](unsigned index) {
        if (index == kThreads) {
            while (working.load() > 0) {
                region_.advise(region_.data(), region_.size(), Advice::dontneed);
                // Destroying regions must not wait for pinning threads, nor the other way round.
                Region other = pager_->reserve(4 * kPage);
                store_word(other.data(), 1);
            }
            return;
        }
        std::byte* const own = at(index * kOwn, 13 * index);
        for (std::uint64_t round = 0; round < 20; ++round) {
            const std::vector<std::byte> bytes = pattern(kBytes, round * kThreads + index);
            const FileDescriptor file = file_with(bytes);
            const FileDescriptor copy = file_with({});
            // ENOMEM: the other threads hold all pins now.
            for (std::size_t done = 0; done < kBytes;) {
                const ssize_t moved = io::pread(file.get(), own + done, kBytes - done, signed_size(done));
                ASSERT_TRUE(moved > 0 || errno == ENOMEM) << std::strerror(errno);
                if (moved > 0) done += static_cast<std::size_t>(moved);
            }
            for (std::size_t done = 0; done < kBytes;) {
                const ssize_t moved = io::write(copy.get(), own + done, kBytes - done);
                ASSERT_TRUE(moved > 0 || errno == ENOMEM) << std::strerror(errno);
                if (moved > 0) done += static_cast<std::size_t>(moved);
            }
            std::vector<std::byte> written(kBytes);
            ASSERT_EQ(::pread(copy.get(), written.data(), kBytes, 0), signed_size(kBytes));
            ASSERT_TRUE(written == bytes) << "thread " << index << ", round " << round;
        }
        working.fetch_sub(1);
    });
}

/// The thread waits in recv with its pages pinned. They are not pinned after it was cancelled.
TEST_P(IoTest, CancelledCallUnpins) {
    const Watchdog watchdog;
    struct Argument {
        int descriptor;
        std::byte* buffer;
    };
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const Ends sockets{FileDescriptor{ends[0]}, FileDescriptor{ends[1]}};
    Argument argument{sockets.out.get(), at(2)};
    pthread_t thread{};
    ASSERT_EQ(::pthread_create(
                  &thread, nullptr,
                  [](void* given) -> void* {
                      const Argument& its = *static_cast<Argument*>(given);
                      static_cast<void>(io::recv(its.descriptor, its.buffer, 2 * kPage, 0));
                      return nullptr;
                  },
                  &argument),
              0);
    while (region_.stats().pinned_bytes < 2 * kPage) std::this_thread::yield();
    expect_refused([&] { region_.destroy(); }, EBUSY, "pinned");
    ASSERT_EQ(::pthread_cancel(thread), 0);
    void* result = nullptr;
    ASSERT_EQ(::pthread_join(thread, &result), 0);
    EXPECT_EQ(result, PTHREAD_CANCELED);
    EXPECT_EQ(region_.stats().pinned_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(matrix, IoTest, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
