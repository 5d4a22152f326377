// MappingWindow without a program: segments that split, reservations, memory that changes its keeper, and calls that
// fail and leave everything as it was. tests/preload/mappings.cpp compares random sequences with the kernel.
#include "space/mapping_window.hpp"

#include "core/units.hpp"
#include "space/placement.hpp"
#include "space/space_fixture.hpp"
#include "support/all_mappings.hpp"
#include "support/child.hpp"
#include "support/require.hpp"
#include "sys/mapping.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using core::AddressRange;
using space::MappingWindow;
using space::MapRequest;

constexpr std::uint64_t kPlain = PROT_READ | PROT_WRITE;
constexpr std::uint64_t kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr std::uint64_t kNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE
constexpr std::uint64_t kDontUnmap = 4;         // MREMAP_DONTUNMAP
constexpr std::size_t kTerabyte = std::size_t{1} << 40;

MapRequest request(std::uint64_t protection, std::uint64_t flags = kAnonymous, int fd = -1) {
    return {protection, flags, static_cast<std::uint64_t>(fd), 0};
}

AddressRange pages(std::uint64_t address, std::size_t first, std::size_t count) {
    return {address + first * kPage, address + (first + count) * kPage};
}
std::byte* at(std::uint64_t address, std::size_t page = 0) { return core::pointer_to(address + page * kPage); }

void fill(std::uint64_t address, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) write_stamps(at(address, i), kPage, stamp(i));
}
bool is_filled(std::uint64_t address, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
        if (!has_stamps(at(address, i), kPage, stamp(i))) return false;
    }
    return true;
}

/// A pager with a window of `kBytes` in which nothing is mapped.
class Windows {
public:
    static constexpr std::size_t kBytes = 2 * kTerabyte;

    explicit Windows(const Variant& variant, std::size_t resident = 64 * kPage)
        : pager_{config_for(variant, resident)} {
        const std::uintptr_t begin = free_addresses();
        pages_that_left().clear();
        window_.emplace(pager_, AddressRange{begin, begin + kBytes},
                        [](core::PageRange gone) { pages_that_left().push_back(gone); });
    }

    MappingWindow& operator*() { return *window_; }
    MappingWindow* operator->() { return &*window_; }
    void destroy() { window_.reset(); }

    /// Returns the address of new memory that the program may write to.
    [[nodiscard]] std::uint64_t map(std::size_t count, std::uint64_t protection = kPlain) {
        return static_cast<std::uint64_t>(window_->map(0, count * kPage, request(protection)));
    }
    [[nodiscard]] std::uint64_t map_filled(std::size_t count) {
        const std::uint64_t address = map(count);
        fill(address, 0, count);
        return address;
    }
    static std::vector<core::PageRange>& pages_that_left() {
        static std::vector<core::PageRange> all;
        return all;
    }

private:
    /// Returns addresses that nothing uses: AddressSanitizer's shadow takes most of those below 17 TiB.
    static std::uintptr_t free_addresses() {
        for (;;) {
            const std::uintptr_t begin = space::random_address(4 * kTerabyte, 32);
            void* const place = core::pointer_to(begin);
            if (!sys::close_if_free(place, kBytes)) continue;
            require(sys::unmap(place, kBytes) == 0, "munmap");
            return begin;
        }
    }

    pager::Pager pager_;
    std::optional<MappingWindow> window_;
};

class MappingWindowTest : public VariantTest {
protected:
    void SetUp() override {
        VariantTest::SetUp();
        if (!IsSkipped()) window_ = std::make_unique<Windows>(GetParam());
    }
    FaultCatcher catcher_;
    std::unique_ptr<Windows> window_;
};

TEST_P(MappingWindowTest, MemoryIsZerosAndComesFromTheWindowsEnd) {
    const std::uint64_t first = window_->map(4);
    const std::uint64_t second = window_->map(4);
    EXPECT_EQ(first + 4 * kPage, (*window_)->range().end);
    EXPECT_EQ(second + 4 * kPage, first);
    EXPECT_EQ(load_word(at(first)), 0U);
    fill(first, 0, 4);
    fill(second, 0, 4);
    EXPECT_TRUE(is_filled(first, 0, 4) && is_filled(second, 0, 4));
}

