// Handler threads do not sleep in reads: while pages are being read, they serve other faults. The reads here come from
// a pipe, and end when the test writes to it.

#include "pager/pager.hpp"
#include "pager/region/region_map.hpp"
#include "pager_fixture.hpp"
#include "store/read_plan.hpp"
#include "sys/io_ring.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

/// Keeps written pages in memory. Reads by descriptor come from a pipe.
class PipeStore final : public store::BackingStore {
public:
    struct Control {
        Control() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); }
        ~Control() {
            for (const int end : ends) ::close(end);
        }
        Control(const Control&) = delete;
        Control& operator=(const Control&) = delete;

        /// Lets one read finish with these bytes.
        void end_read(std::span<const std::byte> bytes) const {
            ASSERT_EQ(::write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        }
        void wait_for_reads(unsigned wanted) {
            for (unsigned seen = begun.load(); seen < wanted; seen = begun.load()) begun.wait(seen);
        }

        std::array<int, 2> ends{};
        std::atomic<bool> by_pipe{true};
        std::atomic<unsigned> begun{0};
        std::atomic<unsigned> read_directly{0};
        std::atomic<bool> direct_reads_wait{false};
    };

    PipeStore(Control& control, std::uint64_t bytes) : control_{control}, bytes_(bytes) {}

    int read(std::uint64_t offset, std::span<std::byte> into) noexcept override {
        control_.read_directly.fetch_add(1);
        control_.read_directly.notify_all();
        control_.direct_reads_wait.wait(true);
        std::memcpy(into.data(), bytes_.data() + offset, into.size());
        return 0;
    }
    int write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
        std::memcpy(bytes_.data() + offset, from.data(), from.size());
        return 0;
    }
    void discard(std::uint64_t, std::uint64_t) noexcept override {}
    int plan_read(std::span<const store::StoreRead> reads, store::ReadPlan& plan) noexcept override {
        if (!control_.by_pipe.load()) return read_pages(reads, nullptr);
        for (const store::StoreRead& one : reads) plan.add(control_.ends[0], store::FileEnd::never, 0, one.into);
        control_.begun.fetch_add(1);
        control_.begun.notify_all();
        return 0;
    }

private:
    Control& control_;
    std::vector<std::byte> bytes_;
};

class PipeStores final : public store::StoreFactory {
public:
    explicit PipeStores(PipeStore::Control& control) : control_{control} {}
    std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override {
        return std::make_unique<PipeStore>(control_, bytes);
    }

private:
    PipeStore::Control& control_;
};

class AsyncReads : public VariantTest {
protected:
    static constexpr std::size_t kPage = kBasePageBytes;

    static constexpr std::uint64_t kPages = 16;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        if (!sys::IoRing::open(2)) GTEST_SKIP() << "no io_uring here";
        Config config = config_for(GetParam(), 2 * kPages * kPage);
        config.handler_threads = handlers_;
        config.background_evictor = false;
        config.read_ahead = false;
        pager_ = std::make_unique<pager::Pager>(config, std::make_unique<PipeStores>(control_));
        region_ = &pager_->reserve(2 * kPages * kPage, kPage);
        for (std::uint64_t page = 0; page < kPages; ++page) write_stamps(at(page), kPage, stamp(page));
        pager_->advice().evict(*region_, {0, kPages});
    }
    void TearDown() override {
        if (region_ != nullptr) pager_->destroy(*region_);
    }

    [[nodiscard]] std::byte* at(std::uint64_t page) const { return region_->address_of(page); }

    static std::array<std::byte, kPage> page_with(std::uint64_t value) {
        std::array<std::byte, kPage> bytes{};
        write_stamps(bytes.data(), kPage, value);
        return bytes;
    }

    unsigned handlers_ = 1;  // a pager's only handler never waits for a read itself
    PipeStore::Control control_;
    std::unique_ptr<pager::Pager> pager_;
    pager::Region* region_ = nullptr;
};

