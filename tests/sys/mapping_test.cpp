// Mapping and what uses it: exact size, aligned, zero, and unmapped by the destructor.
#include "sys/mapping.hpp"

#include "core/units.hpp"
#include "support/child.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/lazy_array.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::test {
namespace {

using sys::Mapping;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kUnit = core::kUnitBytes;

bool is_mapped(const void* address) {
    unsigned char resident = 0;
    return ::mincore(reinterpret_cast<void*>(core::align_down(core::address_of(address), kUnit)), kUnit, &resident) ==
           0;
}

/// Returns the line of /proc/self/smaps with the flags of the mapping around `address`.
std::string flags_of(const void* address) {
    std::ifstream maps{"/proc/self/smaps"};
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        char dash = 0;
        std::istringstream range{line};
        if (range >> std::hex >> begin >> dash >> end && dash == '-') {
            here = begin <= core::address_of(address) && core::address_of(address) < end;
        }
        if (here && line.starts_with("VmFlags:")) return line + " ";
    }
    return {};
}

TEST(Mapping, IsAlignedAsAskedAndExact) {
    for (std::size_t alignment : {kUnit, std::size_t{64} << 10, std::size_t{2} << 20, std::size_t{1} << 30}) {
        for (std::size_t units : {std::size_t{1}, std::size_t{3}, std::size_t{513}}) {
            const Mapping mapping = Mapping::reserve(units * kUnit, alignment, true, "a test");
            EXPECT_EQ(core::address_of(mapping.data()) % alignment, 0U);
            EXPECT_EQ(mapping.size(), units * kUnit);
            EXPECT_EQ(mapping.bytes().data(), mapping.data());
            EXPECT_TRUE(is_mapped(mapping.data()));
            EXPECT_TRUE(is_mapped(mapping.data() + mapping.size() - 1));
        }
    }
}

TEST(Mapping, IsWhereItWasAskedForOrRefusesWhatIsTaken) {
    std::byte* place = nullptr;
    {
        const Mapping taken = Mapping::reserve(4 * kUnit, kUnit, false, "a test");
        place = taken.data();
        for (const std::uintptr_t address : {core::address_of(place), core::address_of(place + 3 * kUnit)}) {
            try {
                const Mapping second = Mapping::reserve_at(address, 4 * kUnit, "a test");
                ADD_FAILURE() << "something was mapped over";
            } catch (const std::system_error& error) {
                EXPECT_EQ(error.code().value(), EEXIST);
                EXPECT_THAT(error.what(), HasSubstr("a test: something is mapped there"));
            }
        }
        place[3 * kUnit] = std::byte{1};
    }
    const Mapping there = Mapping::reserve_at(core::address_of(place), 4 * kUnit, "a test");
    EXPECT_EQ(there.data(), place);
    EXPECT_EQ(there.size(), 4 * kUnit);
    EXPECT_EQ(there.data()[3 * kUnit], std::byte{0});
    EXPECT_THAT(flags_of(place), HasSubstr(" dc "));  // not copied on fork
}

TEST(Mapping, IsZeroAndWritable) {
    const Mapping mapping = Mapping::reserve(8 * kUnit, kUnit, true, "a test");
    EXPECT_TRUE(
        std::all_of(mapping.bytes().begin(), mapping.bytes().end(), [](std::byte b) { return b == std::byte{}; }));
    std::fill(mapping.bytes().begin(), mapping.bytes().end(), std::byte{7});
    EXPECT_EQ(mapping.data()[8 * kUnit - 1], std::byte{7});
}

TEST(Mapping, IsGoneWhenItGoes) {
    std::byte* address = nullptr;
    {
        const Mapping mapping = Mapping::reserve(4 * kUnit, kUnit, true, "a test");
        address = mapping.data();
    }
    EXPECT_FALSE(is_mapped(address));
    Mapping reset = Mapping::reserve(4 * kUnit, kUnit, true, "a test");
    address = reset.data();
    reset.reset();
    EXPECT_FALSE(is_mapped(address));
    EXPECT_FALSE(static_cast<bool>(reset));
}

TEST(Mapping, MovesItsOwnership) {
    Mapping first = Mapping::reserve(kUnit, kUnit, true, "a test");
    std::byte* const address = first.data();
    Mapping second = std::move(first);
    EXPECT_EQ(second.data(), address);
    Mapping third = Mapping::reserve(kUnit, kUnit, true, "a test");
    std::byte* const replaced = third.data();
    third = std::move(second);
    EXPECT_EQ(third.data(), address);
    EXPECT_FALSE(is_mapped(replaced));
    EXPECT_TRUE(is_mapped(address));
}