TEST_P(MappingWindowTest, AHintIsMetIfItIsFree) {
    const std::uint64_t hint = (*window_)->range().begin + 100 * kPage;
    EXPECT_EQ((*window_)->map(hint, kPage, request(kPlain)), static_cast<long>(hint));
    EXPECT_NE((*window_)->map(hint, kPage, request(kPlain)), static_cast<long>(hint));
    EXPECT_NE((*window_)->map(hint + kPage + 1, kPage, request(kPlain)), static_cast<long>(hint + kPage + 1));
}

TEST_P(MappingWindowTest, UnmappingTheMiddleKeepsBothSides) {
    const std::uint64_t address = window_->map_filled(9);
    EXPECT_EQ((*window_)->unmap(pages(address, 3, 2)), 0);
    EXPECT_TRUE(is_filled(address, 0, 3) && is_filled(address, 5, 4));
    EXPECT_EQ(FaultCatcher::read(at(address, 3)).code, SEGV_MAPERR);
    EXPECT_TRUE((*window_)->is_free(pages(address, 3, 2)));
    EXPECT_EQ((*window_)->unmap(pages(address, 0, 9)), 0) << "a range with a hole";
    EXPECT_TRUE((*window_)->is_free(pages(address, 0, 9)));
}

TEST_P(MappingWindowTest, TheHoleIsFilledFirst) {
    const std::uint64_t address = window_->map_filled(9);
    ASSERT_EQ((*window_)->unmap(pages(address, 3, 2)), 0);
    EXPECT_EQ(window_->map(2), address + 3 * kPage);
    EXPECT_EQ(load_word(at(address, 3)), 0U);
    EXPECT_TRUE(is_filled(address, 0, 3) && is_filled(address, 5, 4));
}

TEST_P(MappingWindowTest, ProtectionOfTheMiddleSplitsAndComesBack) {
    const std::uint64_t address = window_->map_filled(9);
    EXPECT_EQ((*window_)->protect(pages(address, 3, 3), PROT_READ), 0);
    EXPECT_EQ((*window_)->protect(pages(address, 4, 1), PROT_NONE), 0);
    EXPECT_EQ(FaultCatcher::write(at(address, 3)).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::read(at(address, 4)).code, SEGV_ACCERR);
    EXPECT_TRUE(is_filled(address, 0, 4) && is_filled(address, 5, 4));
    EXPECT_EQ((*window_)->protect(pages(address, 0, 9), kPlain), 0);
    EXPECT_TRUE(is_filled(address, 0, 9));
    fill(address, 0, 9);
}

TEST_P(MappingWindowTest, ProtectionOfAHoleFailsBehindWhatIsMapped) {
    const std::uint64_t address = window_->map_filled(9);
    ASSERT_EQ((*window_)->unmap(pages(address, 3, 2)), 0);
    EXPECT_EQ((*window_)->protect(pages(address, 0, 9), PROT_READ), -ENOMEM);
    EXPECT_EQ(FaultCatcher::write(at(address, 0)).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::write(at(address, 8)), Caught{});
}

TEST_P(MappingWindowTest, AReservationOfATerabyteCostsNothingUntilAPartIsOpened) {
    const std::uint64_t address = window_->map(kTerabyte / kPage, PROT_NONE);
    EXPECT_EQ(FaultCatcher::read(at(address)).code, SEGV_ACCERR);
    const AddressRange part = pages(address, std::size_t{1} << 27, 4);
    EXPECT_EQ((*window_)->protect(part, kPlain), 0);
    EXPECT_EQ(load_word(core::pointer_to(part.begin)), 0U);
    fill(part.begin, 0, 4);
    EXPECT_EQ(FaultCatcher::read(core::pointer_to(part.begin - 1)).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::read(core::pointer_to(part.end)).code, SEGV_ACCERR);
    EXPECT_TRUE(is_filled(part.begin, 0, 4));
    EXPECT_EQ((*window_)->unmap({address, address + kTerabyte}), 0);
    EXPECT_TRUE((*window_)->is_free((*window_)->range()));
    EXPECT_EQ(FaultCatcher::read(core::pointer_to(part.begin)).code, SEGV_MAPERR);
}

