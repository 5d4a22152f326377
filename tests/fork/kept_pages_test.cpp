// KeptPages: a child of fork keeps its parent's resident pages, or, where there is no room for them, starts with every
// page in the store. Both must give it the same bytes.

#include "pager/pager.hpp"
#include "traps/trap_support.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

namespace faultline::test {
namespace {

constexpr std::uint64_t kKeptPages = 24;

class KeptPages : public TrapMatrix {
protected:
    /// Makes the pager and its region. Returns false, and skips the test, if the delivery is not allowed here.
    [[nodiscard]] bool begin(std::size_t frames, bool room) {
        Config config = config_with(frames);
        config.fork = ForkPolicy::inherit;
        try {
            pager_ = std::make_unique<pager::Pager>(config);
        } catch (const std::system_error& error) {
            if (!may_be_skipped(error, GetParam().delivery)) throw;
            return false;
        }
        if (!room) pager_->kept_pages().ask_for_room([](std::uint64_t) { return false; });
        region_ = &pager_->reserve(kKeptPages * GetParam().page_size, GetParam().page_size);
        return true;
    }
    ~KeptPages() override {
        if (region_ != nullptr) pager_->destroy(*region_);
    }

    [[nodiscard]] bool keeps() const { return GetParam().delivery != Delivery::sigsegv; }
    [[nodiscard]] std::byte* at(std::uint64_t page) const { return region_->address_of(page); }
    void evict(core::PageRange pages) { pager_->advice().evict(*region_, pages); }
    void write_all(std::uint64_t version) const {
        for (std::uint64_t page = 0; page < kKeptPages; ++page) write_word(at(page), version + page);
    }
    [[nodiscard]] std::uint64_t wrong(std::uint64_t version) const {
        std::uint64_t count = 0;
        for (std::uint64_t page = 0; page < kKeptPages; ++page)
            count += read_word(at(page)) == version + page ? 0U : 1U;
        return count;
    }

