// Clones of address spaces: each has the contents of the space when it was cloned, and later changes are not shared.
#include "space/clone_support.hpp"

#include "pager/region/region_map.hpp"
#include "pager/swap_folder.hpp"
#include "space/space.hpp"
#include "store/swap_space.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

class Clone : public SpaceTest {
protected:
    static constexpr std::size_t kPages = 100;  // more than can be resident

    [[nodiscard]] Config config() const override {
        Config config = SpaceTest::config();
        config.swap_directory = swap_.path();
        return config;
    }
    /// Maps `pages` pages and writes a stamp of `version` to each.
    static std::byte* stamped(AddressSpace& space, std::size_t pages, std::uint64_t version = 0) {
        std::byte* const at = space.map_anonymous(pages * kPage);
        stamp_all(at, pages, version);
        return at;
    }
    static void stamp_all(std::byte* at, std::size_t pages, std::uint64_t version) {
        for (std::size_t page = 0; page < pages; ++page) {
            write_stamps(at + page * kPage, kPage, stamp(page, version));
        }
    }
    static bool all_stamped(const std::byte* at, std::size_t pages, std::uint64_t version = 0) {
        for (std::size_t page = 0; page < pages; ++page) {
            if (!has_stamps(at + page * kPage, kPage, stamp(page, version))) return false;
        }
        return true;
    }
    [[nodiscard]] std::uint64_t frames_used() { return pager().stats().frames_used / kPage; }

    SwapFolder swap_;
};

TEST_P(Clone, HasTheSpacesContentsAndLaterWritesAreNotShared) {
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, kPages);
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    ASSERT_NE(there, at);
    for (std::size_t page = 0; page < kPages; page += 3) write_stamps(at + page * kPage, kPage, stamp(page, 1));
    for (std::size_t page = 0; page < kPages; page += 2) write_stamps(there + page * kPage, kPage, stamp(page, 2));
    for (std::size_t page = 0; page < kPages; ++page) {
        EXPECT_TRUE(has_stamps(at + page * kPage, kPage, stamp(page, page % 3 == 0 ? 1 : 0))) << page;
        EXPECT_TRUE(has_stamps(there + page * kPage, kPage, stamp(page, page % 2 == 0 ? 2 : 0))) << page;
    }
}

TEST_P(Clone, KeepsItsContentsWhenTheSpaceIsDestroyedFirst) {
    std::optional<AddressSpace> space{std::in_place, pager()};
    const std::byte* const at = stamped(*space, kPages);
    AddressSpace clone = space->clone();
    std::byte* const there = clone.counterpart(*space, at);
    space.reset();
    EXPECT_TRUE(all_stamped(there, kPages));
    stamp_all(there, kPages, 1);
    EXPECT_TRUE(all_stamped(there, kPages, 1));
}

TEST_P(Clone, LeavesTheSpacesContentsWhenItIsDestroyedFirst) {
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, kPages);
    {
        AddressSpace clone = space.clone();
        stamp_all(clone.counterpart(space, at), kPages, 2);
    }
    EXPECT_TRUE(all_stamped(at, kPages));
    stamp_all(at, kPages, 1);
    EXPECT_TRUE(all_stamped(at, kPages, 1));
}

