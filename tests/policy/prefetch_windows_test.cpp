// PrefetchStreams: the length of its windows, and what it depends on: tripwires, pages evicted too early, writes,
// advice, limits, and earlier walks.
#include "policy/prefetch_program.hpp"

#include <algorithm>
#include <bit>

namespace faultline::test {
namespace {

using Counts = Program::Counts;

class PrefetchWindows : public testing::Test {
protected:
    using Kind = PrefetchFault::Kind;

    /// The walk faults on the last page of its window, which was evicted too early. Returns how many pages are
    /// prefetched.
    std::uint32_t miss_the_last_page(Program& program) {
        const PrefetchWindow window = program.last_window();
        const std::uint64_t last = index_of(window.page(window.count - 1));
        for (std::uint64_t page = index_of(window.first); page < last; ++page) program.forget(page);
        program.forget(last);
        return program.touch(last);
    }

    PrefetchStreams streams_;
    Program program_{streams_};
};

// ---- tripwires

TEST_F(PrefetchWindows, HaveATripwireInTheMiddle) {
    program_.walk(0, 1, 4);
    ASSERT_EQ(program_.last_window().count, 8U);
    EXPECT_EQ(program_.last_window().tripwire, program_.last_window().page(3));
}

TEST_F(PrefetchWindows, HaveNoTripwireWhenShort) {
    program_.walk(0, 1, 3);
    ASSERT_EQ(program_.last_window().count, 4U);
    EXPECT_EQ(program_.last_window().tripwire, PrefetchWindow::kNoPage);
}

TEST_F(PrefetchWindows, StartWhereTheLastOneEndsWhenItsTripwireIsTouched) {
    for (const std::int64_t stride : {-64, -5, -1, 1, 5, 64}) {
        PrefetchStreams streams;
        Program program{streams};
        while (program.last_window().tripwire == PrefetchWindow::kNoPage) {
            program.walk(program.next() == 0 ? 500'000 : program.next(), stride, 1);
        }
        const PrefetchWindow before = program.last_window();
        ASSERT_EQ(program.walk(program.next(), stride, 1), Counts{2 * before.count});
        EXPECT_EQ(program.next(), index_of(before.tripwire) + static_cast<std::uint64_t>(stride));
        EXPECT_EQ(program.last_window().first, before.page(before.count)) << "stride " << stride;
    }
}

TEST_F(PrefetchWindows, GrowEquallyWithoutTripwires) {
    program_.leave_no_tripwires();
    const Counts counts = program_.walk(0, 1, 40);
    EXPECT_TRUE(std::ranges::is_sorted(counts));
    EXPECT_EQ(counts.back(), kLongest);
}

TEST_F(PrefetchWindows, DoNotComeFromAnUnknownTripwire) {
    const PrefetchFault stranger{page_number(1, 4711), 1, Kind::tripwire};
    EXPECT_FALSE(streams_.is_tripwire(stranger.page));
    EXPECT_EQ(streams_.on_fault(stranger, program_.bounds()).count, 0U);
    program_.walk(0, 1, 4);
    const std::uint64_t tripwire = program_.last_window().tripwire;
    const PrefetchFault elsewhere{page_number(2, index_of(tripwire)), 1, Kind::tripwire};
    EXPECT_EQ(streams_.on_fault(elsewhere, program_.bounds()).count, 0U);
    EXPECT_FALSE(streams_.is_tripwire(elsewhere.page));
    const PrefetchFault known{tripwire, 1, Kind::tripwire};
    EXPECT_TRUE(streams_.is_tripwire(known.page));
    EXPECT_EQ(streams_.on_fault(known, program_.bounds()).count, 16U);
    EXPECT_EQ(streams_.on_fault(known, program_.bounds()).count, 0U) << "a tripwire counts once";
}

// ---- the cap

TEST_F(PrefetchWindows, GrowByTwoPerUsedWindowOnceTheyWereHalved) {
    program_.leave_no_tripwires();
    program_.walk(0, 1, 6);
    ASSERT_EQ(program_.last_window().count, 32U);
    EXPECT_EQ(miss_the_last_page(program_), 16U);
    const std::uint64_t next = index_of(program_.last_window().first);
    EXPECT_EQ(program_.walk(next, 1, 9), (Counts{18, 20, 22, 24, 26, 28, 30, 32, 32}));
    EXPECT_EQ(program_.walk(program_.next(), 1, 20), Counts(20, 32)) << "after a cap was halved, it is raised seldom";
}

TEST_F(PrefetchWindows, KeepTheirLengthWhenPagesAreOnlyLate) {
    program_.come_late();
    program_.walk(0, 1, 6);
    ASSERT_EQ(program_.last_window().count, 32U);
    EXPECT_EQ(miss_the_last_page(program_), 32U);
}

TEST_F(PrefetchWindows, NeverShrinkBelowTheShortest) {
    program_.leave_no_tripwires();
    program_.walk(0, 1, 6);
    for (int i = 0; i < 20; ++i) ASSERT_GE(miss_the_last_page(program_), PrefetchStreams::kShortestWindow);
    EXPECT_EQ(program_.last_window().count, PrefetchStreams::kShortestWindow);
}

TEST_F(PrefetchWindows, AreShorterAfterPagesWereEvictedUnused) {
    program_.walk(0, 1, 6);
    ASSERT_EQ(program_.last_window().count, 32U);
    program_.forget_pages();
    EXPECT_EQ(program_.walk(program_.next(), 1, 1), Counts{16});
}

TEST_F(PrefetchWindows, AreHalvedFromTheLengthThatALimitAllowed) {
    program_.bounds().most_pages = 12;
    program_.leave_no_tripwires();
    program_.walk(0, 1, 8);
    ASSERT_EQ(program_.last_window().count, 12U);
    EXPECT_EQ(miss_the_last_page(program_), 6U);
}

// ---- writes

TEST_F(PrefetchWindows, AreForWritingOnceAWalkHasWrittenAndUsedAWindowUp) {
    program_.write();
    program_.walk(0, 1, 2);
    EXPECT_FALSE(program_.last_window().for_writing) << "may be a run of a few pages";
    program_.walk(program_.next(), 1, 1);
    EXPECT_TRUE(program_.last_window().for_writing);
}

TEST_F(PrefetchWindows, AreForReadingAgainAfterOneRead) {
    program_.write();
    program_.walk(0, 1, 5);
    ASSERT_TRUE(program_.last_window().for_writing);
    program_.read();
    program_.walk(program_.next(), 1, 1);
    EXPECT_FALSE(program_.last_window().for_writing);
    program_.write();
    program_.walk(program_.next(), 1, 1);
    EXPECT_FALSE(program_.last_window().for_writing) << "one write proves nothing";
    program_.walk(program_.next(), 1, 1);
    EXPECT_TRUE(program_.last_window().for_writing);
}

// ---- advice

TEST_F(PrefetchWindows, AreEmptyUnderRandomAdvice) {
    program_.advise(AccessAdvice::random);
    EXPECT_EQ(program_.walk(0, 1, 100), Counts(100, 0));
}

TEST_F(PrefetchWindows, OfAWalkDoNotChangeByFaultsUnderRandomAdvice) {
    program_.walk(0, 1, 4);
    const std::uint64_t next = program_.next();
    Program other{streams_};
    other.advise(AccessAdvice::random);
    for (std::uint64_t page = 0; page < 1000; ++page) other.touch(page);
    EXPECT_EQ(program_.walk(next, 1, 2), (Counts{16, 32}));
}

TEST_F(PrefetchWindows, AreLongestAtOnceUnderSequentialAdvice) {
    program_.advise(AccessAdvice::sequential);
    EXPECT_EQ(program_.walk(5000, 1, 3), (Counts{kLongest, kLongest, kLongest}));
    EXPECT_EQ(program_.faults(), 1U);
}

TEST_F(PrefetchWindows, GoBackwardUnderSequentialAdviceOnceTheWalkDoes) {
    program_.advise(AccessAdvice::sequential);
    program_.walk(5000, -1, 4);
    EXPECT_EQ(program_.last_window().stride, -1);
    EXPECT_EQ(program_.faults(), 2U);
}

TEST_F(PrefetchWindows, AreLongestAgainWhenASequentialWalkStartsAnew) {
    program_.advise(AccessAdvice::sequential);
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(program_.touch(7000), kLongest);
        program_.forget_pages();
    }
}

TEST_F(PrefetchWindows, OfOtherWalksOutliveManyStartsUnderSequentialAdvice) {
    const Counts before = program_.walk(500'000, 1, 5);
    const std::uint64_t next = program_.next();
    Program other{streams_};
    other.advise(AccessAdvice::sequential);
    for (int round = 0; round < 50; ++round) {
        other.touch(7000);
        other.forget_pages();
    }
    EXPECT_EQ(program_.walk(next, 1, 1), Counts{2 * before.back()});
}

// ---- first touches

class FirstTouches : public PrefetchWindows {
protected:
    FirstTouches() { program_.touch_as(Kind::first_touch); }
};

TEST_F(FirstTouches, PrefetchZerosOnceAWalkIsSteady) {
    EXPECT_EQ(program_.walk(0, 1, 8), (Counts{0, 0, 2, 4, 8, 16, 16, 16}));
    EXPECT_EQ(program_.last_window().tripwire, PrefetchWindow::kNoPage);
}

TEST_F(FirstTouches, PrefetchZerosBackward) { EXPECT_EQ(program_.walk(1000, -1, 6), (Counts{0, 0, 2, 4, 8, 16})); }

TEST_F(FirstTouches, PrefetchNothingForTwoNeighbours) {
    for (std::uint64_t page = 0; page < 100'000; page += 100) {
        EXPECT_EQ(program_.touch(page), 0U);
        EXPECT_EQ(program_.touch(page + 1), 0U);
    }
}

TEST_F(FirstTouches, PrefetchNothingForAStrideWithGaps) { EXPECT_EQ(program_.walk(0, 3, 50), Counts(50, 0)); }

TEST_F(FirstTouches, StopAtTheRegionsEnd) {
    Program small{streams_, 10};
    small.touch_as(Kind::first_touch);
    EXPECT_EQ(small.walk(0, 1, 100), (Counts{0, 0, 2, 4}));
}

TEST_F(FirstTouches, PrefetchTheMostZerosAtOnceUnderSequentialAdvice) {
    program_.advise(AccessAdvice::sequential);
    EXPECT_EQ(program_.walk(0, 1, 2), (Counts{PrefetchStreams::kMostZeros, PrefetchStreams::kMostZeros}));
}

TEST_F(FirstTouches, AmongStoredPagesContinueTheWalkAndCountAsNoLoss) {
    program_.touch_as(Kind::hard);
    program_.walk(0, 1, 6);
    ASSERT_EQ(program_.last_window().count, 32U);
    program_.forget_pages();  // the pages that the window skipped, because they were not stored
    program_.touch_as(Kind::first_touch);
    EXPECT_EQ(program_.walk(program_.next(), 1, 2), (Counts{16, 16}));
    program_.touch_as(Kind::hard);
    EXPECT_EQ(program_.walk(program_.next(), 1, 1), Counts{32});
}

// ---- limits

TEST_F(PrefetchWindows, OfLargePagesAreOneMegabyteAtMost) {
    for (std::size_t page_bytes = 4096; page_bytes <= PrefetchStreams::kMostBytes; page_bytes *= 2) {
        PrefetchStreams streams;
        Program program{streams};
        program.bounds().page_bytes = page_bytes;
        const Counts counts = program.walk(0, 1, 60);
        EXPECT_EQ(*std::ranges::max_element(counts), PrefetchStreams::kMostBytes / page_bytes) << page_bytes;
    }
}

TEST_F(PrefetchWindows, OfPagesOfTwoMegabytesAreEmpty) {
    program_.bounds().page_bytes = std::size_t{2} << 20;
    EXPECT_EQ(program_.walk(0, 1, 50), Counts(50, 0));
    program_.advise(AccessAdvice::sequential);
    EXPECT_EQ(program_.walk(1000, 1, 50), Counts(50, 0));
}

TEST_F(PrefetchWindows, WithGapsStayWithinTheCallersReach) {
    program_.bounds().reach = 15;
    EXPECT_EQ(program_.walk(0, 1, 7), (Counts{0, 2, 4, 8, 16, 32, 32}));
    EXPECT_EQ(program_.walk(100'000, 5, 7), (Counts{0, 0, 3, 3, 3, 3, 3}));
    EXPECT_EQ(program_.walk(200'000, 16, 7), Counts(7, 0));
}

TEST_F(PrefetchWindows, HaveNoMorePagesThanTheCallerAllows) {
    program_.bounds().most_pages = 3;
    EXPECT_EQ(program_.walk(0, 1, 6), (Counts{0, 2, 3, 3, 3, 3}));
    program_.bounds().most_pages = 0;
    EXPECT_EQ(program_.walk(program_.next(), 1, 6), Counts(6, 0));
}

// ---- learning from earlier runs

class RunsOf : public PrefetchWindows {
protected:
    /// Touches runs of `length` pages, far from each other. Returns how many pages were prefetched in the last hundred
    /// runs.
    std::uint32_t run(std::uint64_t length, std::uint64_t runs) {
        std::uint32_t pages = 0;
        for (std::uint64_t i = 0; i < runs; ++i) {
            program_.forget_pages();
            for (std::uint64_t page = 0; page < length; ++page) {
                const std::uint32_t count = program_.touch((i * 7919) % 1000 * 1000 + page);
                if (i + 100 >= runs) pages += count;
            }
        }
        return pages;
    }
};

TEST_F(RunsOf, ManyPagesMakeFirstWindowsLonger) {
    run(16, 500);
    EXPECT_EQ(program_.touch(999'000), 0U);
    EXPECT_GE(program_.touch(999'001), PrefetchStreams::kShortestWithTripwire);
    EXPECT_EQ(program_.last_window().tripwire, PrefetchWindow::kNoPage) << "most runs end in their first window";
}

TEST_F(RunsOf, ManyPagesDoNotMakeFirstZeroWindowsLonger) {
    run(16, 500);
    program_.touch_as(Kind::first_touch);
    EXPECT_EQ(program_.walk(999'000, 1, 4), (Counts{0, 0, 2, 4}));
}

TEST_F(RunsOf, FewPagesMakeFirstWindowsShorter) {
    run(16, 500);
    run(3, 500);
    EXPECT_EQ(program_.touch(999'000), 0U);
    EXPECT_LE(program_.touch(999'001), PrefetchStreams::kShortestWindow);
}

TEST_F(RunsOf, TwoPagesPrefetchNothingInTheEnd) {
    EXPECT_GT(run(2, 100), 0U);
    EXPECT_EQ(run(2, 1000), 0U);
}

TEST_F(RunsOf, TwoPagesDelayLaterWalksByOneFaultAndNotForLong) {
    run(2, 1000);
    EXPECT_EQ(program_.walk(999'000, 1, 4), (Counts{0, 0, 2, 4}));
    run(30, 20);
    EXPECT_EQ(program_.touch(998'000), 0U);
    EXPECT_GE(program_.touch(998'001), 2U);
}

// ---- the window as a value

std::set<std::uint64_t> pages_by_masks(const PrefetchWindow& window, std::uint64_t base) {
    std::set<std::uint64_t> pages;
    for (; base < window.lowest() + window.span(); base += 64) {
        for (std::uint64_t mask = window.mask_from(base); mask != 0; mask &= mask - 1) {
            pages.insert(base + static_cast<std::uint64_t>(std::countr_zero(mask)));
        }
    }
    return pages;
}

TEST(PrefetchWindow, IsCoveredByMasksOfSixtyFourPages) {
    for (const std::int32_t stride : {-64, -63, -5, -1, 1, 2, 5, 63, 64}) {
        for (const std::uint32_t count : {1U, 2U, 31U, 63U, 64U, 65U, 256U}) {
            const PrefetchWindow window{page_number(3, 100'000), count, stride};
            std::set<std::uint64_t> pages;
            for (std::uint32_t place = 0; place < count; ++place) pages.insert(window.page(place));
            EXPECT_EQ(*pages.begin(), window.lowest());
            EXPECT_EQ(*pages.rbegin(), window.lowest() + window.span() - 1);
            for (std::uint64_t before = 0; before < 130; ++before) {
                ASSERT_EQ(pages_by_masks(window, window.lowest() - before), pages) << "stride " << stride;
            }
        }
    }
}

TEST(PrefetchWindow, HasNoPagesInMasksFarAway) {
    const PrefetchWindow window{page_number(3, 100'000), 4, 64};
    for (const std::uint64_t base : {std::uint64_t{0}, ~std::uint64_t{0}, page_number(2, 100'000), window.page(4)}) {
        EXPECT_EQ(window.mask_from(base), 0U);
    }
    EXPECT_EQ(PrefetchWindow{}.mask_from(0), 0U);
    EXPECT_EQ(PrefetchWindow{}.span(), 0U);
}

TEST(PrefetchWindow, SplitsIntoItsFrontAndTheRest) {
    for (const std::int32_t stride : {-3, -1, 1, 3}) {
        const PrefetchWindow window{page_number(1, 1000), 10, stride};
        for (const std::uint32_t most : {0U, 1U, 4U, 10U, 11U}) {
            const PrefetchWindow front = window.front(most);
            const PrefetchWindow rest = window.without_front(most);
            ASSERT_EQ(front.count + rest.count, window.count);
            for (std::uint32_t place = 0; place < window.count; ++place) {
                EXPECT_EQ(place < front.count ? front.page(place) : rest.page(place - front.count), window.page(place));
            }
        }
    }
}

TEST(PrefetchWindow, ContinuesThePageBeforeItsFirst) {
    const PrefetchWindow window{page_number(1, 1000), 10, -3};
    EXPECT_TRUE(window.continues(page_number(1, 1003)));
    EXPECT_FALSE(window.continues(page_number(1, 997)));
    EXPECT_FALSE(window.continues(page_number(1, 1004)));
    EXPECT_FALSE(PrefetchWindow{}.continues(PrefetchWindow{}.first - 1)) << "empty";
}

TEST(PrefetchWindow, StartsAMaskInItsMiddle) {
    const PrefetchWindow window{page_number(1, 0), 10, 5};
    EXPECT_EQ(window.mask_from(page_number(1, 11)),
              (1ULL << 4) | (1ULL << 9) | (1ULL << 14) | (1ULL << 19) | (1ULL << 24) | (1ULL << 29) | (1ULL << 34));
}

}  // namespace
}  // namespace faultline::test
