// A page that the store cannot return: SIGBUS at the exact address. Other pages are not affected, and after
// Region::retry the next access reads the store again.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "support/fault_catcher.hpp"

#include <atomic>
#include <cerrno>
#include <optional>
#include <vector>

namespace faultline::test {
namespace {

class ReadFailure : public VariantTest {
protected:
    static constexpr std::size_t kPages = 16;
    static constexpr std::size_t kLimit = 32;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        catcher_.emplace();
        fake_.emplace(GetParam(), config(), kPages, kLimit);
        for (std::uint64_t page = 0; page < kPages; ++page) write_stamps(at(page), page_bytes(), stamp(page));
        fake_->evict_all();
    }

    [[nodiscard]] virtual Config config() const { return plain_config(GetParam()); }
    [[nodiscard]] std::byte* at(std::uint64_t page) { return fake_->page(page); }
    [[nodiscard]] std::size_t page_bytes() { return fake_->page_bytes(); }
    void fail_page(std::uint64_t page) {
        fake_->store().read_error_at.store(page * page_bytes());
        fake_->store().read_error.store(EIO);
    }
    void mend() { fake_->store().read_error.store(0); }
    void expect_bus_error(const Caught& caught, const std::byte* address) {
        EXPECT_EQ(caught.signal, SIGBUS);
        EXPECT_EQ(caught.address, address) << "off by " << static_cast<const std::byte*>(caught.address) - address;
    }

    std::optional<FaultCatcher> catcher_;
    std::optional<FakePager> fake_;
};

TEST_P(ReadFailure, RaisesSigbusAtTheExactAddress) {
    fail_page(5);
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, std::size_t{1234}, page_bytes() - 1}) {
        expect_bus_error(FaultCatcher::read(at(5) + offset), at(5) + offset);
        expect_bus_error(FaultCatcher::write(at(5) + offset), at(5) + offset);
    }
    const RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.read_errors, 1U) << "the store is asked once, then the page is out of reach until retry";
    EXPECT_GE(stats.failed_faults, 1U);
}

TEST_P(ReadFailure, DoesNotAffectOtherPages) {
    fail_page(5);
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page == 5) continue;
        EXPECT_EQ(FaultCatcher::read(at(page)).signal, 0) << page;
        EXPECT_TRUE(has_stamps(at(page), page_bytes(), stamp(page))) << page;
    }
}

TEST_P(ReadFailure, LastsUntilRetryEvenIfTheStoreWorksAgain) {
    fail_page(5);
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    mend();
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    fake_->retry_all();
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, 0);
    EXPECT_TRUE(has_stamps(at(5), page_bytes(), stamp(5)));
}

TEST_P(ReadFailure, ComesBackIfRetriedBeforeTheStoreWorksAgain) {
    fail_page(5);
    for (int i = 0; i < 3; ++i) {
        expect_bus_error(FaultCatcher::write(at(5) + 8), at(5) + 8);
        fake_->retry_all();
    }
    mend();
    EXPECT_EQ(FaultCatcher::write(at(5) + 8, std::byte{9}).signal, 0);
    EXPECT_EQ(load_word(at(5)), stamp(5)) << "a failed write must not have left anything";
    EXPECT_EQ(at(5)[8], std::byte{9});
    EXPECT_EQ(fake_->settled_stats().read_errors, 3U);
}

TEST_P(ReadFailure, IsForgottenByDiscard) {
    fail_page(5);
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    fake_->pager().discarder().discard(fake_->region(), {5, 1});
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, 0);
    EXPECT_TRUE(all_zeros(at(5), page_bytes()));
}

TEST_P(ReadFailure, TakesNoFrame) {
    fail_page(5);
    const std::uint64_t before = fake_->pager().stats().frames_used;
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    FakePager::settle();
    EXPECT_EQ(fake_->pager().stats().frames_used, before);
}

TEST_P(ReadFailure, MakesAPinFailWithEioAndLeavesNothingPinned) {
    fail_page(5);
    expect_refused([&] { fake_->pager().pins().pin(fake_->region(), {3, 4}, PinFor::reading); }, EIO, "pin");
    EXPECT_EQ(fake_->settled_stats().pinned_bytes, 0U);
    mend();
    fake_->retry_all();
    fake_->pager().pins().pin(fake_->region(), {3, 4}, PinFor::reading);
    EXPECT_EQ(fake_->stats().pinned_bytes, 4 * page_bytes());
    fake_->pager().unpin(fake_->region(), {3, 4});
}

TEST_P(ReadFailure, ReachesEveryThreadThatWaitsForThePage) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 16;
    fail_page(5);
    std::atomic<unsigned> bus_errors{0};
    run_threads(kThreads, [&](unsigned thread) {
        const Caught caught = FaultCatcher::read(at(5) + thread);
        if (caught.signal == SIGBUS && caught.address == at(5) + thread) bus_errors.fetch_add(1);
    });
    EXPECT_EQ(bus_errors.load(), kThreads);
}

TEST_P(ReadFailure, DoesNotKeepTheRegionFromBeingDeleted) {
    fail_page(5);
    EXPECT_EQ(FaultCatcher::read(at(5)).signal, SIGBUS);
    fake_->destroy_region();
    EXPECT_EQ(fake_->pager().stats().read_errors, 1U) << "what it counted stays with the pager";
}

/// With reading ahead: pages next to one that cannot be read are read all the same.
class ReadAheadFailure : public ReadFailure {
protected:
    [[nodiscard]] Config config() const override {
        Config config = plain_config(GetParam());
        config.read_ahead = true;
        return config;
    }
};

TEST_P(ReadAheadFailure, DoesNotFailThePageAskedFor) {
    fail_page(9);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        const Caught caught = FaultCatcher::read(at(page) + 16);
        if (page == 9) {
            expect_bus_error(caught, at(page) + 16);
        } else {
            EXPECT_EQ(caught.signal, 0) << page;
            EXPECT_TRUE(has_stamps(at(page), page_bytes(), stamp(page))) << page;
        }
    }
    mend();
    fake_->retry_all();
    EXPECT_TRUE(has_stamps(at(9), page_bytes(), stamp(9)));
}

std::vector<Variant> read_failure_variants() {
    std::vector<Variant> all = deliveries_and_evictions();
    for (const Delivery delivery : {Delivery::uffd_signal, Delivery::uffd_threads}) {
        all.push_back({delivery, Eviction::move, Replacement::fifo, std::size_t{2} << 20});
    }
    return all;
}
INSTANTIATE_TEST_SUITE_P(matrix, ReadFailure, ::testing::ValuesIn(read_failure_variants()), VariantName{});
INSTANTIATE_TEST_SUITE_P(matrix, ReadAheadFailure, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