TEST_P(Clone, MirrorsSegmentsBreakAndProtections) {
    const PatternFile file{4 * kPage};
    const std::vector<ImageSegment> image{
        {.name = "text", .file = file.path(), .file_bytes = 2 * kPage, .memory_bytes = 2 * kPage},
        {.name = "data",
         .file = file.path(),
         .file_offset = 2 * kPage,
         .file_bytes = 2 * kPage - 10,
         .address = 2 * kPage,
         .memory_bytes = 4 * kPage,
         .access = Access::read_write}};
    AddressSpace space{pager(), image};
    std::byte* const heap = space.sbrk(static_cast<std::ptrdiff_t>(3 * kPage + 5));
    write_stamps(heap, kPage, stamp(1));
    std::byte* const data = space.image() + 2 * kPage;
    store_word(data + 8, stamp(2));
    std::byte* const mapping = space.map_file(file.fd(), kPage, 3 * kPage, {.name = "a file"});
    space.protect(mapping + kPage, kPage, Access::none);
    space.protect(heap, kPage, Access::read);
    store_word(space.stack_end() - 16, stamp(3));

    AddressSpace clone = space.clone();
    const std::vector<SegmentInfo> before = space.segments();
    const std::vector<SegmentInfo> after = clone.segments();
    ASSERT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        const auto* const begin = reinterpret_cast<const std::byte*>(before[i].begin);
        EXPECT_EQ(after[i].begin, reinterpret_cast<std::uintptr_t>(clone.counterpart(space, begin)));
        EXPECT_EQ(after[i].bytes(), before[i].bytes());
        EXPECT_EQ(after[i].kind, before[i].kind);
        EXPECT_EQ(after[i].access, before[i].access);
        EXPECT_EQ(after[i].name, before[i].name);
        EXPECT_EQ(after[i].file, before[i].file);
        EXPECT_EQ(after[i].file_offset, before[i].file_offset);
    }
    const auto here = [&](const std::byte* address) { return clone.counterpart(space, address); };
    EXPECT_EQ(clone.brk(nullptr), here(space.brk(nullptr)));
    EXPECT_EQ(clone.heap_begin(), here(space.heap_begin()));
    EXPECT_EQ(clone.image(), here(space.image()));
    EXPECT_EQ(clone.stack_end(), here(space.stack_end()));
    EXPECT_TRUE(has_stamps(here(heap), kPage, stamp(1)));
    EXPECT_EQ(load_word(here(data) + 8), stamp(2));
    EXPECT_TRUE(has_pattern(here(data) + kPage, kPage - 10, 3 * kPage));
    EXPECT_TRUE(all_zeros(here(data) + 2 * kPage - 10, 10 + 2 * kPage));
    EXPECT_TRUE(has_pattern(clone.image(), 2 * kPage, 0));
    EXPECT_TRUE(has_pattern(here(mapping), kPage, kPage));
    EXPECT_EQ(load_word(here(space.stack_end()) - 16), stamp(3));
    EXPECT_EQ(FaultCatcher::write(here(heap)), (Caught{SIGSEGV, SEGV_ACCERR, here(heap)}));
    EXPECT_EQ(FaultCatcher::write(clone.image()), (Caught{SIGSEGV, SEGV_ACCERR, clone.image()}));
    EXPECT_EQ(FaultCatcher::read(here(mapping) + kPage), (Caught{SIGSEGV, SEGV_ACCERR, here(mapping) + kPage}));
    EXPECT_EQ(FaultCatcher::read(here(heap) + 4 * kPage).code, SEGV_MAPERR);

    // Later changes of mappings and protections in one are not seen in the other.
    clone.unmap(here(mapping), 3 * kPage);
    EXPECT_TRUE(has_pattern(mapping + 2 * kPage, kPage, 3 * kPage));
    space.brk(heap);
    EXPECT_TRUE(has_stamps(here(heap), kPage, stamp(1)));
}

TEST_P(Clone, HasItsOwnChangesOfAPrivateFileMappingAndTheFilesOfASharedOne) {
    const PatternFile file{8 * kPage};
    AddressSpace space{pager()};
    std::byte* const mine = space.map_file(file.fd(), 0, 4 * kPage);
    std::byte* const shared = space.map_file(file.fd(), 4 * kPage, 4 * kPage, {.shared = true});
    mine[0] = std::byte{1};
    shared[0] = std::byte{2};
    std::memset(mine + kPage, 0, kPage);  // must stay zeros, and not become the file's bytes again
    AddressSpace clone = space.clone();
    std::byte* const their_mine = clone.counterpart(space, mine);
    std::byte* const their_shared = clone.counterpart(space, shared);
    EXPECT_EQ(file.contents()[4 * kPage], std::byte{2});
    EXPECT_EQ(their_mine[0], std::byte{1});
    EXPECT_EQ(their_shared[0], std::byte{2});
    EXPECT_TRUE(all_zeros(their_mine + kPage, kPage));
    EXPECT_TRUE(has_pattern(their_mine + 2 * kPage, 2 * kPage, 2 * kPage));
    their_mine[2 * kPage] = std::byte{3};
    their_shared[3 * kPage] = std::byte{4};
    clone.sync(their_shared, 4 * kPage);
    EXPECT_TRUE(has_pattern(mine + 2 * kPage, 2 * kPage, 2 * kPage));
    EXPECT_EQ(shared[3 * kPage], std::byte{4});
    EXPECT_EQ(file.contents()[2 * kPage], PatternFile::pattern(2 * kPage));
    EXPECT_EQ(file.contents()[7 * kPage], std::byte{4});
}

