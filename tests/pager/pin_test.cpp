// Pinned pages stay resident, and system calls may use them. Pins that are not possible are refused.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "support/fault_catcher.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace faultline::test {
namespace {

class Limited : public VariantTest {
protected:
    static constexpr std::size_t kPages = 64;
    static constexpr std::size_t kLimit = 24;
    static constexpr std::size_t kMostPinned = kLimit - Pager::kMinimumPages;
};

class PinTest : public Limited {
protected:
    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        pager_.emplace(config_for(GetParam(), kLimit * page_size()));
        region_ = pager_->reserve(kPages * page_size(), {page_size()});
    }

    [[nodiscard]] static std::size_t page_size() { return GetParam().page_size; }
    [[nodiscard]] std::byte* at(std::uint64_t page) { return region_.data() + page * page_size(); }
    [[nodiscard]] Pin pin(std::uint64_t first, std::uint64_t count, PinFor purpose = PinFor::writing) {
        return region_.pin(at(first), count * page_size(), purpose);
    }
    /// Evicts all pages that can be evicted.
    void thrash() {
        for (int round = 0; round < 2; ++round) {
            for (std::uint64_t page = kPages / 2; page < kPages; ++page) store_word(at(page), stamp(page));
        }
        region_.advise(region_.data(), region_.size(), Advice::dontneed);
    }
    [[nodiscard]] std::uint64_t resident(std::uint64_t first, std::uint64_t count) const {
        std::array<ResidencyCell, kPages> cells{};
        region_.residency(cells);
        std::uint64_t bytes = 0;
        for (std::uint64_t page = first; page < first + count; ++page) bytes += cells[page].resident;
        return bytes / page_size();
    }

    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(PinTest, PagesStayResidentUnderHeavyEviction) {
    for (std::uint64_t page = 0; page < 8; ++page) write_stamps(at(page), page_size(), stamp(page));
    thrash();
    const Pin held = pin(0, 8, PinFor::reading);
    EXPECT_EQ(region_.stats().pinned_bytes, 8 * page_size());
    thrash();
    EXPECT_EQ(resident(0, 8), 8U);
    FakePager::settle();
    const std::uint64_t faults = region_.stats().hard_faults + region_.stats().soft_faults;
    for (std::uint64_t page = 0; page < 8; ++page) EXPECT_TRUE(has_stamps(at(page), page_size(), stamp(page)));
    FakePager::settle();
    EXPECT_EQ(region_.stats().hard_faults + region_.stats().soft_faults, faults)
        << "reading pinned pages needs no fault";
}

TEST_P(PinTest, PagesCanBeEvictedOnceThePinIsGone) {
    {
        const Pin held = pin(0, 8);
        EXPECT_TRUE(held);
        std::memset(at(0), 1, 8 * page_size());
    }
    EXPECT_EQ(region_.stats().pinned_bytes, 0U);
    FakePager::settle();
    thrash();
    EXPECT_EQ(resident(0, 8), 0U);
    EXPECT_EQ(at(7)[page_size() - 1], std::byte{1});
}

TEST_P(PinTest, PagesAreReleasedWhenTheLastOfOverlappingPinsEnds) {
    Pin first = pin(0, 6);
    Pin second = pin(4, 4);
    EXPECT_EQ(region_.stats().pinned_bytes, 8 * page_size());
    first.release();
    first.release();  // does nothing
    EXPECT_FALSE(first);
    thrash();
    EXPECT_EQ(resident(4, 4), 4U);
    EXPECT_EQ(region_.stats().pinned_bytes, 4 * page_size());
    Pin moved = std::move(second);
    EXPECT_FALSE(second);  // NOLINT: a moved-from pin is empty
    thrash();
    EXPECT_EQ(resident(4, 4), 4U);
    moved = Pin{};
    thrash();
    EXPECT_EQ(resident(0, 8), 0U);
}

TEST_P(PinTest, RangeOfAnyAlignmentHoldsEveryPageItTouches) {
    const Pin held = region_.pin(at(3) - 1, 2, PinFor::writing);
    EXPECT_EQ(region_.stats().pinned_bytes, 2 * page_size());
    const Pin none = region_.pin(at(10), 0);
    EXPECT_FALSE(none);
}

TEST_P(PinTest, TooLargeAPinIsRefusedWithEnomemAndLeavesNothingPinned) {
    expect_refused([&] { static_cast<void>(pin(0, kMostPinned + 1)); }, ENOMEM, "pinning");
    EXPECT_EQ(region_.stats().pinned_bytes, 0U);
    {
        const Pin most = pin(0, kMostPinned);
        expect_refused([&] { static_cast<void>(pin(40, 1)); }, ENOMEM, "pinning");
        for (std::uint64_t page = 0; page < kPages; ++page)
            store_word(at(page), stamp(page));  // the other pages still work
        for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(at(page)), stamp(page));
        expect_refused([&] { pager_->set_resident_limit((kLimit - 1) * page_size()); }, EBUSY, "pins");
    }
    const Pin again = pin(40, kMostPinned);
    EXPECT_TRUE(again);
}

