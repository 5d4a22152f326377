// The policies that see every reference, compared with results worked out by hand.
#include "replay/observing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace faultline::test {
namespace {

using bench::DenseTrace;
using bench::PageReference;

/// Each letter references one page; a capital letter writes.
DenseTrace trace_of(std::string_view letters) {
    std::vector<PageReference> references;
    for (const char letter : letters) {
        const bool write = letter >= 'A' && letter <= 'Z';
        references.push_back({static_cast<std::uint64_t>(write ? letter - 'A' : letter - 'a'), write});
    }
    return bench::renumbered(references);
}

/// Returns 'h' for each hit and 'm' for each miss.
std::string outcome(std::string_view policy, std::string_view letters, std::size_t frames) {
    const DenseTrace trace = trace_of(letters);
    const auto model = bench::make_observing(policy, trace, frames);
    std::string hits_and_misses;
    std::uint64_t misses = 0;
    for (const DenseTrace::Reference& reference : trace.references) {
        model->touch(reference);
        const std::uint64_t now = model->counts().first_touches + model->counts().hard_faults;
        hits_and_misses += now == misses ? 'h' : 'm';
        misses = now;
    }
    return hits_and_misses;
}

std::uint64_t misses(std::string_view policy, std::string_view letters, std::size_t frames) {
    std::uint64_t count = 0;
    for (const char one : outcome(policy, letters, frames)) count += one == 'm' ? 1U : 0U;
    return count;
}

// The sequence of Belady, Nelson and Shedler (1969): FIFO misses more often with more frames.
constexpr std::string_view kBelady = "abcdabeabcde";

TEST(Observing, FifoHasBeladysAnomaly) {
    EXPECT_EQ(misses("fifo", kBelady, 3), 9U);
    EXPECT_EQ(misses("fifo", kBelady, 4), 10U);
}

TEST(Observing, FifoEvictsTheOldestPage) { EXPECT_EQ(outcome("fifo", "abcabdab", 3), "mmmhhmmm"); }

TEST(Observing, LruEvictsTheLeastRecentlyUsedPage) {
    EXPECT_EQ(outcome("lru", "abcabdab", 3), "mmmhhmhh");
    EXPECT_EQ(outcome("lru", "abcadbd", 3), "mmmhmmh");
    EXPECT_EQ(misses("lru", kBelady, 3), 10U);
    EXPECT_EQ(misses("lru", kBelady, 4), 8U);
}

// The ring from the hand on; * marks a used page. a*bc: d replaces b: cad. e replaces c: ade, and a is used. f: the
// hand passes a, and f replaces d: eaf. a is used, d replaces e: a*fd, and e replaces f.
TEST(Observing, ClockPassesPagesUsedSinceItsLastRound) { EXPECT_EQ(outcome("clock", "abcadeafade", 3), "mmmhmmhmhmm"); }

TEST(Observing, ClockWithoutHitsIsFifo) { EXPECT_EQ(outcome("clock", "abcdabcd", 3), outcome("fifo", "abcdabcd", 3)); }

TEST(Observing, ClockEvictsTheFirstPageIfAllAreUsed) { EXPECT_EQ(outcome("clock", "abcabcdbca", 3), "mmmhhhmhhm"); }

TEST(Observing, OptEvictsThePageUsedFurthestInTheFuture) {
    EXPECT_EQ(misses("opt", kBelady, 3), 7U);
    EXPECT_EQ(misses("opt", kBelady, 4), 6U);
    EXPECT_EQ(outcome("opt", "abcdabc", 3), "mmmmhhm");
    EXPECT_EQ(outcome("opt", "abcdcba", 3), "mmmmhhm");
}

// One of the three frames is the small queue, which a fills first; b and c go to main as memory fills. d evicts a,
// which was used only once. a misses while its ghost exists, so it goes to main, in d's frame.
TEST(Observing, S3FifoRemembersPagesThatLeftTheSmallQueue) { EXPECT_EQ(outcome("s3_fifo", "abcdabca", 3), "mmmmmhhh"); }

// a is used twice more in the small queue: d evicts b, the oldest page of main, instead of a.
TEST(Observing, S3FifoPromotesPagesUsedTwice) { EXPECT_EQ(outcome("s3_fifo", "abcaadab", 3), "mmmhhmhm"); }

TEST(Observing, FirstTouchesAreCountedApartAndOnlyDirtyPagesAreWritten) {
    const DenseTrace trace = trace_of("abcabCab");
    const auto fifo = bench::make_observing("fifo", trace, 2);
    const bench::ReplayCounts counts = bench::replay(*fifo, trace);
    EXPECT_EQ(counts.references, 8U);
    EXPECT_EQ(counts.first_touches, 3U);
    EXPECT_EQ(counts.hard_faults, 5U);
    EXPECT_EQ(counts.unmapped, 6U);
    // Each page is dirty after its first touch; of the second round only c is written to.
    EXPECT_EQ(counts.written, 4U);
    EXPECT_EQ(fifo->frames_used(), 2U);
}

TEST(Observing, WarmUpIsNotCounted) {
    const DenseTrace trace = trace_of("abcabcabc");
    const bench::ReplayCounts counts = bench::replay(*bench::make_observing("lru", trace, 2), trace, 6);
    EXPECT_EQ(counts.references, 3U);
    EXPECT_EQ(counts.first_touches, 0U);
    EXPECT_EQ(counts.hard_faults, 3U);
    EXPECT_DOUBLE_EQ(counts.hit_rate(), 0.0);
}

TEST(Observing, UnknownPolicyNameReturnsNull) {
    const DenseTrace trace = trace_of("a");
    EXPECT_EQ(bench::make_observing("mru", trace, 2), nullptr);
}

}  // namespace
}  // namespace faultline::test
