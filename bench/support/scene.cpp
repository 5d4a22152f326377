// The timing loop of every case of fault_latency.
#include "support/scene.hpp"

#include <algorithm>
#include <atomic>
#include <faultline/latency_histogram.hpp>
#include <thread>

#include "support/clock.hpp"
#include "support/random.hpp"

namespace bench {
namespace {

using Targets = std::span<std::byte* const>;

// What one thread measured in one batch.
struct Share {
    faultline::LatencyHistogram latency;
    std::uint64_t start = 0;  // ticks
    std::uint64_t end = 0;
};

template <typename Action>
void time_each(Targets targets, Share& share, Action action) {
    const TickScale& scale = TickScale::instance();
    share.start = ticks_after();
    for (std::byte* const target : targets) {
        const std::uint64_t before = ticks_before();
        action(target);
        share.latency.record(scale.nanoseconds(before, ticks_after()));
    }
    share.end = ticks_after();
}

void act_on(Act act, Scene& scene, Targets targets, Share& share) {
    const auto word = [](std::byte* target) { return reinterpret_cast<volatile std::uint64_t*>(target); };
    switch (act) {
        case Act::read:
            time_each(targets, share, [&](std::byte* target) { static_cast<void>(*word(target)); });
            break;
        case Act::write:
            // Not zero: pagers treat pages of zeros specially.
            time_each(targets, share, [&](std::byte* target) { *word(target) = 1; });
            break;
        case Act::perform:
            time_each(targets, share, [&](std::byte* target) { scene.perform(target); });
            break;
    }
}

// Returns part `index` of `parts`; the last part has the remainder.
Targets part_of(Targets targets, std::size_t index, std::size_t parts) {
    const std::size_t each = targets.size() / parts;
    return index + 1 == parts ? targets.subspan(index * each) : targets.subspan(index * each, each);
}

std::vector<Share> run_batch(Act act, Scene& scene, Targets targets, unsigned threads) {
    std::vector<Share> shares(threads);
    if (threads == 1) {
        act_on(act, scene, targets, shares[0]);
        return shares;
    }
    std::atomic<unsigned> ready{0};
    std::vector<std::jthread> workers;
    for (unsigned index = 0; index < threads; ++index) {
        workers.emplace_back([&, index] {
            // The threads start together: none begins while another is still being created. They yield while they wait,
            // because there may be more threads than CPUs.
            ready.fetch_add(1);
            while (ready.load() < threads) std::this_thread::yield();
            Share share;
            act_on(act, scene, part_of(targets, index, threads), share);
            shares[index] = share;
        });
    }
    workers.clear();  // joins
    return shares;
}

// Returns the time from the first thread's start to the last thread's end.
double batch_seconds(const std::vector<Share>& shares) {
    std::uint64_t start = shares[0].start;
    std::uint64_t end = shares[0].end;
    for (const Share& share : shares) {
        start = std::min(start, share.start);
        end = std::max(end, share.end);
    }
    return static_cast<double>(TickScale::instance().nanoseconds(start, end)) * 1e-9;
}

void run_case(benchmark::State& state, Act act, unsigned threads, const MakeScene& make) {
    try {
        const std::unique_ptr<Scene> scene = make();
        faultline::LatencyHistogram latency;
        Targets targets = scene->prepare();
        while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(targets.size()))) {
            const std::vector<Share> shares = run_batch(act, *scene, targets, threads);
            for (const Share& share : shares) latency.merge(share.latency);
            state.SetIterationTime(batch_seconds(shares));
            targets = scene->prepare();
        }
        state.SetItemsProcessed(state.iterations());
        state.counters["p50_us"] = static_cast<double>(latency.quantile(0.5)) * 1e-3;
        state.counters["p99_us"] = static_cast<double>(latency.quantile(0.99)) * 1e-3;
        scene->report(state, latency.count());
    } catch (const std::exception& error) {
        state.SkipWithError(error.what());
    }
}

}  // namespace

void register_case(const std::string& name, Act act, unsigned threads, MakeScene make) {
    const auto run = [act, threads, make = std::move(make)](benchmark::State& state) {
        run_case(state, act, threads, make);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

void register_for_threads(const std::string& name, Act act, const MakeScene& make) {
    for (const unsigned threads : {1U, 2U}) {
        register_case(name + "/threads:" + std::to_string(threads), act, threads, make);
    }
}

std::vector<std::byte*> page_addresses(std::byte* first, std::size_t pages, std::size_t page_bytes, Order order) {
    const Shuffle shuffle{pages};
    std::vector<std::byte*> addresses(pages);
    for (std::size_t i = 0; i < pages; ++i) {
        addresses[i] = first + (order == Order::random ? shuffle(i) : i) * page_bytes;
    }
    return addresses;
}

}  // namespace bench
