// The purpose of prefetching: pages cost less. Walks through stored pages, at least four times as many as there are
// frames, under the cost model of prefetch_simulator.hpp. Each test prints its costs; only their order must hold.
#include "policy/prefetch_simulator.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

namespace faultline::test {
namespace {

using PageTrace = PrefetchSimulator::Trace;

constexpr std::uint32_t kTracedPages = 16'384;
constexpr std::size_t kTouches = 60'000;
constexpr std::uint64_t kSeed = 3;

PrefetchResult without_prefetch(const PageTrace& trace, std::size_t frames) {
    const auto nothing = [](const auto&, const auto&) { return policy::PrefetchWindow{}; };
    return PrefetchSimulator{kTracedPages, frames, TripwireRead::by_the_faulting_thread, nothing}.run(trace);
}

PrefetchResult with_streams(const PageTrace& trace, std::size_t frames, TripwireRead tripwire_read) {
    policy::PrefetchStreams streams;
    const auto ask = [&](const auto& fault, const auto& bounds) { return streams.on_fault(fault, bounds); };
    return PrefetchSimulator{kTracedPages, frames, tripwire_read, ask}.run(trace);
}

PageTrace strided(std::int64_t stride) {
    PageTrace trace;
    std::int64_t page = 0;
    std::int64_t pass = 0;  // each pass takes the pages that the ones before skipped
    while (trace.size() < kTouches) {
        trace.push_back(static_cast<std::uint32_t>(stride > 0 ? page : kTracedPages - 1 + page));
        page += stride;
        if (page >= kTracedPages || page <= -std::int64_t{kTracedPages}) page = ++pass % stride;
    }
    return trace;
}

PageTrace four_walks() {
    std::mt19937_64 random{kSeed};
    std::uint32_t next[] = {0, kTracedPages / 4, kTracedPages / 2, 3 * kTracedPages / 4};
    PageTrace trace(kTouches);
    for (std::uint32_t& page : trace) {
        std::uint32_t& walk = next[random() % 4];
        page = walk;
        walk = (walk + 1) % kTracedPages;
    }
    return trace;
}

/// Runs of `shortest` to `longest` pages at random multiples of `shortest`; half of them at a few fixed addresses.
PageTrace runs(std::uint32_t shortest, std::uint32_t longest, std::uint32_t places) {
    std::mt19937_64 random{kSeed};
    PageTrace trace;
    while (trace.size() < kTouches) {
        const std::uint64_t place = random() % 2 == 0 ? random() % places : random() % (kTracedPages / shortest);
        const std::uint64_t length = shortest + random() % (longest - shortest + 1);
        for (std::uint64_t page = 0; page < length; ++page) {
            trace.push_back(static_cast<std::uint32_t>((place * shortest + page) % kTracedPages));
        }
    }
    return trace;
}

/// A walk that sometimes skips up to three pages.
PageTrace walk_with_holes() {
    std::mt19937_64 random{kSeed};
    PageTrace trace;
    for (std::uint64_t page = 0; trace.size() < kTouches; page += random() % 5 != 0 ? 1 : 2 + random() % 3) {
        trace.push_back(static_cast<std::uint32_t>(page % kTracedPages));
    }
    return trace;
}

/// Alternates between the pages of a walk and random pages.
PageTrace walk_in_noise() {
    std::mt19937_64 random{kSeed};
    PageTrace trace(kTouches);
    for (std::uint32_t i = 0; i < kTouches; ++i) {
        trace[i] = i % 2 == 0 ? i / 2 % kTracedPages : static_cast<std::uint32_t>(random() % kTracedPages);
    }
    return trace;
}

struct Workload {
    const char* name;
    PageTrace (*trace)();
    double at_most;  // relative to the cost without prefetching
    std::size_t frames = 2048;
};

constexpr Workload kWorkloads[] = {
    {"forward", [] { return strided(1); }, 0.1},
    {"backward", [] { return strided(-1); }, 0.1},
    {"stride_5", [] { return strided(5); }, 0.2},
    {"four_walks", four_walks, 0.1},
    {"forward_in_64_frames", [] { return strided(1); }, 0.2, 64},
    {"four_walks_in_64_frames", four_walks, 0.5, 64},
    {"walk_with_holes", walk_with_holes, 0.2},
    {"walk_in_noise", walk_in_noise, 0.6},
    {"runs_of_1_to_16", [] { return runs(1, 16, kTracedPages); }, 0.5},
    {"runs_of_1_to_4", [] { return runs(1, 4, kTracedPages); }, 0.9},
    {"runs_of_2_where_half_hit_memory", [] { return runs(2, 2, 500); }, 1.02},
    {"single_pages", [] { return runs(1, 1, kTracedPages); }, 1.01},
    {"single_pages_where_half_hit_memory", [] { return runs(1, 1, 1000); }, 1.01},
};

class PrefetchCost : public testing::TestWithParam<Workload> {};

TEST_P(PrefetchCost, StaysWithinTheWorkloadsBound) {
    const Workload& workload = GetParam();
    RecordProperty("seed", std::to_string(kSeed));
    const PageTrace trace = workload.trace();
    const PrefetchResult none = without_prefetch(trace, workload.frames);
    const PrefetchResult waiting = with_streams(trace, workload.frames, TripwireRead::by_the_faulting_thread);
    const PrefetchResult going_on = with_streams(trace, workload.frames, TripwireRead::while_the_program_goes_on);
    const double unused = waiting.came_along == 0
                              ? 0.0
                              : 100.0 * static_cast<double>(waiting.unused) / static_cast<double>(waiting.came_along);
    std::printf("%-36s us/page: %5.1f without, %5.1f with, %5.1f with reads in the background; %2.0f%% came unused\n",
                workload.name, none.microseconds, waiting.microseconds, going_on.microseconds, unused);
    EXPECT_LE(waiting.microseconds, workload.at_most * none.microseconds);
    EXPECT_LE(going_on.microseconds, workload.at_most * none.microseconds);
}

INSTANTIATE_TEST_SUITE_P(workloads, PrefetchCost, testing::ValuesIn(kWorkloads),
                         [](const auto& test) { return std::string{test.param.name}; });

}  // namespace
}  // namespace faultline::test
