// The processes of a tree divide one limit: what they may take together never exceeds it for long, memory goes where
// faults are, and what a killed process had comes back.
#include "run/tree_share.hpp"
#include "run/status_file.hpp"
#include "run/status_writer.hpp"
#include "support/child.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::run {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kLimit = 64 * kMebibyte;

/// The memory that processes share, without a file: all processes are this one.
class Tree : public ::testing::Test {
protected:
    struct Process {
        TreeShare share;
        std::uint64_t used = 0;
        std::uint64_t wants = 0;

        /// Takes what it gets, and uses as much of it as it wants.
        void look() {
            const std::uint64_t next = share.next({{used, 0, 0}, wants});
            used = wants > 0 ? next : std::min(used, next);
            if (next < share.share()) share.give_back(next);
        }
    };

    Tree() : memory_{std::make_unique<StatusMemory>()} { memory_->tree.limit = kLimit; }

    Process& start(std::uint64_t wants) {
        const std::size_t slot = processes_.size();
        // The owner of each slot is this process, so that no entry is cleared as that of a process that has ended.
        const ProcessIdentity self = identify_this_process();
        ProgramStatus status;
        status.process = self;
        status.claim = slot + 1;
        memory_->slots[slot].records[1].store(status);
        memory_->slots[slot].owner.store(StatusSlot::owner_word(self.pid, slot + 1));
        memory_->slots[slot].published.store(1);
        processes_.push_back(std::make_unique<Process>(Process{TreeShare{*memory_, slot}, 0, wants}));
        processes_.back()->look();
        return *processes_.back();
    }
    void look(int rounds) {
        for (int i = 0; i < rounds; ++i) {
            for (auto& process : processes_) process->look();
        }
    }
    [[nodiscard]] std::uint64_t sum() const {
        std::uint64_t all = 0;
        for (const auto& process : processes_) all += process->share.share();
        return all;
    }

    std::unique_ptr<StatusMemory> memory_;
    std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(Tree, OneProcessThatFaultsGetsAllOfIt) {
    const Process& only = start(1000);
    look(20);
    EXPECT_EQ(only.share.share(), kLimit);
}

TEST_F(Tree, TheSumOfManyProcessesReturnsToTheLimit) {
    for (int i = 0; i < 12; ++i) start(1000);
    look(40);
    EXPECT_LE(sum(), kLimit);
    EXPECT_GE(sum(), kLimit / 4 * 3);
}

TEST_F(Tree, MemoryThatAProcessDoesNotUseGoesToOneThatFaults) {
    Process& idle = start(1000);
    look(20);
    idle.used = 4 * kMebibyte;
    idle.wants = 0;
    const Process& busy = start(1000);
    look(60);
    EXPECT_GE(busy.share.share(), kLimit / 4 * 3);
    EXPECT_LE(sum(), kLimit);
}

TEST_F(Tree, ShellsThatWaitKeepOnlyWhatTheyHaveTaken) {
    for (int i = 0; i < 4; ++i) {
        Process& shell = start(1000);
        shell.used = 2 * kMebibyte;
        shell.wants = 0;
    }
    const Process& busy = start(1000);
    look(100);
    EXPECT_GE(busy.share.share(), kLimit - 4 * 4 * kMebibyte);
    EXPECT_LE(sum(), kLimit);
}

TEST_F(Tree, AChildHasRoomForWhatTheProcessesHaveNotTaken) {
    TreeShare& parent = start(0).share;
    start(0).share.note({kLimit / 2, kMebibyte, 2 * kMebibyte});
    parent.note({4 * kMebibyte, 0, 0});
    const std::uint64_t left = kLimit - kLimit / 2 - 7 * kMebibyte;
    EXPECT_TRUE(parent.has_room(left));
    EXPECT_FALSE(parent.has_room(left + 1));
}

TEST_F(Tree, OfTwoThatFaultTheOneThatFaultsMoreGetsMore) {
    const Process& less = start(100);
    const Process& more = start(10'000);
    look(100);
    EXPECT_GT(more.share.share(), less.share.share());
    EXPECT_GT(less.share.share(), kLimit / 16) << "each process has a floor";
    EXPECT_LE(sum(), kLimit);
}

TEST_F(Tree, AnEqualNeedLeavesBothWithMemory) {
    const Process& first = start(1000);
    look(20);
    const Process& second = start(1000);
    look(100);
    EXPECT_GE(first.share.share(), kLimit / 8);
    EXPECT_GE(second.share.share(), kLimit / 8);
    EXPECT_LE(sum(), kLimit);
}

TEST_F(Tree, ThePeakIsThatOfAllProcessesTogether) {
    Process& first = start(0);
    Process& second = start(0);
    first.share.note({10 * kMebibyte, 2 * kMebibyte, kMebibyte});
    second.share.note({20 * kMebibyte, 0, kMebibyte});
    first.share.note({0, 0, 0});
    EXPECT_EQ(memory_->tree.peak.load(), 34 * kMebibyte);
    EXPECT_EQ(memory_->tree.peak_managed.load(), 30 * kMebibyte);
    EXPECT_EQ(memory_->tree.peak_compressed.load(), 2 * kMebibyte);
}

TEST(TreeOfProcesses, WhatAKilledProcessHadComesBack) {
    const StatusFile file{StatusFile::Figures::wanted, kLimit};
    StatusWriter writer;
    ASSERT_EQ(writer.open(file.path()), 0);
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        StatusWriter own;
        char done = 0;
        if (own.open(file.path()) == 0) {
            TreeShare share{*own.memory(), own.slot()};
            for (int i = 0; i < 10; ++i) done = static_cast<char>(share.next({{kMebibyte, 0, 0}, 1000}) > kLimit / 2);
        }
        static_cast<void>(::write(ready[1], &done, 1));
        for (;;) ::pause();
    }
    char took_most = 0;
    ASSERT_EQ(::read(ready[0], &took_most, 1), 1);
    EXPECT_EQ(took_most, 1);
    TreeShare share{*writer.memory(), writer.slot()};
    const std::uint64_t beside = share.next({{}, 1000});
    EXPECT_LT(beside, kLimit / 4);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    for (int i = 0; i < 20; ++i) static_cast<void>(share.next({{}, 1000}));
    EXPECT_EQ(share.share(), kLimit);
    ::close(ready[0]);
    ::close(ready[1]);
}

}  // namespace
}  // namespace faultline::run
