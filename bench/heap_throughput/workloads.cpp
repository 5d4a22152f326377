#include "heap_throughput/workloads.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

/// xorshift64*, so that the generator costs little of what is measured.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_{seed * 2 + 1} {}
    std::uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return (state_ * 0x2545'f491'4f6c'dd1dU) >> 16;
    }
    std::uint64_t below(std::uint64_t end) { return next() % end; }

private:
    std::uint64_t state_;
};

/// Mostly small blocks, as in real programs: half below 64 bytes, one in a hundred of some KiB.
std::size_t mixed_size(Random& random) {
    const std::uint64_t choice = random.below(100);
    if (choice < 50) return 8 + random.below(56);
    if (choice < 85) return 64 + random.below(192);
    if (choice < 99) return 256 + random.below(768);
    return 1024 + random.below(7168);
}

void* checked(void* block) {
    if (block == nullptr) throw std::runtime_error("an allocator has no memory left");
    return block;
}

/// Writes to a block as the least that a program does with it.
void use(void* block, std::size_t bytes) {
    auto* const at = static_cast<volatile char*>(block);
    at[0] = 1;
    at[bytes - 1] = 1;
}

/// Runs `body(thread, stop)` on several threads for a time, and returns the sum of their results.
std::uint64_t on_threads(unsigned threads, double seconds,
                         const std::function<std::uint64_t(unsigned, const std::atomic<bool>&)>& body) {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> sum{0};
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) running.emplace_back([&, i] { sum += body(i, stop); });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop = true;
    for (std::thread& thread : running) thread.join();
    return sum;
}

std::uint64_t pairs(const Allocator& allocator, double seconds, unsigned) {
    return on_threads(1, seconds, [&](unsigned, const std::atomic<bool>& stop) {
        std::uint64_t done = 0;
        for (; !stop.load(std::memory_order_relaxed); done += 2) {
            void* const block = checked(allocator.allocate(allocator.context, 16 + done % 64));
            use(block, 16);
            allocator.deallocate(allocator.context, block);
        }
        return done;
    });
}

std::uint64_t exchange(const Allocator& allocator, double seconds, unsigned threads, std::size_t slots,
                       std::size_t (*size)(Random&), void (*touch)(void*, std::size_t)) {
    return on_threads(threads, seconds, [&](unsigned thread, const std::atomic<bool>& stop) {
        Random random{thread + 1};
        std::vector<void*> blocks(slots);
        std::uint64_t done = 0;
        while (!stop.load(std::memory_order_relaxed)) {
            void*& slot = blocks[random.below(slots)];
            if (slot != nullptr) {
                allocator.deallocate(allocator.context, slot);
                ++done;
            }
            const std::size_t bytes = size(random);
            slot = checked(allocator.allocate(allocator.context, bytes));
            touch(slot, bytes);
            ++done;
        }
        for (void* block : blocks) allocator.deallocate(allocator.context, block);
        return done;
    });
}

std::uint64_t small_mixed(const Allocator& allocator, double seconds, unsigned) {
    return exchange(allocator, seconds, 1, 10'000, &mixed_size, &use);
}
std::uint64_t small_mixed_threads(const Allocator& allocator, double seconds, unsigned threads) {
    return exchange(allocator, seconds, threads, 10'000, &mixed_size, &use);
}
std::uint64_t medium(const Allocator& allocator, double seconds, unsigned threads) {
    return exchange(
        allocator, seconds, threads, 500, [](Random& random) { return std::size_t{2048} + random.below(62 * 1024); },
        [](void* block, std::size_t bytes) { std::memset(block, 1, bytes); });
}
std::uint64_t large(const Allocator& allocator, double seconds, unsigned threads) {
    return exchange(
        allocator, seconds, threads, 20,
        [](Random& random) { return (std::size_t{128} << 10) + random.below(std::size_t{2} << 20); },
        [](void* block, std::size_t bytes) { std::memset(block, 1, bytes); });
}

/// A queue of batches between two threads.
class Channel {
public:
    static constexpr std::size_t kBatch = 64;
    using Batch = std::array<void*, kBatch>;

    bool put(const Batch& batch) {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == batches_.size()) return false;
        batches_[head % batches_.size()] = batch;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    bool get(Batch& batch) {
        const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
        if (tail == head_.load(std::memory_order_acquire)) return false;
        batch = batches_[tail % batches_.size()];
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

private:
    alignas(64) std::atomic<std::uint64_t> head_{0};
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    std::array<Batch, 64> batches_{};
};

std::uint64_t producer_consumer(const Allocator& allocator, double seconds, unsigned) {
    Channel channel;
    std::atomic<bool> produced{false};
    return on_threads(2, seconds, [&](unsigned thread, const std::atomic<bool>& stop) {
        std::uint64_t done = 0;
        Channel::Batch batch{};
        if (thread == 1) {
            const auto drain = [&] {
                bool any = false;
                for (; channel.get(batch); any = true, done += batch.size()) {
                    for (void* block : batch) allocator.deallocate(allocator.context, block);
                }
                return any;
            };
            while (!produced.load()) {
                if (!drain()) std::this_thread::yield();
            }
            drain();
            return done;
        }
        Random random{7};
        while (!stop.load(std::memory_order_relaxed)) {
            for (void*& block : batch) {
                const std::size_t bytes = 32 + random.below(480);
                block = checked(allocator.allocate(allocator.context, bytes));
                use(block, bytes);
            }
            done += batch.size();
            while (!channel.put(batch)) std::this_thread::yield();
        }
        produced = true;
        return done;
    });
}

/// Arrays that grow by half until they have some MiB, several at a time.
std::uint64_t growing(const Allocator& allocator, double seconds, unsigned threads) {
    return on_threads(threads, seconds, [&](unsigned thread, const std::atomic<bool>& stop) {
        struct Array {
            void* block = nullptr;
            std::size_t bytes = 0;
        };
        Random random{thread + 1};
        std::array<Array, 8> arrays{};
        std::uint64_t done = 0;
        while (!stop.load(std::memory_order_relaxed)) {
            Array& one = arrays[random.below(arrays.size())];
            if (one.bytes > std::size_t{4} << 20) {
                allocator.deallocate(allocator.context, one.block);
                one = {};
            }
            const std::size_t had = one.bytes;
            one.bytes = had == 0 ? 64 : had + had / 2;
            one.block = checked(allocator.reallocate(allocator.context, one.block, one.bytes));
            std::memset(static_cast<char*>(one.block) + had, 1, one.bytes - had);
            ++done;
        }
        for (const Array& one : arrays) allocator.deallocate(allocator.context, one.block);
        return done;
    });
}

constexpr Workload kWorkloads[] = {
    {"pairs", "allocate and free 16 to 80 bytes", &pairs},
    {"small", "10,000 blocks of mixed sizes, one exchanged at a time", &small_mixed},
    {"small_threads", "the same by several threads", &small_mixed_threads},
    {"handed_over", "allocated by one thread, freed by another", &producer_consumer},
    {"medium", "500 blocks of 2 to 64 KiB, filled", &medium},
    {"growing", "arrays that grow by half to 4 MiB", &growing},
    {"large", "20 blocks of 128 KiB to 2 MiB, filled", &large},
};

}  // namespace

std::span<const Workload> workloads() { return kWorkloads; }

}  // namespace bench