    std::unique_ptr<pager::Pager> pager_;
    pager::Region* region_ = nullptr;
};

TEST_P(KeptPages, AChildWithRoomReadsNothingFromTheStore) {
    if (!begin(2 * kKeptPages, true)) GTEST_SKIP();
    write_all(100);
    const ChildEnd end = in_child([&] {
        const std::uint64_t before = pager_->hard_faults();
        if (wrong(100) != 0) return 1;
        const std::uint64_t read = pager_->hard_faults() - before;
        return keeps() == (read == 0) ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong(100), 0U);
}

TEST_P(KeptPages, AChildWithoutRoomReadsThemAll) {
    if (!begin(2 * kKeptPages, false)) GTEST_SKIP();
    write_all(100);
    const ChildEnd end = in_child([&] {
        const std::uint64_t used = pager_->stats().frames_used;
        if (used != 0) return 1;
        return wrong(100) == 0 ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong(100), 0U);
}

// Clean pages are write-protected, so that the first write to them is seen. The child must protect its copies anew.
TEST_P(KeptPages, WritesOfAChildToPagesThatWereCleanAreNotLost) {
    for (const bool room : {true, false}) {
        if (!begin(2 * kKeptPages, room)) GTEST_SKIP();
        write_all(100);
        evict({0, kKeptPages});
        ASSERT_EQ(wrong(100), 0U);  // clean now
        const ChildEnd end = in_child([&] {
            write_all(200);
            evict({0, kKeptPages});
            if (wrong(200) != 0) return 1;
            write_all(300);
            evict({0, kKeptPages});
            return wrong(300) == 0 ? 0 : 2;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
        evict({0, kKeptPages});
        EXPECT_EQ(wrong(100), 0U);
        pager_->destroy(*region_);
    }
    region_ = nullptr;
}

// The kernel moves no page that another process shares, so that the evictor first takes a copy.
TEST_P(KeptPages, PagesThatAChildSharesAreEvictedWithTheirBytes) {
    if (!begin(2 * kKeptPages, true)) GTEST_SKIP();
    write_all(100);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::close(ends[1]);
        char go = 0;
        static_cast<void>(::read(ends[0], &go, 1));  // returns when the parent has closed its end
        evict({0, kKeptPages / 2});
        ::_exit(wrong(100) == 0 ? 0 : 1);
    }
    ::close(ends[0]);
    evict({0, kKeptPages});
    for (std::uint64_t page = 0; page < kKeptPages; ++page)
        EXPECT_FALSE(region_->load(page).is(core::PageState::resident));
    EXPECT_EQ(wrong(100), 0U);
    write_all(500);
    evict({0, kKeptPages});
    EXPECT_EQ(wrong(500), 0U);
    ::close(ends[1]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_P(KeptPages, ReadOnlyAndForbiddenPagesStaySoInTheChild) {
    for (const bool room : {true, false}) {
        if (!begin(2 * kKeptPages, room)) GTEST_SKIP();
        write_all(100);
        pager_->protector().protect(*region_, {0, 4}, Access::read);
        pager_->protector().protect(*region_, {4, 4}, Access::none);
        const ChildEnd reads = in_child([&] { return read_word(at(0)) == 100 && read_word(at(8)) == 108 ? 0 : 1; });
        EXPECT_TRUE(reads.exited_with(0)) << reads;
        const ChildEnd writes = in_child([&] {
            write_word(at(1), 1);
            return 0;
        });
        EXPECT_TRUE(writes.killed_by(SIGSEGV)) << writes;
        const ChildEnd looks = in_child([&] { return static_cast<int>(read_word(at(5))); });
        EXPECT_TRUE(looks.killed_by(SIGSEGV)) << looks;
        const ChildEnd opens = in_child([&] {
            evict({0, 4});
            pager_->protector().protect(*region_, {0, 8}, Access::read_write);
            return wrong(100) == 0 ? 0 : 1;
        });
        EXPECT_TRUE(opens.exited_with(0)) << opens;
        pager_->destroy(*region_);
    }
    region_ = nullptr;
}

TEST_P(KeptPages, TheLimitHoldsInParentAndChild) {
    constexpr std::size_t kFrames = kKeptPages / 2;
    for (const bool room : {true, false}) {
        if (!begin(kFrames, room)) GTEST_SKIP();
        write_all(100);
        const ChildEnd end = in_child([&] {
            for (std::uint64_t version = 100; version < 600; version += 100) {
                if (wrong(version) != 0) return 1;
                write_all(version + 100);
                if (pager_->stats().frames_used > kFrames * GetParam().page_size) return 2;
            }
            return pager_->stats().frames_peak <= kFrames * GetParam().page_size ? 0 : 3;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
        EXPECT_EQ(wrong(100), 0U);
        pager_->destroy(*region_);
    }
    region_ = nullptr;
}

/// Returns true if one mapping of this process covers the range.
bool is_one_mapping(const std::byte* begin, std::size_t bytes) {
    std::ifstream maps{"/proc/self/maps"};
    std::uintptr_t first = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    for (std::string rest; maps >> std::hex >> first >> dash >> end && std::getline(maps, rest);) {
        const auto wanted = reinterpret_cast<std::uintptr_t>(begin);
        if (first <= wanted && wanted < end) return wanted + bytes <= end;
    }
    return false;
}

// mlockall would fill every absent page of a large region but for the guard in front, which must be in its mapping.
TEST_P(KeptPages, ALargeRegionAndItsFenceAreOneMappingInTheChild) {
    if (!begin(2 * kKeptPages, true)) GTEST_SKIP();
    pager::Region& large = pager_->reserve(std::size_t{4} << 20, GetParam().page_size);
    write_word(large.address_of(1), 5);
    const std::size_t fence = large.mapping().fence().size();
    const auto whole = [&] { return is_one_mapping(large.address_of(0) - fence, large.mapping().size() + fence); };
    if (fence == 0 || !whole()) {
        pager_->destroy(large);
        GTEST_SKIP() << "this kernel or delivery has no fence";
    }
    const ChildEnd end = in_child([&] { return read_word(large.address_of(1)) == 5 && whole() ? 0 : 1; });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(whole());
    pager_->destroy(large);
}

// A child that the pager does not know of must not read zeros where pages are absent.
TEST_P(KeptPages, AChildOfARawSystemCallGetsSigsegvBeforeAndAfterAFork) {
    if (!begin(2 * kKeptPages, true)) GTEST_SKIP();
    write_all(100);
    const auto child_reads = [&] {
        const auto child = static_cast<pid_t>(::syscall(SYS_fork));
        if (child == 0) {
            ::signal(SIGSEGV, SIG_DFL);
            ::signal(SIGBUS, SIG_DFL);
            ::_exit(read_word(at(0)) == 100 ? 0 : 1);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return status;
    };
    EXPECT_EQ(child_reads() & 0x7f, SIGSEGV);
    const ChildEnd end = in_child([&] { return child_reads() % 128 == SIGSEGV ? 0 : 1; });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(child_reads() & 0x7f, SIGSEGV);
    EXPECT_EQ(wrong(100), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, KeptPages, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

}  // namespace
}  // namespace faultline::test
