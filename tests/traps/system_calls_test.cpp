// Trap 2: system calls on absent pages. In signal delivery the kernel cannot fault them in: it says EFAULT, or stops
// short, and never hands out wrong bytes; a pin makes them work. In thread delivery they just work.

#include "traps/trap_support.hpp"

#include "sys/file_descriptor.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace faultline::test {
namespace {

constexpr auto kPage = static_cast<ssize_t>(kBasePageBytes);

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::system_error(errno, std::generic_category());
        out = sys::FileDescriptor{ends[0]};
        in = sys::FileDescriptor{ends[1]};
    }
    sys::FileDescriptor out;
    sys::FileDescriptor in;
};

/// A file in memory whose words are those of a region filled with units.
sys::FileDescriptor file_of_units(std::uint64_t count) {
    sys::FileDescriptor file{::memfd_create("units", MFD_CLOEXEC)};
    std::vector<std::uint64_t> words(count * kBasePageBytes / sizeof(std::uint64_t));
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_of_unit(i * sizeof words[0] / kBasePageBytes);
    const std::size_t bytes = words.size() * sizeof words[0];
    if (::pwrite(file.get(), words.data(), bytes, 0) != static_cast<ssize_t>(bytes)) {
        throw std::system_error(errno, std::generic_category());
    }
    return file;
}

/// Whether the pipe holds the bytes of the first `units` units, and nothing else.
bool pipe_holds_units(const Pipe& pipe, std::size_t units) {
    std::vector<std::uint64_t> words(units * kBasePageBytes / sizeof(std::uint64_t));
    const std::size_t bytes = units * kBasePageBytes;
    if (::read(pipe.out.get(), words.data(), bytes) != static_cast<ssize_t>(bytes)) return false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] != word_of_unit(i * sizeof words[0] / kBasePageBytes)) return false;
    }
    char more = 0;
    return ::read(pipe.out.get(), &more, 1) < 0;
}

class Trap02 : public TrapMatrix {
protected:
    static constexpr std::size_t kPages = 4;

    /// The first page is present, the others are not.
    static void evict_all_but_the_first(Region& region) {
        evict_all(region);
        EXPECT_EQ(read_word(region.data()), word_of_unit(0));
    }
};

class Trap02InSignalDelivery : public Trap02 {};

TEST_P(Trap02InSignalDelivery, SystemCallsOnAbsentPagesSayEfault) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    evict_all_but_the_first(region);
    std::byte* const absent = region.data() + kBasePageBytes;
    const Pipe pipe;
    EXPECT_EQ(::write(pipe.in.get(), absent, 1), -1);
    EXPECT_EQ(errno, EFAULT);
    ASSERT_EQ(::write(pipe.in.get(), "x", 1), 1);
    EXPECT_EQ(::read(pipe.out.get(), absent, 1), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::syscall(SYS_futex, absent, FUTEX_WAIT, 0, nullptr, nullptr, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap02InSignalDelivery, TransfersAcrossTheBoundaryOfAnAbsentPageStopShort) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    evict_all_but_the_first(region);
    const Pipe pipe;
    EXPECT_EQ(::write(pipe.in.get(), region.data(), 2 * kBasePageBytes), kPage);
    EXPECT_TRUE(pipe_holds_units(pipe, 1));

    const sys::FileDescriptor file = file_of_units(2);
    write_word(region.data(), 0);
    evict_all(region);
    write_word(region.data(), 0);  // present and not what the file has
    EXPECT_EQ(::pread(file.get(), region.data(), 2 * kBasePageBytes, 0), kPage);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap02InSignalDelivery, FailedCallsSucceedWhenRepeatedAfterATouch) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    const Pipe pipe;
    ASSERT_EQ(::write(pipe.in.get(), region.data(), kBasePageBytes), -1);
    EXPECT_EQ(read_word(region.data()), word_of_unit(0));
    EXPECT_EQ(::write(pipe.in.get(), region.data(), kBasePageBytes), kPage);
    EXPECT_TRUE(pipe_holds_units(pipe, 1));
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap02InSignalDelivery, testing::ValuesIn(variants_of(Delivery::uffd_signal)),
                         VariantName{});

/// The kernel reads pages that were absent: pinned before, or faulted in by the handler threads on the way.
void expect_whole_transfers(Region& region) {
    const std::size_t bytes = region.size();
    const Pipe pipe;
    EXPECT_EQ(::write(pipe.in.get(), region.data(), bytes), static_cast<ssize_t>(bytes));
    EXPECT_TRUE(pipe_holds_units(pipe, bytes / kBasePageBytes));
    std::array<iovec, 2> parts{{{region.data() + 8, kBasePageBytes}, {region.data() + 2 * kBasePageBytes, 8}}};
    EXPECT_EQ(::writev(pipe.in.get(), parts.data(), 2), kPage + 8);
    std::vector<char> drain(2 * kBasePageBytes);
    EXPECT_EQ(::read(pipe.out.get(), drain.data(), drain.size()), kPage + 8);
}

/// The kernel writes to them.
void expect_whole_reads(Region& region) {
    const sys::FileDescriptor file = file_of_units(units_of(region));
    EXPECT_EQ(::pread(file.get(), region.data(), region.size(), 0), static_cast<ssize_t>(region.size()));
    EXPECT_EQ(::syscall(SYS_futex, region.data() + kBasePageBytes, FUTEX_WAIT, 0, nullptr, nullptr, 0), -1);
    EXPECT_EQ(errno, EAGAIN);  // read, and not 0
}

void forget_contents(Region& region) {
    for (std::size_t page = 0; page < units_of(region); ++page) write_word(region.data() + page * kBasePageBytes, 0);
    evict_all(region);
}

class Trap02EveryDelivery : public Trap02 {};

TEST_P(Trap02EveryDelivery, SystemCallsWorkUnderAPin) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    {
        const Pin pin = region.pin(region.data(), region.size(), PinFor::reading);
        evict_all(region);  // leaves pinned pages alone
        expect_whole_transfers(region);
    }
    forget_contents(region);
    {
        const Pin pin = region.pin(region.data(), region.size(), PinFor::writing);
        expect_whole_reads(region);
    }
    evict_all(region);
    EXPECT_EQ(wrong_words(region), 0U) << "what the kernel wrote under the pin was not noticed";
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap02EveryDelivery, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

class Trap02InThreadDelivery : public Trap02 {};

TEST_P(Trap02InThreadDelivery, SystemCallsOnAbsentPagesJustWork) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    evict_all(region);
    expect_whole_transfers(region);
    forget_contents(region);
    expect_whole_reads(region);
    evict_all(region);
    EXPECT_EQ(wrong_words(region), 0U) << "what the kernel wrote was not noticed";
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap02InThreadDelivery, testing::ValuesIn(variants_of(Delivery::uffd_threads)),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
