// SwapSpace: regions share one file, their bytes never mix, and space goes back to the file system.
#include "store/swap_space.hpp"

#include "store/fork_helpers.hpp"
#include "store/swap_fixture.hpp"
#include "support/process.hpp"
#include "support/run_threads.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <system_error>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::ForkSide;
using store::SwapSpace;

constexpr std::uint64_t kChunk = 2 * kMiB;
constexpr std::uint64_t kChunkPages = kChunk / kPage;

INSTANTIATE_TEST_SUITE_P(Each, SwapSpaceOn, swap_spaces(), SwapSpaceName{});

// ---- Regions

TEST_P(SwapSpaceOn, RegionsOfDifferentPageSizesKeepEachTheirOwnBytes) {
    for (std::size_t i = 0; i < 40; ++i) swap().region(4, kPage << (i % 6));
    for (const auto& region : swap().regions()) region->write_all(region->page_bytes());
    for (const auto& region : swap().regions()) region->check(4);
}

TEST_P(SwapSpaceOn, KeepsAllContentsHoweverRegionsComeAndGo) {
    std::mt19937_64 random{printed_seed()};
    for (int step = 0; step < 200; ++step) {
        if (random() % 5 < 2 && !swap().regions().empty()) {
            swap().close(*swap().regions()[random() % swap().regions().size()]);
        } else {
            swap().region(random() % 60 + 1, kPage << (random() % 4)).write_all(random());
        }
        if (!swap().regions().empty()) {
            ASSERT_NO_FATAL_FAILURE(swap().regions()[random() % swap().regions().size()]->check(8)) << "step " << step;
        }
    }
    for (const auto& region : swap().regions()) region->check(8);
}

TEST_P(SwapSpaceOn, ThousandsOfRegionsShareOneDescriptor) {
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 2000; ++i) static_cast<void>(swap().region(8));
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_TRUE(directory_.empty()) << "the file has no name";
}

TEST_P(SwapSpaceOn, ManyThreadsMayOpenAndCloseAtOnce) {
    run_threads(8, [&](unsigned thread) {
        for (std::uint64_t round = 0; round < 50; ++round) {
            Remembered region{swap().space().open(16 * kPage), 16, kPage};
            region.write_all(thread * 1000 + round);
            region.check(16);
        }
    });
    EXPECT_EQ(swap().allotted_pages(), 0U);
}

TEST_P(SwapSpaceOn, ARegionThatIsTooLargeIsRefusedAndTheSpaceStaysUsable) {
    EXPECT_THROW(static_cast<void>(swap().space().open(std::uint64_t{1} << 63)), std::system_error);
    Remembered& region = swap().region(4);
    region.write_all(1);
    region.check();
}

TEST_P(SwapSpaceOn, ARegionLargerThanAShelfIsUsedToItsEnd) {
    constexpr std::uint64_t kPages = (std::uint64_t{9} << 30) / kPage;
    const std::unique_ptr<BackingStore> region = swap().space().open(kPages * kPage);
    const sys::Mapping page = sys::Mapping::reserve(kPage, kPage, true, "a page");
    for (const std::uint64_t at : {std::uint64_t{0}, kPages / 2, kPages - 1}) {
        textlike(at).fill(page.bytes());
        ASSERT_EQ(region->write(at * kPage, page.bytes()), 0);
    }
    for (const std::uint64_t at : {std::uint64_t{0}, kPages / 2, kPages - 1}) {
        ASSERT_EQ(region->read(at * kPage, page.bytes()), 0);
        EXPECT_TRUE(std::ranges::equal(page.bytes(), textlike(at).bytes(kPage)));
    }
}

TEST_P(SwapSpaceOn, UntouchedRegionsTakeNoMemoryToSpeakOf) {
    const std::size_t before = resident_bytes();
    for (int i = 0; i < 20; ++i) static_cast<void>(swap().space().open(std::uint64_t{1} << 30));
    EXPECT_LT(resident_bytes(), before + 20 * kMiB);
}

// ---- Shared pages

TEST_P(SwapSpaceOn, AClonedRegionSharesAllPagesUntilOneSideWrites) {
    Remembered& region = swap().region(100);
    region.write_all(1);
    region.discard(90, 10);
    const std::uint64_t allotted = swap().allotted_pages();
    Remembered& clone = swap().clone_of(region);
    EXPECT_EQ(swap().allotted_pages(), allotted) << "no bytes were copied";
    EXPECT_TRUE(clone.store().whereabouts(0).shared);
    EXPECT_EQ(clone.store().shared_bytes(0), region.store().shared_bytes(0));
    ASSERT_NE(clone.store().shared_bytes(0).note, nullptr);
    EXPECT_FALSE(clone.store().shared_bytes(0) == clone.store().shared_bytes(kPage));
    EXPECT_EQ(clone.store().shared_bytes(95 * kPage).note, nullptr) << "no bytes, nothing to share";

    clone.write_version(0, 10, 2);
    EXPECT_FALSE(region.store().whereabouts(0).shared);
    EXPECT_EQ(region.store().shared_bytes(0).note, nullptr);
    region.write_version(20, 10, 3);
    region.discard(30, 10);
    region.check(16);
    clone.check(16);
    swap().audit();
    swap().close(region);
    clone.check(16);
}