TEST_P(Clone, SharesFramesWithTheSpaceWhileBothOnlyRead) {
    constexpr std::size_t kFew = 40;  // two copies of each would not fit
    const PatternFile file{4 * kPage};
    AddressSpace space{pager()};
    const std::byte* const at = stamped(space, kFew);
    const std::byte* const mapped = space.map_file(file.fd(), 0, 4 * kPage);
    EXPECT_TRUE(has_pattern(mapped, 4 * kPage, 0));
    AddressSpace clone = space.clone();
    pager::RegionMap::readers().synchronize();
    const PagerStats before = pager().stats();
    ASSERT_EQ(before.frames_used, (kFew + 4) * kPage);
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(all_stamped(clone.counterpart(space, at), kFew));
        EXPECT_TRUE(has_pattern(clone.counterpart(space, mapped), 4 * kPage, 0));
        // A handler thread may not have taken the frame from the other space yet: a read there would need no fault.
        pager::RegionMap::readers().synchronize();
        EXPECT_TRUE(all_stamped(at, kFew));
        EXPECT_TRUE(has_pattern(mapped, 4 * kPage, 0));
        pager::RegionMap::readers().synchronize();
    }
    const PagerStats after = pager().stats();
    EXPECT_EQ(after.frames_used, (kFew + 4) * kPage);
    EXPECT_EQ(after.resident_bytes, (kFew + 4) * kPage);
    EXPECT_EQ(after.bytes_read, before.bytes_read);
    EXPECT_EQ(after.soft_faults - before.soft_faults, 6 * (kFew + 4));
}

TEST_P(Clone, OneInstructionCanReadAPageOfBoth) {
    AddressSpace space{pager()};
    const std::byte* at = stamped(space, 4);
    AddressSpace clone = space.clone();
    const std::byte* there = clone.counterpart(space, at);
    std::size_t left = 4 * kPage;
    bool equal = false;
    // reads both pages in each repetition
    asm volatile("repe cmpsb" : "+S"(at), "+D"(there), "+c"(left), "=@cce"(equal) : : "memory");
    EXPECT_TRUE(equal);
    EXPECT_EQ(left, 0U);
}

TEST_P(Clone, AWriteTakesAFrameOfItsOwnAndKeepsTheOthersShared) {
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, 10);
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    const std::uint64_t before = frames_used();
    stamp_all(there, 5, 1);
    EXPECT_EQ(frames_used(), before + 5);
    stamp_all(at + 5 * kPage, 5, 2);
    EXPECT_EQ(frames_used(), before + 5);
    EXPECT_TRUE(all_stamped(at, 5));
    EXPECT_TRUE(all_stamped(there, 5, 1));
    EXPECT_TRUE(has_stamps(there + 5 * kPage, kPage, stamp(5)));
}

