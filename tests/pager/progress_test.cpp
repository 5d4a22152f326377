// With the smallest limit, any number of threads execute their instructions, also those that need several pages at
// once. The watchdog turns a hang into a failure; nothing else here depends on time.

#include "pager_fixture.hpp"

#include <cstdint>
#include <cstring>
#include <vector>

namespace faultline::test {
namespace {

class Progress : public VariantTest {
protected:
    static constexpr unsigned kThreads = 16;
    static constexpr std::size_t kPages = 64;

    [[nodiscard]] Pager smallest_pager() const {
        return Pager{config_for(GetParam(), Pager::kMinimumPages * GetParam().page_size)};
    }
    [[nodiscard]] Region region_of(Pager& pager) const {
        return pager.reserve(kPages * GetParam().page_size, {GetParam().page_size});
    }
    [[nodiscard]] int rounds() const { return GetParam().page_size == kBasePageBytes ? 5 : 4; }
};

/// Executes one instruction that reads and writes eight bytes, half of them on the next page.
void add_one_across(std::byte* at) { asm volatile("addq $1, (%0)" : : "r"(at) : "memory", "cc"); }

/// Executes one instruction that copies eight bytes from one page boundary to another.
void copy_across(std::byte* to, const std::byte* from) { asm volatile("movsq" : "+D"(to), "+S"(from) : : "memory"); }

TEST_P(Progress, ThreadsStraddlingPageBoundariesAllFinishWithTheFewestFrames) {
    const Watchdog watchdog;
    Pager pager = smallest_pager();
    Region region = region_of(pager);
    std::vector<std::uint64_t> expected(kPages);  // by boundary; each thread has its own
    run_threads(kThreads, [&](unsigned thread) {
        for (int i = 0; i < rounds(); ++i) {
            for (std::size_t boundary = thread + 1; boundary < kPages; boundary += kThreads) {
                add_one_across(region.data() + boundary * region.page_size() - 4);
                ++expected[boundary];
            }
        }
    });
    for (std::size_t boundary = 1; boundary < kPages; ++boundary) {
        EXPECT_EQ(load_word(region.data() + boundary * region.page_size() - 4), expected[boundary]) << boundary;
    }
}

TEST_P(Progress, ThreadsAtTheSameBoundaryAllFinishWithTheFewestFrames) {
    const Watchdog watchdog;
    Pager pager = smallest_pager();
    Region region = region_of(pager);
    std::byte* const boundary = region.data() + region.page_size() - 4;
    store_word(boundary, 0x0123'4567'89ab'cdefU);
    run_threads(kThreads, [&](unsigned thread) {
        for (int i = 0; i < rounds(); ++i) {
            EXPECT_EQ(load_word(boundary), 0x0123'4567'89ab'cdefU);
            store_word(region.data() + (2 + thread) * region.page_size(), 1);  // evicts the others
        }
    });
}

TEST_P(Progress, OneInstructionThatNeedsFourPagesFinishesOnEveryThread) {
    const Watchdog watchdog;
    Pager pager = smallest_pager();
    Region source = region_of(pager);
    Region target = region_of(pager);
    const std::size_t page_size = source.page_size();
    for (std::size_t boundary = 1; boundary < kPages; ++boundary) {
        store_word(source.data() + boundary * page_size - 4, stamp(boundary));
    }
    run_threads(kThreads, [&](unsigned thread) {
        for (int i = 0; i < rounds() / 4; ++i) {
            for (std::size_t boundary = thread + 1; boundary < kPages; boundary += kThreads) {
                copy_across(target.data() + (kPages - boundary) * page_size - 4,
                            source.data() + boundary * page_size - 4);
            }
        }
    });
    for (std::size_t boundary = 1; boundary < kPages; ++boundary) {
        EXPECT_EQ(load_word(target.data() + (kPages - boundary) * page_size - 4), stamp(boundary)) << boundary;
    }
}

TEST_P(Progress, ThreadsCopyingBetweenRegionsAllFinishWithTheFewestFrames) {
    const Watchdog watchdog;
    Pager pager = smallest_pager();
    Region source = region_of(pager);
    Region target = region_of(pager);
    const std::size_t page_size = source.page_size();
    for (std::size_t page = 0; page < kPages; ++page) {
        write_stamps(source.data() + page * page_size, page_size, stamp(page));
    }
    // Each thread copies its own part, shifted by some bytes so that source and target have different alignments.
    const std::size_t part = kPages / kThreads * page_size;
    const std::size_t shift = 24;
    run_threads(kThreads, [&](unsigned thread) {
        const std::size_t from = thread * part;
        std::memcpy(target.data() + from + shift, source.data() + from, part - shift);
    });
    for (unsigned thread = 0; thread < kThreads; ++thread) {
        for (std::size_t at = thread * part; at + 8 <= (thread + 1) * part - shift; at += page_size) {
            ASSERT_EQ(load_word(target.data() + at + shift), load_word(source.data() + at)) << "offset " << at;
        }
    }
}

TEST_P(Progress, PinsUpToTheLastPageAllowedLeaveEnoughForEveryThread) {
    const Watchdog watchdog;
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), (Pager::kMinimumPages + 4) * page_size)};
    Region region = region_of(pager);
    const Pin pin = region.pin(region.data(), 4 * page_size);
    std::vector<std::uint64_t> expected(kPages);
    run_threads(kThreads, [&](unsigned thread) {
        for (int i = 0; i < rounds(); ++i) {
            for (std::size_t boundary = thread + 5; boundary < kPages; boundary += kThreads) {
                add_one_across(region.data() + boundary * page_size - 4);
                ++expected[boundary];
            }
        }
    });
    for (std::size_t boundary = 5; boundary < kPages; ++boundary) {
        EXPECT_EQ(load_word(region.data() + boundary * page_size - 4), expected[boundary]) << boundary;
    }
}

INSTANTIATE_TEST_SUITE_P(
    matrix, Progress, ::testing::ValuesIn([] {
        std::vector<Variant> all = deliveries_and_evictions();
        const auto fifo = deliveries_and_evictions(Replacement::fifo);
        all.insert(all.end(), fifo.begin(), fifo.end());
        all.push_back({Delivery::uffd_signal, Eviction::move, Replacement::second_chance, std::size_t{64} << 10});
        return all;
    }()),
    VariantName{});

}  // namespace
}  // namespace faultline::test
