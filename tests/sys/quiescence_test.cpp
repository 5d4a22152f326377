// sys::Quiescence: no writer frees what a reader may still hold, and readers never wait.
#include "sys/quiescence.hpp"

#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <thread>

namespace faultline::test {
namespace {

using sys::Quiescence;

TEST(Quiescence, WithoutReadersWaitsForNobody) {
    sys::Quiescence quiescence;
    for (int i = 0; i < 1000; ++i) quiescence.synchronize();
}

TEST(Quiescence, WaitsForAReaderThatSleeps) {
    sys::Quiescence quiescence;
    for (int round = 0; round < 50; ++round) {
        std::latch inside{1};
        std::latch may_leave{1};
        std::atomic<bool> leaving{false};
        std::thread reader{[&] {
            const sys::Quiescence::Reader reading{quiescence};
            inside.count_down();
            may_leave.wait();
            leaving.store(true);
        }};
        inside.wait();
        std::atomic<bool> synchronizing{false};
        std::thread writer{[&] {
            synchronizing.store(true);
            quiescence.synchronize();
            EXPECT_TRUE(leaving.load()) << "returned while the reader slept inside";
        }};
        while (!synchronizing.load()) std::this_thread::yield();
        for (int chance = 0; chance < 100; ++chance)
            std::this_thread::yield();  // gives a wrong implementation time to return too early
        may_leave.count_down();
        writer.join();
        reader.join();
    }
}

TEST(Quiescence, LetsReadersInAndOutWhileAWriterWaits) {
    sys::Quiescence quiescence;
    std::atomic<bool> synchronizing{false};
    std::thread writer;
    {
        const sys::Quiescence::Reader reading{quiescence};
        writer = std::thread{[&] {
            synchronizing.store(true);
            quiescence.synchronize();
        }};
        while (!synchronizing.load()) std::this_thread::yield();
        run_threads(4, [&](unsigned) {
            for (int i = 0; i < 10'000; ++i) const sys::Quiescence::Reader another{quiescence};
        });
    }
    writer.join();
}

TEST(Quiescence, AllowsReadersInsideReaders) {
    sys::Quiescence quiescence;
    {
        const sys::Quiescence::Reader outer{quiescence};
        const sys::Quiescence::Reader inner{quiescence};
    }
    quiescence.synchronize();
}

struct Node {
    std::uint64_t value;
    std::atomic<bool> freed{false};
};

TEST(Quiescence, NoReaderSeesWhatWasFreed) {
    constexpr std::uint64_t kNodes = 500;
    sys::Quiescence quiescence;
    std::atomic<Node*> current{new Node{0}};
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::atomic<int> reading{0};
    const auto read = [&] {
        reading.fetch_add(1);
        for (std::uint64_t last = 0; !done.load();) {
            const sys::Quiescence::Reader reader{quiescence};
            const Node* const node = current.load();
            const std::uint64_t value = node->value;
            if (value < last || node->freed.load()) ++wrong;
            last = value;
        }
    };
    const auto write = [&] {
        while (reading.load() < 3) std::this_thread::yield();
        for (std::uint64_t value = 1; value <= kNodes; ++value) {
            const std::unique_ptr<Node> old{current.exchange(new Node{value})};
            quiescence.synchronize();
            old->freed.store(true);
        }
        done.store(true);
    };
    run_threads(4, [&](unsigned thread) { thread == 0 ? write() : read(); });
    EXPECT_EQ(wrong, 0);
    const std::unique_ptr<Node> last{current.load()};
    EXPECT_EQ(last->value, kNodes);
}

TEST(Quiescence, ServesManyWriters) {
    sys::Quiescence quiescence;
    std::atomic<int> synchronized{0};
    run_threads(4, [&](unsigned thread) {
        for (int i = 0; i < 200; ++i) {
            if (thread % 2 == 0) {
                quiescence.synchronize();
                ++synchronized;
            } else {
                const sys::Quiescence::Reader reader{quiescence};
            }
        }
    });
    EXPECT_EQ(synchronized, 400);
}

}  // namespace
}  // namespace faultline::test