TEST_P(PinTest, PinsUnderTheSmallestLimitsLeaveFaultsTheirFrames) {
    const Watchdog watchdog;
    for (std::size_t most = 0; most < 6; ++most) {
        Pager small{config_for(GetParam(), (Pager::kMinimumPages + most) * page_size())};
        Region region = small.reserve(kPages * page_size(), {page_size()});
        const auto page_at = [&](std::size_t page) { return region.data() + page * page_size(); };
        std::vector<Pin> pins;
        for (std::size_t page = 0; page < most; ++page) pins.push_back(region.pin(page_at(page), page_size()));
        expect_refused([&] { static_cast<void>(region.pin(page_at(most), page_size())); }, ENOMEM, "pinning");
        for (std::size_t page = 0; page < kPages; ++page) store_word(page_at(page), stamp(page));
        for (std::size_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(page_at(page)), stamp(page)) << most;
    }
}

TEST_P(PinTest, DiscardOfPinnedPagesIsRefusedAndTheOthersAreDiscarded) {
    for (std::uint64_t page = 0; page < 6; ++page) store_word(at(page), stamp(page));
    Pin held = pin(2, 2);
    expect_refused([&] { region_.discard(at(0), 6 * page_size()); }, EBUSY, "pinned");
    for (std::uint64_t page = 0; page < 6; ++page) {
        EXPECT_EQ(load_word(at(page)), page == 2 || page == 3 ? stamp(page) : 0U) << page;
    }
    held.release();
    region_.discard(at(0), 6 * page_size());
    EXPECT_EQ(load_word(at(2)), 0U);
}

TEST_P(PinTest, RegionCannotBeDeletedUntilItsPinsAreGone) {
    store_word(at(1), stamp(1));
    Pin held = pin(1, 1);
    expect_refused([&] { region_.destroy(); }, EBUSY, "pinned");
    EXPECT_EQ(load_word(at(1)), stamp(1)) << "a refused destroy changes nothing";
    held.release();
    region_.destroy();
    EXPECT_FALSE(region_);
}

TEST_P(PinTest, PurposeThatTheProtectionForbidsIsRefusedWithEacces) {
    store_word(at(2), stamp(2));
    region_.protect(at(0), 8 * page_size(), Access::read);
    expect_refused([&] { static_cast<void>(pin(1, 3)); }, EACCES, "protection");
    {
        const Pin reading = pin(1, 3, PinFor::reading);
        EXPECT_EQ(load_word(at(2)), stamp(2));
        expect_refused([&] { region_.protect(at(0), 8 * page_size(), Access::none); }, EBUSY, "pinned");
    }
    region_.protect(at(0), 8 * page_size(), Access::none);
    expect_refused([&] { static_cast<void>(pin(1, 3, PinFor::reading)); }, EACCES, "protection");
    EXPECT_EQ(region_.stats().pinned_bytes, 0U);
    region_.protect(at(0), 8 * page_size(), Access::read_write);
    const Pin writing = pin(1, 3);
    EXPECT_EQ(load_word(at(2)), stamp(2));
}

INSTANTIATE_TEST_SUITE_P(matrix, PinTest, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{64} << 10);
                             all.insert(all.end(), large.begin(), large.end());
                             return all;
                         }()),
                         VariantName{});

class Protection : public Limited {};

TEST_P(Protection, ForbiddenAccessRaisesSigsegvAtTheAddress) {
    const std::size_t page_size = GetParam().page_size;
    const FaultCatcher catcher;
    Pager pager{config_for(GetParam(), kLimit * page_size)};
    Region region = pager.reserve(8 * page_size, {page_size});
    store_word(region.data(), 7);
    for (const Access access : {Access::read, Access::none}) {
        region.protect(region.data(), region.size(), access);
        const Caught written = FaultCatcher::write(region.data() + 9);
        EXPECT_EQ(written.signal, SIGSEGV);
        EXPECT_EQ(written.address, region.data() + 9);
        const Caught absent = FaultCatcher::write(region.data() + 5 * page_size + 3);
        EXPECT_EQ(absent.signal, SIGSEGV);
        EXPECT_EQ(FaultCatcher::read(region.data() + 9).signal, access == Access::none ? SIGSEGV : 0);
    }
    region.protect(region.data(), region.size(), Access::read_write);
    EXPECT_EQ(load_word(region.data()), 7U);
    EXPECT_EQ(FaultCatcher::write(region.data() + 9).signal, 0);
}

