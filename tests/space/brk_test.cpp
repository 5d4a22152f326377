// A space's heap: brk and sbrk behave like the system calls, and shrinking gives memory back.
#include "pager/swap_folder.hpp"
#include "space/space_fixture.hpp"

#include <cstring>
#include <limits>
#include <thread>

namespace faultline::test {
namespace {

constexpr std::size_t kHeapLimit = 64 * kPage;

Layout small_heap() {
    Layout layout;
    layout.heap_limit = kHeapLimit;
    return layout;
}

class BrkTest : public SpaceTest {
protected:
    [[nodiscard]] Config config() const override {
        Config config = SpaceTest::config();
        config.swap_directory = folder_.path();
        return config;
    }
    SwapFolder folder_;
};

TEST_P(BrkTest, BeginsWithoutAPageAndNullQueriesTheBreak) {
    AddressSpace space{pager(), {}, small_heap()};
    EXPECT_EQ(space.brk(nullptr), space.heap_begin());
    EXPECT_EQ(space.sbrk(0), space.heap_begin());
    EXPECT_EQ(FaultCatcher::read(space.heap_begin()), (Caught{SIGSEGV, SEGV_MAPERR, space.heap_begin()}));
}

TEST_P(BrkTest, MapsWholePagesForAnyAddress) {
    AddressSpace space{pager(), {}, small_heap()};
    std::byte* const begin = space.heap_begin();
    EXPECT_EQ(space.brk(begin + 1), begin + 1);
    EXPECT_EQ(FaultCatcher::write(begin + kPage - 1), Caught{});
    EXPECT_EQ(FaultCatcher::read(begin + kPage), (Caught{SIGSEGV, SEGV_MAPERR, begin + kPage}));
    EXPECT_EQ(space.brk(begin + kPage), begin + kPage);
    EXPECT_EQ(FaultCatcher::read(begin + kPage).code, SEGV_MAPERR);
    EXPECT_EQ(space.sbrk(1), begin + kPage);
    EXPECT_EQ(FaultCatcher::read(begin + kPage), Caught{});
}

TEST_P(BrkTest, ARefusedCallLeavesTheBreakUnchanged) {
    AddressSpace space{pager(), {}, small_heap()};
    std::byte* const begin = space.heap_begin();
    std::byte* const here = space.brk(begin + 3 * kPage + 5);
    EXPECT_EQ(here, begin + 3 * kPage + 5);
    EXPECT_EQ(space.brk(begin - 1), here);
    EXPECT_EQ(space.brk(begin + kHeapLimit + 1), here);
    EXPECT_EQ(space.brk(reinterpret_cast<const void*>(~std::uintptr_t{0})), here);
    EXPECT_EQ(space.sbrk(-static_cast<std::ptrdiff_t>(4 * kPage)), AddressSpace::kNoBreak);
    EXPECT_EQ(space.sbrk(std::numeric_limits<std::ptrdiff_t>::max()), AddressSpace::kNoBreak);
    EXPECT_EQ(space.sbrk(std::numeric_limits<std::ptrdiff_t>::min()), AddressSpace::kNoBreak);
    EXPECT_EQ(space.brk(nullptr), here);
    EXPECT_EQ(space.brk(begin + kHeapLimit), begin + kHeapLimit);
}

TEST_P(BrkTest, APageStaysFreeBelowTheMappingAboveTheHeap) {
    AddressSpace space{pager(), {}, small_heap()};
    std::byte* const begin = space.heap_begin();
    space.map_anonymous(kPage, {.address = begin + 8 * kPage});
    EXPECT_EQ(space.brk(begin + 7 * kPage + 1), begin);
    EXPECT_EQ(space.brk(begin + 7 * kPage), begin + 7 * kPage);
}

TEST_P(BrkTest, ShrinkingFreesMemoryAndFileSpaceAndGrowingAgainGivesZeros) {
    const Watchdog watchdog;
    AddressSpace space{pager(), {}, small_heap()};
    std::byte* const begin = space.heap_begin();
    space.brk(begin + 48 * kPage);
    for (std::size_t page = 0; page < 48; ++page) write_stamps(begin + page * kPage, kPage, stamp(page));
    space.advise(begin, 24 * kPage, Advice::dontneed);
    ASSERT_GE(folder_.bytes_on_disk(), 24 * kPage);
    space.brk(begin + kPage / 2);
    const PagerStats stats = pager().stats();
    EXPECT_LE(stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes, kPage);
    space.brk(begin + 48 * kPage);
    // The page that contains the break keeps all its bytes: the kernel, too, frees whole pages only.
    EXPECT_TRUE(has_stamps(begin, kPage, stamp(0)));
    EXPECT_TRUE(all_zeros(begin + kPage, 47 * kPage));
    space.brk(begin);
    while (folder_.bytes_on_disk() > kPage) std::this_thread::yield();  // in the background
}

TEST_P(BrkTest, ShrinkingBelowAPinnedPageIsRefused) {
    AddressSpace space{pager(), {}, small_heap()};
    std::byte* const begin = space.heap_begin();
    space.brk(begin + 4 * kPage);
    {
        const Pin pin = space.pin(begin + 2 * kPage, 1);
        expect_refused([&] { space.brk(begin); }, EBUSY, "pinned");
        EXPECT_EQ(space.brk(nullptr), begin + 4 * kPage);
        EXPECT_EQ(FaultCatcher::write(begin + 3 * kPage), Caught{});
    }
    EXPECT_EQ(space.brk(begin), begin);
}

TEST_P(BrkTest, TheHeapMayBeLargerThanMemory) {
    AddressSpace space{pager(), {}, small_heap()};
    pager().set_resident_limit(16 * kPage);
    std::byte* const begin = space.heap_begin();
    space.sbrk(kHeapLimit);
    for (std::size_t page = 0; page < 64; ++page) write_stamps(begin + page * kPage, kPage, stamp(page));
    for (std::size_t page = 0; page < 64; ++page) EXPECT_TRUE(has_stamps(begin + page * kPage, kPage, stamp(page)));
    EXPECT_LE(pager().stats().frames_used, pager().resident_limit());
}

INSTANTIATE_TEST_SUITE_P(Deliveries, BrkTest, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