TEST_P(AsyncReads, LeaveTheHandlerFreeForOtherFaults) {
    constexpr unsigned kReaders = 4;
    std::array<std::uint64_t, kReaders> found{};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kReaders; ++i) threads.emplace_back([&, i] { found[i] = load_word(at(i)); });
    control_.wait_for_reads(kReaders);
    // All four wait for the pipe, and there is one handler.
    EXPECT_EQ(load_word(at(kPages + 1)), 0U);
    store_word(at(kPages + 2), 7);
    EXPECT_EQ(load_word(at(kPages + 2)), 7U);
    for (unsigned i = 0; i < kReaders; ++i) control_.end_read(page_with(100 + i));
    for (std::thread& thread : threads) thread.join();
    std::sort(found.begin(), found.end());
    for (unsigned i = 0; i < kReaders; ++i) EXPECT_EQ(found[i], 100 + i) << "each got one of the pages";
    EXPECT_EQ(control_.read_directly.load(), 0U);
}

TEST_P(AsyncReads, ServeAllThreadsThatWaitForThePage) {
    std::array<std::uint64_t, 8> found{};
    std::vector<std::thread> threads;
    for (auto& one : found) threads.emplace_back([&] { one = load_word(at(3)); });
    control_.wait_for_reads(1);
    control_.end_read(page_with(55));
    for (std::thread& thread : threads) thread.join();
    for (const std::uint64_t one : found) EXPECT_EQ(one, 55U);
    EXPECT_EQ(control_.begun.load(), 1U) << "one page, one read";
}

TEST_P(AsyncReads, KeepTheWordOfTheWriteThatFaulted) {
    std::thread writer{[&] { store_word(at(5) + 64, 9); }};
    control_.wait_for_reads(1);
    control_.end_read(page_with(stamp(5)));
    writer.join();
    EXPECT_EQ(load_word(at(5) + 64), 9U);
    EXPECT_TRUE(has_stamps(at(5), kPage, stamp(5)));
    control_.by_pipe.store(false);
    pager_->advice().evict(*region_, {5, 1});
    EXPECT_EQ(load_word(at(5) + 64), 9U) << "a page that was written to is written back";
}

TEST_P(AsyncReads, FallBackToSynchronousReadsWhenTheyReturnTooFewBytes) {
    std::uint64_t found = 0;
    std::thread reader{[&] { found = load_word(at(6)); }};
    control_.wait_for_reads(1);
    const auto page = page_with(1);
    control_.end_read(std::span{page}.first(512));
    reader.join();
    EXPECT_EQ(found, stamp(6));
    EXPECT_EQ(control_.read_directly.load(), 1U);
}

class TwoHandlers : public AsyncReads {
protected:
    TwoHandlers() { handlers_ = 2; }
};

TEST_P(TwoHandlers, LetOneOfThemReadSynchronously) {
    EXPECT_EQ(load_word(at(0)), stamp(0));
    pager::RegionMap::readers()
        .synchronize();  // waits until the handler has finished, not only until the page is resident
    EXPECT_EQ(load_word(at(1)), stamp(1));
    EXPECT_EQ(control_.read_directly.load(), 2U);
    EXPECT_EQ(control_.begun.load(), 0U) << "handing it over would only have taken longer";
}

TEST_P(TwoHandlers, DoNotBothWaitForReads) {
    control_.direct_reads_wait.store(true);
    std::uint64_t lone = 0;
    std::thread first{[&] { lone = load_word(at(0)); }};
    control_.read_directly.wait(0);
    std::array<std::uint64_t, 3> found{};
    std::vector<std::thread> others;
    for (unsigned i = 0; i < found.size(); ++i) others.emplace_back([&, i] { found[i] = load_word(at(1 + i)); });
    control_.wait_for_reads(found.size());
    EXPECT_EQ(load_word(at(kPages + 1)), 0U) << "a handler is free for whoever needs no read";
    for (unsigned i = 0; i < found.size(); ++i) control_.end_read(page_with(100 + i));
    for (std::thread& thread : others) thread.join();
    std::sort(found.begin(), found.end());
    for (unsigned i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], 100 + i);
    control_.direct_reads_wait.store(false);
    control_.direct_reads_wait.notify_all();
    first.join();
    EXPECT_EQ(lone, stamp(0));
    EXPECT_EQ(control_.read_directly.load(), 1U);
}

