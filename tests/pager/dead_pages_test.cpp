// Dead pages, whose bytes an allocator does not need, are dropped without a write, and no other pages are.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <atomic>

namespace faultline::test {
namespace {

class DeadPages : public VariantTest {
protected:
    static constexpr std::size_t kPages = 64;
};

/// An owner that reports the pages as dead whose bits are set.
class DeadBits final : public pager::RegionOwner {
public:
    explicit DeadBits(const std::atomic<std::uint64_t>& bits) noexcept : bits_{bits} {}
    [[nodiscard]] bool is_dead(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE override {
        return (bits_.load() >> page & 1) != 0;
    }

private:
    const std::atomic<std::uint64_t>& bits_;
};

TEST_P(DeadPages, AreEvictedUnwrittenAndComeBackAsZerosAndOthersAreKept) {
    std::atomic<std::uint64_t> dead{0};
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kPages + Pager::kMinimumPages};
    const DeadBits owner{dead};
    fake.region().set_owner(&owner);
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake.page(page), stamp(page));
    dead.store(0x5555'5555'5555'5555U);
    fake.evict_all();
    EXPECT_EQ(fake.settled_stats().bytes_written, kPages / 2 * kBasePageBytes);
    dead.store(0);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(fake.page(page)), page % 2 == 0 ? 0 : stamp(page)) << page;
    }
}

TEST_P(DeadPages, FreeTheirSpaceInTheStore) {
    std::atomic<std::uint64_t> dead{0};
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kPages + Pager::kMinimumPages};
    const DeadBits owner{dead};
    fake.region().set_owner(&owner);
    store_word(fake.page(3), stamp(3));
    fake.evict_all();
    store_word(fake.page(3), stamp(3, 1));
    dead.store(1U << 3);
    fake.evict_all();
    EXPECT_EQ(fake.store().bytes_discarded.load(), kBasePageBytes);
    EXPECT_EQ(fake.settled_stats().swapped_bytes, 0U);
    dead.store(0);
    EXPECT_EQ(load_word(fake.page(3)), 0U);
}

INSTANTIATE_TEST_SUITE_P(each_delivery, DeadPages,
                         ::testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                           Variant{Delivery::uffd_threads, Eviction::copy},
                                           Variant{Delivery::sigsegv, Eviction::guard}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