INSTANTIATE_TEST_SUITE_P(matrix, Protection, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

/// read(2) and write(2) with buffers in a region, through a file in memory.
class SystemCalls : public Limited {
protected:
    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        file_ = ::memfd_create("faultline-test", MFD_CLOEXEC);
        ASSERT_GE(file_, 0);
        for (std::uint64_t page = 0; page < 8; ++page) {
            std::array<std::byte, kBasePageBytes> bytes{};
            write_stamps(bytes.data(), bytes.size(), stamp(page));
            ASSERT_EQ(::pwrite(file_, bytes.data(), bytes.size(), offset(page)), static_cast<ssize_t>(kBasePageBytes));
        }
        pager_.emplace(config_for(GetParam(), kLimit * kBasePageBytes));
        region_ = pager_->reserve(kPages * kBasePageBytes);
    }
    void TearDown() override {
        if (file_ >= 0) ::close(file_);
    }

    static off_t offset(std::uint64_t page) { return static_cast<off_t>(page * kBasePageBytes); }
    [[nodiscard]] std::byte* at(std::uint64_t page) { return region_.data() + page * kBasePageBytes; }
    static constexpr std::size_t kBytes = 8 * kBasePageBytes;
    void expect_stamps(const std::byte* bytes) {
        for (std::uint64_t page = 0; page < 8; ++page) {
            EXPECT_TRUE(has_stamps(bytes + page * kBasePageBytes, kBasePageBytes, stamp(page))) << page;
        }
    }

    int file_ = -1;
    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(SystemCalls, ReadIntoAndWriteFromPinnedRanges) {
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(at(page), 1);  // pages 0 to 7 are in the store now
    {
        const Pin target = region_.pin(at(0), kBytes, PinFor::writing);
        ASSERT_EQ(::pread(file_, at(0), kBytes, 0), static_cast<ssize_t>(kBytes)) << std::strerror(errno);
    }
    for (std::uint64_t page = 8; page < kPages; ++page) store_word(at(page), 2);
    expect_stamps(at(0));
    for (std::uint64_t page = 8; page < kPages; ++page) store_word(at(page), 3);
    const Pin source = region_.pin(at(0), kBytes, PinFor::reading);
    ASSERT_EQ(::pwrite(file_, at(0), kBytes, static_cast<off_t>(kBytes)), static_cast<ssize_t>(kBytes));
    std::vector<std::byte> copy(kBytes);
    ASSERT_EQ(::pread(file_, copy.data(), kBytes, static_cast<off_t>(kBytes)), static_cast<ssize_t>(kBytes));
    expect_stamps(copy.data());
}

TEST_P(SystemCalls, WorkOnAbsentPagesWithHandlerThreadsAndGiveEfaultWithSignals) {
    const bool transparent = GetParam().delivery == Delivery::uffd_threads;
    errno = 0;
    const ssize_t read = ::pread(file_, at(0), kBytes, 0);
    if (!transparent) {
        EXPECT_EQ(read, -1);
        EXPECT_EQ(errno, EFAULT);
        std::memset(at(0), 1, kBytes);
        ASSERT_EQ(::pread(file_, at(0), kBytes, 0), static_cast<ssize_t>(kBytes)) << "resident and written to: fine";
    } else {
        ASSERT_EQ(read, static_cast<ssize_t>(kBytes)) << std::strerror(errno);
    }
    expect_stamps(at(0));
    FakePager::settle();
    region_.advise(at(0), kBytes, Advice::dontneed);
    ASSERT_EQ(region_.stats().swapped_bytes, kBytes);

    errno = 0;
    const ssize_t written = ::pwrite(file_, at(0), kBytes, static_cast<off_t>(kBytes));
    if (!transparent) {
        EXPECT_EQ(written, -1);
        EXPECT_EQ(errno, EFAULT);
        return;
    }
    ASSERT_EQ(written, static_cast<ssize_t>(kBytes)) << std::strerror(errno);
    std::vector<std::byte> copy(kBytes);
    ASSERT_EQ(::pread(file_, copy.data(), kBytes, static_cast<off_t>(kBytes)), static_cast<ssize_t>(kBytes));
    expect_stamps(copy.data());
}

INSTANTIATE_TEST_SUITE_P(matrix, SystemCalls, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
