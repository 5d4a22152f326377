// Layers: after a fork parent and child read the earlier bytes and then their own writes, whatever the other does.
// Files, layers and space that no process needs are freed. Contents are compared with what the tests remember.
#include "store/layered_store.hpp"

#include "core/units.hpp"
#include "store/scripted_file.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_space.hpp"
#include "store/write_queue.hpp"
#include "support/descriptor_limit.hpp"
#include "support/process.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::FileExtent;
using store::FilePart;
using store::ForkSide;
using store::LayeredStore;
using store::RingWriteQueue;
using store::StoreFactory;
using store::StoreWrite;
using store::SwapSpace;
using store::WriteQueue;
using Lease = std::unique_ptr<BackingStore>;

constexpr std::uint64_t kMostPagesPerRead = 16;

/// Fills a page with the bytes of version `version`: no two pages or versions are alike.
void fill(std::span<std::byte> page, std::uint64_t index, std::uint64_t version) {
    const std::array<std::uint64_t, 2> words{index * 1'000'003 + 1, version};
    for (std::size_t at = 0; at < page.size(); at += sizeof words) std::memcpy(&page[at], words.data(), sizeof words);
}

/// A store of `pages` pages and the contents that it must have.
class Remembered {
public:
    Remembered(Lease store, std::uint64_t pages)
        : store_{std::move(store)},
          expected_(pages),
          buffer_{sys::Mapping::reserve(kMostPagesPerRead * kPage, kPage, true, "test pages")},
          wanted_{sys::Mapping::reserve(kPage, kPage, true, "a test page")} {}

    void write(std::uint64_t first, std::uint64_t pages, std::uint64_t version) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            fill(buffer_.bytes().subspan(i * kPage, kPage), first + i, version);
            expected_[first + i] = version;
        }
        ASSERT_EQ(store_->write(first * kPage, buffer_.bytes().first(pages * kPage)), 0);
    }
    void write_all(std::uint64_t version) {
        for (std::uint64_t page = 0; page < pages(); ++page) write(page, 1, version);
    }
    /// Records a write that other code makes.
    void now_has(std::uint64_t page, std::uint64_t version) { expected_[page] = version; }

    void discard(std::uint64_t first, std::uint64_t pages) {
        store_->discard(first * kPage, pages * kPage);
        for (std::uint64_t i = 0; i < pages; ++i) expected_[first + i].reset();
    }

    /// Reads and checks everything, `at_once` pages with each call.
    void check(std::uint64_t at_once = 1) {
        for (std::uint64_t first = 0; first < pages(); first += at_once) {
            check_read(first, std::min(at_once, pages() - first));
        }
    }

    /// Makes random writes, discards and reads.
    void churn(std::mt19937_64& random, int steps, std::uint64_t version) {
        for (int step = 0; step < steps; ++step) {
            const std::uint64_t first = random() % pages();
            const std::uint64_t count = std::min(random() % kMostPagesPerRead + 1, pages() - first);
            switch (random() % 4) {
                case 0:
                    discard(first, count);
                    break;
                case 1:
                    check_read(first, count);
                    break;
                default:
                    write(first, count, version * 1000 + static_cast<std::uint64_t>(step));
            }
        }
    }

    [[nodiscard]] std::uint64_t pages() const { return expected_.size(); }
    [[nodiscard]] BackingStore& store() { return *store_; }

private:
    void check_read(std::uint64_t first, std::uint64_t count) {
        const std::span<std::byte> bytes = buffer_.bytes().first(count * kPage);
        std::memset(bytes.data(), 0xee, bytes.size());
        ASSERT_EQ(store_->read(first * kPage, bytes), 0);
        for (std::uint64_t i = 0; i < count; ++i) {
            if (!expected_[first + i]) continue;
            fill(wanted_.bytes(), first + i, *expected_[first + i]);
            EXPECT_EQ(std::memcmp(&bytes[i * kPage], wanted_.data(), kPage), 0) << "page " << first + i;
        }
    }

    Lease store_;
    std::vector<std::optional<std::uint64_t>> expected_;
    sys::Mapping buffer_;  // aligned, as direct I/O needs it
    sys::Mapping wanted_;
};