TEST_P(Clone, FreesSwapSpaceWithItsLastUser) {
    const Watchdog watchdog;
    constexpr std::size_t kMany = 8192;  // 32 MiB: most of what is freed is whole chunks of 2 MiB
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, kMany);
    std::optional<AddressSpace> clone{space.clone()};
    const std::byte* const there = clone->counterpart(space, at);
    const std::size_t shared = swap_.bytes_on_disk();
    EXPECT_GE(shared, kMany * kPage);
    EXPECT_LT(shared, kMany * kPage + (std::size_t{4} << 20));

    // The space drops the pages; the clone still reads them.
    space.unmap(at, kMany * kPage);
    EXPECT_GE(swap_.bytes_on_disk(), kMany * kPage);
    EXPECT_TRUE(all_stamped(there, kMany));
    clone->unmap(clone->counterpart(space, at) + kMany / 2 * kPage, kMany / 2 * kPage);
    while (swap_.bytes_on_disk() >= shared - kMany / 4 * kPage) std::this_thread::yield();  // in the background
    EXPECT_TRUE(all_stamped(there, kMany / 2));
    clone.reset();
    while (swap_.bytes_on_disk() >= std::size_t{2} << 20) std::this_thread::yield();
    EXPECT_EQ(frames_used(), 0U);
}

TEST_P(Clone, OfACloneHasTheContentsAtItsCreation) {
    constexpr std::size_t kDepth = 12;
    constexpr std::size_t kFew = 24;
    std::vector<AddressSpace> spaces;
    spaces.emplace_back(pager());
    std::vector<std::byte*> at{stamped(spaces[0], kFew)};
    for (std::size_t depth = 1; depth < kDepth; ++depth) {
        spaces.push_back(spaces.back().clone());
        at.push_back(spaces[depth].counterpart(spaces[depth - 1], at.back()));
        for (std::size_t page = depth; page < kFew; ++page) {
            write_stamps(at[depth] + page * kPage, kPage, stamp(page, depth));
        }
    }
    const auto whole = [&](std::size_t depth) {
        for (std::size_t page = 0; page < kFew; ++page) {
            if (!has_stamps(at[depth] + page * kPage, kPage, stamp(page, std::min(page, depth)))) return false;
        }
        return true;
    };
    for (std::size_t depth = 0; depth < kDepth; ++depth) EXPECT_TRUE(whole(depth)) << depth;
    // Destroys every other space, the original among them.
    for (std::size_t depth = 0; depth < kDepth; depth += 2) {
        const AddressSpace gone{std::move(spaces[depth])};
    }
    for (std::size_t depth = 1; depth < kDepth; depth += 2) EXPECT_TRUE(whole(depth)) << depth;
}

TEST_P(Clone, IsAnAtomicSnapshotWhileThreadsWrite) {
    constexpr std::size_t kFew = 16;
    AddressSpace space{pager()};
    std::byte* const at = space.map_anonymous(kFew * kPage);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rounds{0};
    std::thread writer{[&] {
        // Page by page: at any moment the first pages have the newest number and the others the one before it.
        for (std::uint64_t number = 1; !stop.load(); ++number) {
            for (std::size_t page = 0; page < kFew; ++page) {
                std::atomic_ref{*reinterpret_cast<std::uint64_t*>(at + page * kPage)}.store(number);
            }
            rounds.store(number);
            rounds.notify_all();
        }
    }};
    rounds.wait(0);
    for (int i = 0; i < 5; ++i) {
        AddressSpace clone = space.clone();
        const std::byte* const there = clone.counterpart(space, at);
        const std::uint64_t newest = load_word(there);
        bool older = false;
        for (std::size_t page = 1; page < kFew; ++page) {
            const std::uint64_t number = load_word(there + page * kPage);
            older |= number != newest;
            EXPECT_EQ(number, older ? newest - 1 : newest) << "page " << page << " of clone " << i;
        }
    }
    stop.store(true);
    writer.join();
    const std::uint64_t last = rounds.load();
    for (std::size_t page = 0; page < kFew; ++page) EXPECT_EQ(load_word(at + page * kPage), last);
}

