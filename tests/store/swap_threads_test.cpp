// Many threads on one swap space. Each has its own pages, next to those of the others, and knows what must be in them.
// Meanwhile pages are spilled, punched, shared and read across, writes fail, and regions come and go.
#include "store/swap_fixture.hpp"
#include "store/test_queues.hpp"
#include "support/run_threads.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::SequentialWriteQueue;
using store::StoreRead;
using store::StoreWrite;
using store::SwapSpace;

constexpr unsigned kThreads = 8;

/// Calls a function again and again on a thread of its own while it lives.
class Background {
public:
    explicit Background(std::function<void()> work)
        : thread_{[this, work = std::move(work)] {
              while (!stopping_.load()) {
                  work();
                  std::this_thread::yield();
              }
          }} {}
    ~Background() {
        stopping_.store(true);
        thread_.join();
    }
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

private:
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

/// Fails one in some writes.
class FlakyQueue final : public store::WriteQueue {
public:
    explicit FlakyQueue(unsigned fail_one_in) : fail_one_in_{fail_one_in} {}
    void write(std::span<store::FileWrite> writes) noexcept override {
        for (store::FileWrite& one : writes) {
            const bool fails = fail_one_in_ != 0 && ++count_ % fail_one_in_ == 0;
            one.error = fails ? EIO : one.device->write(one.offset, one.parts);
        }
    }

private:
    unsigned fail_one_in_;
    unsigned count_ = 0;
};

/// The pages of one thread: every kThreads-th, so that adjacent pages belong to other threads.
class Owner {
public:
    Owner(SwapSpace& space, BackingStore& store, std::size_t page_bytes, std::uint64_t pages, unsigned id,
          std::uint64_t seed, unsigned fail_one_in)
        : space_{space},
          store_{store},
          page_bytes_{page_bytes},
          pages_{pages},
          id_{id},
          random_{seed + id},
          queue_{fail_one_in},
          oracle_(pages / kThreads),
          buffer_{sys::Mapping::reserve(kMostAtOnce * page_bytes, page_bytes, true, "test pages")} {}

    void step() {
        const std::uint64_t mine = random_() % oracle_.size();
        switch (random_() % 8) {
            case 0:
                discard(mine);
                break;
            case 1:
            case 2:
                write_batch();
                break;
            case 3:
                read_across(mine);
                break;
            case 4:
                read_piece(mine);
                break;
            default:
                read(mine);
        }
    }
    void read_all() {
        for (std::uint64_t mine = 0; mine < oracle_.size(); ++mine) read(mine);
    }
    void discard_all() {
        for (std::uint64_t mine = 0; mine < oracle_.size(); ++mine) discard(mine);
    }

private:
    static constexpr std::uint64_t kMostAtOnce = 8;

    [[nodiscard]] std::uint64_t offset_of(std::uint64_t mine) const { return (mine * kThreads + id_) * page_bytes_; }
    [[nodiscard]] std::span<std::byte> page(std::size_t i) {
        return buffer_.bytes().subspan(i * page_bytes_, page_bytes_);
    }

