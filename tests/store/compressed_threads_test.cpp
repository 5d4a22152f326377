// Many threads on one pool. Each has its own pages and knows what must be in them. Meanwhile other threads write,
// discard and read across them, segments are spilled, writes fail, and stores are opened and destroyed.
#include "store/compressed_fixture.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::CompressedPool;
using store::SequentialWriteQueue;

/// Spills like a background thread, and reads the pool's memory. Its destructor ends and joins the thread.
class Spiller {
public:
    explicit Spiller(CompressedPool& pool) : pool_{pool}, thread_{[this] { run(); }} {}
    ~Spiller() {
        stopping_.store(true);
        thread_.join();
    }
    Spiller(const Spiller&) = delete;
    Spiller& operator=(const Spiller&) = delete;

private:
    void run() {
        SequentialWriteQueue queue;
        while (!stopping_.load()) {
            // May fail in tests whose store behind fails.
            static_cast<void>(pool_.wants_spill() ? pool_.spill_some(queue) : pool_.spill_all(queue));
            EXPECT_LE(resident(), pool_.limit() + kSegment);
            std::this_thread::yield();
        }
    }
    std::size_t resident() {
        std::vector<unsigned char> units(pool_.memory().size() / core::kUnitBytes);
        EXPECT_EQ(::mincore(pool_.memory().data(), pool_.memory().size(), units.data()), 0);
        std::size_t count = 0;
        for (const unsigned char unit : units) count += unit & 1U;
        return count * core::kUnitBytes;
    }

    CompressedPool& pool_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

/// The pages of one thread: every `threads`-th, so that adjacent pages belong to other threads.
class Owner {
public:
    Owner(BackingStore& store, std::size_t page_bytes, std::uint64_t pages, unsigned id, unsigned threads,
          std::uint64_t seed)
        : store_{store},
          page_bytes_{page_bytes},
          pages_{pages},
          id_{id},
          threads_{threads},
          random_{seed + id},
          oracle_(pages / threads),
          range_(kMostInARange * page_bytes) {}

    void step() {
        const std::uint64_t mine = random_() % oracle_.size();
        switch (random_() % 8) {
            case 0:
                discard(mine);
                break;
            case 1:
            case 2:
            case 3:
                write(mine);
                break;
            case 4:
                read_across(mine);
                break;
            default:
                read(mine);
        }
    }
    void read_all() {
        for (std::uint64_t mine = 0; mine < oracle_.size(); ++mine) read(mine);
    }
    void discard_all() {
        for (std::uint64_t mine = 0; mine < oracle_.size(); ++mine) discard(mine);
    }

private:
    static constexpr std::uint64_t kMostInARange = 8;

    [[nodiscard]] std::uint64_t offset_of(std::uint64_t mine) const { return (mine * threads_ + id_) * page_bytes_; }

    void write(std::uint64_t mine) {
        const Contents contents{static_cast<Contents::Kind>(random_() % Contents::kKinds), random_()};
        const int error = store_.write(offset_of(mine), contents.bytes(page_bytes_));
        if (error == 0) {
            oracle_[mine] = contents;
        } else {
            EXPECT_EQ(error, ENOSPC);
            oracle_[mine].reset();
        }
    }
    void discard(std::uint64_t mine) {
        store_.discard(offset_of(mine), page_bytes_);
        oracle_[mine].reset();
    }
    void read(std::uint64_t mine) {
        if (!oracle_[mine]) return;
        const std::span<std::byte> bytes = std::span{range_}.first(page_bytes_);
        const int error = store_.read(offset_of(mine), bytes);
        EXPECT_EQ(error, 0);
        if (error == 0) expect(mine, bytes);
    }
    /// Also reads pages of other threads, whatever state they are in.
    void read_across(std::uint64_t mine) {
        if (!oracle_[mine]) return;
        const std::uint64_t page = mine * threads_ + id_;
        const std::uint64_t count = std::min(random_() % kMostInARange + 1, pages_ - page);
        const int error = store_.read(offset_of(mine), std::span{range_}.first(count * page_bytes_));
        if (error == 0)
            expect(mine, std::span{range_}.first(page_bytes_));
        else
            EXPECT_EQ(error, EIO) << "a neighbour whose write failed";
    }
    void expect(std::uint64_t mine, std::span<const std::byte> bytes) {
        const std::vector<std::byte> expected = oracle_[mine]->bytes(page_bytes_);
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end()))
            << "page " << mine * threads_ + id_;
    }

    BackingStore& store_;
    std::size_t page_bytes_;
    std::uint64_t pages_;
    unsigned id_;
    unsigned threads_;
    std::mt19937_64 random_;
    std::vector<std::optional<Contents>> oracle_;
    std::vector<std::byte> range_;
};