/// A pipe: sends one byte from one process to another, or tells when all possible senders have ended.
class Signal {
public:
    Signal() {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) std::_Exit(99);
        from_ = ends[0];
        to_ = ends[1];
    }
    ~Signal() {
        ::close(from_);
        no_more();
    }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    void send(char what = '.') const { EXPECT_EQ(::write(to_, &what, 1), 1); }
    void no_more() { ::close(std::exchange(to_, -1)); }
    /// Returns the byte, or 0 when all possible senders have ended.
    [[nodiscard]] char wait() const {
        char what = 0;
        return ::read(from_, &what, 1) == 1 ? what : '\0';
    }

private:
    int from_ = -1;
    int to_ = -1;
};

[[noreturn]] void exit_with_verdict() {
    std::fflush(nullptr);
    std::_Exit(testing::Test::HasFailure() ? 1 : 0);
}

void expect_good_end_of(pid_t child) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

/// Forks with the swap space. Runs `in_child` in the child, which then exits.
pid_t fork_with(SwapSpace& space, const std::function<void()>& in_child) {
    space.prepare_fork();
    const pid_t child = ::fork();
    if (child == 0) {
        space.continue_as(ForkSide::child);
        in_child();
        exit_with_verdict();
    }
    EXPECT_GT(child, 0);
    space.continue_as(ForkSide::parent);
    return child;
}

/// Does what one side does at a fork, without forking.
void as_if_forked(SwapSpace& space, ForkSide side = ForkSide::parent) {
    space.prepare_fork();
    space.continue_as(side);
}

class LayersOn : public OnEachFileSystem {
protected:
    void SetUp() override {
        OnEachFileSystem::SetUp();
        if (IsSkipped()) return;
        space_ = std::make_unique<SwapSpace>(directory(), std::filesystem::path{});
    }
    Remembered region(std::uint64_t pages) { return {space_->open(pages * kPage), pages}; }

    std::unique_ptr<SwapSpace> space_;
};

// ---- Both sides

TEST_P(LayersOn, BothSidesReadWhatWasThereAndThenEachItsOwn) {
    Remembered region = this->region(64);
    region.write_all(1);
    region.discard(60, 4);
    Signal parent_wrote;
    Signal child_wrote;
    const pid_t child = fork_with(*space_, [&] {
        region.check();
        region.write(0, 16, 2);
        EXPECT_EQ(parent_wrote.wait(), '.');
        region.check();
        region.check(kMostPagesPerRead);
        child_wrote.send();
    });
    region.check();
    region.write(8, 16, 3);
    region.write(40, 1, 3);
    parent_wrote.send();
    EXPECT_EQ(child_wrote.wait(), '.');
    region.check();
    region.check(kMostPagesPerRead);
    expect_good_end_of(child);
    region.check(7);
}

TEST_P(LayersOn, WhatOneSideDiscardsTheOtherKeeps) {
    Remembered region = this->region(32);
    region.write_all(1);
    Signal child_discarded;
    Signal parent_discarded;
    const pid_t child = fork_with(*space_, [&] {
        region.discard(0, 16);
        child_discarded.send();
        EXPECT_EQ(parent_discarded.wait(), '.');
        region.check(5);
    });
    EXPECT_EQ(child_discarded.wait(), '.');
    region.check(5);
    region.discard(16, 16);
    parent_discarded.send();
    expect_good_end_of(child);
    region.check(5);
}

TEST_P(LayersOn, ARegionThatGoesOnOneSideStaysOnTheOther) {
    std::optional<Remembered> region{this->region(32)};
    region->write_all(1);
    as_if_forked(*space_);
    region->write(0, 8, 2);
    Signal parents_is_gone;
    const pid_t child = fork_with(*space_, [&] {
        EXPECT_EQ(parents_is_gone.wait(), '.');
        region->check(4);
        region.reset();
        EXPECT_EQ(space_->frozen_layers(), 0U);
    });
    region.reset();
    parents_is_gone.send();
    expect_good_end_of(child);
}

TEST_P(LayersOn, AParentMayEndFirst) {
    Signal verdict;
    Signal parent_lives;
    const pid_t parent = ::fork();
    if (parent == 0) {
        Remembered region = this->region(32);
        region.write_all(1);
        fork_with(*space_, [&] {
            parent_lives.no_more();
            EXPECT_EQ(parent_lives.wait(), '\0');  // until the parent, the last possible sender, has ended
            region.check(8);
            region.write(0, 8, 2);
            region.check(8);
            verdict.send(HasFailure() ? 'b' : 'g');
        });
        region.write(0, 16, 3);
        exit_with_verdict();
    }
    parent_lives.no_more();
    expect_good_end_of(parent);
    EXPECT_EQ(verdict.wait(), 'g');
}