    void write_batch() {
        const std::uint64_t count = std::min<std::uint64_t>(random_() % kMostAtOnce + 1, oracle_.size());
        const std::uint64_t first = random_() % (oracle_.size() - count + 1);
        std::vector<StoreWrite> writes;
        std::vector<Contents> contents;
        for (std::uint64_t i = 0; i < count; ++i) {
            contents.push_back({static_cast<Contents::Kind>(random_() % Contents::kKinds), random_()});
            contents[i].fill(page(i));
            writes.push_back({&store_, offset_of(first + i), page(i), -1});
        }
        space_.write(writes, queue_);
        for (std::uint64_t i = 0; i < count; ++i) {
            if (writes[i].error == 0) oracle_[first + i] = contents[i];  // else the page has what it had
        }
    }
    void discard(std::uint64_t mine) {
        store_.discard(offset_of(mine), page_bytes_);
        oracle_[mine].reset();
    }
    void read(std::uint64_t mine) {
        if (!oracle_[mine]) return;
        EXPECT_EQ(store_.read(offset_of(mine), page(0)), 0);
        expect(mine, 0, page(0));
    }
    void read_piece(std::uint64_t mine) {
        constexpr std::size_t kPiece = std::size_t{16} << 10;
        if (!oracle_[mine] || page_bytes_ <= kPiece) return;
        const std::size_t at = random_() % (page_bytes_ / kPiece) * kPiece;
        EXPECT_EQ(store_.read(offset_of(mine) + at, page(0).first(kPiece)), 0);
        expect(mine, at, page(0).first(kPiece));
    }
    /// Reads pages of other threads with its own, as a prefetch does, whatever state they are in.
    void read_across(std::uint64_t mine) {
        if (!oracle_[mine]) return;
        const std::uint64_t first = mine * kThreads + id_;
        const std::uint64_t count = std::min(random_() % kMostAtOnce + 1, pages_ - first);
        // A page that another thread writes or discards meanwhile may be read wrongly, which is noticed.
        const int error = store_.read(offset_of(mine), buffer_.bytes().first(count * page_bytes_));
        EXPECT_TRUE(error == 0 || (error == EIO && count > 1)) << error;
        if (error == 0) expect(mine, 0, page(0));
    }
    void expect(std::uint64_t mine, std::size_t from, std::span<const std::byte> bytes) {
        const std::vector<std::byte> wanted = oracle_[mine]->bytes(page_bytes_);
        EXPECT_EQ(std::memcmp(bytes.data(), &wanted[from], bytes.size()), 0) << "page " << mine * kThreads + id_;
    }

