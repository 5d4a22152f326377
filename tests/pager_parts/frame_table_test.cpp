// FrameTable: each mapped page has a frame, and victims are found among any number of pages that cannot be evicted.
#include "pager/frame/frame_table.hpp"

#include "pager_parts/threads.hpp"
#include "policy/built_in_policies.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using core::PageRef;
using pager::ChosenPage;
using pager::FrameTable;

constexpr std::uint32_t kPlacedRegion = 5;
constexpr auto kAny = [](PageRef, FrameId) { return true; };
constexpr auto kNone = [](PageRef, FrameId) { return false; };

class AnyFrameTable : public testing::TestWithParam<Replacement> {
protected:
    FrameTable make(std::size_t capacity) const {
        return FrameTable{{capacity, capacity, 0}, policy::factory_of(GetParam())};
    }
    static FrameId place(FrameTable& table, std::uint32_t page) { return table.place({kPlacedRegion, page}, {}); }
    static void fill(FrameTable& table) {
        for (std::uint32_t page = 0; page < table.capacity(); ++page) static_cast<void>(place(table, page));
    }

    template <typename Claim>
    static std::vector<ChosenPage> choose(FrameTable& table, std::size_t most, Claim claim) {
        std::vector<ChosenPage> chosen(most);
        chosen.resize(table.choose(chosen, claim));
        return chosen;
    }
};

TEST_P(AnyFrameTable, GivesEachPageAFrameOfItsOwn) {
    FrameTable table = make(1000);
    EXPECT_EQ(table.capacity(), 1000U);
    std::set<FrameId> frames;
    for (std::uint32_t page = 0; page < 1000; ++page) frames.insert(place(table, page));
    EXPECT_EQ(frames.size(), 1000U);
    EXPECT_FALSE(frames.contains(kNoFrame));
}

TEST_P(AnyFrameTable, UsesFramesAgain) {
    FrameTable table = make(3);
    for (std::uint32_t page = 0; page < 1000; ++page) {
        const FrameId first = place(table, page);
        const FrameId second = place(table, page + 1000);
        const FrameId third = place(table, page + 2000);
        table.remove(second);
        const FrameId again = place(table, page + 3000);
        EXPECT_EQ(again, second);
        for (FrameId frame : {third, first, again}) table.remove(frame);
    }
}

TEST_P(AnyFrameTable, StopsTheProcessWhenThereAreMorePagesThanFrames) {
    FrameTable table = make(2);
    fill(table);
    EXPECT_DEATH(static_cast<void>(place(table, 99)), "more frames in use");
}

TEST_P(AnyFrameTable, ChoosesEveryPageOnceAndUnderItsOwnFrame) {
    FrameTable table = make(200);
    std::map<FrameId, std::uint32_t> placed;
    for (std::uint32_t page = 0; page < 200; ++page) placed[place(table, page)] = page;
    for (const ChosenPage& chosen : choose(table, 200, kAny)) {
        ASSERT_TRUE(placed.contains(chosen.victim.frame));
        EXPECT_EQ(chosen.page, (PageRef{kPlacedRegion, placed[chosen.victim.frame]}));
        placed.erase(chosen.victim.frame);
    }
    EXPECT_TRUE(placed.empty());
    EXPECT_TRUE(choose(table, 1, kAny).empty());
}

TEST_P(AnyFrameTable, ChoosesNoMoreThanAskedFor) {
    FrameTable table = make(100);
    fill(table);
    EXPECT_EQ(choose(table, 7, kAny).size(), 7U);
    EXPECT_EQ(choose(table, 200, kAny).size(), 93U);
}

TEST_P(AnyFrameTable, FindsTheOnePageThatMayLeaveAmongManyPinned) {
    constexpr std::uint32_t kPages = 5000;
    for (std::uint32_t loose : {0U, 1U, kPages / 2, kPages - 1}) {
        FrameTable table = make(kPages);
        fill(table);
        const auto claim = [loose](PageRef page, FrameId) { return page.page == loose; };
        const std::vector<ChosenPage> chosen = choose(table, 8, claim);
        ASSERT_EQ(chosen.size(), 1U) << "page " << loose;
        EXPECT_EQ(chosen[0].page, (PageRef{kPlacedRegion, loose}));
        EXPECT_TRUE(choose(table, 8, claim).empty()) << "it was chosen already";
    }
}

TEST_P(AnyFrameTable, KeepsWhatItWasNotAllowedToTake) {
    FrameTable table = make(300);
    fill(table);
    EXPECT_TRUE(choose(table, 10, kNone).empty());
    EXPECT_EQ(choose(table, 300, kAny).size(), 300U);
}

TEST_P(AnyFrameTable, ChoosesAPagePutBackAgain) {
    FrameTable table = make(10);
    const FrameId frame = place(table, 1);
    ASSERT_EQ(choose(table, 1, kAny).size(), 1U);
    EXPECT_TRUE(choose(table, 1, kAny).empty());
    table.put_back(frame);
    const std::vector<ChosenPage> chosen = choose(table, 1, kAny);
    ASSERT_EQ(chosen.size(), 1U);
    EXPECT_EQ(chosen[0].victim.frame, frame);
}