TEST_P(MappingWindowTest, AWindowIsFullWhenNoGapIsLargeEnough) {
    ASSERT_NE(window_->map(Windows::kBytes / kPage - 3, PROT_NONE), static_cast<std::uint64_t>(-ENOMEM));
    EXPECT_EQ(window_->map(4), static_cast<std::uint64_t>(-ENOMEM));
    EXPECT_EQ(window_->map(3), (*window_)->range().begin);
}

TEST_P(MappingWindowTest, FixedMemoryReplacesAndTellsItsOwner) {
    const std::uint64_t address = window_->map_filled(9);
    const AddressRange middle = pages(address, 3, 3);
    EXPECT_EQ((*window_)->map_fixed(middle, request(kPlain, kAnonymous | MAP_FIXED)), static_cast<long>(middle.begin));
    EXPECT_EQ(load_word(at(address, 4)), 0U);
    EXPECT_TRUE(is_filled(address, 0, 3) && is_filled(address, 6, 3));
    const std::uint64_t first = (*window_)->region().page_of(middle.begin);
    EXPECT_EQ(Windows::pages_that_left(), std::vector{(core::PageRange{first, 3})});
}

TEST_P(MappingWindowTest, FixedMemoryWithoutReplacingLeavesWhatIsThere) {
    const std::uint64_t address = window_->map_filled(4);
    const MapRequest wanted = request(kPlain, kAnonymous | kNoReplace);
    EXPECT_EQ((*window_)->map_fixed({address - kPage, address + kPage}, wanted), -EEXIST);
    EXPECT_TRUE((*window_)->is_free({address - kPage, address}));
    EXPECT_EQ((*window_)->map_fixed({address - kPage, address}, wanted), static_cast<long>(address - kPage));
    EXPECT_TRUE(is_filled(address, 0, 4));
}

TEST_P(MappingWindowTest, AFileInTheMiddleIsTheKernels) {
    const PatternFile file{2 * kPage};
    const std::uint64_t address = window_->map_filled(9);
    const AddressRange middle = pages(address, 3, 2);
    ASSERT_EQ((*window_)->map_fixed(middle, request(PROT_READ, MAP_PRIVATE | MAP_FIXED, file.fd())),
              static_cast<long>(middle.begin));
    EXPECT_TRUE(has_pattern(core::pointer_to(middle.begin), 2 * kPage, 0));
    EXPECT_TRUE(is_filled(address, 0, 3) && is_filled(address, 5, 4));
    EXPECT_EQ((*window_)->map_fixed(middle, request(kPlain, kAnonymous | MAP_FIXED)), static_cast<long>(middle.begin));
    EXPECT_EQ(load_word(at(address, 3)), 0U);
    fill(address, 0, 9);
    EXPECT_TRUE(is_filled(address, 0, 9));
}

/// Returns how many mappings of the process are of `file`.
std::ptrdiff_t mappings_of(const PatternFile& file) {
    std::ifstream maps{"/proc/self/maps"};
    std::string line;
    std::ptrdiff_t count = 0;
    while (std::getline(maps, line)) count += line.ends_with(file.path().string()) ? 1 : 0;
    return count;
}

constexpr std::size_t kCopyPages = 100;

/// Returns the address of a copy of the file in the pager.
std::uint64_t map_copy(Windows& window, const PatternFile& file) {
    return static_cast<std::uint64_t>(
        window->map_file(0, kCopyPages * kPage, request(kPlain, MAP_PRIVATE, file.fd())).value());
}