class Advised : public AsyncReads {};

TEST_P(Advised, PagesAreReadWhileTheProgramRunsAndFaultNoMore) {
    for (const std::uint64_t page : {0U, 2U, 4U, 6U}) pager_->read_ahead().prefetch_async(*region_, {page, 1});
    control_.wait_for_reads(4);  // all at the same time, while this thread waits for none of them
    EXPECT_EQ(load_word(at(kPages)), 0U);
    for (unsigned i = 0; i < 4; ++i) control_.end_read(page_with(100 + i));
    pager_->read_ahead().wait_for_prefetch(*region_, {0, kPages});
    const std::uint64_t faults = pager_->stats().hard_faults;
    std::array<std::uint64_t, 4> found{};
    for (unsigned i = 0; i < 4; ++i) found[i] = load_word(at(std::uint64_t{2} * i));
    std::sort(found.begin(), found.end());
    for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(found[i], 100 + i);
    EXPECT_EQ(pager_->stats().hard_faults, faults);
    pager::RegionMap::readers().synchronize();  // the reader thread may still be counting
    EXPECT_EQ(pager_->stats().pages_read_ahead, 4U);
}

TEST_P(Advised, PagesAreReadSynchronouslyWhenAReadReturnsTooFewBytes) {
    pager_->read_ahead().prefetch_async(*region_, {3, 1});
    control_.wait_for_reads(1);
    const auto page = page_with(1);
    control_.end_read(std::span{page}.first(512));
    pager_->read_ahead().wait_for_prefetch(*region_, {3, 1});
    EXPECT_TRUE(has_stamps(at(3), kPage, stamp(3)));
    EXPECT_EQ(control_.begun.load(), 1U) << "no fault had to read it";
}

TEST_P(Advised, PagesAreAllReadWhateverTheirNumber) {
    control_.by_pipe.store(false);
    for (int round = 0; round < 20; ++round) {
        for (std::uint64_t page = 0; page < kPages; ++page) pager_->read_ahead().prefetch_async(*region_, {page, 1});
        pager_->read_ahead().wait_for_prefetch(*region_, {0, kPages});
        const std::uint64_t faults = pager_->stats().hard_faults;
        for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_TRUE(has_stamps(at(page), kPage, stamp(page)));
        EXPECT_EQ(pager_->stats().hard_faults, faults);
        pager_->advice().evict(*region_, {0, kPages});
    }
}

TEST_P(Advised, PagesOfADeletedRegionAreForgotten) {
    control_.by_pipe.store(false);
    for (int round = 0; round < 50; ++round) {
        pager::Region& other = pager_->reserve(kPages * kPage, kPage);
        for (std::uint64_t page = 0; page < kPages; ++page) store_word(other.address_of(page), page + 1);
        pager_->advice().evict(other, {0, kPages});
        for (std::uint64_t page = 0; page < kPages; ++page) pager_->read_ahead().prefetch_async(other, {page, 1});
        pager_->destroy(other);
    }
    pager_->read_ahead().wait_for_prefetch(*region_, {0, kPages});
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_TRUE(has_stamps(at(page), kPage, stamp(page)));
}

INSTANTIATE_TEST_SUITE_P(matrix, Advised, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

INSTANTIATE_TEST_SUITE_P(
    threads, TwoHandlers,
    ::testing::Values(Variant{Delivery::uffd_threads, Eviction::move, Replacement::second_chance, kBasePageBytes},
                      Variant{Delivery::uffd_threads, Eviction::copy, Replacement::second_chance, kBasePageBytes}),
    VariantName{});

INSTANTIATE_TEST_SUITE_P(
    threads, AsyncReads,
    ::testing::Values(Variant{Delivery::uffd_threads, Eviction::move, Replacement::second_chance, kBasePageBytes},
                      Variant{Delivery::uffd_threads, Eviction::copy, Replacement::second_chance, kBasePageBytes}),
    VariantName{});

}  // namespace
}  // namespace faultline::test
