// The audit of swap slots finds records that do not agree, and builds with FAULTLINE_CHECKED end the process then.
#include "core/units.hpp"
#include "pager/pager.hpp"
#include "store/swap_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace faultline::test {
namespace {

using store::SlotNumber;
using store::SlotRun;
using store::SlotWord;
using store::SwapSpace;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

#ifdef FAULTLINE_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

class SwapAudit : public SwapTest {
protected:
    void SetUp() override {
        region_.write_all(1);
        ASSERT_THAT(swap_.space().problems(), IsEmpty());
    }
    [[nodiscard]] SlotNumber slot_of(std::uint64_t page) { return SwapMachine::swap_store(region_).location_of(page); }
    [[nodiscard]] store::SlotTable& table() { return swap_.space().slots().table(); }
    void expect_problem(const char* text) { EXPECT_THAT(swap_.space().problems(), Contains(HasSubstr(text))); }

    Remembered& region_ = swap_.region(40);
};

TEST_F(SwapAudit, FindsAUserTooMany) {
    table().add_user(slot_of(3));
    expect_problem("the number of its users is 2 instead of 1");
    EXPECT_FALSE(table().drop_user(slot_of(3)));
}

TEST_F(SwapAudit, FindsAUserTooFew) {
    const Remembered& clone = swap_.clone_of(region_);
    EXPECT_FALSE(table().drop_user(slot_of(3)));
    expect_problem("the number of its users is 1 instead of 2");
    table().add_user(slot_of(3));
    swap_.close(clone);
}

TEST_F(SwapAudit, FindsAPageWithoutBytes) {
    const SlotWord word = table().load(slot_of(3));
    table().store(slot_of(3), SlotWord{});
    expect_problem("has a block without bytes");
    table().store(slot_of(3), word);
}

TEST_F(SwapAudit, FindsASlotOfNoPage) {
    const SlotRun lost = swap_.space().slots().allocator().allot(0, 1);
    ASSERT_EQ(lost.count, 1U);
    expect_problem("the number of allotted slots of shelf 1 is 41 instead of 40");
    expect_problem("of no page has a word");
    swap_.pool().release(lost.first, 1);
}

TEST_F(SwapAudit, FindsASumThatIsNotThatOfTheChunks) {
    store::SlotShelf& shelf = table().shelf_of(slot_of(0));
    shelf.allotted.fetch_add(1);
    expect_problem("the allotted slots of a shelf is 41 instead of 40");
    shelf.allotted.fetch_sub(1);
}

class SwapAuditDeath : public testing::Test {
protected:
    void SetUp() override {
        if (!kChecked) GTEST_SKIP() << "slots are checked in builds with FAULTLINE_CHECKED only";
    }
    TemporaryDirectory directory_{"/var/tmp"};
};

TEST_F(SwapAuditDeath, ASlotWithAUserTooManyEndsTheProcessWhenTheLastRegionIsClosed) {
    SwapSpace space{directory_.path(), {}};
    std::unique_ptr<store::BackingStore> store = space.open(kPage);
    const sys::Mapping page = sys::Mapping::reserve(kPage, kPage, true, "a test page");
    std::memset(page.data(), 7, page.size());
    ASSERT_EQ(store->write(0, page.bytes()), 0);
    const auto break_it = [&] {
        space.slots().table().add_user(store->swap_store(0)->location_of(0));
        store.reset();
    };
    EXPECT_DEATH(break_it(), "the number of its users is 2 instead of 1");
}

TEST_F(SwapAuditDeath, ASlotThatIsNotFreedEndsTheProcessWhenTheSpaceIsDestroyed) {
    const auto break_it = [&] {
        SwapSpace space{directory_.path(), {}};
        const std::unique_ptr<store::BackingStore> store = space.open(kPage);
        if (space.slots().allocator().allot(0, 1).count != 1) std::_Exit(0);
    };
    EXPECT_DEATH(break_it(), "the number of allotted slots of shelf 1 is 1 instead of 0");
}

/// The pager's own pages, evicted by it.
TEST_F(SwapAuditDeath, APagerEndsTheProcessWhenTheUsersOfAPageAreWrong) {
    const auto break_it = [&] {
        auto space = std::make_unique<SwapSpace>(directory_.path(), std::filesystem::path{});
        SwapSpace& slots = *space;
        Config config;
        config.resident_limit = 16 * kPage;
        pager::Pager pager{config, std::move(space)};
        pager::Region& region = pager.reserve(64 * kPage, kPage);
        for (std::size_t at = 0; at < region.mapping().size(); at += kPage) region.mapping().data()[at] = std::byte{1};
        const store::SwapStore& store = *region.store().swap_store(0);
        store.for_each_page([&](std::uint64_t, SlotNumber first) { slots.slots().table().add_user(first); });
        pager.destroy(region);
    };
    EXPECT_DEATH(break_it(), "the number of its users is 2 instead of 1");
}

}  // namespace
}  // namespace faultline::test