TEST_P(MappingWindowTest, ACopyOfAFileIsThePagersAndLeavesNoMappingBehind) {
    const PatternFile file{kCopyPages * kPage};
    const std::uint64_t address = map_copy(*window_, file);
    EXPECT_TRUE(has_pattern(at(address), kCopyPages * kPage, 0));
    EXPECT_EQ(mappings_of(file), 1);  // beside the window
    fill(address, 0, 50);
    EXPECT_TRUE(is_filled(address, 0, 50) && has_pattern(at(address, 50), 50 * kPage, 50 * kPage));
    EXPECT_EQ((*window_)->unmap(pages(address, 40, 20)), 0);
    EXPECT_TRUE(is_filled(address, 0, 40) && has_pattern(at(address, 60), 40 * kPage, 60 * kPage));
    EXPECT_EQ((*window_)->map_fixed(pages(address, 0, 40), request(kPlain, kAnonymous | MAP_FIXED)),
              static_cast<long>(address));
    EXPECT_EQ((*window_)->first_file_part(pages(address, 0, kCopyPages)), pages(address, 60, 40));
    EXPECT_EQ((*window_)->unmap(pages(address, 60, 40)), 0);
    EXPECT_EQ(mappings_of(file), 0);
}

TEST_P(MappingWindowTest, ACopyGetsItsFilesBytesBackFromTheKernel) {
    const PatternFile file{kCopyPages * kPage};
    const std::uint64_t address = map_copy(*window_, file);
    fill(address, 0, kCopyPages);
    ASSERT_EQ((*window_)->protect(pages(address, 0, 50), PROT_READ), 0);
    EXPECT_EQ((*window_)->restore_files(pages(address, 40, 20)), 0);
    EXPECT_TRUE(is_filled(address, 0, 40) && is_filled(address, 60, 40));
    EXPECT_TRUE(has_pattern(at(address, 40), 20 * kPage, 40 * kPage));
    EXPECT_EQ(FaultCatcher::write(at(address, 49)).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::write(at(address, 50)), Caught{});
    EXPECT_EQ((*window_)->first_file_part(pages(address, 40, 60)), pages(address, 60, 40));
}

TEST_P(MappingWindowTest, ACopyThatASystemCallUsesKeepsItsBytes) {
    const PatternFile file{kCopyPages * kPage};
    const std::uint64_t address = map_copy(*window_, file);
    fill(address, 0, kCopyPages);
    pager::Region& region = (*window_)->region();
    const core::PageRange pinned{region.page_of(address) + 7, 1};
    ASSERT_EQ(region.pager().pin_front(region, pinned, PinFor::writing, pager::PinAmount::all).error, 0);
    EXPECT_EQ((*window_)->protect(pages(address, 0, kCopyPages), PROT_READ | PROT_EXEC), -ENOMEM);
    EXPECT_TRUE(is_filled(address, 0, kCopyPages));
    region.pager().unpin(region, pinned);
    EXPECT_EQ((*window_)->restore_files(pages(address, 0, kCopyPages)), 0);
    EXPECT_TRUE(has_pattern(at(address), kCopyPages * kPage, 0));
}

TEST_P(MappingWindowTest, CopiesOfFilesAreOfTheSizesAndKindsThatPay) {
    const auto copies = [](std::uint64_t protection, std::uint64_t flags, std::size_t bytes) {
        return request(protection, flags, 3).copies_file(bytes);
    };
    constexpr std::size_t kSmallest = std::size_t{256} << 10;
    constexpr std::size_t kLargest = std::size_t{32} << 20;
    EXPECT_TRUE(copies(kPlain, MAP_PRIVATE, kSmallest) && copies(kPlain, MAP_PRIVATE | MAP_FIXED, kLargest));
    EXPECT_FALSE(copies(kPlain, MAP_PRIVATE, kSmallest - kPage) || copies(kPlain, MAP_PRIVATE, kLargest + kPage));
    EXPECT_FALSE(copies(PROT_READ, MAP_PRIVATE, kSmallest) || copies(kPlain | PROT_EXEC, MAP_PRIVATE, kSmallest));
    EXPECT_FALSE(copies(kPlain, MAP_SHARED, kSmallest) || copies(kPlain, MAP_PRIVATE | MAP_LOCKED, kSmallest));
    EXPECT_FALSE(copies(kPlain, kAnonymous, kSmallest) || copies(kPlain, MAP_PRIVATE | MAP_HUGETLB, kSmallest));
}