TEST_P(AnyFrameTable, NeverChoosesWhatIsRemoved) {
    FrameTable table = make(100);
    std::vector<FrameId> frames;
    for (std::uint32_t page = 0; page < 100; ++page) frames.push_back(place(table, page));
    for (std::uint32_t page = 0; page < 100; page += 2) table.remove(frames[page]);
    const std::vector<ChosenPage> chosen = choose(table, 100, kAny);
    EXPECT_EQ(chosen.size(), 50U);
    for (const ChosenPage& one : chosen) EXPECT_EQ(one.page.page % 2, 1U);
}

TEST_P(AnyFrameTable, TakesFramesOfChosenPagesBack) {
    FrameTable table = make(100);
    for (int round = 0; round < 50; ++round) {
        fill(table);  // ends the process if a frame was not freed
        const std::vector<ChosenPage> chosen = choose(table, 60, kAny);
        table.remove(chosen);
        for (const ChosenPage& one : choose(table, 40, kAny)) table.remove(one.victim.frame);
    }
    EXPECT_TRUE(choose(table, 1, kAny).empty());
}

TEST_P(AnyFrameTable, TellsThePolicyOfAReferenceOnlyWhileThePageHasTheFrame) {
    FrameTable table = make(10);
    fill(table);
    const std::vector<ChosenPage> chosen = choose(table, 10, kAny);  // from now on, new pages are on probation
    table.remove(chosen);
    const FrameId first = place(table, 1);
    static_cast<void>(place(table, 2));
    table.referenced({kPlacedRegion, 2}, first);
    EXPECT_EQ(choose(table, 1, kAny).front().page.page, 1U) << "page 2 is in another frame";
    const FrameId again = place(table, 3);
    static_cast<void>(place(table, 4));
    table.referenced({kPlacedRegion, 3}, again);
    table.referenced({kPlacedRegion, 1}, first);  // a victim
    EXPECT_EQ(choose(table, 10, kAny).size(), 3U);
}

/// Threads as in a pager: each maps pages until all frames are used, then removes some.
class Crowd {
public:
    Crowd(FrameTable& table, std::size_t frames) : table_{table}, free_{static_cast<std::int64_t>(frames)} {}

    void map_or_evict(std::mt19937_64& random) {
        if (random() % 2 == 0 && take_frame()) {
            const std::uint32_t page = next_page_.fetch_add(1);
            states_[page % kPages].store(
                kMapped);  // as the pager publishes the word: before the policy can choose the page
            if (table_.place({kPlacedRegion, page % kPages}, {}) == kNoFrame) ++wrong;
            return;
        }
        evict();
    }
    void evict() {
        std::array<ChosenPage, 4> chosen;
        const std::size_t count = table_.choose(chosen, [this](PageRef page, FrameId) {
            std::uint32_t mapped = kMapped;
            if (!states_[page.page].compare_exchange_strong(mapped, kLeaving)) ++wrong;
            return true;
        });
        for (std::size_t i = 0; i < count; ++i) {
            states_[chosen[i].page.page].store(kAbsent);
            table_.remove(chosen[i].victim.frame);
            free_.fetch_add(1);
        }
    }

    std::atomic<int> wrong{0};

private:
    bool take_frame() {
        if (free_.fetch_sub(1) > 0) return true;
        free_.fetch_add(1);
        return false;
    }

    static constexpr std::uint32_t kPages = 1U << 20;  // more than are ever mapped
    static constexpr std::uint32_t kAbsent = 0;
    static constexpr std::uint32_t kMapped = 1;
    static constexpr std::uint32_t kLeaving = 2;
    FrameTable& table_;
    std::atomic<std::int64_t> free_;
    std::atomic<std::uint32_t> next_page_{0};
    std::vector<std::atomic<std::uint32_t>> states_ = std::vector<std::atomic<std::uint32_t>>(kPages);
};

TEST_P(AnyFrameTable, GivesNoPageToTwoThreads) {
    constexpr std::size_t kFrames = 64;
    constexpr std::uint64_t kSeed = 9;
    RecordProperty("seed", std::to_string(kSeed));
    FrameTable table = make(kFrames);
    Crowd crowd{table, kFrames};
    run_threads(6, [&](unsigned thread) {
        std::mt19937_64 random{kSeed + thread};
        for (int step = 0; step < 5000; ++step) crowd.map_or_evict(random);
    });
    EXPECT_EQ(crowd.wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Policies, AnyFrameTable, testing::Values(Replacement::fifo, Replacement::second_chance),
                         [](const auto& instance) { return std::string{to_string(instance.param)}; });

TEST(FrameTable, OfFifoChoosesTheOldestAndSparesThePutBack) {
    FrameTable table{{10, 10, 0}, policy::factory_of(Replacement::fifo)};
    for (std::uint32_t page = 1; page <= 4; ++page) static_cast<void>(table.place({kPlacedRegion, page}, {}));
    std::vector<ChosenPage> chosen(2);
    const auto not_the_first = [](PageRef page, FrameId) { return page.page != 1; };
    ASSERT_EQ(table.choose(chosen, not_the_first), 2U);
    EXPECT_EQ(chosen[0].page.page, 2U);
    EXPECT_EQ(chosen[1].page.page, 3U);
    ASSERT_EQ(table.choose(chosen, kAny), 2U);
    EXPECT_EQ(chosen[0].page.page, 4U);
    EXPECT_EQ(chosen[1].page.page, 1U) << "it counted as used when it was spared";
}

}  // namespace
}  // namespace faultline::test
