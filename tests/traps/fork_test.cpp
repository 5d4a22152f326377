// Traps 6 and 7: fork. The kernel refuses to move pages that a child shares (EBUSY). A child has neither the pager's
// threads nor its memory, so an access there must raise SIGSEGV and never read zeros.

#include "traps/trap_support.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>

namespace faultline::test {
namespace {

// ---- 6 EBUSY after fork

/// A child process that holds its copy of the memory until this object is destroyed.
class IdleChild {
public:
    IdleChild() {
        if (::pipe(ends_.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
        child_ = ::fork();
        if (child_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (child_ > 0) return;
        ::close(ends_[1]);
        char nothing = 0;
        while (::read(ends_[0], &nothing, 1) < 0 && errno == EINTR) {
        }
        ::_exit(0);
    }
    ~IdleChild() {
        ::close(ends_[1]);
        ::close(ends_[0]);
        ::waitpid(child_, nullptr, 0);
    }
    IdleChild(const IdleChild&) = delete;
    IdleChild& operator=(const IdleChild&) = delete;

private:
    std::array<int, 2> ends_{};
    pid_t child_ = -1;
};

class Trap06 : public TrapMatrix {
protected:
    /// Makes fork copy the region's pages to children.
    static void share_with_children(const Region& region) {
        ASSERT_EQ(::madvise(region.data(), region.size(), MADV_DOFORK), 0);
    }
};

TEST_P(Trap06, PagesSharedWithAChildCanBeEvicted) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(40));
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    share_with_children(region);
    const IdleChild child;
    evict_all(region);
    EXPECT_EQ(region.stats().resident_bytes, 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap06, PagesSharedWithAChildCanBeReclaimedAndWritten) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    Region region = pager.reserve(48 * GetParam().page_size, options());
    fill_with_units(region);
    share_with_children(region);
    for (int forks = 0; forks < 4; ++forks) {
        const IdleChild child;
        EXPECT_EQ(wrong_words(region), 0U);
        fill_with_units(region);  // shared pages, too: the kernel copies them on write without telling the pager
        EXPECT_EQ(wrong_words(region), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap06, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

class Trap06Staging : public Trap06 {};

/// Has enough frames for a staging zone. Clean pages are staged, too: they are shared with a child and write-protected
/// at the same time.
TEST_P(Trap06Staging, CleanPagesSharedWithAChildCanBeEvicted) {
    constexpr std::size_t kFrames = 512;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kFrames));
    Region region = pager.reserve(3 * kFrames * kBasePageBytes);
    fill_with_units(region);
    share_with_children(region);
    EXPECT_EQ(wrong_words(region), 0U);  // leaves clean pages resident
    const IdleChild child;
    EXPECT_EQ(wrong_words(region), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap06Staging, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- 7 the child reads zeros

class Trap07 : public TrapMatrix {};

TEST_P(Trap07, ReadInTheChildRaisesSigsegvAndTheParentKeepsItsBytes) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    for (const std::uint64_t page : {std::uint64_t{0}, std::uint64_t{31}}) {  // one is resident, one is not
        const std::byte* const at = region.data() + page * region.page_size();
        const ChildEnd reader = in_child([&] { return static_cast<int>(read_word(at) & 0x7fU); });
        EXPECT_TRUE(reader.killed_by(SIGSEGV)) << reader;
    }
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap07, DestroyingHandlesInTheChildLeavesTheParentUnchanged) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    std::optional<Pager> handle{std::move(pager)};
    Region region = handle->reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    Pin pin = region.pin(region.data(), region.page_size());
    const ChildEnd child = in_child([&] {
        pin.release();
        region = Region{};
        handle.reset();
        return 0;
    });
    EXPECT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(region.stats().pinned_bytes, region.page_size());
    EXPECT_EQ(wrong_words(region), 0U);
    pin.release();
    evict_all(region);
    EXPECT_EQ(wrong_words(region), 0U);
}

/// Makes each call of the interface and counts those that do not throw EPERM.
int calls_not_refused(Pager& pager, Region& region) {
    std::byte* const data = region.data();
    const std::size_t page = region.page_size();
    const std::array<std::function<void()>, 9> calls{
        [&] { static_cast<void>(pager.reserve(page)); },
        [&] { pager.set_resident_limit(64 * page); },
        [&] { static_cast<void>(region.pin(data, page)); },
        [&] { region.advise(data, page, Advice::willneed); },
        [&] { region.advise(data, page, Advice::dontneed); },
        [&] { region.discard(data, page); },
        [&] { region.protect(data, page, Access::read); },
        [&] { region.retry(data, page); },
        [&] { region.destroy(); },
    };
    int not_refused = 0;
    for (const auto& call : calls) {
        try {
            call();
            ++not_refused;
        } catch (const std::system_error& error) {
            if (error.code().value() != EPERM) ++not_refused;
        }
    }
    return not_refused;
}

TEST_P(Trap07, CallsOfTheParentsPagerThrowEpermInTheChild) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    const ChildEnd child = in_child([&] { return calls_not_refused(pager, region); });
    EXPECT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(wrong_words(region), 0U);
}

/// Makes a pager and writes to a region of it. Returns 0 if every byte is kept across evictions, else 1.
int use_a_pager_of_ones_own(const Config& config, std::size_t bytes, RegionOptions options) {
    Pager pager{config};
    Region region = pager.reserve(bytes, options);
    fill_with_units(region);
    const bool all_right = wrong_words(region) == 0 && region.stats().evictions > 0;
    region.destroy();
    return all_right ? 0 : 1;
}

TEST_P(Trap07, ChildCanMakeItsOwnPager) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    const std::size_t bytes = 32 * GetParam().page_size;
    Region region = pager.reserve(bytes, options());
    fill_with_units(region);
    const ChildEnd child = in_child([&] { return use_a_pager_of_ones_own(config_with(16), bytes, options()); });
    EXPECT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(wrong_words(region), 0U);
}

constexpr std::size_t kReusedBytes = std::size_t{64} << 20;  // the size of each region, in parent and child
constexpr int kNoOverlap = 2;

bool overlap(const Region& left, const Region& right) {
    return left.data() < right.data() + right.size() && right.data() < left.data() + left.size();
}

/// Writes 32 words spread over the region. Returns whether all read back.
bool keeps_what_is_written(Region& region) {
    const std::size_t step = region.size() / 32;
    for (std::size_t at = 0; at < region.size(); at += step) write_word(region.data() + at, at + 1);
    bool kept = true;
    for (std::size_t at = 0; at < region.size(); at += step) kept &= read_word(region.data() + at) == at + 1;
    return kept;
}

/// Occupies a range of addresses, so that no other mapping is placed there while it lives.
class Placeholder {
public:
    Placeholder(std::byte* address, std::size_t bytes) : address_{address}, bytes_{bytes} {
        ::mmap(address_, bytes_, PROT_NONE, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    ~Placeholder() { ::munmap(address_, bytes_); }
    Placeholder(const Placeholder&) = delete;
    Placeholder& operator=(const Placeholder&) = delete;

private:
    std::byte* address_;
    std::size_t bytes_;
};

/// Makes regions until one overlaps a region of the parent. Returns 0 if that region keeps what is written to it, 1 if
/// not, kNoOverlap if none of 512 regions overlaps.
int use_the_parents_addresses(const Config& config, const std::vector<Region>& parents) {
    std::vector<std::unique_ptr<Placeholder>> kept;
    for (const Region& one : parents) kept.push_back(std::make_unique<Placeholder>(one.data(), one.size()));
    Pager pager{config};
    kept.clear();  // the pager's own mappings lie elsewhere now
    std::vector<Region> regions;
    while (regions.size() < 512) {
        Region& region = regions.emplace_back(pager.reserve(kReusedBytes));
        const bool reused =
            std::any_of(parents.begin(), parents.end(), [&](const Region& one) { return overlap(region, one); });
        if (reused) return keeps_what_is_written(region) ? 0 : 1;
    }
    return kNoOverlap;
}

/// The parent's regions are not mapped in the child, so the kernel may place the child's own regions there.
TEST_P(Trap07, ChildsRegionsMayTakeTheParentsAddresses) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    std::vector<Region> regions;
    for (int i = 0; i < 16; ++i) regions.push_back(pager.reserve(kReusedBytes));
    write_word(regions[0].data(), 1);
    const ChildEnd child = in_child([&] { return use_the_parents_addresses(config_with(16), regions); });
    if (child.exited_with(kNoOverlap)) GTEST_SKIP() << "the kernel has not used the addresses again";
    EXPECT_TRUE(child.exited_with(0)) << child;
    EXPECT_EQ(read_word(regions[0].data()), 1U);
}

TEST_P(Trap07, ChildForkedDuringFaultsCanMakeItsOwnPager) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(16));
    const std::size_t bytes = 32 * GetParam().page_size;
    Region region = pager.reserve(bytes, options());
    fill_with_units(region);
    std::atomic<bool> enough{false};
    std::atomic<std::size_t> wrong{0};
    std::barrier everybody_faults{4};  // a thread that starts allocates, and sanitizers' allocators do not survive fork
    run_threads(4, [&](unsigned index) {
        everybody_faults.arrive_and_wait();
        if (index > 0) {
            Random random{seed() + index};
            while (!enough.load()) wrong += wrong_words(region, random.below(units_of(region)));
            return;
        }
        for (int i = 0; i < 20; ++i) {
            const ChildEnd child = in_child([&] { return use_a_pager_of_ones_own(config_with(16), bytes, options()); });
            EXPECT_TRUE(child.exited_with(0)) << child;
            if (!child.exited_with(0)) break;
        }
        enough.store(true);
    });
    EXPECT_EQ(wrong.load(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap07, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
