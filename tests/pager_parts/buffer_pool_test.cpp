// BufferPool: a buffer has one holder, and every waiting thread gets one.
#include "pager/fault/buffer_pool.hpp"

#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using pager::BufferPool;
using Buffer = std::unique_ptr<BufferPool::Buffer>;

TEST(BufferPool, BuffersDoNotOverlap) {
    BufferPool pool;
    std::vector<Buffer> buffers;
    std::set<std::byte*> places;
    for (std::size_t i = 0; i < BufferPool::kBuffers; ++i) {
        buffers.push_back(std::make_unique<BufferPool::Buffer>(pool));
        EXPECT_EQ(buffers.back()->bytes().size(), BufferPool::kBufferBytes);
        places.insert(buffers.back()->bytes().data());
    }
    ASSERT_EQ(places.size(), BufferPool::kBuffers);
    for (auto place = places.begin(); std::next(place) != places.end(); ++place) {
        EXPECT_GE(*std::next(place) - *place, static_cast<std::ptrdiff_t>(BufferPool::kBufferBytes));
    }
}

TEST(BufferPool, HandsTheWarmestBufferOutFirst) {
    BufferPool pool;
    std::byte* first = nullptr;
    {
        const BufferPool::Buffer buffer{pool};
        first = buffer.bytes().data();
    }
    const BufferPool::Buffer again{pool};
    EXPECT_EQ(again.bytes().data(), first);
}

TEST(BufferPool, WhoeverComesTooManyGetsTheBufferThatIsGivenBack) {
    BufferPool pool;
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < BufferPool::kBuffers; ++i)
        buffers.push_back(std::make_unique<BufferPool::Buffer>(pool));
    for (std::size_t leaving : {0U, 17U, BufferPool::kBuffers - 1}) {
        std::byte* const place = buffers[leaving]->bytes().data();
        Buffer late;
        std::thread latecomer{[&] { late = std::make_unique<BufferPool::Buffer>(pool); }};
        buffers[leaving].reset();
        latecomer.join();
        EXPECT_EQ(late->bytes().data(), place);
        buffers[leaving] = std::move(late);
    }
}

/// Takes a buffer, writes a mark into it, and finds it unchanged.
bool is_alone_in_a_buffer(BufferPool& pool, unsigned thread) {
    const BufferPool::Buffer buffer{pool};
    const auto mark = static_cast<std::byte>(thread + 1);
    const std::span<std::byte> some = buffer.bytes().first(256);
    std::fill(some.begin(), some.end(), mark);
    return std::all_of(some.begin(), some.end(), [mark](std::byte byte) { return byte == mark; });
}

TEST(BufferPool, OneThreadMoreThanBuffersAllGetOn) {
    constexpr unsigned kThreads = BufferPool::kBuffers + 1;
    constexpr int kRounds = 1000;
    BufferPool pool;
    std::atomic<int> wrong{0};
    run_threads(kThreads, [&](unsigned thread) {
        for (int round = 0; round < kRounds; ++round) {
            if (!is_alone_in_a_buffer(pool, thread)) ++wrong;
        }
    });
    EXPECT_EQ(wrong, 0);
}

// All buffers but one are held for good, so all threads wait for the last.
TEST(BufferPool, ManyWaitersForOneBufferAllGetIt) {
    BufferPool pool;
    std::vector<Buffer> held;
    for (std::size_t i = 1; i < BufferPool::kBuffers; ++i) held.push_back(std::make_unique<BufferPool::Buffer>(pool));
    std::uint64_t turns = 0;  // guarded by holding the last buffer
    run_threads(12, [&](unsigned) {
        for (int round = 0; round < 2000; ++round) {
            const BufferPool::Buffer buffer{pool};
            ++turns;
            std::this_thread::yield();  // so that the other threads have to sleep
        }
    });
    EXPECT_EQ(turns, 24'000U);
}

}  // namespace
}  // namespace faultline::test