TEST_P(Clone, CanBeUsedTogetherWithTheSpaceByManyThreads) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 4;
    constexpr std::size_t kEach = 40;
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, kThreads * kEach);
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    run_threads(kThreads, [&](unsigned thread) {
        // Two threads use the space and two the clone. Each thread has half of the pages to itself; its counterpart on
        // the other side reads and writes its own versions of the same pages.
        const bool in_clone = thread % 2 == 1;
        std::byte* const mine = in_clone ? there : at;
        std::minstd_rand random{thread + 1};
        std::vector<std::uint64_t> version(kThreads * kEach, 0);
        for (int i = 0; i < 600; ++i) {
            const std::size_t page = (random() % (2 * kEach)) + (thread / 2) * 2 * kEach;
            EXPECT_TRUE(has_stamps(mine + page * kPage, kPage, stamp(page, version[page])));
            if (random() % 4 != 0) continue;
            version[page] = static_cast<std::uint64_t>(i) * 8 + thread + 1;
            write_stamps(mine + page * kPage, kPage, stamp(page, version[page]));
        }
    });
    EXPECT_LE(frames_used(), kResident / kPage);
}

TEST_P(Clone, HasThePinnedPagesButNotThePin) {
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, 4);
    const Pin pin = space.pin(at, 2 * kPage);
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    EXPECT_TRUE(all_stamped(there, 4));
    stamp_all(at, 4, 1);
    EXPECT_TRUE(all_stamped(there, 4));
    EXPECT_EQ(pager().stats().pinned_bytes, 2 * kPage);
    clone.unmap(there, 4 * kPage);
    EXPECT_TRUE(all_stamped(at, 4, 1));
}

TEST_P(Clone, IsPlacedAtTheGivenAddressesOrRefused) {
    if (kThreadSanitized) GTEST_SKIP() << "under ThreadSanitizer the image lies just below the last address";
    AddressSpace space{pager()};
    expect_refused([&] { static_cast<void>(space.clone({.image_address = 4097})); }, EINVAL, "multiples");
    expect_refused(
        [&] {
            static_cast<void>(space.clone({.mapping_address = reinterpret_cast<std::uintptr_t>(space.stack_begin())}));
        },
        EEXIST, "");
    AddressSpace other{pager()};
    expect_refused([&] { static_cast<void>(other.counterpart(space, space.heap_begin())); }, EINVAL, "no clone");
    AddressSpace clone = space.clone();
    expect_refused([&] { static_cast<void>(clone.counterpart(space, clone.heap_begin())); }, EINVAL, "not in");
    EXPECT_EQ(space.counterpart(clone, clone.heap_begin()), space.heap_begin());
}

INSTANTIATE_TEST_SUITE_P(Deliveries, Clone, ::testing::ValuesIn(kCloneVariants), VariantName{});

class CloneAndFork : public Clone {};

