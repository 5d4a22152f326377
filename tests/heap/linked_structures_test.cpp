// Linked structures in the heap, several times as large as its memory, while their pages are evicted and read back: no
// link and no value may be lost. FAULTLINE_HEAP_STEPS=1000000 makes it long, FAULTLINE_TEST_SEED repeats a run.
#include "heap/heap_support.hpp"
#include "support/accessed_bits.hpp"
#include "support/linked_table.hpp"

#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::uint32_t kKeys = 16384;  // 2.5 MiB of nodes and values at the peak

struct Shape {
    Delivery delivery;
    Eviction eviction;
    unsigned threads;
};

std::string name_of(const testing::TestParamInfo<Shape>& one) {
    return std::string(name(one.param.delivery)) + "_" + name(one.param.eviction) + "_" +
           std::to_string(one.param.threads) + (one.param.threads == 1 ? "_thread" : "_threads");
}

unsigned seed_of_test() {
    const char* const given = std::getenv("FAULTLINE_TEST_SEED");
    return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

int steps_of_test() {
    const char* const wanted = std::getenv("FAULTLINE_HEAP_STEPS");
    return wanted != nullptr ? std::stoi(wanted) : 8000;  // fewer would fit into memory
}

class LinkedStructures : public testing::TestWithParam<Shape> {};

TEST_P(LinkedStructures, KeepEveryLinkAndValueWhilePagesAreEvictedAndReadBack) {
    const Watchdog watchdog;
    const auto [delivery, eviction, threads] = GetParam();
    Config pager_config = heap_config(kMiB, delivery);
    pager_config.eviction = eviction;
    pager_config.background_evictor = true;
#ifndef __SANITIZE_THREAD__  // which does not see that a read ends after it has begun: the kernel orders them
    pager_config.read_ahead = true;
#endif
    FAULTLINE_PAGER_OR_SKIP(pager, pager_config);
    HeapConfig config = small_reservation();
    config.large_threshold = 64 * kKiB;  // so that the buckets are a large block, which grows by moving its pages
    Heap heap{pager, config};
    const unsigned seed = seed_of_test();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    void* const first = heap.allocate(16);
    const AccessedBitsClearer disturbance{first, 4 * kMiB};

    std::vector<std::unique_ptr<LinkedTable>> tables;
    for (unsigned i = 0; i < threads; ++i) {
        tables.push_back(std::make_unique<LinkedTable>(heap, kKeys, seed + i));
    }
    std::vector<std::string> losses(threads);
    for (unsigned round = 0; round < 4; ++round) {
        run_threads(threads, [&, owners = threads](unsigned thread) {
            std::mt19937 random{seed + round * 16 + thread};
            // In each round another thread owns the table, and frees what the previous one has allocated.
            LinkedTable& table = *tables[(thread + round) % owners];
            try {
                change_table(table, round % 2 == 0, steps_of_test() / static_cast<int>(owners), random);
                table.check_all();
            } catch (const LostBlock& lost) {
                losses[thread] = lost.what();
            }
        });
        for (const std::string& loss : losses) ASSERT_EQ(loss, "") << "in round " << round;
    }
    tables.clear();
    heap.deallocate(first);
    EXPECT_GT(heap.stats().paging.evictions, 0U);
    EXPECT_EQ(heap.stats().live_blocks, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Deliveries, LinkedStructures,
    testing::Values(Shape{Delivery::uffd_signal, Eviction::move, 1}, Shape{Delivery::uffd_signal, Eviction::move, 3},
                    Shape{Delivery::uffd_signal, Eviction::copy, 3}, Shape{Delivery::uffd_threads, Eviction::move, 1},
                    Shape{Delivery::uffd_threads, Eviction::move, 3}, Shape{Delivery::sigsegv, Eviction::automatic, 3}),
    name_of);

}  // namespace
}  // namespace faultline::test
