// A store that accepts no pages: nothing is lost, a thread that needs a frame waits and then gets SIGBUS, and all
// threads continue when the store recovers.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "support/fault_catcher.hpp"
#include "swap_folder.hpp"
#include "thread_state.hpp"

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::chrono::milliseconds kPatience{30};

/// Returns the pages whose first write succeeded; the others got SIGBUS.
template <typename PageAt>
std::vector<bool> write_until_refused(std::uint64_t pages, std::size_t page_bytes, PageAt page_at) {
    std::vector<bool> written(pages);
    for (std::uint64_t page = 0; page < pages; ++page) {
        const Caught caught = FaultCatcher::write(page_at(page));
        if (caught.signal != 0) {
            EXPECT_EQ(caught.signal, SIGBUS);
            EXPECT_EQ(caught.address, page_at(page));
            break;
        }
        write_stamps(page_at(page), page_bytes, stamp(page));
        written[page] = true;
    }
    return written;
}

class WriteFailure : public ::testing::TestWithParam<std::tuple<Variant, int>> {
protected:
    static constexpr std::size_t kPages = 64;
    static constexpr std::size_t kLimit = 16;

    void SetUp() override {
        const std::string reason = why_not_permitted(variant());
        if (!reason.empty()) GTEST_SKIP() << reason;
        catcher_.emplace();
        Config config = plain_config(variant());
        config.full_disk_patience = kPatience;
        fake_.emplace(variant(), config, kPages, kLimit);
    }

    [[nodiscard]] static Variant variant() { return std::get<0>(GetParam()); }
    [[nodiscard]] static int error() { return std::get<1>(GetParam()); }
    [[nodiscard]] std::byte* at(std::uint64_t page) { return fake_->page(page); }
    [[nodiscard]] std::vector<bool> fill_until_refused() {
        return write_until_refused(kPages, fake_->page_bytes(), [this](std::uint64_t page) { return at(page); });
    }
    void expect_contents(const std::vector<bool>& written) {
        for (std::uint64_t page = 0; page < kPages; ++page) {
            if (!written[page]) continue;
            EXPECT_TRUE(has_stamps(at(page), fake_->page_bytes(), stamp(page))) << "page " << page << " is lost";
        }
    }
    void mend() {
        fake_->store().write_error.store(0);
        fake_->retry_all();
    }

    std::optional<FaultCatcher> catcher_;
    std::optional<FakePager> fake_;
};

TEST_P(WriteFailure, FaultThatNeedsAFrameGetsSigbusAndWrittenPagesStay) {
    const Watchdog watchdog;
    fake_->store().write_error.store(error());
    const std::vector<bool> written = fill_until_refused();
    const auto count = static_cast<std::size_t>(std::count(written.begin(), written.end(), true));
    EXPECT_GE(count, kLimit / 2) << "frames must be used up before anybody is refused";
    EXPECT_LT(count, kLimit);
    const RegionStats stats = fake_->settled_stats();
    EXPECT_GT(stats.write_errors, 0U);
    EXPECT_GE(stats.failed_faults, 1U);
    EXPECT_EQ(stats.dirty_bytes, count * fake_->page_bytes());
    expect_contents(written);  // while the store still refuses
    mend();
    expect_contents(written);
}

TEST_P(WriteFailure, EverythingGoesOnWhenTheStoreRecovers) {
    const Watchdog watchdog;
    fake_->store().write_error.store(error());
    static_cast<void>(fill_until_refused());
    mend();
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t page = 0; page < kPages; ++page) {
            write_stamps(at(page), fake_->page_bytes(), stamp(page));
        }
    }
    expect_contents(std::vector<bool>(kPages, true));
    fake_->evict_all();
    expect_contents(std::vector<bool>(kPages, true));
    EXPECT_EQ(fake_->settled_stats().staged_bytes, 0U);
}

TEST_P(WriteFailure, CleanPagesStillMakeRoom) {
    const Watchdog watchdog;
    for (std::uint64_t page = 0; page < 8; ++page) write_stamps(at(page), fake_->page_bytes(), stamp(page));
    fake_->evict_all();
    fake_->store().write_error.store(error());
    for (std::uint64_t page = 8; page < kPages; ++page) {
        ASSERT_EQ(FaultCatcher::read(at(page)).signal, 0) << "reading needs no write";
    }
    for (std::uint64_t page = 0; page < 8; ++page) {
        EXPECT_TRUE(has_stamps(at(page), fake_->page_bytes(), stamp(page)));
    }
}