/// In each generation: changes some pages, forks, and continues in both the child and this process.
void live(SwapSpace& space, Remembered& region, std::mt19937_64& random, int generations) {
    region.churn(random, 20, random() % 1000);
    if (generations > 0) {
        for (int birth = 0; birth < 2; ++birth) {
            const std::uint64_t seed = random();
            const pid_t child = fork_with(space, [&] {
                std::mt19937_64 own{seed};
                live(space, region, own, generations - 1);
            });
            region.churn(random, 20, random() % 1000);
            region.check(3);
            expect_good_end_of(child);
        }
    }
    region.check();
    region.check(kMostPagesPerRead);
}

TEST_P(LayersOn, GrandchildrenSeeTheirOwnLineAndNobodyElse) {
    constexpr std::uint64_t kSeed = 5;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    Remembered region = this->region(100);
    live(*space_, region, random, 4);
}

TEST_P(LayersOn, AChildFreesTheParentsNewFile) {
    Remembered region = this->region(8);
    region.write_all(1);
    const std::size_t before = open_descriptors();
    const pid_t child = fork_with(*space_, [&] { EXPECT_EQ(open_descriptors(), before + 1); });
    EXPECT_EQ(open_descriptors(), before + 1);
    expect_good_end_of(child);
}

// ---- One side

TEST_P(LayersOn, ReadsThatSpanLayersArePutTogether) {
    Remembered region = this->region(kMostPagesPerRead);
    region.write_all(1);
    for (std::uint64_t layer = 1; layer <= 5; ++layer) {
        as_if_forked(*space_);
        for (std::uint64_t page = layer; page < region.pages(); page += layer + 1) region.write(page, 1, layer + 1);
        region.discard(3 * layer - 1, 1);
        for (std::uint64_t at_once = 1; at_once <= kMostPagesPerRead; ++at_once) region.check(at_once);
    }
}

TEST_P(LayersOn, ARegionOpenedLaterLivesInTheNewFile) {
    Remembered older = region(16);
    older.write_all(1);
    const int frozen = older.store().extent().fd;
    as_if_forked(*space_);
    Remembered newer = region(16);
    EXPECT_NE(newer.store().extent().fd, frozen);
    EXPECT_EQ(newer.store().extent().fd, older.store().extent().fd);
    newer.write_all(2);
    older.check(4);
    newer.check(4);
    as_if_forked(*space_);
    newer.write(3, 2, 3);
    older.check(4);
    newer.check(4);
}

TEST_P(LayersOn, SpaceOfARegionThatWentIsNotUsedAgainInAFrozenFile) {
    std::optional<Remembered> goes{region(16)};
    Remembered stays = region(16);
    stays.write_all(1);
    goes->write_all(2);
    const int frozen = ::dup(stays.store().extent().fd);
    as_if_forked(*space_);
    const std::uint64_t before = bytes_taken(frozen);
    goes.reset();
    Remembered fresh = region(16);
    fresh.write_all(3);
    stays.check();
    fresh.check();
    EXPECT_EQ(bytes_taken(frozen), before);
    ::close(frozen);
}

TEST_P(LayersOn, RegionsThatComeAndGoBetweenForksKeepEachTheirOwnBytes) {
    constexpr std::uint64_t kSeed = 77;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    std::vector<Remembered> regions;
    for (std::uint64_t round = 1; round <= 60; ++round) {
        if (regions.size() > 8) {
            regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(random() % regions.size()));
        }
        regions.push_back(region(random() % 40 + 1));
        for (Remembered& one : regions) one.churn(random, 4, round);
        if (random() % 3 == 0) as_if_forked(*space_, random() % 2 == 0 ? ForkSide::parent : ForkSide::child);
        for (Remembered& one : regions) one.check(random() % kMostPagesPerRead + 1);
    }
}

