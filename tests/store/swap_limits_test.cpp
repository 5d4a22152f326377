// Limits: a full disk is told to the writer and costs no other page, free space is used before a disk is full, and
// forks that cannot be prepared are refused without a loss.
#include "store/fork_helpers.hpp"
#include "store/swap_fixture.hpp"
#include "store/test_queues.hpp"
#include "store/write_queue.hpp"
#include "support/child.hpp"
#include "support/descriptor_limit.hpp"
#include "support/process.hpp"
#include "support/small_disk.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

namespace faultline::test {
namespace {

using store::ForkSide;
using store::SwapSpace;

// ---- Full disks

/// A swap space on a disk of 8 MiB, unless another size is given.
class FullDisk : public testing::TestWithParam<std::size_t> {
protected:
    explicit FullDisk(unsigned mebibytes = 8) : mebibytes_{mebibytes} {}
    void SetUp() override {
        disk_ = std::make_unique<SmallDisk>(directory_.path(), mebibytes_);
        if (!disk_->mounted()) GTEST_SKIP() << "cannot mount a small file system: " << std::strerror(errno);
        swap_ = std::make_unique<SwapMachine>(directory_.path(), GetParam() * kSegment);
    }
    /// Writes pages that do not shrink from page 0 on until the disk is full. Returns how many were written.
    static std::uint64_t fill(Remembered& region) {
        std::uint64_t page = 0;
        while (page < region.pages() && region.try_write(page, incompressible(page)) == 0) ++page;
        return page;
    }