TEST_P(WriteFailure, AdviceToEvictIsNoErrorAndPagesComeBackFromStaging) {
    const Watchdog watchdog;
    for (std::uint64_t page = 0; page < 4; ++page) write_stamps(at(page), fake_->page_bytes(), stamp(page));
    fake_->store().write_error.store(error());
    fake_->evict_all();
    EXPECT_EQ(fake_->settled_stats().staged_bytes, 4 * fake_->page_bytes());
    for (std::uint64_t page = 0; page < 4; ++page) {
        EXPECT_TRUE(has_stamps(at(page), fake_->page_bytes(), stamp(page)));
    }
    EXPECT_EQ(fake_->settled_stats().soft_faults, 4U);
    EXPECT_EQ(fake_->store().reads.load(), 0U);
}

TEST_P(WriteFailure, LoweringTheBudgetIsRefusedAndTheBudgetStays) {
    const Watchdog watchdog;
    for (std::uint64_t page = 0; page < kLimit - 2; ++page) write_stamps(at(page), fake_->page_bytes(), stamp(page));
    FakePager::settle();
    fake_->store().write_error.store(error());
    const std::size_t before = fake_->pager().resident_limit();
    expect_refused([&] { fake_->pager().limit().set(Pager::kMinimumPages * fake_->page_bytes()); }, error(), "limit");
    EXPECT_EQ(fake_->pager().resident_limit(), before);
    for (std::uint64_t page = 0; page < kLimit - 2; ++page) {
        EXPECT_TRUE(has_stamps(at(page), fake_->page_bytes(), stamp(page)));
    }
    mend();
    fake_->pager().limit().set(Pager::kMinimumPages * fake_->page_bytes());
    EXPECT_LE(fake_->pager().stats().frames_used, Pager::kMinimumPages * fake_->page_bytes());
}

TEST_P(WriteFailure, ThreadsWaitForAStoreThatRecoversInTime) {
    const Watchdog watchdog;
    Config config = plain_config(variant());
    config.full_disk_patience = std::chrono::hours{1};
    FakePager patient{variant(), config, kPages, kLimit};
    patient.store().write_error.store(error());
    std::thread mender{[&] {
        // Each wave of writes was refused, and a thread has tried again.
        while (patient.store().writes.load() < 200) std::this_thread::yield();
        patient.store().write_error.store(0);
    }};
    run_threads(4, [&](unsigned thread) {
        for (std::uint64_t page = thread; page < kPages; page += 4) {
            write_stamps(patient.page(page), patient.page_bytes(), stamp(page));
        }
    });
    mender.join();
    for (std::uint64_t page = 0; page < kPages; ++page) {
        EXPECT_TRUE(has_stamps(patient.page(page), patient.page_bytes(), stamp(page))) << page;
    }
    EXPECT_EQ(patient.settled_stats().failed_faults, 0U);
}

/// The pauses between tries have a least length, so a slow machine tries less often, never more.
TEST_P(WriteFailure, StoreThatRefusesIsTriedAgainAtIntervalsOnly) {
    const Watchdog watchdog;
    constexpr std::chrono::milliseconds kSomeTime{200};
    Config config = plain_config(variant());
    config.full_disk_patience = kSomeTime;
    FakePager fake{variant(), config, kPages, kLimit};
    fake.store().write_error.store(error());
    const std::vector<bool> written =
        write_until_refused(kPages, fake.page_bytes(), [&](std::uint64_t page) { return fake.page(page); });
    EXPECT_FALSE(written.back());
    EXPECT_GE(fake.store().writes.load(), 2U) << "waiting means trying again";
    EXPECT_LE(fake.store().writes.load(), static_cast<std::uint64_t>(kSomeTime.count()));
}

/// More threads need frames than there are pages to evict, so that a thread finds every page owned by the others.
TEST_P(WriteFailure, ReachesEveryThreadEvenOneWithNothingToEvict) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 24;
    Config config = plain_config(variant());
    config.full_disk_patience = kPatience;
    config.handler_threads = kThreads;
    FakePager fake{variant(), config, kPages, Pager::kMinimumPages};
    for (std::uint64_t page = 0; page + 1 < Pager::kMinimumPages; ++page) {
        write_stamps(fake.page(page), fake.page_bytes(), stamp(page));
    }
    FakePager::settle();
    fake.store().write_gate.close();
    fake.store().write_error.store(error());
    fake.store().write_yields.store(100);  // so that pages are owned by a thread most of the time
    Sleepers sleepers{kThreads};
    std::atomic<unsigned> refused{0};
    std::thread opener{[&] {
        sleepers.wait_until_asleep();
        fake.store().write_gate.open();
    }};
    run_threads(kThreads, [&](unsigned thread) {
        sleepers.about_to_sleep(thread);
        if (FaultCatcher::write(fake.page(Pager::kMinimumPages + thread)).signal == SIGBUS) refused.fetch_add(1);
    });
    opener.join();
    EXPECT_EQ(refused.load(), kThreads);
    fake.store().write_error.store(0);
    fake.store().write_yields.store(0);
    fake.retry_all();
    for (std::uint64_t page = 0; page + 1 < Pager::kMinimumPages; ++page) {
        EXPECT_TRUE(has_stamps(fake.page(page), fake.page_bytes(), stamp(page))) << page;
    }
}

