// One fault reads several pages, and the mapper refuses some of them. What another thread meanwhile wrote to the
// installed pages is not lost.

#include "machine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

namespace faultline::test {
namespace {

using mmu::Protection;

constexpr std::uint64_t kWritten = 42;

/// Pages that are in the store only. A walk that has reached `next_page` reads ahead.
class WalkedRegion {
public:
    static constexpr std::size_t kPages = 16;

    WalkedRegion() : machine_{kind()}, region_{machine_.pager().reserve(kPages * kBasePageBytes, kBasePageBytes)} {
        for (std::size_t page = 0; page < kPages; ++page) machine_.store(region_, page * kBasePageBytes, page + 1);
        machine_.pager().advice().evict(region_, {0, kPages});
        for (std::size_t page = 0; page < 2; ++page) EXPECT_EQ(machine_.load(region_, page * kBasePageBytes), page + 1);
        while (region_.load(next_page).is(core::PageState::resident)) ++next_page;
    }
    ~WalkedRegion() {
        machine_.mapper().watch_installs({});
        machine_.pager().destroy(region_);
        EXPECT_EQ(machine_.record()->broken_promises.load(), 0);
    }
    WalkedRegion(const WalkedRegion&) = delete;
    WalkedRegion& operator=(const WalkedRegion&) = delete;

    std::size_t next_page = 2;

    [[nodiscard]] Machine& machine() noexcept { return machine_; }
    [[nodiscard]] pager::Region& region() noexcept { return region_; }

private:
    static MachineKind kind() {
        MachineKind kind;
        kind.limit_pages = 2 * kPages;
        kind.read_ahead = true;
        return kind;
    }

    Machine machine_;
    pager::Region& region_;
};

TEST(RefusedInstall, OfPagesReadAheadLosesNothingWrittenToThePageAskedFor) {
    WalkedRegion walk;
    const std::size_t offset = walk.next_page * kBasePageBytes;
    std::byte* const second_word = walk.region().mapping().data() + offset + sizeof(std::uint64_t);
    int installs = 0;
    int refused = 0;
    bool written = false;
    walk.machine().mapper().watch_installs(
        {.before =
             [&](std::byte*, Protection) {
                 if (++installs != 2) return 0;
                 ++refused;
                 return EIO;  // permanently
             },
         .after = [&](std::byte* page, Protection protection) {  // another thread writes once, as soon as it can
             if (written || page + sizeof(std::uint64_t) != second_word) return;
             if (protection != Protection::writable) return;
             written = true;
             EXPECT_EQ(walk.machine().mapper().store(second_word, kWritten), MmuAnswer::done);
         }});
    walk.machine().store(walk.region(), offset, 7);
    EXPECT_TRUE(written);
    EXPECT_EQ(refused, 1) << "the fault has brought one page in only";
    EXPECT_EQ(walk.machine().load(walk.region(), offset), 7U);
    EXPECT_EQ(walk.machine().load(walk.region(), offset + sizeof(std::uint64_t)), kWritten);
    for (std::size_t page = walk.next_page + 1; page < WalkedRegion::kPages; ++page) {
        EXPECT_EQ(walk.machine().load(walk.region(), page * kBasePageBytes), page + 1);
    }
}

}  // namespace
}  // namespace faultline::test
