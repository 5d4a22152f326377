// A build with FAULTLINE_CHECKED aborts on a transition from a state that does not allow it.
#include "core/page_word.hpp"
#include "core/words.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>

namespace faultline::test {
namespace {

#ifdef FAULTLINE_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

std::uint64_t sink = 0;  // keeps the compiler from dropping a transition whose result is unused

class PageWordRefusal : public testing::Test {
protected:
    void SetUp() override {
        if (!kChecked) GTEST_SKIP() << "transitions are checked in builds with FAULTLINE_CHECKED only";
    }

    template <typename Edge>
    static void expect_refused(const Fields& fields, Edge edge) {
        EXPECT_DEATH(sink += edge(word_of(fields)).bits(), "invariant broken") << "from " << fields;
    }

    /// Checks that the transition is allowed from the states in `legal`, and from no other.
    template <typename Edge>
    static void expect_only_from(std::initializer_list<PageState> legal, Edge edge) {
        for (PageState state : kAllStates) {
            Fields fields;
            fields.state = state;
            if (std::find(legal.begin(), legal.end(), state) != legal.end()) {
                sink += edge(word_of(fields)).bits();
            } else {
                expect_refused(fields, edge);
            }
        }
    }
};

TEST_F(PageWordRefusal, ClaimForFillRequiresAnAbsentPage) {
    expect_only_from({PageState::empty, PageState::stored, PageState::staged, PageState::poisoned},
                     [](PageWord word) { return word.claimed_for_fill(); });
}

TEST_F(PageWordRefusal, AFillEndsOnlyFromFilling) {
    expect_only_from({PageState::filling}, [](PageWord word) { return word.filled(1, false); });
    expect_only_from({PageState::filling}, [](PageWord word) { return word.fill_abandoned(PageState::stored); });
    expect_only_from({PageState::filling}, [](PageWord word) { return word.fill_failed(); });
}

TEST_F(PageWordRefusal, TheWaitersMarkOfAnOwnedPageIsNotCleared) {
    expect_only_from({PageState::empty, PageState::stored, PageState::resident, PageState::staged, PageState::poisoned},
                     [](PageWord word) { return word.with_waiters(false); });
}

TEST_F(PageWordRefusal, ClaimForChangeRequiresAResidentPage) {
    expect_only_from({PageState::resident}, [](PageWord word) { return word.claimed_for_change(); });
}

TEST_F(PageWordRefusal, ClaimForEvictionRequiresAnUnpinnedResidentPage) {
    const auto edge = [](PageWord word) { return word.claimed_for_eviction(); };
    expect_only_from({PageState::resident}, edge);
    Fields pinned;
    pinned.state = PageState::resident;
    pinned.pins = 1;
    expect_refused(pinned, edge);
}

TEST_F(PageWordRefusal, OnlyTheOwnerEndsAnEviction) {
    expect_only_from({PageState::evicting}, [](PageWord word) { return word.eviction_refused(); });
    expect_only_from({PageState::evicting}, [](PageWord word) { return word.staged(1); });
    expect_only_from({PageState::evicting, PageState::filling},
                     [](PageWord word) { return word.evicted(Departure::after(1)); });
}

TEST_F(PageWordRefusal, ADirtyPageCannotBecomeEvicted) {
    for (PageState state : {PageState::evicting, PageState::filling}) {
        Fields dirty;
        dirty.state = state;
        dirty.dirty = true;
        expect_refused(dirty, [](PageWord word) { return word.evicted(Departure::after(1)); });
    }
}

TEST_F(PageWordRefusal, OnlyTheOwnerDiscards) {
    expect_only_from({PageState::filling, PageState::evicting}, [](PageWord word) { return word.discarded(); });
}

TEST_F(PageWordRefusal, PinsNeitherOverflowNorUnderflow) {
    Fields full;
    full.state = PageState::resident;
    full.pins = PageWord::kMaxPins;
    expect_refused(full, [](PageWord word) { return word.with_pin_added(); });
    Fields unpinned;
    unpinned.state = PageState::resident;
    expect_refused(unpinned, [](PageWord word) { return word.with_pin_removed(); });
}

}  // namespace
}  // namespace faultline::test
