// A write and a punch of the same unit; each is interrupted by the other after each of its instructions in turn. The
// punch never removes what the write has written.
#include "store/freed_blocks.hpp"

#include "core/units.hpp"
#include "store/interleaving.hpp"
#include "store/sizes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace faultline::test {
namespace {

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

using store::FreedBlocks;

constexpr int kHole = 0;
constexpr int kOld = 1;
constexpr int kNew = 2;

/// One unit of a file that is freed. No other unit of its MiB was ever written, so the MiB is due.
class FreedUnit {
public:
    FreedUnit() {
        blocks_.grow_to(kMiB);
        for (const std::uint64_t place : {kPlace, kOther}) blocks_.mark_in_use(place, kUnit);
        for (const std::uint64_t place : {kPlace, kOther}) blocks_.free(place, kUnit);
    }
    void write() {
        blocks_.mark_in_use(kPlace, kUnit);
        contents_.store(kNew);
    }
    /// Punches; calls `before_the_call` when the piece is chosen and not punched yet.
    template <typename Before>
    void punch(Before before_the_call) {
        blocks_.punch_one(0, [&](std::uint64_t offset, std::uint64_t bytes) {
            before_the_call();
            if (offset <= kPlace && kPlace < offset + bytes) contents_.store(kHole);
        });
    }
    [[nodiscard]] int contents() const { return contents_.load(); }

private:
    static constexpr std::uint64_t kPlace = 70 * kUnit;
    static constexpr std::uint64_t kOther = 200 * kUnit;

    FreedBlocks blocks_;
    std::atomic<int> contents_{kOld};
};

/// Another thread, which runs a function on demand.
class Other {
public:
    template <typename Work>
    explicit Other(Work work)
        : thread_{[this, work] {
              id_.store(this_thread_id());
              go_.wait(false);
              working_.store(true);
              work();
              done_.store(true);
          }} {}
    ~Other() {
        go();
        thread_.join();
    }
    Other(const Other&) = delete;
    Other& operator=(const Other&) = delete;

    void go() {
        go_.store(true);
        go_.notify_one();
    }
    /// Starts the function. Returns when it has ended, or when it sleeps because of the caller.
    void run_as_far_as_it_gets() {
        while (id_.load() == 0) std::this_thread::yield();
        go();
        while (!done_.load() && !waits_in_work()) std::this_thread::yield();
    }

private:
    [[nodiscard]] bool waits_in_work() const { return working_.load() && asleep_or_gone(id_.load()); }

    std::atomic<int> id_{0};
    std::atomic<bool> go_{false};
    std::atomic<bool> working_{false};
    std::atomic<bool> done_{false};
    std::thread thread_;
};

TEST(FreedBlocksInterleaving, APunchThatIsInterruptedByAWriteLeavesWhatIsWritten) {
    std::uint64_t instructions = 1;
    for (bool interrupted = true; interrupted; ++instructions) {
        FreedUnit unit;
        {
            Other writer{[&] { unit.write(); }};
            interrupted = Interruption::after(
                instructions, [&] { unit.punch([] {}); }, [&] { writer.run_as_far_as_it_gets(); });
        }
        ASSERT_EQ(unit.contents(), kNew) << "after " << instructions << " instructions of the punch";
    }
    EXPECT_GT(instructions, 100U);
}

TEST(FreedBlocksInterleaving, AWriteThatIsInterruptedByAPunchIsNotPunched) {
    std::uint64_t instructions = 1;
    for (bool interrupted = true; interrupted; ++instructions) {
        FreedUnit unit;
        std::atomic<bool> chosen{false};
        std::atomic<bool> punched{false};
        std::atomic<bool> written{false};
        std::atomic<bool> go_on{false};
        const int writer = this_thread_id();
        // The piece is chosen. Then the write runs until it ends or sleeps. Then the punch is made.
        std::thread puncher{[&] {
            go_on.wait(false);
            unit.punch([&] {
                chosen.store(true);
                while (!written.load() && !asleep_or_gone(writer)) std::this_thread::yield();
            });
            punched.store(true);
        }};
        const auto tell = [&] {
            go_on.store(true);
            go_on.notify_one();
        };
        interrupted = Interruption::after(
            instructions,
            [&] {
                unit.write();
                written.store(true);
            },
            [&] {
                tell();
                while (!chosen.load() && !punched.load()) std::this_thread::yield();
            });
        tell();
        puncher.join();
        ASSERT_EQ(unit.contents(), kNew) << "after " << instructions << " instructions of the write";
    }
    EXPECT_GT(instructions, 20U);
}

#else

TEST(FreedBlocksInterleaving, IsTriedWithoutSanitizersOnX86Only) { GTEST_SKIP() << "not here"; }

#endif

}  // namespace
}  // namespace faultline::test