    unsigned mebibytes_;
    TemporaryDirectory directory_{"/var/tmp"};
    std::unique_ptr<SmallDisk> disk_;
    std::unique_ptr<SwapMachine> swap_;
};

TEST_P(FullDisk, IsToldToTheWriterAndCostsNoOtherPage) {
    Remembered& region = swap_->region(4096);
    const std::uint64_t kept = fill(region);
    EXPECT_GT(kept, 7 * kMiB / kPage);
    EXPECT_LE(kept, 8 * kMiB / kPage);
    for (int again = 0; again < 3; ++again) EXPECT_EQ(region.try_write(kept, incompressible(9)), ENOSPC);
    for (std::uint64_t page = 0; page < kept; ++page) ASSERT_NO_FATAL_FAILURE(region.check_range(page, 1));
    swap_->audit();
}

TEST_P(FullDisk, AWriteThatFailsLeavesTheBytesThatThePageHad) {
    Remembered& region = swap_->region(4096);
    const std::uint64_t kept = fill(region);
    const Contents before = *region.expected(3);
    EXPECT_EQ(region.try_write(3, incompressible(9999)), ENOSPC);
    region.now_has(3, before);
    for (std::uint64_t page = 0; page < kept; ++page) ASSERT_NO_FATAL_FAILURE(region.check_range(page, 1));
}

TEST_P(FullDisk, GivesBackWhatIsFreeBeforeAWriteFails) {
    Remembered& region = swap_->region(4096);
    const std::uint64_t kept = fill(region);
    for (std::uint64_t page = 0; page < kept; page += 2) region.discard(page, 1);
    for (std::uint64_t page = 0; page < kept / 2; ++page) {
        ASSERT_EQ(region.try_write(2048 + page, incompressible(page + 5000)), 0) << "page " << page;
    }
    swap_->audit();
    region.check(16);
}

TEST_P(FullDisk, FreeSpaceOfFewPagesIsEnough) {
    Remembered& region = swap_->region(4096);
    const std::uint64_t kept = fill(region);
    for (std::uint64_t round = 0; round < 50; ++round) {
        region.discard(round * 7 % kept, 1);
        ASSERT_EQ(region.try_write(round * 7 % kept, incompressible(round)), 0) << "round " << round;
    }
    region.check_range(0, 16);
    swap_->audit();
}

TEST_P(FullDisk, EachPageOfABatchIsWrittenOrToldWhole) {
    Remembered& region = swap_->region(1024, 32768);
    std::uint64_t page = 0;
    while (page < 1024 && region.try_write(page, incompressible(page)) == 0) ++page;
    EXPECT_GT(page, 7 * kMiB / 32768);
    EXPECT_LE(page, 8 * kMiB / 32768);
    for (std::uint64_t one = 0; one < page; ++one) ASSERT_NO_FATAL_FAILURE(region.check_range(one, 1));
    swap_->audit();
}

TEST_P(FullDisk, ACompressedPageThatCannotBeSpilledStaysInMemory) {
    if (GetParam() == 0) GTEST_SKIP() << "no memory for compressed pages";
    Remembered& region = swap_->region(4096);
    for (std::uint64_t page = 0; page < 150; ++page) region.write(page, textlike(page));
    Remembered& ballast = swap_->region(4096);
    fill(ballast);
    EXPECT_EQ(swap_->spill_all(), ENOSPC);
    region.check();
    std::uint64_t more = 150;
    while (more < 4096 && region.try_write(more, textlike(more)) == 0) ++more;
    EXPECT_LT(more, 4096U) << "memory and the disk are full";
    EXPECT_GT(swap_->stats().overflows, 0U);
    for (std::uint64_t page = 0; page < more; ++page) ASSERT_NO_FATAL_FAILURE(region.check_range(page, 1));
    ballast.discard(0, 4096);
    EXPECT_EQ(swap_->spill_all(), 0);
    region.check(16);
}

TEST_P(FullDisk, AForkIsRefusedWhenCompressedPagesCannotBeSpilledAndNothingIsLost) {
    if (GetParam() == 0) GTEST_SKIP() << "no memory for compressed pages";
    Remembered& region = swap_->region(100);
    for (std::uint64_t page = 0; page < 100; ++page) region.write(page, textlike(page));
    Remembered& ballast = swap_->region(4096);
    fill(ballast);
    try {
        store::SequentialWriteQueue queue;
        swap_->space().prepare_fork(queue);
        ADD_FAILURE() << "the full disk was not noticed";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
    region.check();
    ballast.discard(0, 2048);
    as_if_forked(*swap_);
    region.check();
}

/// Each frozen file keeps the chunk that was open.
class FullDiskOfManyFiles : public FullDisk {
protected:
    FullDiskOfManyFiles() : FullDisk{64} {}
};

TEST_P(FullDiskOfManyFiles, AForkIsRefusedWhenFrozenFilesCannotBeMergedAndNothingIsLost) {
    for (std::uint64_t round = 0; round < SwapSpace::kMostFrozen; ++round) {
        swap_->region(30).write_version(0, 30, round);
        as_if_forked(*swap_);
    }
    Remembered& ballast = swap_->region(20000);
    fill(ballast);
    try {
        store::SequentialWriteQueue queue;
        swap_->space().prepare_fork(queue);
        ADD_FAILURE() << "the full disk was not noticed";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
    swap_->audit();
    for (const auto& region : swap_->regions()) {
        if (region.get() == &ballast) continue;
        ASSERT_NO_FATAL_FAILURE(region->check(16));
    }
    ballast.discard(0, ballast.pages());
    as_if_forked(*swap_);
    EXPECT_LE(swap_->space().frozen_files(), SwapSpace::kMostFrozen + 1);
    for (const auto& region : swap_->regions()) ASSERT_NO_FATAL_FAILURE(region->check(16));
}

INSTANTIATE_TEST_SUITE_P(With, FullDisk, testing::Values(0, 8),
                         [](const auto& instance) { return instance.param == 0 ? "plain" : "compressed"; });

INSTANTIATE_TEST_SUITE_P(With, FullDiskOfManyFiles, testing::Values(0, 8),
                         [](const auto& instance) { return instance.param == 0 ? "plain" : "compressed"; });

// ---- File size limits

/// Runs `body` in a child whose files may have `bytes` at most. Returns how it ended.
ChildEnd with_file_size_limit(rlim_t bytes, const std::function<int()>& body) {
    return in_child([&] {
        const rlimit limit{bytes, RLIM_INFINITY};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
        return body();
    });
}

TEST(SwapFileSizeLimit, SlotsEndWhereTheFileMayNotGrow) {
    const TemporaryDirectory directory{"/var/tmp"};
    const ChildEnd end = with_file_size_limit(12 * kMiB + 100, [&] {
        SwapSpace space{directory.path(), {}};
        const auto store = space.open(8 * kMiB);
        const std::uint64_t capacity = space.slots().allocator().capacity_bytes();
        if (capacity > 12 * kMiB || capacity < 8 * kMiB + 2 * kMiB) return 1;
        Remembered region{space.open(kPage), 1, kPage};
        const sys::Mapping page = sys::Mapping::reserve(kPage, kPage, true, "a page");
        for (std::uint64_t at = 0; at < 8 * kMiB; at += kPage) {
            if (store->write(at, page.bytes()) != 0) return 2;
        }
        return region.try_write(0, textlike(1)) == 0 && region.error_of_read(0) == 0 ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST(SwapFileSizeLimit, ARegionThatDoesNotFitIsRefused) {
    const TemporaryDirectory directory{"/var/tmp"};
    const ChildEnd end = with_file_size_limit(8 * kMiB, [&] {
        SwapSpace space{directory.path(), {}};
        try {
            static_cast<void>(space.open(16 * kMiB));
            return 1;
        } catch (const std::system_error& error) {
            if (error.code().value() != EFBIG) return 2;
        }
        Remembered region{space.open(4 * kPage), 4, kPage};
        return region.try_write(0, textlike(1)) == 0 ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST(SwapFileSizeLimit, ThatIsRaisedLaterLetsTheFileGrowAlsoAfterAFork) {
    const TemporaryDirectory directory{"/var/tmp"};
    const ChildEnd end = with_file_size_limit(8 * kMiB, [&] {
        SwapMachine swap{directory.path(), 0};
        swap.region(100).write_all(1);
        for (const rlim_t more : {rlim_t{24 * kMiB}, rlim_t{48 * kMiB}}) {
            const rlimit limit{more, RLIM_INFINITY};
            if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
            swap.region(more / kPage / 4).write_all(2);
        }
        as_if_forked(swap);
        for (const auto& region : swap.regions()) {
            region->write_version(0, region->pages() / 2, 3);
            region->check(16);
        }
        swap.audit();
        return testing::Test::HasFailure() ? 1 : 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- Forks that cannot be prepared

/// Returns the errno of prepare_fork, 0 if it succeeds. Checks nothing meanwhile, because that may open files.
int error_of_preparing(SwapSpace& space, rlim_t descriptors = RLIM_INFINITY) {
    try {
        std::optional<DescriptorLimit> limit;
        if (descriptors != RLIM_INFINITY) limit.emplace(descriptors);
        store::SequentialWriteQueue queue;
        space.prepare_fork(queue);
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    space.cancel_fork();
    return 0;
}

class RefusedForks : public SwapSpaceOn {};

TEST_P(RefusedForks, CancellingLeavesAllAsItWas) {
    Remembered& region = swap().region(16);
    region.write_all(1);
    for (int round = 0; round < 2; ++round) {  // the second time with a frozen file
        const std::size_t descriptors = open_descriptors();
        const std::size_t frozen = swap().space().frozen_files();
        const int file = swap().file().fd();
        EXPECT_EQ(error_of_preparing(swap().space()), 0);
        EXPECT_EQ(swap().file().fd(), file);
        EXPECT_EQ(open_descriptors(), descriptors);
        EXPECT_EQ(swap().space().frozen_files(), frozen);
        region.write_version(0, 4, 2);
        region.discard(4, 2);
        region.check(8);
        Remembered& more = swap().region(4);
        more.write_all(5);
        more.check();
        as_if_forked(swap());
        region.check(8);
    }
}

TEST_P(RefusedForks, WithoutItsDirectoryItRefusesAndGoesOn) {
    const std::filesystem::path gone = directory_.path() / "gone";
    std::filesystem::create_directory(gone);
    SwapMachine swap{gone, limit()};
    Remembered& region = swap.region(16);
    region.write_all(1);
    std::filesystem::remove(gone);
    EXPECT_EQ(error_of_preparing(swap.space()), ENOENT);
    region.write_version(0, 4, 2);
    region.check(8);
    std::filesystem::create_directory(gone);
    as_if_forked(swap);
    region.write_version(2, 4, 3);
    region.check(8);
}

TEST_P(RefusedForks, WithoutDescriptorsItRefusesAndGoesOn) {
    Remembered& region = swap().region(16);
    region.write_all(1);
    as_if_forked(swap());
    region.write_version(0, 4, 2);
    ASSERT_EQ(swap().spill_all(), 0);
    const int next_free = ::dup(STDERR_FILENO);
    ::close(next_free);
    const std::size_t descriptors = open_descriptors();
    // With descriptors left for none, and for one of the two files.
    for (const int most : {next_free, next_free + 1}) {
        EXPECT_EQ(error_of_preparing(swap().space(), static_cast<rlim_t>(most)), EMFILE);
        EXPECT_EQ(open_descriptors(), descriptors);
        EXPECT_EQ(swap().space().frozen_files(), 1U);
        region.write_version(4, 4, 3);
        region.check(8);
        ASSERT_EQ(swap().spill_all(), 0);
    }
    as_if_forked(swap());
    region.check(8);
}

TEST_P(RefusedForks, WithTooSmallAFileSizeLimitItRefusesAndGoesOn) {
    Remembered& region = swap().region(1024);
    region.write_version(0, 4, 1);
    ASSERT_EQ(swap().spill_all(), 0);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit limit{512 * kPage, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int error = error_of_preparing(swap().space());
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(error, EFBIG);
    region.check(16);
    as_if_forked(swap());
    region.check(16);
}

INSTANTIATE_TEST_SUITE_P(Each, RefusedForks, swap_spaces(), SwapSpaceName{});

TEST(StoreFactory, RefusesToForkUnlessItCan) {
    class Stores final : public store::StoreFactory {
    public:
        std::unique_ptr<store::BackingStore> open(std::uint64_t) override { return nullptr; }
    };
    Stores stores;
    try {
        store::SequentialWriteQueue queue;
        stores.prepare_fork(queue);
        FAIL() << "it did not throw";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EOPNOTSUPP);
    }
}

}  // namespace
}  // namespace faultline::test
