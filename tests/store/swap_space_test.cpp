// SwapSpace: leases never overlap, space is reused and returned, and descriptors are not wasted.
#include "store/swap_space.hpp"

#include "core/units.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "support/process.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::FileExtent;
using store::SwapSpace;
using Lease = std::unique_ptr<BackingStore>;

/// The open leases by location. Adding one that overlaps another fails.
class Ledger {
public:
    void add(Lease lease, std::uint64_t bytes) {
        const FileExtent extent = lease->extent();
        auto& in_file = leases_[extent.fd];
        const auto next = in_file.lower_bound(extent.offset);
        const std::uint64_t free_until = next == in_file.end() ? ~std::uint64_t{0} : next->first;
        ASSERT_LE(extent.offset + bytes, free_until);
        const std::uint64_t free_from =
            next == in_file.begin() ? 0 : std::prev(next)->first + std::prev(next)->second.bytes;
        ASSERT_LE(free_from, extent.offset);
        in_file.emplace(extent.offset, Held{bytes, std::move(lease)});
        ++count_;
    }
    void drop_random(std::mt19937_64& random) {
        auto& in_file = std::next(leases_.begin(), static_cast<std::ptrdiff_t>(random() % leases_.size()))->second;
        if (in_file.empty()) return;
        in_file.erase(std::next(in_file.begin(), static_cast<std::ptrdiff_t>(random() % in_file.size())));
        --count_;
    }
    void clear() { leases_.clear(); }
    [[nodiscard]] std::size_t count() const { return count_; }

private:
    struct Held {
        std::uint64_t bytes;
        Lease lease;
    };
    std::map<int, std::map<std::uint64_t, Held>> leases_;
    std::size_t count_ = 0;
};

class SwapSpaceOn : public OnEachFileSystem {
protected:
    SwapSpaceOn() : page_{sys::Mapping::reserve(kPage, kPage, true, "a test page")} {}

    void write(BackingStore& store, std::uint64_t offset, int value) {
        std::memset(page_.data(), value, page_.size());
        ASSERT_EQ(store.write(offset, page_.bytes()), 0);
    }
    void expect(BackingStore& store, std::uint64_t offset, int value) {
        ASSERT_EQ(store.read(offset, page_.bytes()), 0);
        for (std::byte byte : page_.bytes()) ASSERT_EQ(byte, static_cast<std::byte>(value));
    }
    /// Returns true if the file system can hold so large a sparse file; file systems differ.
    bool can_lease(std::uint64_t bytes) {
        try {
            SwapSpace space{directory(), {}};
            return space.open(bytes) != nullptr;
        } catch (const std::system_error&) {
            return false;
        }
    }

    sys::Mapping page_;
};

TEST_P(SwapSpaceOn, LeasesKeepEachTheirOwnBytes) {
    SwapSpace space{directory(), {}};
    std::vector<Lease> leases;
    for (int i = 0; i < 50; ++i) leases.push_back(space.open(4 * kPage));
    for (int i = 0; i < 50; ++i) {
        for (std::uint64_t page = 0; page < 4; ++page) write(*leases[static_cast<std::size_t>(i)], page * kPage, i + 1);
    }
    for (int i = 0; i < 50; ++i) {
        for (std::uint64_t page = 0; page < 4; ++page)
            expect(*leases[static_cast<std::size_t>(i)], page * kPage, i + 1);
    }
}

TEST_P(SwapSpaceOn, LeasesNeverOverlapHoweverTheyComeAndGo) {
    constexpr std::uint64_t kSeed = 31;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    SwapSpace space{directory(), {}};
    Ledger ledger;
    for (int step = 0; step < 3000; ++step) {
        if (random() % 5 < 2 && ledger.count() > 0) {
            ledger.drop_random(random);
        } else {
            const std::uint64_t bytes = (random() % 100 + 1) * kPage;
            ASSERT_NO_FATAL_FAILURE(ledger.add(space.open(bytes), bytes)) << "step " << step;
        }
    }
    ledger.clear();
}

