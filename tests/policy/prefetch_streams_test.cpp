// PrefetchStreams: which walks it detects, and which pages it prefetches with their faults.
#include "policy/prefetch_program.hpp"
#include "policy/recorded_seed.hpp"

#include <random>
#include <string>

namespace faultline::test {
namespace {

using Counts = Program::Counts;

class Prefetch : public testing::Test {
protected:
    PrefetchStreams streams_;
    Program program_{streams_};
};

TEST_F(Prefetch, DoublesTheWindowOfAWalkForward) {
    EXPECT_EQ(program_.walk(1000, 1, 7), (Counts{0, 2, 4, 8, 16, 32, 32}));
}

TEST_F(Prefetch, DoublesTheWindowOfAWalkBackward) {
    EXPECT_EQ(program_.walk(100'000, -1, 7), (Counts{0, 2, 4, 8, 16, 32, 32}));
    EXPECT_EQ(program_.last_window().stride, -1);
}

TEST_F(Prefetch, StartsAnywhereIncludingPageZero) {
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{77'777}}) {
        PrefetchStreams streams;
        EXPECT_EQ(Program{streams}.walk(first, 1, 3), (Counts{0, 2, 4})) << "from page " << first;
    }
}

TEST_F(Prefetch, PrefetchesTheNextPagesOfTheWalk) {
    program_.walk(1000, 1, 2);
    EXPECT_EQ(program_.last_window().first, page_number(1, 1002));
    PrefetchStreams streams;
    Program backward{streams};
    backward.walk(1000, -1, 2);
    EXPECT_EQ(backward.last_window().first, page_number(1, 998));
}

TEST_F(Prefetch, DetectsAStrideOnceASecondStepIsAsLongAsTheFirst) {
    for (const std::int64_t stride : {-64, -5, -2, 2, 5, 17, 64}) {
        PrefetchStreams streams;
        Program program{streams};
        EXPECT_EQ(program.walk(100'000, stride, 7), (Counts{0, 0, 2, 4, 8, 16, 32})) << "stride " << stride;
        EXPECT_EQ(program.last_window().stride, stride);
    }
}

TEST_F(Prefetch, PrefetchesOnlyThePagesOfTheStride) {
    program_.walk(1000, 5, 10);
    for (std::uint64_t page = 1000; page < program_.next(); ++page) {
        EXPECT_EQ(program_.present(page), page % 5 == 0) << "page " << page;
    }
}

TEST_F(Prefetch, DetectsNoStrideAboveTheLongest) {
    EXPECT_EQ(program_.walk(1000, PrefetchStreams::kLongestStride + 1, 20), Counts(20, 0));
}

TEST_F(Prefetch, DetectsNoStrideInStepsThatDiffer) {
    std::uint64_t page = 1000;
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(program_.touch(page), 0U);
        EXPECT_EQ(program_.touch(page + 7), 0U);
        EXPECT_EQ(program_.touch(page + 18), 0U);
        page += 18 + 13;
    }
}

TEST_F(Prefetch, GrowsTheWindowOfALongWalkToOneMegabyte) {
    const Counts counts = program_.walk(0, 1, 40);
    EXPECT_EQ(counts[5], PrefetchStreams::kUsualCap);
    EXPECT_EQ(counts[8], PrefetchStreams::kUsualCap) << "the cap rises only after several windows were used up";
    EXPECT_EQ(counts.back(), kLongest);
}

TEST_F(Prefetch, FaultsSeldomInALongWalk) {
    constexpr std::uint64_t kPages = 100'000;
    for (std::uint64_t page = 0; page < kPages; ++page) program_.touch(page);
    EXPECT_LE(program_.faults(), 5U) << "tripwires start all windows but the first few";
    EXPECT_LE(program_.soft_faults(), kPages / 200);
}

TEST_F(Prefetch, FollowsFourWalksAtOnce) {
    std::vector<std::uint64_t> next{0, 250'000, 500'000, 750'000};
    for (const std::uint32_t expected : {0U, 2U, 4U, 8U, 16U, 32U}) {
        for (std::uint64_t& first : next) {
            EXPECT_EQ(program_.walk(first, 1, 1), Counts{expected});
            first = program_.next();
        }
    }
}

TEST_F(Prefetch, FollowsAsManyWalksAsItHasStreams) {
    for (int round = 0; round < 40; ++round) {
        for (std::uint64_t walk = 0; walk < PrefetchStreams::kStreams; ++walk) {
            program_.touch(walk * 60'000 + static_cast<std::uint64_t>(round));
        }
    }
    EXPECT_LE(program_.faults(), PrefetchStreams::kStreams * 6);
}

TEST_F(Prefetch, FollowsTwoWalksOfOneThreadThatAreNearEachOther) {
    for (std::uint64_t i = 0; i < 30; ++i) {
        program_.touch(1000 + i);
        program_.touch(1040 + i);
    }
    EXPECT_LE(program_.faults(), 10U);
}

TEST_F(Prefetch, KeepsTheWalksOfTwoThreadsApart) {
    Program other{streams_};
    other.be_thread(2);
    // The two walks move apart from neighbouring pages; each step is next to the other thread's pages.
    EXPECT_EQ(program_.touch(5000), 0U);
    EXPECT_EQ(other.touch(4990), 0U);
    EXPECT_EQ(program_.touch(5001), 2U);
    EXPECT_EQ(other.touch(4989), 2U);
    EXPECT_EQ(program_.touch(5004), 4U);
    EXPECT_EQ(other.touch(4986), 4U);
    EXPECT_EQ(program_.last_window().first, page_number(1, 5005));
    EXPECT_EQ(other.last_window().first, page_number(1, 4985));
}

TEST_F(Prefetch, DoesNotMatchANearbyFaultOfAnotherThreadToAWalk) {
    for (const std::uint64_t thread : {std::uint64_t{2}, std::uint64_t{1} << 40 | 1}) {
        PrefetchStreams streams;
        Program program{streams};
        program.walk(1000, 1, 4);  // has proposed pages up to 1015
        Program other{streams};
        other.be_thread(thread);
        EXPECT_EQ(other.touch(1025), 0U) << "ten pages ahead";
        EXPECT_EQ(other.touch(1010), 0U) << "among the proposed pages";
        EXPECT_EQ(program.walk(program.next(), 1, 1), Counts{16});
    }
}

TEST_F(Prefetch, PrefersTheThreadsOwnStreamOverAnotherThreads) {
    Program other{streams_};
    other.be_thread(2);
    program_.touch(5000);
    other.touch(5002);
    other.touch(5001);
    EXPECT_EQ(other.last_window().stride, -1);
}

TEST_F(Prefetch, ContinuesAWalkThatAnotherThreadTakesOver) {
    program_.walk(1000, 1, 4);
    program_.be_thread(2);
    EXPECT_EQ(program_.walk(program_.next(), 1, 2), (Counts{16, 32}));
    program_.be_thread(std::uint64_t{7} << 40);
    EXPECT_EQ(program_.walk(program_.next(), 1, 2), (Counts{32, 32}));
}

TEST_F(Prefetch, FollowsAWalkAcrossPagesThatWereResident) {
    for (const std::uint64_t resident : {1U, 4U, 16U}) {
        PrefetchStreams streams;
        Program program{streams};
        program.walk(0, 1, 2);
        EXPECT_EQ(program.touch(4 + resident), 4U) << "after " << resident << " pages";
    }
}

TEST_F(Prefetch, TreatsAFaultFarAheadAsANewWalk) {
    program_.walk(0, 1, 2);
    EXPECT_EQ(program_.touch(100), 0U);
}

// Program checks that each window is inside the region.
TEST_F(Prefetch, PrefetchesUpToTheLastPageOfTheRegion) {
    for (const std::int64_t stride : {1, 2, 5, 7, 64}) {
        for (std::uint64_t pages = 150; pages < 300; ++pages) {
            PrefetchStreams streams;
            Program program{streams, pages};
            program.walk(0, stride, 1000);
            EXPECT_LE(program.faults(), 7U) << "stride " << stride;
        }
    }
}

TEST_F(Prefetch, PrefetchesDownToPageZero) {
    for (const std::int64_t stride : {-1, -2, -5, -7, -64}) {
        for (std::uint64_t first = 150; first < 300; ++first) {
            PrefetchStreams streams;
            Program program{streams};
            program.walk(first, stride, 1000);
            EXPECT_LE(program.faults(), 7U) << "stride " << stride;
        }
    }
}

TEST_F(Prefetch, PrefetchesNothingBesideARegionOfOnePage) {
    Program one{streams_, 1};
    EXPECT_EQ(one.touch(0), 0U);
    one.forget_pages();
    one.advise(AccessAdvice::sequential);
    EXPECT_EQ(one.touch(0), 0U);
}

TEST_F(Prefetch, TreatsTheNextRegionsFirstPageAsANewWalk) {
    Program last{streams_, 1000, 6};
    Program next{streams_, 1000, 7};
    last.walk(900, 1, 100);
    EXPECT_EQ(next.touch(0), 0U);
}

TEST_F(Prefetch, ReachesBothEndsOfTheLargestRegion) {
    constexpr std::uint64_t kPages = std::uint64_t{1} << 32;
    Program largest{streams_, kPages, ~std::uint32_t{0}};
    EXPECT_EQ(largest.walk(kPages - 6, 1, 100), (Counts{0, 2, 1}));
    EXPECT_EQ(largest.touch(3), 0U);
    EXPECT_EQ(largest.touch(2), 2U);
}

TEST_F(Prefetch, PrefetchesAlmostNothingWithRandomFaults) {
    constexpr std::uint64_t kFaults = 100'000;
    std::mt19937_64 random{recorded_seed(6)};
    std::uint64_t pages = 0;
    for (std::uint64_t i = 0; i < kFaults; ++i) {
        pages += program_.touch(random() % program_.bounds().region_pages);
        program_.forget_pages();
    }
    EXPECT_LT(pages, kFaults / 100);
}

TEST_F(Prefetch, PrefetchesNothingWithRepeatedFaultsOnOnePage) {
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(program_.touch(77), 0U);
        program_.forget(77);
    }
}

TEST_F(Prefetch, KeepsALongWalkAmongRandomFaults) {
    std::mt19937_64 random{recorded_seed(5)};
    Program other{streams_, std::uint64_t{1} << 32, 2};
    for (std::uint64_t page = 0; page < 10'000; ++page) {
        program_.touch(page);
        if (page > 100 || page % 2 == 0) other.touch(random() >> 32);
    }
    EXPECT_LE(program_.faults(), 10U);
}

TEST_F(Prefetch, ReplacesTheStalestStreamByANewWalk) {
    for (std::uint64_t walk = 0; walk < 100; ++walk) {
        program_.walk(walk * 10'000, 1, 6);
        EXPECT_LE(program_.faults(), 5 + walk * 5) << "walk " << walk;
    }
}

TEST_F(Prefetch, DetectsThatADenseWalkHasTakenAStride) {
    for (std::uint64_t page = 0; page < 500; ++page) program_.touch(page);
    const std::uint64_t first = index_of(program_.last_window().page(program_.last_window().count)) + 2;
    for (std::uint64_t page = first; page < first + 5000; page += 5) program_.touch(page);
    EXPECT_EQ(program_.last_window().stride, 5);
}

TEST_F(Prefetch, ContinuesAWalkThatSkipsSomeTripwires) {
    program_.walk(0, 1, 6);
    for (int round = 0; round < 12; ++round) {
        for (int missed = 0; missed < 2; ++missed) {
            const PrefetchWindow& window = program_.last_window();
            ASSERT_GT(program_.touch(index_of(window.page(window.count)) + 2), 0U) << "round " << round;
        }
        const PrefetchWindow& window = program_.last_window();
        const bool hits = round % 2 == 0;
        ASSERT_GT(program_.touch(index_of(hits ? window.tripwire : window.page(window.count))), 0U);
    }
}

TEST_F(Prefetch, StartsNoWalkAtANeighbourOfAStridesFirstPage) {
    program_.walk(1000, 5, 3);
    EXPECT_EQ(program_.touch(1001), 0U);
}

TEST_F(Prefetch, StartsNoWalkAtANeighbourOfAFaultLongAgo) {
    program_.touch(500'000);
    program_.walk(0, 1, 40);
    EXPECT_EQ(program_.touch(500'001), 0U);
}

TEST_F(Prefetch, ContinuesAStaleWalkAtItsVeryNextPageOnly) {
    for (const std::uint64_t late : {0U, 1U}) {
        PrefetchStreams streams;
        Program program{streams};
        program.walk(500'000, 1, 2);
        program.walk(0, 1, 60);
        EXPECT_EQ(program.touch(500'004 + late), late == 0 ? 4U : 0U);
    }
}

// Random faults; Program checks each window.
TEST_F(Prefetch, ReturnsValidWindowsForAnyFaults) {
    for (const std::uint64_t region_pages : {1U, 2U, 3U, 63U, 64U, 65U, 200U, 5000U}) {
        std::mt19937_64 random{recorded_seed(8)};
        Program first{streams_, region_pages, 1};
        Program second{streams_, region_pages, 2};
        std::uint64_t at = 0;
        for (int i = 0; i < 20'000; ++i) {
            Program& program = random() % 4 == 0 ? second : first;
            program.be_thread(random() % 3);
            program.advise(static_cast<AccessAdvice>(random() % 8 == 0 ? random() % 3 : 0));
            random() % 2 == 0 ? program.write() : program.read();
            program.touch_as(random() % 3 == 0 ? PrefetchFault::Kind::first_touch : PrefetchFault::Kind::hard);
            program.bounds().page_bytes = std::size_t{4096} << random() % 10;
            program.bounds().most_pages =
                random() % 2 == 0 ? ~std::uint32_t{0} : static_cast<std::uint32_t>(random() % 9);
            at = random() % 8 == 0 ? random() % region_pages : (at + region_pages + random() % 3 - 1) % region_pages;
            program.touch(at);
            program.forget(random() % region_pages);
            if (random() % 256 == 0) program.forget_pages();
        }
    }
}

}  // namespace
}  // namespace faultline::test