TEST_P(MappingWindowTest, AFileThatEndsBeforeItsMappingIsTheKernels) {
    const PatternFile file{kCopyPages * kPage - 100};
    const auto map = [&](std::size_t count, std::uint64_t offset) {
        MapRequest wanted = request(kPlain, MAP_PRIVATE, file.fd());
        wanted.offset = offset;
        return (*window_)->map_file(0, count * kPage, wanted);
    };
    EXPECT_TRUE(map(kCopyPages, 0) && map(kCopyPages - 1, kPage));
    EXPECT_FALSE(map(kCopyPages + 1, 0) || map(kCopyPages, kPage) || map(kCopyPages - 1, 100));
}

TEST_P(MappingWindowTest, ARefusedMappingLosesNothing) {
    const std::uint64_t address = window_->map_filled(4);
    EXPECT_EQ((*window_)->map_fixed(pages(address, 0, 4), request(PROT_READ, MAP_PRIVATE | MAP_FIXED, 9999)), -EBADF);
    EXPECT_TRUE(is_filled(address, 0, 4));
}

TEST_P(MappingWindowTest, ExecutableMemoryKeepsItsBytesInTheKernel) {
    const std::uint64_t address = window_->map_filled(4);
    EXPECT_EQ((*window_)->protect(pages(address, 1, 2), PROT_READ | PROT_EXEC), 0);
    EXPECT_TRUE(is_filled(address, 0, 4));
    EXPECT_EQ(FaultCatcher::write(at(address, 1)).code, SEGV_ACCERR);
    EXPECT_EQ(FaultCatcher::write(at(address, 3)), Caught{});
    EXPECT_EQ((*window_)->unmap(pages(address, 0, 4)), 0);
}

TEST_P(MappingWindowTest, MemoryForTheKernelKeepsItsBytesAndTheGuardBelow) {
    const std::uint64_t address = window_->map_filled(5);
    ASSERT_EQ((*window_)->protect(pages(address, 0, 1), PROT_NONE), 0);
    EXPECT_EQ((*window_)->give_to_kernel(pages(address, 0, 5)), 0);
    EXPECT_EQ(FaultCatcher::read(at(address)).code, SEGV_ACCERR);
    EXPECT_TRUE(is_filled(address, 1, 4));
    EXPECT_EQ((*window_)->protect(pages(address, 0, 1), kPlain), 0);
    EXPECT_TRUE(is_filled(address, 0, 5));
}

TEST_P(MappingWindowTest, RemappedMemoryGrowsInPlaceElseMoves) {
    const std::uint64_t upper = window_->map_filled(2);
    const std::uint64_t lower = window_->map_filled(200);  // more than the limit
    EXPECT_EQ((*window_)->remap({lower, 200 * kPage, 201 * kPage, 0, 0}), -ENOMEM);
    const auto moved =
        static_cast<std::uint64_t>((*window_)->remap({lower, 200 * kPage, 201 * kPage, MREMAP_MAYMOVE, 0}));
    ASSERT_LT(moved, lower);
    EXPECT_TRUE(is_filled(moved, 0, 200) && is_filled(upper, 0, 2));
    EXPECT_EQ(load_word(at(moved, 200)), 0U);
    EXPECT_TRUE((*window_)->is_free(pages(lower, 0, 200)));
    EXPECT_EQ((*window_)->remap({moved, 201 * kPage, 210 * kPage, 0, 0}), static_cast<long>(moved));
    EXPECT_EQ((*window_)->remap({moved, 210 * kPage, 3 * kPage, 0, 0}), static_cast<long>(moved));
    EXPECT_TRUE(is_filled(moved, 0, 3));
    EXPECT_EQ(FaultCatcher::read(at(moved, 3)).code, SEGV_MAPERR);
}