TEST(Mapping, LetsGoWithoutUnmapping) {
    Mapping mapping = Mapping::reserve(kUnit, kUnit, true, "a test");
    std::byte* const address = mapping.data();
    mapping.abandon();
    EXPECT_FALSE(static_cast<bool>(mapping));
    mapping.reset();
    EXPECT_TRUE(is_mapped(address));
    EXPECT_EQ(::munmap(address, kUnit), 0);
}

TEST(Mapping, StaysOutOfCoreDumps) {
    const Mapping mapping = Mapping::reserve(4 * kUnit, kUnit, true, "a test");
    EXPECT_THAT(flags_of(mapping.data()), HasSubstr(" dd "));
}

TEST(Mapping, IsInheritedByChildrenOnlyIfWanted) {
    const Mapping shared = Mapping::reserve(kUnit, kUnit, true, "a test");
    const Mapping own = Mapping::reserve(kUnit, kUnit, false, "a test");
    const auto look = [&] { std::_Exit((is_mapped(shared.data()) ? 1 : 0) + (is_mapped(own.data()) ? 2 : 0)); };
    EXPECT_EXIT(look(), testing::ExitedWithCode(1), "");
    EXPECT_TRUE(is_mapped(own.data()));
}

void expect_refused(std::size_t bytes, std::size_t alignment, const std::string& size_text) {
    try {
        const Mapping mapping = Mapping::reserve(bytes, alignment, true, "a very large thing");
        FAIL() << bytes << " bytes were reserved";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOMEM);
        EXPECT_THAT(error.what(), HasSubstr("a very large thing"));
        EXPECT_THAT(error.what(), HasSubstr(size_text));
        EXPECT_THAT(error.what(), HasSubstr("ulimit -v"));
    }
}

TEST(Mapping, SaysWhatItCouldNotReserve) {
    expect_refused(0, kUnit, "0 bytes");
    expect_refused(std::size_t{1} << 47, kUnit, "128.0 TiB");
    expect_refused(std::size_t{1} << 60, kUnit, "1.0 EiB");
    expect_refused(~std::size_t{0} - kUnit + 1, std::size_t{2} << 20, "16.0 EiB");
}

