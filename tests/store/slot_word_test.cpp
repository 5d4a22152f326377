// SlotWord: a word keeps what it says, and each transition leads from one place to another.
#include "store/slot_word.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace faultline::test {
namespace {

using store::EntryAddress;
using store::SlotPlace;
using store::SlotWord;

constexpr EntryAddress kEntry{12345, 4080};
constexpr EntryAddress kOther{54321, 8};
constexpr std::uint64_t kChecksum = 0x0123'4567'89ab'cdefU;

// ---- What a word says

static_assert(SlotWord{}.bits() == 0 && SlotWord{}.is(SlotPlace::unused), "untouched memory is an unused slot");
static_assert(SlotWord::open().is(SlotPlace::open));
static_assert(SlotWord::in_memory(kEntry).is(SlotPlace::memory));
static_assert(SlotWord::in_memory(kEntry).entry() == kEntry);
static_assert(SlotWord::in_memory(kEntry).in(kEntry));
static_assert(!SlotWord::in_memory(kEntry).in(kOther));
static_assert(SlotWord::in_file(kChecksum).is(SlotPlace::file));
static_assert(!SlotWord::in_file(kChecksum).has_entry());
static_assert(!SlotWord::in_file(0).in(EntryAddress{}), "a block in the file has no entry");

constexpr EntryAddress kLastEntry{SlotWord::kMostSegments - 1,
                                  static_cast<std::uint32_t>(SlotWord::kMostSegmentBytes - SlotWord::kEntryAlignment)};
static_assert(SlotWord::in_memory(kLastEntry).entry() == kLastEntry, "the largest address fits");

TEST(SlotWord, MatchesTheChecksumThatItKeepsAndNoChecksumThatDiffersInOneOf61Bits) {
    EXPECT_TRUE(SlotWord::in_file(kChecksum).matches(kChecksum));
    for (unsigned bit = 0; bit < 61; ++bit) {
        EXPECT_FALSE(SlotWord::in_file(kChecksum).matches(kChecksum ^ std::uint64_t{1} << bit)) << "bit " << bit;
    }
}

TEST(SlotWord, MatchesNoChecksumUnlessTheBytesAreInTheFile) {
    const std::uint64_t bits = SlotWord::in_memory(kEntry).bits();
    EXPECT_FALSE(SlotWord::in_memory(kEntry).matches(bits >> 3));
    EXPECT_FALSE(SlotWord{}.matches(0));
}

// ---- Transitions

constexpr SlotWord kMemory = SlotWord::in_memory(kEntry);
constexpr SlotWord kSpilling = kMemory.claimed_for_spill();

static_assert(kMemory.moved_to(kOther) == SlotWord::in_memory(kOther));
static_assert(kSpilling.is(SlotPlace::spilling) && kSpilling.in(kEntry), "a block is read from memory while it spills");
static_assert(kSpilling.spilled(kChecksum) == SlotWord::in_file(kChecksum));
static_assert(kSpilling.spill_failed() == kMemory, "a block whose spill failed is where it was");
static_assert(kSpilling.damaged().is(SlotPlace::lost) && !kSpilling.damaged().has_entry());

static_assert(SlotWord::open().released() == SlotWord{});
static_assert(kMemory.released() == SlotWord{});
static_assert(SlotWord::in_file(kChecksum).released() == SlotWord{});
static_assert(kSpilling.damaged().released() == SlotWord{});
static_assert(kSpilling.released().is(SlotPlace::dropped), "the thread that spills frees the slot");
static_assert(kSpilling.released().in(kEntry), "the entry lives until the spill has ended");

}  // namespace
}  // namespace faultline::test
