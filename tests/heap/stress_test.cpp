// After mimalloc's test-stress: threads allocate blocks of random sizes, write cookies into them, check and free them,
// and pass some to each other. It runs in rounds with new threads, in much less memory than the blocks take.
// FAULTLINE_HEAP_STEPS=1000000 makes it long, FAULTLINE_TEST_SEED repeats a run.
#include "heap/heap_support.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>

namespace faultline::test {
namespace {

constexpr std::size_t kHanded = 512;

class Stress : public testing::TestWithParam<Delivery> {};

struct Object {
    std::uint64_t words;
    std::uint64_t cookie[1];
};

class Worker {
public:
    Worker(Heap& heap, std::array<std::atomic<Object*>, kHanded>& handed, std::uint32_t seed)
        : heap_{heap}, handed_{handed}, random_{seed} {}

    void work(int steps) {
        std::vector<Object*> mine;
        std::vector<Object*> kept;
        for (int step = 0; step < steps; ++step) {
            const auto choice = random_() % 100;
            if (choice < 45) {
                mine.push_back(make());
            } else if (choice < 55) {
                kept.push_back(make());
            } else if (choice < 85 && !mine.empty()) {
                const std::size_t index = random_() % mine.size();
                drop(std::exchange(mine[index], mine.back()));
                mine.pop_back();
            } else if (choice < 90 && !kept.empty()) {
                Object*& one = kept[random_() % kept.size()];
                one = resized(one);
            } else if (!mine.empty()) {
                Object* const theirs = handed_[random_() % kHanded].exchange(mine.back());
                mine.pop_back();
                if (theirs != nullptr) mine.push_back(theirs);
            }
        }
        for (Object* const one : mine) drop(one);
        for (Object* const one : kept) drop(one);
    }

    void drop(Object* object) {
        if (object == nullptr) return;
        check(*object);
        heap_.deallocate(object);
    }

private:
    [[nodiscard]] std::uint64_t random_words() {
        const auto choice = random_() % 1000;
        if (choice < 5) return 20'000 + random_() % 40'000;  // large
        if (choice < 40) return 500 + random_() % 6000;
        return 2 + random_() % 100;
    }
    [[nodiscard]] static std::uint64_t cookie(std::uint64_t words, std::uint64_t index) { return stamp(index, words); }
    [[nodiscard]] Object* make() {
        const std::uint64_t words = random_words();
        auto* const object = static_cast<Object*>(random_() % 8 == 0 ? heap_.try_allocate_zeroed(words, 8)
                                                                     : heap_.try_allocate(words * 8));
        if (object != nullptr) sign(*object, words);
        return object;
    }
    [[nodiscard]] Object* resized(Object* object) {
        if (object == nullptr) return nullptr;
        check(*object);
        const std::uint64_t words = random_words();
        auto* const moved = static_cast<Object*>(heap_.try_reallocate(object, words * 8));
        if (moved == nullptr) return object;
        sign(*moved, words);
        return moved;
    }
    // Checks every 61st word: several on each page, and the test stays fast.
    static void sign(Object& object, std::uint64_t words) {
        object.words = words;
        for (std::uint64_t i = 0; i < words - 1; i += 61) object.cookie[i] = cookie(words, i);
    }
    static void check(const Object& object) {
        for (std::uint64_t i = 0; i < object.words - 1; i += 61) {
            ASSERT_EQ(object.cookie[i], cookie(object.words, i)) << "word " << i << " of " << object.words;
        }
    }

    Heap& heap_;
    std::array<std::atomic<Object*>, kHanded>& handed_;
    std::mt19937 random_;
};

TEST_P(Stress, EveryCookieIsIntactAndNoBlockIsLeft) {
    const Watchdog watchdog;
    Config pager_config = heap_config(kMiB, GetParam());
    pager_config.background_evictor = true;
#ifndef __SANITIZE_THREAD__  // which does not see that a read ends after it has begun: the kernel orders them
    pager_config.read_ahead = true;
#endif
    FAULTLINE_PAGER_OR_SKIP(pager, pager_config);
    HeapOptions config = small_reservation();
    config.dead_bytes_kept = 512 * kKiB;
    Heap heap{pager, config};
    const char* const given = std::getenv("FAULTLINE_TEST_SEED");
    const unsigned seed = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const char* const wanted = std::getenv("FAULTLINE_HEAP_STEPS");
    const int steps = wanted != nullptr ? std::stoi(wanted) : kSanitized ? 300 : 700;
    std::array<std::atomic<Object*>, kHanded> handed{};
    // How much the threads hold at once depends on chance and the scheduler; these blocks alone are twice the limit.
    constexpr std::size_t kBallast = 2 * kMiB;
    void* const ballast = heap.allocate(kBallast);
    fill(ballast, kBallast, seed);
    for (unsigned round = 0; round < 2; ++round) {
        run_threads(3, [&](unsigned thread) { Worker{heap, handed, seed + round * 16 + thread}.work(steps); });
        if (round == 0) heap.trim();
    }
    Worker last{heap, handed, seed};
    for (auto& object : handed) last.drop(object.exchange(nullptr));
    EXPECT_TRUE(holds(ballast, kBallast, seed));
    heap.deallocate(ballast);
    heap.trim();
    const HeapStats stats = heap.stats();
    EXPECT_GT(stats.paging.evictions, 0U);
    EXPECT_EQ(stats.live_blocks, 0U);
    EXPECT_EQ(stats.free_in_spans, 0U);
    EXPECT_EQ(stats.break_bytes, 0U);
    EXPECT_EQ(stats.mapping_bytes, 0U);
    EXPECT_EQ(stats.paging.resident_bytes + stats.paging.staged_bytes + stats.paging.swapped_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, Stress,
                         testing::Values(Delivery::uffd_signal, Delivery::uffd_threads, Delivery::sigsegv),
                         [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace faultline::test