TEST_P(LayersOn, RegionsThatNeedSeveralFilesMoveToSeveral) {
    try {
        static_cast<void>(SwapSpace{directory(), {}}.open(5 * kTiB));
    } catch (const std::system_error&) {
        GTEST_SKIP() << "no sparse file of 5 TiB here";
    }
    const Lease first = space_->open(5 * kTiB);
    const Lease second = space_->open(5 * kTiB);
    const sys::Mapping page = sys::Mapping::reserve(kPage, kPage, true, "a test page");
    for (int round = 1; round <= 3; ++round) {
        for (const Lease* lease : {&first, &second}) {
            std::memset(page.data(), lease == &first ? round : 100 + round, kPage);
            EXPECT_EQ((*lease)->write(5 * kTiB - static_cast<std::uint64_t>(round) * kPage, page.bytes()), 0);
        }
        as_if_forked(*space_, round == 2 ? ForkSide::child : ForkSide::parent);
        EXPECT_NE(first->extent().fd, second->extent().fd);
    }
    for (int round = 1; round <= 3; ++round) {
        for (const Lease* lease : {&first, &second}) {
            EXPECT_EQ((*lease)->read(5 * kTiB - static_cast<std::uint64_t>(round) * kPage, page.bytes()), 0);
            EXPECT_EQ(page.bytes()[17], static_cast<std::byte>(lease == &first ? round : 100 + round));
        }
    }
}

TEST_P(LayersOn, WhatTheRingWroteIsFound) {
    const std::unique_ptr<WriteQueue> ring = RingWriteQueue::create();
    if (ring == nullptr) GTEST_SKIP() << "no io_uring here";
    Remembered region = this->region(32);
    const sys::Mapping bytes = sys::Mapping::reserve(32 * kPage, kPage, true, "test pages");
    const auto write_with_ring = [&](std::uint64_t first, std::uint64_t step, std::uint64_t version) {
        std::vector<StoreWrite> writes;
        for (std::uint64_t page = first; page < region.pages(); page += step) {
            fill(bytes.bytes().subspan(page * kPage, kPage), page, version);
            region.now_has(page, version);
            writes.push_back({&region.store(), page * kPage, bytes.bytes().subspan(page * kPage, kPage)});
        }
        ring->write(writes);
        for (const StoreWrite& write : writes) EXPECT_EQ(write.error, 0);
    };
    write_with_ring(0, 1, 1);  // before the map exists
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 1U);
    region.check(8);
    write_with_ring(0, 3, 2);
    region.check(8);
    as_if_forked(*space_);
    write_with_ring(1, 4, 3);
    region.check(8);
}

TEST_P(LayersOn, ManyThreadsMayUseNeighbouringPages) {
    constexpr std::uint64_t kThreads = 4;
    constexpr std::uint64_t kPages = 64;
    as_if_forked(*space_);
    Remembered region = this->region(kPages);
    region.write_all(1);
    as_if_forked(*space_);
    // Each thread has every fourth page and reads across the other threads' pages, like prefetching.
    const auto use_pages = [&](std::uint64_t thread) {
        const sys::Mapping bytes = sys::Mapping::reserve(kThreads * kPage, kPage, true, "test pages");
        const sys::Mapping wanted = sys::Mapping::reserve(kPage, kPage, true, "a test page");
        for (std::uint64_t version = 2; version < 12; ++version) {
            for (std::uint64_t page = thread; page < kPages; page += kThreads) {
                if ((page + version) % 3 == 0) region.store().discard(page * kPage, kPage);
                fill(wanted.bytes(), page, version);
                ASSERT_EQ(region.store().write(page * kPage, wanted.bytes()), 0);
                const std::size_t count = std::min(kThreads, kPages - page);
                ASSERT_EQ(region.store().read(page * kPage, bytes.bytes().first(count * kPage)), 0);
                ASSERT_EQ(std::memcmp(bytes.data(), wanted.data(), kPage), 0) << "page " << page;
            }
        }
    };
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) threads.emplace_back(use_pages, thread);
    for (std::thread& thread : threads) thread.join();
    for (std::uint64_t page = 0; page < kPages; ++page) region.now_has(page, 11);
    region.check(kMostPagesPerRead);
    as_if_forked(*space_);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 1U) << "no page was left behind, and none counted twice";
    region.check();
}

// ---- What is kept, and how long

TEST_P(LayersOn, WithoutAForkThereIsNoMap) {
    constexpr std::uint64_t kPages = (std::uint64_t{16} << 30) / kPage;
    const std::size_t before = status_bytes("VmSize");
    std::vector<Lease> regions;
    for (int i = 0; i < 20; ++i) regions.push_back(space_->open(kPages * kPage));
    EXPECT_LT(status_bytes("VmSize"), before + 10 * kPages);
    EXPECT_EQ(space_->frozen_layers(), 0U);
}