TEST(SetAccess, IsWhatTheMmuChecks) {
    const Mapping page = Mapping::reserve(kUnit, kUnit, true, "a test");
    volatile std::byte* const byte = page.data();
    const auto read = [&] { std::_Exit(static_cast<int>(*byte)); };
    const auto write = [&] {
        *byte = std::byte{1};
        std::_Exit(0);
    };
    EXPECT_EQ(sys::set_access(page.data(), kUnit, Access::none), 0);
    EXPECT_EXIT(read(), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EQ(sys::set_access(page.data(), kUnit, Access::read), 0);
    EXPECT_EXIT(read(), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(write(), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EQ(sys::set_access(page.data(), kUnit, Access::read_write), 0);
    EXPECT_EXIT(write(), testing::ExitedWithCode(0), "");
}

TEST(SetAccess, ReturnsTheError) {
    std::byte* address = nullptr;
    { address = Mapping::reserve(kUnit, kUnit, true, "a test").data(); }
    EXPECT_EQ(sys::set_access(address, kUnit, Access::read), ENOMEM);
    EXPECT_EQ(sys::set_access(address + 1, kUnit, Access::read), EINVAL);
}

TEST(LazyArray, IsZeroAndTakesNoMemoryUntilTouched) {
    constexpr std::size_t kCount = std::size_t{1} << 33;
    const sys::LazyArray<std::uint64_t> array{kCount, "a test"};
    EXPECT_EQ(array.size(), kCount);
    EXPECT_EQ(array.span().size(), kCount);
    array[0] = 1;
    array[kCount - 1] = 2;
    EXPECT_EQ(array[1], 0U);
    EXPECT_EQ(array[kCount / 2], 0U);
    EXPECT_EQ(array[kCount - 1], 2U);
}

#ifdef FAULTLINE_CHECKED
TEST(LazyArray, RefusesAnIndexPastItsEnd) {
    const sys::LazyArray<std::uint32_t> array{10, "a test"};
    EXPECT_DEATH(array[10] = 1, "invariant broken");
}
#endif

TEST(Mapping, AChildGetsAWipedOneEmpty) {
    const Mapping mapping = Mapping::reserve(4 * kUnit, kUnit, true, "a test");
    mapping.data()[kUnit] = std::byte{7};
    mapping.wipe_in_children();
    const ChildEnd end = in_child([&] {
        if (mapping.data()[kUnit] != std::byte{0}) return 1;
        mapping.data()[kUnit] = std::byte{8};
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(mapping.data()[kUnit], std::byte{7});
}

TEST(Mapping, GivesThePartBackThatItIsToldAndNoMore) {
    const Mapping mapping = Mapping::reserve(4 * kUnit, kUnit, true, "a test");
    for (std::size_t unit = 0; unit < 4; ++unit) mapping.data()[unit * kUnit] = std::byte{7};
    mapping.discard_part(kUnit, 2 * kUnit);
    EXPECT_TRUE(sys::all_present(mapping.data(), kUnit));
    EXPECT_FALSE(sys::all_present(mapping.data() + kUnit, kUnit));
    EXPECT_FALSE(sys::all_present(mapping.data() + 2 * kUnit, kUnit));
    EXPECT_EQ(mapping.data()[0], std::byte{7});
    EXPECT_EQ(mapping.data()[kUnit], std::byte{0});
    EXPECT_EQ(mapping.data()[3 * kUnit], std::byte{7});
}

TEST(Mapping, GivesBackWhatTheProgramHasLockedToo) {
    const Mapping mapping = Mapping::reserve(2 * kUnit, kUnit, true, "a test");
    if (::mlock(mapping.data(), mapping.size()) != 0) GTEST_SKIP() << "memory cannot be locked here";
    mapping.data()[0] = std::byte{7};
    mapping.discard_part(0, mapping.size());
    EXPECT_EQ(mapping.data()[0], std::byte{0});
}

TEST(Mapping, APartCanBeClosedAndOpened) {
    const Mapping mapping = Mapping::reserve(2 * kUnit, kUnit, true, "a test");
    ASSERT_EQ(mapping.set_part_access(0, mapping.size(), Access::none), 0);
    ASSERT_EQ(mapping.set_part_access(kUnit, kUnit, Access::read_write), 0);
    mapping.data()[kUnit] = std::byte{7};
    const ChildEnd end = in_child([&] {
        mapping.data()[0] = std::byte{7};
        return 0;
    });
    EXPECT_TRUE(end.killed_by(SIGSEGV)) << end;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(FileDescriptor, ClosesWhatItOwns) {
    int fd = -1;
    {
        const sys::FileDescriptor owner{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        ASSERT_TRUE(owner);
        fd = owner.get();
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(FileDescriptor, MovesItsOwnership) {
    sys::FileDescriptor first{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int fd = first.get();
    sys::FileDescriptor second = std::move(first);
    EXPECT_EQ(second.get(), fd);
    sys::FileDescriptor third{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int replaced = third.get();
    third = std::move(second);
    EXPECT_FALSE(is_open(replaced));
    EXPECT_TRUE(is_open(fd));
    third.reset();
    EXPECT_FALSE(is_open(fd));
    EXPECT_FALSE(static_cast<bool>(third));
}

TEST(Mapping, GoesWithItsMemoryThoughTheProcessHasAllTheMappingsItMay) {
    const ChildEnd end = in_child([] {
        // Three equal neighbours are one mapping in the kernel, which must split it when the middle one is unmapped.
        Mapping around = Mapping::reserve(3 * kUnit, kUnit, true, "a test");
        std::byte* const first = around.data();
        around = Mapping{};
        Mapping left = Mapping::reserve_at(core::address_of(first), kUnit, "a test");
        Mapping middle = Mapping::reserve_at(core::address_of(first + kUnit), kUnit, "a test");
        Mapping right = Mapping::reserve_at(core::address_of(first + 2 * kUnit), kUnit, "a test");
        first[kUnit] = std::byte{1};
        // Neighbours with different access cannot be one mapping.
        for (int access = PROT_READ;; access ^= PROT_READ ^ PROT_NONE) {
            if (::mmap(nullptr, kUnit, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
        }
        if (::munmap(first + kUnit, kUnit) == 0) return 1;  // the kernel could still split: the set-up has failed
        middle = Mapping{};
        unsigned char resident = 1;
        return ::mincore(first + kUnit, kUnit, &resident) == 0 && (resident & 1U) == 0 ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

}  // namespace
}  // namespace faultline::test