std::string failure_name(const ::testing::TestParamInfo<std::tuple<Variant, int>>& info) {
    return label(std::get<0>(info.param)) + (std::get<1>(info.param) == ENOSPC ? "_ENOSPC" : "_EIO");
}
std::vector<Variant> failure_variants() {
    std::vector<Variant> all = deliveries_and_evictions();
    const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{64} << 10);
    all.insert(all.end(), large.begin(), large.end());
    return all;
}
TEST_P(WriteFailure, ForkThatCannotWriteLeavesTheParentsPagesUnchanged) {
    const auto [variant, error] = GetParam();
    Config config = plain_config(variant);
    config.fork = ForkPolicy::inherit;
    FakePager fake{variant, config, 8, kLimit};
    for (std::uint64_t page = 0; page < 8; ++page) write_stamps(fake.page(page), fake.page_bytes(), stamp(page));
    fake.store().write_error.store(error);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    fake.store().write_error.store(0);
    for (std::uint64_t page = 0; page < 8; ++page) {
        EXPECT_TRUE(has_stamps(fake.page(page), fake.page_bytes(), stamp(page)));
        write_stamps(fake.page(page), fake.page_bytes(), stamp(page, 1));
    }
    fake.evict_all();
    for (std::uint64_t page = 0; page < 8; ++page) {
        EXPECT_TRUE(has_stamps(fake.page(page), fake.page_bytes(), stamp(page, 1)));
    }
}

INSTANTIATE_TEST_SUITE_P(matrix, WriteFailure,
                         ::testing::Combine(::testing::ValuesIn(failure_variants()), ::testing::Values(ENOSPC, EIO)),
                         failure_name);

/// A real small file system that fills up.
class FullDisk : public VariantTest {
protected:
    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        if (::mount("faultline-test", folder_.path().c_str(), "tmpfs", 0, "size=2m,mode=0777") != 0) {
            GTEST_SKIP() << "cannot mount a small file system: " << std::strerror(errno);
        }
        mounted_ = true;
    }
    void TearDown() override {
        if (mounted_ && ::umount2(folder_.path().c_str(), MNT_DETACH) != 0) ADD_FAILURE() << std::strerror(errno);
    }

    SwapFolder folder_;
    bool mounted_ = false;
};

TEST_P(FullDisk, RefusesFaultsWhileItIsFullAndLosesNothing) {
    const Watchdog watchdog;
    constexpr std::uint64_t kMany = 400;  // fits on the disk once the other file is gone
    const std::filesystem::path other = folder_.path() / "somebody_else's";
    std::ofstream{other} << std::string(std::size_t{1} << 20, 'x');
    const FaultCatcher catcher;
    Config config = config_for(GetParam(), 32 * kBasePageBytes);
    config.swap_directory = folder_.path();
    config.full_disk_patience = kPatience;
    config.log = [](LogLevel, std::string_view) {};
    Pager pager{config};
    Region region = pager.reserve(kMany * kBasePageBytes);
    const auto page_at = [&](std::uint64_t page) { return region.data() + page * kBasePageBytes; };

    const std::vector<bool> written = write_until_refused(kMany, kBasePageBytes, page_at);
    const auto count = static_cast<std::uint64_t>(std::count(written.begin(), written.end(), true));
    EXPECT_LT(count, kMany) << "the disk was not full";
    EXPECT_GT(count, 32U);
    EXPECT_GT(pager.stats().write_errors, 0U);

    std::filesystem::remove(other);
    region.retry(region.data(), region.size());
    for (std::uint64_t page = count; page < kMany; ++page) write_stamps(page_at(page), kBasePageBytes, stamp(page));
    for (std::uint64_t page = 0; page < kMany; ++page) {
        ASSERT_TRUE(has_stamps(page_at(page), kBasePageBytes, stamp(page))) << page;
    }
}

TEST_P(FullDisk, RefusesThePagerWithoutRoomForOneBlock) {
    std::ofstream{folder_.path() / "all_of_it"} << std::string(std::size_t{3} << 20, 'x');
    Config config = config_for(GetParam(), std::size_t{1} << 20);
    config.swap_directory = folder_.path();
    expect_refused([&] { Pager pager{config}; }, ENOSPC, folder_.path().string());
}

INSTANTIATE_TEST_SUITE_P(matrix, FullDisk, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