TEST_P(SwapSpaceOn, APageGoesWithTheLastOfManyRegions) {
    Remembered& region = swap().region(20, 8192);
    region.write_all(1);
    std::vector<Remembered*> clones;
    for (int i = 0; i < 10; ++i) clones.push_back(&swap().clone_of(i == 0 ? region : *clones.back()));
    EXPECT_EQ(swap().allotted_pages(), 40U);
    for (std::size_t i = 0; i < 10; i += 2) clones[i]->discard(0, 20);
    swap().close(region);
    for (std::size_t i = 1; i < 10; i += 2) clones[i]->check();
    for (std::size_t i = 1; i < 9; i += 2) clones[i]->write_all(i);
    EXPECT_EQ(swap().allotted_pages(), 5 * 40U);
    clones[9]->check();
    swap().audit();
    clones[9]->discard(0, 20);
    EXPECT_EQ(swap().allotted_pages(), 4 * 40U);
}

// ---- Space that goes back

class SpaceGoesBack : public OnEachFileSystem {
protected:
    void SetUp() override {
        OnEachFileSystem::SetUp();
        if (!IsSkipped()) swap_ = std::make_unique<SwapMachine>(directory(), 0);
    }

    std::unique_ptr<SwapMachine> swap_;
};

INSTANTIATE_TEST_SUITE_P(FileSystems, SpaceGoesBack, file_systems(), FileSystemName{});

TEST_P(SpaceGoesBack, WithTheRegion) {
    Remembered& region = swap_->region(8 * kChunkPages);
    EXPECT_EQ(swap_->file_bytes(), 0U);
    region.write_all(1);
    EXPECT_GE(swap_->file_bytes(), 8 * kChunk);
    swap_->close(region);
    EXPECT_LE(swap_->file_bytes(), kChunk + 64 * kPage) << "the chunk that is open may stay";
}

TEST_P(SpaceGoesBack, AfterADiscardOfPagesThatLeftTogether) {
    Remembered& region = swap_->region(8 * kChunkPages);
    region.write_all(1);
    const std::uint64_t before = swap_->file_bytes();
    region.discard(kChunkPages, 4 * kChunkPages);
    EXPECT_LE(swap_->file_bytes() + 4 * kChunk, before + kFileSystemsOwn);
    region.check(16);
}

TEST_P(SpaceGoesBack, WhenPagesAreWrittenElsewhere) {
    Remembered& region = swap_->region(4 * kChunkPages);
    for (std::uint64_t version = 1; version < 8; ++version) {
        region.write_all(version);
        region.discard(0, 1);
        EXPECT_LE(swap_->file_bytes(), 6 * kChunk) << "version " << version;
    }
    region.check(16);
}

TEST_P(SpaceGoesBack, SoThatScatteredFreeSpaceStaysWithinItsBound) {
    constexpr std::uint64_t kPages = 64 * kChunkPages;  // 128 MiB
    Remembered& region = swap_->region(kPages);
    region.write_all(1);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page % 8 != 0) region.discard(page, 1);
    }
    EXPECT_LE(swap_->file_bytes(), kPages / 8 * kPage + 42 * kMiB);
    region.check(16);
    region.write_all(2);
    region.check(16);
}

TEST_P(SpaceGoesBack, InTheBackgroundIfAThreadSaysSo) {
    swap_->space().set_background_return(true);
    Remembered& region = swap_->region(8 * kChunkPages);
    region.write_all(1);
    const std::uint64_t before = swap_->file_bytes();
    EXPECT_FALSE(swap_->space().has_space_to_return());
    for (std::uint64_t page = kChunkPages; page < 3 * kChunkPages; ++page) region.discard(page, 1);
    region.discard(5 * kChunkPages, kChunkPages);
    EXPECT_EQ(swap_->file_bytes(), before);
    EXPECT_TRUE(swap_->space().has_space_to_return());
    swap_->space().return_some_space();
    EXPECT_LE(swap_->file_bytes() + kChunk, before + kFileSystemsOwn);
    EXPECT_TRUE(swap_->space().has_space_to_return());
    swap_->space().return_some_space();
    EXPECT_FALSE(swap_->space().has_space_to_return());
    EXPECT_LE(swap_->file_bytes() + 3 * kChunk, before + kFileSystemsOwn);
    region.check(16);
}

TEST_P(SpaceGoesBack, AndCountsAsRoomUntilThen) {
    swap_->space().set_background_return(true);
    Remembered& region = swap_->region(8 * kChunkPages);
    region.write_all(1);
    const std::uint64_t waste = swap_->space().slots().allocator().waste_bytes();
    region.discard(0, 4 * kChunkPages);
    EXPECT_EQ(swap_->space().slots().allocator().waste_bytes(), waste + 4 * kChunk);
    EXPECT_GE(swap_->space().room(), 4 * kChunk);
}

// ---- Names and directories

TEST_P(SwapSpaceOn, ANamedFileIsUsedAndFollowedByUnnamedOnes) {
    SwapMachine named{{}, limit(), directory_.path() / "swap"};
    EXPECT_TRUE(directory_.empty());
    Remembered& region = named.region(8);
    region.write_all(1);
    as_if_forked(named);
    EXPECT_TRUE(directory_.empty());
    region.write_version(0, 4, 2);
    region.check(8);
}

TEST_P(SwapSpaceOn, ADirectoryNamedFromTheWorkingDirectoryIsFoundFromAnyOther) {
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(directory_.path());
    SwapMachine relative{".", limit()};
    std::filesystem::current_path(before);
    Remembered& region = relative.region(8);
    region.write_all(1);
    ASSERT_NO_THROW(as_if_forked(relative));
    static_cast<void>(swap().region(1));
    EXPECT_EQ(status_of(relative.file().fd()).st_dev, status_of(swap().file().fd()).st_dev);
    region.check();
}

}  // namespace
}  // namespace faultline::test
