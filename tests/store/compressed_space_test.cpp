// CompressedSpace: after a fork both processes find every page in the files, including those that were in memory. If
// the pages cannot be written there, nothing is lost.
#include "store/compressed_space.hpp"

#include "core/units.hpp"
#include "store/memory_behind.hpp"
#include "store/page_contents.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_space.hpp"
#include "support/child.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::CompressedSpace;
using store::ForkSide;
using store::SegmentPool;
using store::StoreFactory;
using store::SwapSpace;

constexpr std::uint64_t kSpacePages = 200;
constexpr std::size_t kPoolBytes = 16 * SegmentPool::kSegmentBytes;

Contents contents_of(std::uint64_t page, std::uint64_t version) {
    const std::uint64_t number = version * 100000 + page;
    return page % 5 == 0 ? incompressible(number) : textlike(number);
}

/// Returns aligned memory, as direct I/O needs it.
sys::Mapping aligned(std::size_t bytes) { return sys::Mapping::reserve(bytes, kPage, true, "a test page"); }

void write(BackingStore& store, std::uint64_t page, std::uint64_t version) {
    const sys::Mapping bytes = aligned(kPage);
    contents_of(page, version).fill(bytes.bytes());
    ASSERT_EQ(store.write(page * kPage, bytes.bytes()), 0);
}

bool holds(BackingStore& store, std::uint64_t page, std::uint64_t version) {
    const sys::Mapping bytes = aligned(kPage);
    const std::vector<std::byte> expected = contents_of(page, version).bytes(kPage);
    return store.read(page * kPage, bytes.bytes()) == 0 && std::ranges::equal(bytes.bytes(), expected);
}

/// Checks that pages whose last decimal digit is below `digit` have `version`, and all others the version before.
bool holds_all(BackingStore& store, std::uint64_t version, std::uint64_t digit) {
    for (std::uint64_t page = 0; page < kSpacePages; ++page) {
        if (!holds(store, page, page % 10 < digit ? version : 1)) return false;
    }
    return true;
}

class CompressedSpaceOn : public OnEachFileSystem {
protected:
    void SetUp() override {
        OnEachFileSystem::SetUp();
        if (IsSkipped()) return;
        auto files = std::make_unique<SwapSpace>(directory(), std::filesystem::path{});
        space_ = std::make_unique<CompressedSpace>(std::move(files), 64 * kPoolBytes, kPoolBytes);
        store_ = space_->open(kSpacePages * kPage);
        for (std::uint64_t page = 0; page < kSpacePages; ++page) write(*store_, page, 1);
    }
    void write_some(std::uint64_t version, std::uint64_t digit) {
        for (std::uint64_t page = 0; page < kSpacePages; ++page) {
            if (page % 10 < digit) write(*store_, page, version);
        }
    }

    std::unique_ptr<CompressedSpace> space_;
    std::unique_ptr<BackingStore> store_;
};

TEST_P(CompressedSpaceOn, ServesPagesOfEachSize) {
    for (const std::size_t page_bytes : {std::size_t{8192}, std::size_t{65536}, std::size_t{1} << 21}) {
        const auto store = space_->open_for_pages(4 * page_bytes, page_bytes);
        for (std::uint64_t page = 0; page < 4; ++page) {
            ASSERT_EQ(store->write(page * page_bytes, textlike(page).bytes(page_bytes)), 0);
        }
        for (std::uint64_t page = 0; page < 4; ++page) {
            const sys::Mapping into = aligned(page_bytes);
            ASSERT_EQ(store->read(page * page_bytes, into.bytes()), 0);
            EXPECT_TRUE(std::ranges::equal(into.bytes(), textlike(page).bytes(page_bytes)));
        }
        EXPECT_EQ(store->extent().fd, -1);
    }
}

TEST_P(CompressedSpaceOn, PrepareForkLeavesEverythingBehind) {
    EXPECT_GT(space_->pool().stats().compressed_bytes, 0U);
    space_->prepare_fork();
    EXPECT_EQ(space_->pool().stats().compressed_bytes, 0U);
    EXPECT_EQ(space_->pool().stats().used_bytes, 0U);
    space_->cancel_fork();
    EXPECT_TRUE(holds_all(*store_, 1, 10));
    write_some(2, 5);
    EXPECT_TRUE(holds_all(*store_, 2, 5));
}