TEST_P(LayersOn, FreezingWhatNobodyWroteToAddsNoLayer) {
    Remembered region = this->region(16);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 0U) << "nothing was ever written";
    region.write_all(1);
    as_if_forked(*space_);
    const std::size_t descriptors = open_descriptors();
    for (int again = 0; again < 5; ++again) {
        const int top = region.store().extent().fd;
        as_if_forked(*space_);
        EXPECT_NE(region.store().extent().fd, top) << "the other side has it";
        EXPECT_EQ(space_->frozen_layers(), 1U);
        EXPECT_EQ(open_descriptors(), descriptors);
        region.check();
    }
}

TEST_P(LayersOn, AnyNumberOfForksKeepsFewLayers) {
    Remembered region = this->region(300);
    Remembered other = this->region(40);
    region.write_all(1);
    const std::size_t descriptors = open_descriptors();
    for (std::uint64_t round = 0; round < 50; ++round) {
        as_if_forked(*space_, round % 2 == 0 ? ForkSide::parent : ForkSide::child);
        for (std::uint64_t page = round; page < 300; page += 31) region.write(page, 1, round + 2);
        region.discard((round * 7) % 300, 1);
        if (round % 3 == 0) other.write(round % 40, 1, round);
        region.check(kMostPagesPerRead);
        other.check(kMostPagesPerRead);
        EXPECT_LE(space_->frozen_layers(), SwapSpace::kMostFrozen + 1);
        EXPECT_LE(open_descriptors(), descriptors + SwapSpace::kMostFrozen + 1);
    }
    EXPECT_GT(space_->frozen_layers(), 1U);
    region.check();
}

TEST_P(LayersOn, ManyGenerationsKeepFewLayers) {
    Remembered region = this->region(100);
    region.write_all(1);
    const std::function<void(std::uint64_t)> live = [&](std::uint64_t generation) {
        region.write(generation, 2, generation + 10);
        EXPECT_LE(space_->frozen_layers(), SwapSpace::kMostFrozen + 1);
        if (generation < 30) expect_good_end_of(fork_with(*space_, [&] { live(generation + 1); }));
        region.check(kMostPagesPerRead);
    };
    live(0);
}

TEST_P(LayersOn, AFrozenFileIsClosedWhenItsPagesAreAllWrittenAnew) {
    Remembered region = this->region(16);
    as_if_forked(*space_);
    region.write_all(1);
    as_if_forked(*space_);
    region.write(0, 8, 2);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 2U);
    const std::size_t descriptors = open_descriptors();
    region.write(8, 4, 3);
    region.discard(12, 4);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 2U);  // one was closed, one was added
    EXPECT_EQ(open_descriptors(), descriptors);
    region.check();
}

TEST_P(LayersOn, RegionsThatCameAfterTheFirstForkKeepNoFileOpenThatTheyDoNotNeed) {
    as_if_forked(*space_);
    Remembered region = this->region(16);
    region.write_all(1);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 1U);
    region.write_all(2);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 1U);
    region.discard(0, 16);
    as_if_forked(*space_);
    EXPECT_EQ(space_->frozen_layers(), 0U);
}

TEST_P(LayersOn, RegionsThatStayFromEachForkKeepFewLayers) {
    std::vector<Remembered> regions;
    const std::size_t descriptors = open_descriptors();
    for (std::uint64_t round = 0; round < 50; ++round) {
        regions.push_back(region(round % 20 + 1));
        regions.back().write_all(round);
        as_if_forked(*space_);
        EXPECT_LE(space_->frozen_layers(), SwapSpace::kMostFrozen + 1);
        EXPECT_LE(open_descriptors(), descriptors + SwapSpace::kMostFrozen + 1);
        for (Remembered& one : regions) one.check(kMostPagesPerRead);
    }
}