TEST_P(SwapSpaceOn, SpaceIsUsedAgain) {
    SwapSpace space{directory(), {}};
    const Lease first = space.open(10 * kPage);
    Lease middle = space.open(20 * kPage);
    const Lease last = space.open(10 * kPage);
    const std::uint64_t offset = middle->extent().offset;
    middle.reset();
    const Lease smaller = space.open(5 * kPage);
    const Lease rest = space.open(15 * kPage);
    EXPECT_EQ(smaller->extent().offset, offset);
    EXPECT_EQ(rest->extent().offset, offset + 5 * kPage);
}

TEST_P(SwapSpaceOn, NeighbouringHolesBecomeOne) {
    const std::vector<std::vector<std::size_t>> orders = {{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}};
    for (const auto& order : orders) {
        SwapSpace space{directory(), {}};
        std::vector<Lease> leases;
        for (int i = 0; i < 3; ++i) leases.push_back(space.open(10 * kPage));
        const std::uint64_t begin = leases[0]->extent().offset;
        const Lease last = space.open(kPage);
        for (std::size_t lease : order) leases[lease].reset();
        EXPECT_EQ(space.open(30 * kPage)->extent().offset, begin);
    }
}

TEST_P(SwapSpaceOn, SpaceGoesBackToTheFileSystemWithTheLease) {
    SwapSpace space{directory(), {}};
    const Lease stays = space.open(kPage);
    const int fd = stays->extent().fd;
    Lease goes = space.open(1024 * kPage);
    for (std::uint64_t page = 0; page < 1024; ++page) write(*goes, page * kPage, 1);
    EXPECT_GE(bytes_taken(fd), 1024 * kPage);
    goes.reset();
    EXPECT_LT(bytes_taken(fd), 16 * kPage) << "a few blocks of the file system's own may stay";
}

TEST_P(SwapSpaceOn, ALeaseThatGoesTakesNothingFromItsNeighbours) {
    SwapSpace space{directory(), {}};
    const Lease before = space.open(2 * kPage);
    Lease goes = space.open(2 * kPage);
    const Lease after = space.open(2 * kPage);
    write(*before, kPage, 1);
    write(*goes, 0, 2);
    write(*after, 0, 3);
    goes.reset();
    expect(*before, kPage, 1);
    expect(*after, 0, 3);
}

TEST_P(SwapSpaceOn, DiscardingGivesBackWholeMiBsAndNoMore) {
    SwapSpace space{directory(), {}};
    const Lease lease = space.open(4 * kMiB);
    for (std::uint64_t at = 0; at < 4 * kMiB; at += kPage) write(*lease, at, 7);
    const std::uint64_t taken = bytes_taken(lease->extent().fd);
    lease->discard(kMiB - kPage, 2 * kMiB);
    EXPECT_EQ(bytes_taken(lease->extent().fd), taken - kMiB) << "a part of the MiB behind is in use";
    for (const std::uint64_t at : {std::uint64_t{0}, kMiB - 2 * kPage, 3 * kMiB - kPage}) expect(*lease, at, 7);
}

TEST_P(SwapSpaceOn, WithAThreadInTheBackgroundDiscardingGivesBackNothingByItself) {
    SwapSpace space{directory(), {}};
    space.set_background_return(true);
    const Lease lease = space.open(4 * kMiB);
    for (std::uint64_t at = 0; at < 4 * kMiB; at += kPage) write(*lease, at, 7);
    const std::uint64_t taken = bytes_taken(lease->extent().fd);
    EXPECT_FALSE(space.has_space_to_return());
    for (std::uint64_t at = kMiB; at < 3 * kMiB; at += kPage) lease->discard(at, kPage);
    EXPECT_EQ(bytes_taken(lease->extent().fd), taken);
    EXPECT_TRUE(space.has_space_to_return());
    space.return_some_space();
    EXPECT_EQ(bytes_taken(lease->extent().fd), taken - 2 * kMiB) << "neighbours in one piece";
    EXPECT_TRUE(space.has_space_to_return());
    space.return_some_space();
    EXPECT_FALSE(space.has_space_to_return());
    for (std::uint64_t at = 0; at < kMiB; at += kPage) expect(*lease, at, 7);
    for (std::uint64_t at = 3 * kMiB; at < 4 * kMiB; at += kPage) expect(*lease, at, 7);
}