TEST_P(CompressedSpaceOn, ParentAndChildReadWhatWasThereAndThenEachItsOwn) {
    space_->prepare_fork();
    const ChildEnd end = in_child([&] {
        space_->continue_as(ForkSide::child);
        if (!holds_all(*store_, 1, 10)) return 1;
        write_some(2, 5);
        if (!holds_all(*store_, 2, 5)) return 2;
        if (space_->pool().stats().compressed_bytes == 0) return 3;
        const auto another = space_->open(kSpacePages * kPage);
        write(*another, 7, 4);
        if (!holds(*another, 7, 4) || !holds_all(*store_, 2, 5)) return 4;
        return 0;
    });
    space_->continue_as(ForkSide::parent);
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(holds_all(*store_, 1, 10));
    write_some(3, 3);
    EXPECT_TRUE(holds_all(*store_, 3, 3));
}

TEST_P(CompressedSpaceOn, AForkThatNobodyPreparedCopiesNothingOfThePool) {
    const ChildEnd end = in_child([&] {
        const std::span<std::byte> memory = space_->pool().memory();
        for (std::size_t at = 0; at < SegmentPool::kSegmentBytes; ++at) {
            if (memory[at] != std::byte{0}) return 1;
        }
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(holds_all(*store_, 1, 10));
}

TEST_P(CompressedSpaceOn, ForksAgainAndAgain) {
    for (std::uint64_t round = 2; round < 8; ++round) {
        space_->prepare_fork();
        space_->continue_as(round % 2 == 0 ? ForkSide::child : ForkSide::parent);
        write_some(round, 5);
        ASSERT_TRUE(holds_all(*store_, round, 5));
    }
}

INSTANTIATE_TEST_SUITE_P(Each, CompressedSpaceOn, file_systems(), FileSystemName{});

/// Stores on memory that fail on demand.
class MemoryStores final : public StoreFactory {
public:
    explicit MemoryStores(std::shared_ptr<Behind> behind) : behind_{std::move(behind)} {}
    std::unique_ptr<BackingStore> open(std::uint64_t) override { return std::make_unique<MemoryBehind>(behind_); }
    void prepare_fork() override { ++prepared; }

    static inline int prepared = 0;

private:
    std::shared_ptr<Behind> behind_;
};

TEST(CompressedSpace, AForkIsRefusedWhenNotEverythingCanBeLeftBehindAndNothingIsLost) {
    const auto behind = std::make_shared<Behind>(kSpacePages * kPage);
    CompressedSpace space{std::make_unique<MemoryStores>(behind), kPoolBytes, kPoolBytes};
    const auto store = space.open(kSpacePages * kPage);
    for (std::uint64_t page = 0; page < kSpacePages; ++page) write(*store, page, 1);
    MemoryStores::prepared = 0;
    behind->write_error.store(ENOSPC);
    try {
        space.prepare_fork();
        ADD_FAILURE() << "a full store behind was not noticed";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
    EXPECT_EQ(MemoryStores::prepared, 0);
    EXPECT_TRUE(holds_all(*store, 1, 10));
    behind->write_error.store(0);
    space.prepare_fork();
    EXPECT_EQ(MemoryStores::prepared, 1);
    EXPECT_TRUE(holds_all(*store, 1, 10));
}

TEST(CompressedSpace, StoresThatCannotBeSharedWithAChildStillCannot) {
    class Plain final : public StoreFactory {
    public:
        std::unique_ptr<BackingStore> open(std::uint64_t bytes) override {
            return std::make_unique<MemoryBehind>(std::make_shared<Behind>(bytes));
        }
    };
    CompressedSpace space{std::make_unique<Plain>(), kPoolBytes, kPoolBytes};
    const auto store = space.open(kSpacePages * kPage);
    for (std::uint64_t page = 0; page < kSpacePages; ++page) write(*store, page, 1);
    try {
        space.prepare_fork();
        ADD_FAILURE() << "nobody refused";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EOPNOTSUPP);
    }
    EXPECT_TRUE(holds_all(*store, 1, 10));
}

}  // namespace
}  // namespace faultline::test