TEST_P(LayersOn, FrozenFilesAreClosedWithTheRegionsThatWereThere) {
    const std::size_t descriptors = open_descriptors();
    {
        Remembered first = region(16);
        Remembered second = region(16);
        first.write_all(1);
        second.write_all(2);
        as_if_forked(*space_);
        first.write(0, 4, 3);
        as_if_forked(*space_);
        EXPECT_EQ(open_descriptors(), descriptors + 2);
    }
    EXPECT_EQ(space_->frozen_layers(), 0U);
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_P(LayersOn, DiscardingGivesBackWhatIsInTheTopAndLeavesWhatIsFrozen) {
    constexpr std::uint64_t kPagesOfMiB = kMiB / kPage;
    Remembered region = this->region(4 * kPagesOfMiB);
    region.write_all(1);
    const int frozen = ::dup(region.store().extent().fd);
    as_if_forked(*space_);
    for (std::uint64_t page = 0; page < 2 * kPagesOfMiB; page += 16) region.write(page, 16, 2);
    const std::uint64_t frozen_before = bytes_taken(frozen);
    const std::uint64_t top_before = bytes_taken(region.store().extent().fd);
    region.discard(kPagesOfMiB, 2 * kPagesOfMiB);  // half of it is in the top
    EXPECT_EQ(bytes_taken(region.store().extent().fd), top_before - kMiB);
    EXPECT_EQ(bytes_taken(frozen), frozen_before);
    region.check(8);
    ::close(frozen);
}

/// Frees all pages of the first MiB and every other one of the second.
void free_some(Remembered& region) {
    for (std::uint64_t page = 0; page < 256; ++page) region.discard(page, 1);
    for (std::uint64_t page = 256; page < 512; page += 2) region.discard(page, 1);
}

TEST_P(LayersOn, WhatWasFreedBeforeAForkIsPunchedByTheParentAfterwards) {
    space_->set_background_return(true);
    Remembered region = this->region(512);
    region.write_all(1);
    const int frozen = ::dup(region.store().extent().fd);
    free_some(region);
    as_if_forked(*space_);
    const std::uint64_t before = bytes_taken(frozen);
    EXPECT_TRUE(space_->has_space_to_return());
    while (space_->has_space_to_return()) space_->return_some_space();
    EXPECT_LE(bytes_taken(frozen), before - 250 * kPage);
    region.check(4);
    ::close(frozen);
}

TEST_P(LayersOn, WhatWasFreedBeforeAForkIsNotPunchedByTheChild) {
    space_->set_background_return(true);
    Remembered region = this->region(512);
    region.write_all(1);
    const int frozen = ::dup(region.store().extent().fd);
    free_some(region);
    as_if_forked(*space_, ForkSide::child);
    const std::uint64_t before = bytes_taken(frozen);
    EXPECT_FALSE(space_->has_space_to_return());
    for (std::uint64_t page = 257; page < 512; page += 2) region.write(page, 1, 2);
    for (std::uint64_t page = 257; page < 512; page += 2) region.discard(page, 1);
    while (space_->has_space_to_return()) space_->return_some_space();
    EXPECT_EQ(bytes_taken(frozen), before);
    EXPECT_LT(bytes_taken(region.store().extent().fd), 64 * kPage) << "its own file is punched";
    region.check(4);
    ::close(frozen);
}

TEST_P(LayersOn, ARegionThatGoesGivesBackItsSpaceInTheTop) {
    Remembered stays = region(4);
    std::optional<Remembered> goes{region(1024)};
    goes->write_all(1);
    as_if_forked(*space_);
    goes->write_all(2);
    const FileExtent extent = goes->store().extent();
    EXPECT_GE(bytes_taken(extent.fd), 1024 * kPage);
    goes.reset();
    EXPECT_LT(bytes_taken(extent.fd), 16 * kPage);
    const Lease next = space_->open(1024 * kPage);
    EXPECT_EQ(next->extent().fd, extent.fd);
    EXPECT_EQ(next->extent().offset, extent.offset);
}

TEST_P(LayersOn, ANamedFileIsFollowedByUnnamedOnes) {
    space_ = std::make_unique<SwapSpace>(std::filesystem::path{}, directory() / "swap");
    Remembered region = this->region(8);
    region.write_all(1);
    as_if_forked(*space_);
    EXPECT_TRUE(directory_.empty());
    region.write(0, 4, 2);
    region.check(8);
}

// ---- Failures

TEST_P(LayersOn, CancellingLeavesAllAsItWas) {
    Remembered region = this->region(16);
    region.write_all(1);
    for (int round = 0; round < 2; ++round) {  // the second time with a frozen layer
        const std::size_t descriptors = open_descriptors();
        const std::size_t layers = space_->frozen_layers();
        const FileExtent before = region.store().extent();
        space_->prepare_fork();
        space_->cancel_fork();
        EXPECT_EQ(region.store().extent().fd, before.fd);
        EXPECT_EQ(region.store().extent().offset, before.offset);
        EXPECT_EQ(open_descriptors(), descriptors);
        EXPECT_EQ(space_->frozen_layers(), layers);
        region.write(0, 4, 2);
        region.discard(4, 2);
        region.check(8);
        Remembered more = this->region(4);
        more.write_all(5);
        more.check();
        as_if_forked(*space_);
        region.check(8);
    }
}

TEST_P(LayersOn, ADirectoryNamedFromTheWorkingDirectoryIsFoundFromAnyOther) {
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(directory());
    space_ = std::make_unique<SwapSpace>(".", std::filesystem::path{});
    std::filesystem::current_path("/proc");  // where no file can be created
    Remembered region = this->region(8);
    region.write_all(1);
    EXPECT_NO_THROW(as_if_forked(*space_));
    region.check();
    std::filesystem::current_path(before);
}

/// Returns the errno of prepare_fork, 0 if it succeeds. Checks nothing meanwhile, because that may open files.
int error_of_preparing(SwapSpace& space, rlim_t descriptors = RLIM_INFINITY) {
    try {
        std::optional<DescriptorLimit> limit;
        if (descriptors != RLIM_INFINITY) limit.emplace(descriptors);
        space.prepare_fork();
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    space.cancel_fork();
    return 0;
}

TEST_P(LayersOn, WithoutItsDirectoryItRefusesAndGoesOn) {
    const std::filesystem::path gone = directory() / "gone";
    std::filesystem::create_directory(gone);
    space_ = std::make_unique<SwapSpace>(gone, std::filesystem::path{});
    Remembered region = this->region(16);
    region.write_all(1);
    std::filesystem::remove(gone);
    EXPECT_EQ(error_of_preparing(*space_), ENOENT);
    region.write(0, 4, 2);
    region.check(8);
    std::filesystem::create_directory(gone);
    as_if_forked(*space_);
    region.write(2, 4, 3);
    region.check(8);
}

TEST_P(LayersOn, WithoutDescriptorsItRefusesAndGoesOn) {
    Remembered region = this->region(16);
    region.write_all(1);
    as_if_forked(*space_);
    region.write(0, 4, 2);
    const int next_free = ::dup(STDERR_FILENO);
    ::close(next_free);
    const std::size_t descriptors = open_descriptors();
    // With descriptors left for none, and for one of the two files.
    for (const int most : {next_free, next_free + 1}) {
        EXPECT_EQ(error_of_preparing(*space_, static_cast<rlim_t>(most)), EMFILE);
        EXPECT_EQ(open_descriptors(), descriptors);
        EXPECT_EQ(space_->frozen_layers(), 1U);
        region.write(4, 4, 3);
        region.check(8);
    }
    as_if_forked(*space_);
    region.check(8);
}

TEST_P(LayersOn, WithTooSmallAFileSizeLimitItRefusesAndGoesOn) {
    Remembered region = this->region(1024);
    region.write(0, 4, 1);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit limit{512 * kPage, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int error = error_of_preparing(*space_);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(error, EFBIG);
    region.check(16);
    as_if_forked(*space_);
    region.check(16);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, LayersOn, file_systems(), FileSystemName{});

// ---- One store, on files that fail

class LayeredStoreTest : public testing::Test {
protected:
    static constexpr std::uint64_t kPages = 200;

    std::shared_ptr<ScriptedFile> add_layer(LayeredStore& store) {
        auto file = std::make_shared<ScriptedFile>(kPages * kPage);
        store.freeze(part(file), store.needs_layers() ? LayeredStore::make_layers(kPages * kPage) : nullptr);
        return file;
    }
    FilePart part(std::shared_ptr<ScriptedFile> file) { return {std::move(file), 0, next_layer_++}; }
    void write(LayeredStore& store, std::uint64_t first, std::uint64_t pages, int value) {
        const std::vector<std::byte> bytes(pages * kPage, static_cast<std::byte>(value));
        ASSERT_EQ(store.write(first * kPage, bytes), 0);
    }
    void expect(LayeredStore& store, std::uint64_t first, std::uint64_t pages, int value) {
        std::vector<std::byte> bytes(pages * kPage);
        ASSERT_EQ(store.read(first * kPage, bytes), 0);
        for (std::byte byte : bytes) ASSERT_EQ(byte, static_cast<std::byte>(value)) << "pages from " << first;
    }

    std::uint64_t next_layer_ = 0;
    std::shared_ptr<ScriptedFile> first_ = std::make_shared<ScriptedFile>(kPages * kPage);
};

TEST_F(LayeredStoreTest, OneReadForEachRunOfALayer) {
    LayeredStore store{part(first_), nullptr};
    write(store, 0, 16, 1);
    const auto second = add_layer(store);
    write(store, 4, 4, 2);
    store.discard(10 * kPage, 1 * kPage);  // in no file: read together with its neighbours
    store.discard(0, kPage);
    first_->follow({});
    second->follow({});
    std::vector<std::byte> bytes(16 * kPage);
    EXPECT_EQ(store.read(0, bytes), 0);
    EXPECT_EQ(first_->transfers, 2U);
    EXPECT_EQ(second->transfers, 1U);
}

TEST_F(LayeredStoreTest, AFailingLayerFailsTheRead) {
    LayeredStore store{part(first_), nullptr};
    write(store, 0, 8, 1);
    add_layer(store);
    write(store, 0, 4, 2);
    first_->follow({}, -ENXIO);
    std::vector<std::byte> bytes(8 * kPage);
    EXPECT_EQ(store.read(0, bytes), ENXIO);
    expect(store, 0, 4, 2);
}

TEST_F(LayeredStoreTest, AWriteThatFailsLeavesWhatIsFrozen) {
    LayeredStore store{part(first_), nullptr};
    write(store, 0, 8, 1);
    const auto top = add_layer(store);
    top->follow({static_cast<long>(kPage), -ENOSPC});
    const std::vector<std::byte> bytes(2 * kPage, std::byte{9});
    EXPECT_EQ(store.write(0, bytes), ENOSPC);
    expect(store, 0, 8, 1);
}

TEST_F(LayeredStoreTest, MovingUpCanFailHalfwayAndBeDoneAgain) {
    LayeredStore store{part(first_), LayeredStore::make_layers(kPages * kPage)};
    write(store, 0, 150, 1);
    write(store, 180, 1, 3);
    const auto top = add_layer(store);
    write(store, 20, 10, 2);
    const auto expect_all = [&] {
        expect(store, 0, 20, 1);
        expect(store, 20, 10, 2);
        expect(store, 30, 120, 1);
        expect(store, 180, 1, 3);
    };
    for (const int error : {ENOSPC, EDQUOT}) {
        top->follow({ScriptedFile::kAll, static_cast<long>(kPage), -error}, -error);
        EXPECT_THROW(store.move_up({0}), std::system_error);
        top->follow({});
        expect_all();
    }
    first_->follow({}, -EIO);
    EXPECT_THROW(store.move_up({0}), std::system_error);
    first_->follow({});
    expect_all();
    EXPECT_GT(first_.use_count(), 1);
    store.move_up({0});
    EXPECT_EQ(first_.use_count(), 1) << "the file is let go of";
    expect_all();
    EXPECT_TRUE(first_->punched.empty());
}

TEST_F(LayeredStoreTest, TheFirstFileIsCountedOnlyWithAMapFromTheStart) {
    LayeredStore store{part(first_), nullptr};
    write(store, 0, 4, 1);
    add_layer(store);
    write(store, 0, 4, 2);
    store.close_empty_layers();
    EXPECT_GT(first_.use_count(), 1) << "more could be in it";
    const auto second = std::make_shared<ScriptedFile>(kPages * kPage);
    LayeredStore counting{part(second), LayeredStore::make_layers(kPages * kPage)};
    write(counting, 0, 4, 1);
    add_layer(counting);
    write(counting, 0, 4, 2);
    counting.close_empty_layers();
    EXPECT_EQ(second.use_count(), 1);
    expect(counting, 0, 4, 2);
}

TEST(StoreFactoryTest, RefusesToForkUnlessItCan) {
    class Stores final : public StoreFactory {
    public:
        std::unique_ptr<BackingStore> open(std::uint64_t) override { return nullptr; }
    };
    Stores stores;
    try {
        stores.prepare_fork();
        FAIL() << "it did not throw";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EOPNOTSUPP);
    }
}

}  // namespace
}  // namespace faultline::test
