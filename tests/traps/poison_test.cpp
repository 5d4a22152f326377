// Trap 21: a page that the store cannot read back. Every access raises SIGBUS at its own address. Accesses do not read
// the store again, no thread reads zeros or old bytes, and neighbouring pages are not affected.

#include "traps/bus_errors.hpp"

#include "pager/pager.hpp"
#include "store/backing_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

namespace faultline::test {
namespace {

/// The offset that the store cannot read, and the number of reads that failed there.
struct Damage {
    static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
    std::atomic<std::uint64_t> offset{kNowhere};
    std::atomic<int> failed_reads{0};
};

/// Keeps pages in memory. Reads of the damaged offset fail with EIO.
class DamagedStore final : public store::BackingStore {
public:
    DamagedStore(std::uint64_t bytes, Damage& damage) : bytes_(bytes), damage_{damage} {}
    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override {
        const std::uint64_t damaged = damage_.offset.load();
        if (damaged >= offset && damaged - offset < into.size()) {
            ++damage_.failed_reads;
            return EIO;
        }
        std::memcpy(into.data(), bytes_.data() + offset, into.size());
        return 0;
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override {
        std::memcpy(bytes_.data() + offset, from.data(), from.size());
        return 0;
    }
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        std::memset(bytes_.data() + offset, 0xdb, bytes);
    }

private:
    std::vector<std::byte> bytes_;
    Damage& damage_;
};

class DamagedStores final : public store::StoreFactory {
public:
    explicit DamagedStores(Damage& damage) : damage_{damage} {}
    [[nodiscard]] std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override {
        return std::make_unique<DamagedStore>(bytes, damage_);
    }

private:
    Damage& damage_;
};

constexpr std::uint64_t kBadPage = 5;

class Trap21 : public TrapMatrix {
protected:
    static constexpr std::uint64_t kPages = 16;

    void SetUp() override {
        Config config = config_with(2 * kPages);
        config.log = [](LogLevel, std::string_view) {};  // the errors are expected
        try {
            pager_ = std::make_unique<pager::Pager>(config, std::make_unique<DamagedStores>(damage_));
        } catch (const std::system_error& error) {
            if (may_be_skipped(error, config.delivery)) GTEST_SKIP() << error.what();
            throw;
        }
        region_ = &pager_->reserve(kPages * GetParam().page_size, GetParam().page_size);
        for (std::uint64_t page = 0; page < kPages; ++page) write_word(at(page), word_of_unit(page));
        evict_everything();
        damage_.offset = kBadPage * GetParam().page_size;
    }

    void TearDown() override {
        if (region_ != nullptr) pager_->destroy(*region_);
    }

    void evict_everything() {
        do {
            pager_->advice().evict(*region_, {0, kPages});
        } while (region_->counters().sum(pager::Count::resident) > 0);
    }
    [[nodiscard]] std::byte* at(std::uint64_t page) const { return region_->address_of(page); }
    /// An address in the bad page that is not its first.
    [[nodiscard]] std::byte* bad_address() const { return at(kBadPage) + GetParam().page_size - 64; }
    [[nodiscard]] pager::Pager& pager() { return *pager_; }
    [[nodiscard]] pager::Region& region() { return *region_; }
    [[nodiscard]] Damage& damage() { return damage_; }

private:
    const ScopedSignal catching_{SIGBUS, &CaughtSignal::jump_out};
    Damage damage_;
    std::unique_ptr<pager::Pager> pager_;
    pager::Region* region_ = nullptr;
};

TEST_P(Trap21, EveryAccessToAnUnreadablePageGetsSigbus) {
    for (int access = 0; access < 50; ++access) {
        ASSERT_TRUE(read_is_caught(bad_address()));
        if (GetParam().delivery == Delivery::uffd_signal) {
            EXPECT_EQ(CaughtSignal::address, bad_address());
        }
        ASSERT_TRUE(read_is_caught(at(kBadPage)));
    }
    EXPECT_LE(damage().failed_reads.load(), 2) << "every access reads an unreadable page again";
}

TEST_P(Trap21, ThreadsThatWaitForAnUnreadablePageAllGetSigbus) {
    constexpr unsigned kThreads = 6;
    std::atomic<unsigned> caught{0};
    run_threads(kThreads, [&](unsigned) { caught += read_is_caught(bad_address()); });
    EXPECT_EQ(caught.load(), kThreads);
}

TEST_P(Trap21, NeighboursOfAnUnreadablePageKeepTheirBytes) {
    for (int walk = 0; walk < 3; ++walk) {
        for (std::uint64_t page = 0; page < kPages; ++page) {  // in order, so that read-ahead includes the bad page
            if (page == kBadPage) {
                EXPECT_TRUE(read_is_caught(at(page)));
            } else {
                EXPECT_EQ(read_word(at(page)), word_of_unit(page));
            }
        }
        evict_everything();
    }
}

TEST_P(Trap21, SystemCallsAndPinsReportAnUnreadablePage) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_EQ(::write(ends[1], bad_address(), 8), -1);
        EXPECT_EQ(errno, EFAULT);
        try {
            pager().pins().pin(region(), {kBadPage, 1}, PinFor::reading);
            ADD_FAILURE() << "pinned an unreadable page";
            pager().unpin(region(), {kBadPage, 1});
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), EIO);
        }
    }
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_P(Trap21, RepairedPageIsReadableAfterRetry) {
    ASSERT_TRUE(read_is_caught(bad_address()));
    damage().offset = Damage::kNowhere;
    EXPECT_TRUE(read_is_caught(bad_address())) << "an access without retry() asked the store again";
    pager().advice().retry(region(), {kBadPage, 1});
    ASSERT_FALSE(read_is_caught(bad_address()));
    EXPECT_EQ(read_word(at(kBadPage)), word_of_unit(kBadPage));
}

TEST_P(Trap21, DiscardedPageIsUsableAgain) {
    ASSERT_TRUE(read_is_caught(bad_address()));
    pager().discarder().discard(region(), {kBadPage, 1});
    ASSERT_FALSE(read_is_caught(bad_address()));
    EXPECT_EQ(read_word(at(kBadPage)), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap21, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

}  // namespace
}  // namespace faultline::test