TEST_P(CloneAndFork, AChildForkedDuringACloneCanMakeAPager) {
    // A clone allocates and starts threads all the time. A child of fork gets each lock that such a thread holds, and
    // AddressSanitizer's allocator does not release its own in the child, as the C library's does.
    if (kSanitized) GTEST_SKIP() << "a child of fork may find the sanitizer's locks taken";
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, 8);
    std::atomic<bool> stop{false};
    std::atomic<int> clones{0};
    std::thread cloner{[&] {
        while (!stop.load()) {
            store_word(at, load_word(at));  // so that each clone has a page to write out
            const AddressSpace clone = space.clone();
            ++clones;
            clones.notify_all();
        }
    }};
    for (int i = 0; i < 8; ++i) {
        clones.wait(clones.load());
        const ChildEnd end = in_child([&] {
            Pager own{config_for(GetParam(), kResident)};
            AddressSpace fresh{own};
            return all_stamped(stamped(fresh, kPages), kPages) ? 0 : 1;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
    stop.store(true);
    cloner.join();
}

INSTANTIATE_TEST_SUITE_P(Deliveries, CloneAndFork, ::testing::Values(Variant{}), VariantName{});

class CloneInherited : public Clone {
protected:
    void SetUp() override {
#ifdef __SANITIZE_THREAD__
        GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
#endif
        Clone::SetUp();
    }
    [[nodiscard]] Config config() const override {
        Config config = Clone::config();
        config.fork = ForkPolicy::inherit;
        return config;
    }
};

TEST_P(CloneInherited, IsIndependentInAChildOfForkAndCanBeClonedThere) {
    AddressSpace space{pager()};
    std::byte* const at = stamped(space, kPages);
    AddressSpace clone = space.clone();
    std::byte* const there = clone.counterpart(space, at);
    write_stamps(there, kPage, stamp(0, 1));
    const ChildEnd end = in_child([&] {
        if (!all_stamped(at, kPages) || !has_stamps(there, kPage, stamp(0, 1))) return 1;
        stamp_all(at, kPages, 3);
        AddressSpace again = clone.clone();
        const std::byte* const third = again.counterpart(clone, there);
        stamp_all(there, kPages, 4);
        if (!has_stamps(third, kPage, stamp(0, 1))) return 2;
        for (std::size_t page = 1; page < kPages; ++page) {
            if (!has_stamps(third + page * kPage, kPage, stamp(page))) return 3;
        }
        return all_stamped(at, kPages, 3) && all_stamped(there, kPages, 4) ? 0 : 4;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(all_stamped(at, kPages));
    EXPECT_TRUE(has_stamps(there, kPage, stamp(0, 1)));
}

INSTANTIATE_TEST_SUITE_P(Deliveries, CloneInherited,
                         ::testing::Values(Variant{}, Variant{Delivery::sigsegv, Eviction::protect}), VariantName{});

/// Swap files whose writes fail on demand.
class FailingSwap final : public store::StoreFactory {
public:
    FailingSwap(const std::filesystem::path& directory, std::shared_ptr<std::atomic<int>> error)
        : swap_{directory, {}}, error_{std::move(error)} {}
    std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override { return swap_.open(bytes); }
    void write(std::span<store::StoreWrite> writes, store::WriteQueue& queue) noexcept override {
        const int error = error_->load();
        if (error == 0) return swap_.write(writes, queue);
        for (store::StoreWrite& one : writes) one.error = error;
    }

private:
    store::SwapSpace swap_;
    std::shared_ptr<std::atomic<int>> error_;
};

class CloneOnAFailingDisk : public VariantTest {
protected:
    SwapFolder swap_;
};

TEST_P(CloneOnAFailingDisk, IsRefusedAndTheSpaceDoesNotChange) {
    constexpr std::size_t kFew = 20;
    const auto write_error = std::make_shared<std::atomic<int>>(0);
    const auto pager = std::make_shared<pager::Pager>(config_for(GetParam(), 64 * kPage),
                                                      std::make_unique<FailingSwap>(swap_.path(), write_error));
    Layout layout = Layout::fixed();
    layout.heap_limit = layout.mapping_bytes = 64 * kPage;
    layout.stack_limit = layout.stack_guard = 4 * kPage;
    space::Space space{pager, {}, layout};
    auto* const heap = reinterpret_cast<std::byte*>(space.sbrk(kFew * kPage).value());
    for (std::size_t page = 0; page < kFew; ++page) write_stamps(heap + page * kPage, kPage, stamp(page));
    write_error->store(ENOSPC);
    expect_refused([&] { static_cast<void>(space.clone({})); }, ENOSPC, "swap file");
    for (std::size_t page = 0; page < kFew; ++page) {
        EXPECT_TRUE(has_stamps(heap + page * kPage, kPage, stamp(page)));
        write_stamps(heap + page * kPage, kPage, stamp(page, 1));
    }
    write_error->store(0);
    const std::unique_ptr<space::Space> clone = space.clone({});
    const auto* const there =
        reinterpret_cast<const std::byte*>(clone->counterpart(space, reinterpret_cast<std::uintptr_t>(heap)));
    for (std::size_t page = 0; page < kFew; ++page) {
        EXPECT_TRUE(has_stamps(there + page * kPage, kPage, stamp(page, 1)));
    }
}

INSTANTIATE_TEST_SUITE_P(Deliveries, CloneOnAFailingDisk, ::testing::ValuesIn(kCloneVariants), VariantName{});

}  // namespace
}  // namespace faultline::test