TEST_P(SwapSpaceOn, ThousandsOfLeasesShareOneDescriptor) {
    const std::size_t before = open_descriptors();
    SwapSpace space{directory(), {}};
    std::vector<Lease> leases;
    std::set<int> files;
    for (int i = 0; i < 2000; ++i) {
        leases.push_back(space.open(256 * kPage));
        files.insert(leases.back()->extent().fd);
    }
    EXPECT_EQ(files.size(), 1U);
    EXPECT_EQ(open_descriptors(), before + 2);  // and the one of the directory
}

TEST_P(SwapSpaceOn, OpensAnotherFileWhenOneIsFull) {
    if (!can_lease(5 * kTiB)) GTEST_SKIP() << "no sparse file of 5 TiB here";
    SwapSpace space{directory(), {}};
    const Lease first = space.open(5 * kTiB);
    const Lease second = space.open(5 * kTiB);
    EXPECT_NE(first->extent().fd, second->extent().fd);
    write(*first, 5 * kTiB - kPage, 1);
    write(*second, 5 * kTiB - kPage, 2);
    expect(*first, 5 * kTiB - kPage, 1);
    expect(*second, 5 * kTiB - kPage, 2);
    EXPECT_TRUE(directory_.empty());
}

TEST_P(SwapSpaceOn, ARegionLargerThanAFileShouldBeGetsOneOfItsOwn) {
    if (!can_lease(9 * kTiB)) GTEST_SKIP() << "no sparse file of 9 TiB here";
    SwapSpace space{directory(), {}};
    const Lease small = space.open(kPage);
    const Lease large = space.open(9 * kTiB);
    EXPECT_NE(small->extent().fd, large->extent().fd);
}

TEST_P(SwapSpaceOn, FilesThatBecameEmptyAreUsedBeforeNewOnesAreOpened) {
    if (!can_lease(5 * kTiB)) GTEST_SKIP() << "no sparse file of 5 TiB here";
    SwapSpace space{directory(), {}};
    Lease older = space.open(5 * kTiB);
    Lease newer = space.open(5 * kTiB);
    const std::size_t with_two_files = open_descriptors();
    for (int round = 0; round < 5; ++round) {
        older = std::move(newer);
        newer = space.open(5 * kTiB);
    }
    EXPECT_EQ(open_descriptors(), with_two_files);
}

TEST_P(SwapSpaceOn, AFailureToExtendLeavesTheSpaceUsable) {
    SwapSpace space{directory(), {}};
    EXPECT_THROW(static_cast<void>(space.open(std::uint64_t{1} << 63)), std::system_error);
    const Lease lease = space.open(kPage);
    write(*lease, 0, 1);
    expect(*lease, 0, 1);
}

TEST_P(SwapSpaceOn, ANamedFileIsUsedAndGone) {
    SwapSpace space{{}, directory() / "swap"};
    EXPECT_TRUE(directory_.empty());
    const Lease lease = space.open(kPage);
    write(*lease, 0, 1);
    expect(*lease, 0, 1);
}

TEST_P(SwapSpaceOn, ManyThreadsMayOpenAndCloseAtOnce) {
    SwapSpace space{directory(), {}};
    const auto come_and_go = [&](unsigned thread) {
        sys::Mapping mine = sys::Mapping::reserve(kPage, kPage, true, "a test page");
        for (int round = 0; round < 100; ++round) {
            const Lease lease = space.open((static_cast<std::uint64_t>(round) % 7 + 1) * kPage);
            std::memset(mine.data(), static_cast<int>(thread + 1), kPage);
            EXPECT_EQ(lease->write(0, mine.bytes()), 0);
            EXPECT_EQ(lease->read(0, mine.bytes()), 0);
            for (std::byte byte : mine.bytes()) ASSERT_EQ(byte, static_cast<std::byte>(thread + 1));
        }
    };
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 8; ++thread) threads.emplace_back(come_and_go, thread);
    for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(FileSystems, SwapSpaceOn, file_systems(), FileSystemName{});

}  // namespace
}  // namespace faultline::test