std::uint64_t printed_seed() {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    return seed;
}

class CompressedThreads : public testing::TestWithParam<std::tuple<std::size_t, std::size_t, unsigned>> {};

TEST_P(CompressedThreads, FindInTheirPagesWhatTheyWrote) {
    const auto [page_bytes, segments, fail_one_in] = GetParam();
    constexpr unsigned kThreads = 4;
    const std::uint64_t pages = page_bytes > 65536 ? 2 * kThreads : 64 * kThreads;
    const int steps = page_bytes > 65536 ? 20 : static_cast<int>(20'000'000 / (page_bytes + 4096));
    const std::uint64_t seed = printed_seed();
    CompressedFixture fixture{segments * kSegment, pages, page_bytes};
    fixture.behind().yields.store(2);
    fixture.behind().fail_one_write_in.store(fail_one_in);
    {
        const Spiller spiller{fixture.pool()};
        std::vector<std::thread> threads;
        for (unsigned id = 0; id < kThreads; ++id) {
            threads.emplace_back([&, id, page_size = page_bytes] {
                Owner owner{fixture.store(), page_size, pages, id, kThreads, seed};
                for (int i = 0; i < steps; ++i) owner.step();
                owner.read_all();
                owner.discard_all();
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    EXPECT_EQ(fixture.stats().compressed_bytes, 0U);
    EXPECT_EQ(fixture.stats().damaged, 0U);
    EXPECT_EQ(fixture.behind().units_held(), 0U) << "what was discarded came back";
    EXPECT_GT(fixture.stats().spills, 0U);
    EXPECT_LE(fixture.stats().used_bytes, kSegment) << "only the open segment may be left";
}

INSTANTIATE_TEST_SUITE_P(With, CompressedThreads,
                         testing::Combine(testing::Values(4096, 16384, 65536, 2097152), testing::Values(1, 2, 40),
                                          testing::Values(0U, 5U)),
                         [](const auto& instance) {
                             return std::to_string(std::get<0>(instance.param) >> 10) + "KiB_in_" +
                                    std::to_string(std::get<1>(instance.param)) + "_segments" +
                                    (std::get<2>(instance.param) == 0 ? "" : "_and_failures");
                         });

TEST(CompressedPool, StoresComeAndGoWhileOthersAreSpilled) {
    const std::uint64_t seed = printed_seed();
    constexpr std::uint64_t kPages = 64;
    CompressedPool pool{64 * kSegment, 2 * kSegment};
    {
        const Spiller spiller{pool};
        std::vector<std::thread> threads;
        for (unsigned id = 0; id < 3; ++id) {
            threads.emplace_back([&, id] {
                for (std::uint64_t round = 0; round < 100; ++round) {
                    const auto behind = std::make_shared<Behind>(kPages * core::kUnitBytes);
                    behind->yields.store(1);
                    store::CompressedStore store{pool, std::make_unique<MemoryBehind>(behind),
                                                 kPages * core::kUnitBytes, core::kUnitBytes};
                    Owner owner{store, core::kUnitBytes, kPages, 0, 1, seed + id * 1000 + round};
                    for (int i = 0; i < 100; ++i) owner.step();
                    owner.read_all();
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    EXPECT_EQ(pool.stats().compressed_bytes, 0U);
    EXPECT_LE(pool.stats().used_bytes, kSegment);
}

TEST(CompressedPool, TheLimitCanBeChangedWhileItIsUsed) {
    const std::uint64_t seed = printed_seed();
    constexpr unsigned kThreads = 3;
    constexpr std::uint64_t kPages = 256 * kThreads;
    CompressedFixture fixture{0, kPages};
    std::vector<std::thread> threads;
    std::atomic<unsigned> running{kThreads};
    for (unsigned id = 0; id < kThreads; ++id) {
        threads.emplace_back([&, id] {
            Owner owner{fixture.store(), core::kUnitBytes, kPages, id, kThreads, seed};
            for (int i = 0; i < 3000; ++i) owner.step();
            owner.read_all();
            running.fetch_sub(1);
        });
    }
    SequentialWriteQueue queue;
    for (std::size_t segments = 0; running.load() > 0; segments = (segments + 7) % 23) {
        fixture.pool().set_limit(segments * kSegment);
        EXPECT_EQ(fixture.pool().spill_some(queue), 0);
        std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    fixture.pool().set_limit(0);
    EXPECT_EQ(fixture.pool().spill_some(queue), 0);
    EXPECT_EQ(fixture.stats().used_bytes, 0U);
}

}  // namespace
}  // namespace faultline::test