    SwapSpace& space_;
    BackingStore& store_;
    std::size_t page_bytes_;
    std::uint64_t pages_;
    unsigned id_;
    std::mt19937_64 random_;
    FlakyQueue queue_;
    std::vector<std::optional<Contents>> oracle_;
    sys::Mapping buffer_;
};

class SwapThreads : public testing::TestWithParam<std::tuple<std::size_t, std::size_t, unsigned>> {};

TEST_P(SwapThreads, FindInTheirPagesWhatTheyWrote) {
    const auto [page_bytes, segments, fail_one_in] = GetParam();
    const std::uint64_t pages = page_bytes > 65536 ? 2 * kThreads : 64 * kThreads;
    const int steps = page_bytes > 65536 ? 15 : static_cast<int>(6'000'000 / (page_bytes + 4096));
    const std::uint64_t seed = printed_seed();
    const TemporaryDirectory directory{"/var/tmp"};
    SwapMachine swap{directory.path(), segments * kSegment};
    swap.space().set_background_return(true);
    const std::unique_ptr<BackingStore> store = swap.space().open_for_pages(pages * page_bytes, page_bytes);
    {
        FlakyQueue queue{fail_one_in};
        const Background spiller{[&] {
            static_cast<void>(swap.space().needs_upkeep() ? swap.space().do_upkeep(queue)
                                                          : swap.pool().spill_all(queue));
        }};
        const Background puncher{[&] { swap.space().slots().slots().punch_any(); }};
        run_threads(kThreads, [&, page_size = page_bytes, failing = fail_one_in](unsigned id) {
            Owner owner{swap.space(), *store, page_size, pages, id, seed, failing};
            for (int i = 0; i < steps; ++i) owner.step();
            owner.read_all();
            if (id % 2 == 0) owner.discard_all();
        });
    }
    swap.audit();
    store->discard(0, pages * page_bytes);
    EXPECT_EQ(swap.allotted_pages(), 0U);
    EXPECT_EQ(swap.stats().compressed_bytes, 0U);
    EXPECT_EQ(swap.stats().spills > 0, segments > 0);
    EXPECT_LE(swap.stats().used_bytes, kSegment) << "only the open segment may be left";
}

INSTANTIATE_TEST_SUITE_P(With, SwapThreads,
                         testing::Combine(testing::Values(4096, 16384, 65536, 2097152), testing::Values(0, 2, 40),
                                          testing::Values(0U, 5U)),
                         [](const auto& instance) {
                             return std::to_string(std::get<0>(instance.param) >> 10) + "KiB_in_" +
                                    std::to_string(std::get<1>(instance.param)) + "_segments" +
                                    (std::get<2>(instance.param) == 0 ? "" : "_and_failures");
                         });

class SwapStorm : public SwapSpaceOn {};

INSTANTIATE_TEST_SUITE_P(Each, SwapStorm, swap_spaces(), SwapSpaceName{});

TEST_P(SwapStorm, RegionsAreClonedWrittenAndClosedAtOnce) {
    const std::uint64_t seed = printed_seed();
    constexpr std::uint64_t kPages = 64;
    {
        const Background spiller{[&] {
            SequentialWriteQueue queue;
            static_cast<void>(swap().pool().spill_all(queue));
        }};
        run_threads(kThreads, [&](unsigned thread) {
            std::mt19937_64 random{seed + thread};
            const std::size_t page_bytes = kPage << (thread % 4);
            auto original = std::make_unique<Remembered>(swap().space().open_for_pages(kPages * page_bytes, page_bytes),
                                                         kPages, page_bytes);
            for (int round = 0; round < 30; ++round) {
                original->churn(random, 10);
                auto clone = std::make_unique<Remembered>(
                    swap().space().open_for_pages(kPages * page_bytes, page_bytes), kPages, page_bytes);
                SwapMachine::swap_store(*clone).share_pages_of(SwapMachine::swap_store(*original));
                for (std::uint64_t page = 0; page < kPages; ++page) clone->now_has(page, original->expected(page));
                clone->churn(random, 10);
                original->churn(random, 5);
                clone->check(16);
                original->check(16);
                if (random() % 2 == 0) std::swap(original, clone);
            }
        });
    }
    EXPECT_EQ(swap().allotted_pages(), 0U);
}

TEST_P(SwapStorm, TwoRegionsWithTheSamePagesLoseThemAtOnce) {
    const std::uint64_t seed = printed_seed();
    constexpr std::uint64_t kPages = 512;
    Remembered& first = swap().region(kPages);
    for (std::uint64_t round = 0; round < 20; ++round) {
        first.write_all(seed + round);
        Remembered& second = swap().clone_of(first);
        Remembered& third = swap().clone_of(second);
        run_threads(3, [&](unsigned thread) {
            Remembered& own = thread == 0 ? first : thread == 1 ? second : third;
            for (std::uint64_t page = 0; page < kPages; ++page) {
                if (page % 3 == thread) own.check_range(page, 1);
                if (page % 5 != 0) own.discard(page, 1);
            }
        });
        swap().audit();
        EXPECT_EQ(swap().allotted_pages(), (kPages + 4) / 5);
        second.check(16);
        swap().close(third);
        swap().close(second);
    }
}

TEST_P(SwapStorm, TheLimitOfCompressedMemoryIsChangedMeanwhile) {
    if (limit() == 0) GTEST_SKIP() << "no memory for compressed pages";
    const std::uint64_t seed = printed_seed();
    constexpr std::uint64_t kPages = 64 * kThreads;
    const std::unique_ptr<BackingStore> store = swap().space().open(kPages * kPage);
    {
        std::size_t segments = 0;
        const Background changer{[&] {
            SequentialWriteQueue queue;
            segments = (segments + 7) % 23;
            swap().pool().set_limit(segments * kSegment);
            EXPECT_EQ(swap().pool().do_upkeep(queue), 0);
        }};
        run_threads(kThreads, [&](unsigned id) {
            Owner owner{swap().space(), *store, kPage, kPages, id, seed, 0};
            for (int i = 0; i < 1000; ++i) owner.step();
            owner.read_all();
        });
    }
    swap().pool().set_limit(0);
    SequentialWriteQueue queue;
    EXPECT_EQ(swap().pool().do_upkeep(queue), 0);
    EXPECT_EQ(swap().stats().used_bytes, 0U);
}

}  // namespace
}  // namespace faultline::test