TEST_P(MappingWindowTest, RemappedMemoryThatStaysMappedReadsAsZeros) {
    const std::uint64_t address = window_->map_filled(4);
    const auto moved =
        static_cast<std::uint64_t>((*window_)->remap({address, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | kDontUnmap, 0}));
    EXPECT_TRUE(is_filled(moved, 0, 4));
    EXPECT_EQ(load_word(at(address, 2)), 0U);
    EXPECT_EQ((*window_)->remap({address, 4 * kPage, 5 * kPage, MREMAP_MAYMOVE | kDontUnmap, 0}), -EINVAL);
    EXPECT_EQ((*window_)->remap({address, 4 * kPage, 4 * kPage, kDontUnmap, 0}), -EINVAL);
    for (const std::uint64_t refused : {address, address + kPage, address + 8 * kPage + 1}) {
        EXPECT_EQ((*window_)->remap({address, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | kDontUnmap, refused}), -EINVAL);
    }
}

TEST_P(MappingWindowTest, RulesForChildrenFollowTheMemory) {
    const std::uint64_t reserved = window_->map(8, PROT_NONE);
    (*window_)->advise_fork(pages(reserved, 2, 4), MADV_DONTFORK);
    ASSERT_EQ((*window_)->protect(pages(reserved, 2, 2), kPlain), 0);
    const std::uint64_t address = window_->map_filled(3);
    (*window_)->advise_fork(pages(address, 1, 1), MADV_WIPEONFORK);
    const std::uint64_t to = (*window_)->range().begin;
    constexpr std::uint64_t kFlags = MREMAP_MAYMOVE | MREMAP_FIXED;
    ASSERT_EQ((*window_)->remap({address + kPage, kPage, kPage, kFlags, to}), static_cast<long>(to));
    const space::ForkRule left_out{.wiped = false, .left_out = true};
    const space::ForkRule wiped{.wiped = true, .left_out = false};
    EXPECT_EQ((*window_)->fork_rules(),
              (std::vector<std::pair<AddressRange, space::ForkRule>>{
                  {pages(to, 0, 1), wiped}, {pages(reserved, 2, 2), left_out}, {pages(reserved, 4, 2), left_out}}));
    (*window_)->advise_fork(pages(reserved, 0, 8), MADV_DOFORK);
    (*window_)->advise_fork(pages(to, 0, 1), MADV_KEEPONFORK);
    EXPECT_TRUE((*window_)->fork_rules().empty());
    EXPECT_EQ((*window_)->protect(pages(reserved, 0, 8), PROT_NONE), 0);
}

TEST_P(MappingWindowTest, AWindowThatIsDestroyedLeavesNothingMapped) {
    const std::uint64_t address = window_->map_filled(4);
    const std::uint64_t reserved = window_->map(4, PROT_NONE);
    window_->destroy();
    EXPECT_EQ(FaultCatcher::read(at(address)).code, SEGV_MAPERR);
    EXPECT_EQ(FaultCatcher::read(at(reserved)).code, SEGV_MAPERR);
}

/// The kernel has no mapping left: opening a part of a reservation fails, and nothing is lost.
TEST_P(MappingWindowTest, AReservationThatCannotBeOpenedStays) {
    if (kSanitized) GTEST_SKIP() << "a sanitizer needs mappings of its own";
    window_.reset();
    const ChildEnd end = in_child([] {
        const FaultCatcher catcher;
        Windows window{GetParam()};
        const std::uint64_t filled = window.map_filled(4);
        const std::uint64_t reserved = window.map(64, PROT_NONE);
        const AddressRange part = pages(reserved, 10, 4);
        {
            const AllMappings others;
            if (window->protect(part, kPlain) != -ENOMEM) return 1;
            if (FaultCatcher::read(core::pointer_to(part.begin)).code != SEGV_ACCERR) return 2;
            if (window->is_free(part) || !is_filled(filled, 0, 4)) return 3;
        }
        if (window->protect(part, kPlain) != 0) return 4;
        fill(part.begin, 0, 4);
        return is_filled(part.begin, 0, 4) && is_filled(filled, 0, 4) ? 0 : 5;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

INSTANTIATE_TEST_SUITE_P(Deliveries, MappingWindowTest, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
