// The policies that see every reference, against sequences worked by hand.
#include "replay/observing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace faultline::test {
namespace {

using bench::DenseTrace;
using bench::PageReference;

/// One letter is one page; a capital is a write.
DenseTrace trace_of(std::string_view letters) {
    std::vector<PageReference> references;
    for (const char letter : letters) {
        const bool write = letter >= 'A' && letter <= 'Z';
        references.push_back({static_cast<std::uint64_t>(write ? letter - 'A' : letter - 'a'), write});
    }
    return bench::renumbered(references);
}

/// 'h' for each hit, 'm' for each miss.
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

// The sequence of Belady, Nelson and Shedler (1969): with more frames FIFO misses more.
constexpr std::string_view kBelady = "abcdabeabcde";

TEST(Observing, FifoHasItsAnomaly) {
    EXPECT_EQ(misses("fifo", kBelady, 3), 9U);
    EXPECT_EQ(misses("fifo", kBelady, 4), 10U);
}

TEST(Observing, FifoMissesWhatCameFirst) { EXPECT_EQ(outcome("fifo", "abcabdab", 3), "mmmhhmmm"); }

TEST(Observing, LruMissesWhatWasUsedLongestAgo) {
    EXPECT_EQ(outcome("lru", "abcabdab", 3), "mmmhhmhh");
    EXPECT_EQ(outcome("lru", "abcadbd", 3), "mmmhmmh");
    EXPECT_EQ(misses("lru", kBelady, 3), 10U);
    EXPECT_EQ(misses("lru", kBelady, 4), 8U);
}

// The ring, the hand in front, and * for used: a*bc; d takes b's place: cad. e takes c's: ade, and a is used. f: the
// hand passes a over, and d leaves: eaf. a is used, d takes e's place: a*fd, and e takes f's.
TEST(Observing, ClockPassesOverWhatWasUsedSinceItLastLooked) {
    EXPECT_EQ(outcome("clock", "abcadeafade", 3), "mmmhmmhmhmm");
}

TEST(Observing, ClockWithoutAnyUseIsFifo) {
    EXPECT_EQ(outcome("clock", "abcdabcd", 3), outcome("fifo", "abcdabcd", 3));
}

TEST(Observing, ClockThatFindsAllUsedTakesTheFirst) { EXPECT_EQ(outcome("clock", "abcabcdbca", 3), "mmmhhhmhhm"); }

TEST(Observing, OptEvictsWhatIsUsedLastOrNeverAgain) {
    EXPECT_EQ(misses("opt", kBelady, 3), 7U);
    EXPECT_EQ(misses("opt", kBelady, 4), 6U);
    EXPECT_EQ(outcome("opt", "abcdabc", 3), "mmmmhhm");
    EXPECT_EQ(outcome("opt", "abcdcba", 3), "mmmmhhm");
}

// One small frame of three. b and c come to small while a, which filled it first, is there: memory fills, so they go to
// main. d evicts a, used once only; a comes back while its ghost is there, and goes to main for d's frame.
TEST(Observing, S3FifoRemembersWhatLeftTheSmallQueue) { EXPECT_EQ(outcome("s3_fifo", "abcdabca", 3), "mmmmmhhh"); }

// a is used twice more in the small queue: d does not evict it but b, the oldest of main.
TEST(Observing, S3FifoPromotesWhatIsUsedTwice) { EXPECT_EQ(outcome("s3_fifo", "abcaadab", 3), "mmmhhmhm"); }

TEST(Observing, CountsFirstTouchesApartAndWritesDirtyPagesOnly) {
    const DenseTrace trace = trace_of("abcabCab");
    const auto fifo = bench::make_observing("fifo", trace, 2);
    const bench::ReplayCounts counts = bench::replay(*fifo, trace);
    EXPECT_EQ(counts.references, 8U);
    EXPECT_EQ(counts.first_touches, 3U);
    EXPECT_EQ(counts.hard_faults, 5U);
    EXPECT_EQ(counts.unmapped, 6U);
    // Each page is dirty from its first touch; of the second round only c was written to.
    EXPECT_EQ(counts.written, 4U);
    EXPECT_EQ(fifo->frames_used(), 2U);
}

TEST(Observing, CountsNothingOfTheWarmUp) {
    const DenseTrace trace = trace_of("abcabcabc");
    const bench::ReplayCounts counts = bench::replay(*bench::make_observing("lru", trace, 2), trace, 6);
    EXPECT_EQ(counts.references, 3U);
    EXPECT_EQ(counts.first_touches, 0U);
    EXPECT_EQ(counts.hard_faults, 3U);
    EXPECT_DOUBLE_EQ(counts.hit_rate(), 0.0);
}

TEST(Observing, KnowsNoOtherName) {
    const DenseTrace trace = trace_of("a");
    EXPECT_EQ(bench::make_observing("mru", trace, 2), nullptr);
}

}  // namespace
}  // namespace faultline::test
