// The page word's legal transitions: each changes exactly the fields that it names, whatever the word's other fields
// are.
#include "core/page_word.hpp"
#include "core/words.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace faultline::test {
namespace {

using core::PageRef;

/// Checks that `edge` changes the fields of each word as `change` does.
template <typename Edge, typename Change>
void expect_edge(const std::vector<PageWord>& words, Edge edge, Change change) {
    ASSERT_FALSE(words.empty());
    for (PageWord word : words) {
        Fields expected = fields_of(word);
        change(expected);
        ASSERT_EQ(fields_of(edge(word)), expected) << "from " << fields_of(word);
    }
}

template <typename Keep>
std::vector<PageWord> only(const std::vector<PageWord>& words, Keep keep) {
    std::vector<PageWord> kept;
    for (PageWord word : words) {
        if (keep(word)) kept.push_back(word);
    }
    return kept;
}

std::vector<PageWord> clean(const std::vector<PageWord>& words) {
    return only(words, [](PageWord word) { return !word.dirty(); });
}

void settle(Fields& fields) { fields.waiters = fields.from_staging = false; }

TEST(PageWord, TheWordOfAnUntouchedPageIsZeroAndEmpty) {
    constexpr PageWord word;
    static_assert(word.bits() == 0);
    EXPECT_EQ(fields_of(word), Fields{});
    EXPECT_FALSE(word.busy());
    EXPECT_FALSE(is_evictable(word));
    EXPECT_EQ(home_of(word), PageState::empty);
}

TEST(PageWord, FieldsAreWhereTheLayoutSays) {
    for (PageWord word : all_words()) ASSERT_EQ(word_of(fields_of(word)), word) << fields_of(word);
}

TEST(PageWord, EachQueryDependsOnItsOwnFieldsOnly) {
    for (PageWord word : all_words()) {
        const Fields is = fields_of(word);
        ASSERT_EQ(word.busy(), is.state == PageState::filling || is.state == PageState::evicting) << is;
        ASSERT_EQ(is_evictable(word), is.state == PageState::resident && is.pins == 0) << is;
        ASSERT_EQ(home_of(word), is.has_slot ? PageState::stored : PageState::empty) << is;
        ASSERT_EQ(is_staged_at(word, 7), is.state == PageState::staged && is.payload == 7) << is;
        ASSERT_EQ(word.leaving_slot(7), is.from_staging && is.payload == 7) << is;
    }
}

TEST(PageWord, AGuardForbidsAllAccessUntilTheNextProtection) {
    for (const Access before : {Access::read_write, Access::read, Access::none}) {
        const PageWord word = PageWord{}.with_protection(before);
        EXPECT_FALSE(word.guarded());
        EXPECT_TRUE(word.with_guard().guarded());
        EXPECT_EQ(word.with_guard().protection(), Access::none);
        EXPECT_EQ(word.with_guard().with_protection(before), word);
        EXPECT_TRUE(word.with_guard().claimed_for_fill().discarded().guarded());
    }
}

TEST(PageWord, ClaimForFillKeepsThePayloadAndMarksStagedPages) {
    expect_edge(
        words_in({PageState::empty, PageState::stored, PageState::staged, PageState::poisoned}),
        [](PageWord word) { return word.claimed_for_fill(); },
        [](Fields& fields) {
            fields.from_staging = fields.state == PageState::staged;
            fields.state = PageState::filling;
        });
}

TEST(PageWord, FilledIsResidentInItsFrame) {
    for (bool dirty : {false, true}) {
        expect_edge(
            words_in(PageState::filling), [dirty](PageWord word) { return word.filled(41, dirty); },
            [dirty](Fields& fields) {
                fields.state = PageState::resident;
                fields.dirty = dirty;
                fields.payload = 41;
                settle(fields);
            });
    }
}

TEST(PageWord, AnAbandonedFillRestoresTheStateAndKeepsThePayload) {
    for (PageState back_to : {PageState::empty, PageState::stored, PageState::staged}) {
        expect_edge(
            words_in(PageState::filling), [back_to](PageWord word) { return word.fill_abandoned(back_to); },
            [back_to](Fields& fields) {
                fields.state = back_to;
                settle(fields);
            });
    }
}

TEST(PageWord, FailedFillIsPoisoned) {
    expect_edge(
        words_in(PageState::filling), [](PageWord word) { return word.fill_failed(); },
        [](Fields& fields) {
            fields.state = PageState::poisoned;
            fields.payload = 0;
            settle(fields);
        });
}

TEST(PageWord, ClaimForChangeKeepsFrameAndPins) {
    expect_edge(
        words_in(PageState::resident), [](PageWord word) { return word.claimed_for_change(); },
        [](Fields& fields) { fields.state = PageState::filling; });
}

TEST(PageWord, ClaimForEvictionKeepsFrame) {
    expect_edge(
        only(words_in(PageState::resident), [](PageWord word) { return word.pins() == 0; }),
        [](PageWord word) { return word.claimed_for_eviction(); },
        [](Fields& fields) { fields.state = PageState::evicting; });
}

TEST(PageWord, RefusedEvictionIsResidentAgain) {
    expect_edge(
        words_in(PageState::evicting), [](PageWord word) { return word.eviction_refused(); },
        [](Fields& fields) {
            fields.state = PageState::resident;
            settle(fields);
        });
}

TEST(PageWord, AStagedPageHasItsUnitAsPayload) {
    expect_edge(
        words_in(PageState::evicting), [](PageWord word) { return word.staged(99); },
        [](Fields& fields) {
            fields.state = PageState::staged;
            fields.payload = 99;
            settle(fields);
        });
}

TEST(PageWord, AnEvictedPageIsStoredWithItsDepartureOrEmptyWithoutASlot) {
    expect_edge(
        clean(words_in({PageState::evicting, PageState::filling})),
        [](PageWord word) { return word.evicted(Departure::from(1234)); },
        [](Fields& fields) {
            fields.state = fields.has_slot ? PageState::stored : PageState::empty;
            fields.payload = fields.has_slot ? 1234 : 0;
            settle(fields);
        });
}

TEST(PageWord, DiscardedKeepsNothingButProtectionAndAWriteInFlight) {
    expect_edge(
        words_in({PageState::filling, PageState::evicting}), [](PageWord word) { return word.discarded(); },
        [](Fields& fields) {
            Fields empty;
            empty.writing = fields.writing;
            empty.protection = fields.protection;
            fields = empty;
        });
}

TEST(PageWord, DiscardingAnOpenPageMakesItNeverTouched) {
    EXPECT_EQ(PageWord{}.claimed_for_fill().filled(5, true).claimed_for_eviction().discarded().bits(), 0U);
}

TEST(PageWord, FlagsChangeAlone) {
    for (bool on : {false, true}) {
        expect_edge(
            all_words(), [on](PageWord word) { return word.with_dirty(on); },
            [on](Fields& fields) { fields.dirty = on; });
        expect_edge(
            all_words(), [on](PageWord word) { return word.with_slot(on); },
            [on](Fields& fields) { fields.has_slot = on; });
        expect_edge(
            all_words(), [on](PageWord word) { return word.with_writing(on); },
            [on](Fields& fields) { fields.writing = on; });
    }
    expect_edge(
        all_words(), [](PageWord word) { return word.with_waiters(true); },
        [](Fields& fields) { fields.waiters = true; });
}

TEST(PageWord, ProtectionChangesAlone) {
    for (Access access : {Access::read_write, Access::read, Access::none}) {
        expect_edge(
            all_words(), [access](PageWord word) { return word.with_protection(access); },
            [access](Fields& fields) { fields.protection = access; });
    }
}

TEST(PageWord, PinsCountAlone) {
    expect_edge(
        all_words(), [](PageWord word) { return word.with_pin_added(); }, [](Fields& fields) { ++fields.pins; });
    expect_edge(
        only(all_words(), [](PageWord word) { return word.pins() > 0; }),
        [](PageWord word) { return word.with_pin_removed(); }, [](Fields& fields) { --fields.pins; });
}

TEST(PageWord, HoldsTheLargestNumberOfPins) {
    PageWord word = PageWord{}.claimed_for_fill().filled(3, true);
    const PageWord unpinned = word;
    for (std::uint64_t i = 0; i < PageWord::kMaxPins; ++i) word = word.with_pin_added();
    EXPECT_EQ(word.pins(), PageWord::kMaxPins);
    EXPECT_EQ(word.payload(), 3U);
    for (std::uint64_t i = 0; i < PageWord::kMaxPins; ++i) word = word.with_pin_removed();
    EXPECT_EQ(word, unpinned);
}

TEST(PageRef, RoundTripsThroughItsBits) {
    for (std::uint32_t region : {0U, 1U, 0xffff'ffffU}) {
        for (std::uint32_t page : {0U, 1U, 0xffff'ffffU}) {
            const PageRef ref{region, page};
            EXPECT_EQ(PageRef::from(ref.bits()), ref);
        }
    }
}

TEST(PageRef, NeighbouringPagesHaveConsecutiveBitsAndKeepTheirOrder) {
    EXPECT_EQ((PageRef{3, 8}.bits()), (PageRef{3, 7}.bits() + 1));
    EXPECT_LT((PageRef{3, 7}), (PageRef{3, 8}));
    EXPECT_LT((PageRef{3, 0xffff'ffffU}), (PageRef{4, 0}));
}

}  // namespace
}  // namespace faultline::test
