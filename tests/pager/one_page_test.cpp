// Many threads, one page: it is read once. A page that is being evicted is taken back without a read, also while it is
// being written. The store's gates put every thread where the test needs it; no test waits for a guessed time.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "thread_state.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

class OnePage : public VariantTest {
protected:
    static constexpr unsigned kThreads = 64;
    static constexpr std::size_t kPages = 8;
    static constexpr std::size_t kLimit = 24;

    /// A large page is read in pieces of the size of a read buffer.
    static std::uint64_t reads_of_one_page() {
        return std::max<std::uint64_t>(GetParam().page_size / pager::BufferPool::kBufferBytes, 1);
    }

    /// 64 threads fault on page 2. Its read finishes when all of them are asleep.
    static void fault_together(FakePager& fake, bool writing) {
        Sleepers sleepers{kThreads};
        std::atomic<unsigned> wrong{0};
        std::thread opener{[&] {
            fake.store().read_gate.wait_for_arrivals(1);
            sleepers.wait_until_asleep();
            fake.store().read_gate.open();
        }};
        run_threads(kThreads, [&](unsigned thread) {
            std::byte* const mine = fake.page(2) + (2 + thread) * sizeof(std::uint64_t);
            sleepers.about_to_sleep(thread);
            if (writing) store_word(mine, stamp(thread));
            if (load_word(fake.page(2)) != stamp(2)) wrong.fetch_add(1);
            if (writing && load_word(mine) != stamp(thread)) wrong.fetch_add(1);
        });
        opener.join();
        EXPECT_EQ(wrong.load(), 0U);
    }

    static void store_pages(FakePager& fake) {
        for (std::uint64_t page = 0; page < kPages; ++page)
            write_stamps(fake.page(page), fake.page_bytes(), stamp(page));
        fake.evict_all();
        ASSERT_EQ(fake.settled_stats().swapped_bytes, kPages * fake.page_bytes());
    }
};

TEST_P(OnePage, IsReadOnceEvenIfAllThreadsReadIt) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    store_pages(fake);
    fake.store().read_gate.close();
    fault_together(fake, false);
    EXPECT_EQ(fake.settled_stats().hard_faults, 1U);
    EXPECT_EQ(fake.store().reads.load(), reads_of_one_page());
    fake.evict_all();
    EXPECT_EQ(fake.settled_stats().clean_evictions, 1U);
}

TEST_P(OnePage, IsReadOnceEvenIfAllThreadsWriteIt) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    store_pages(fake);
    fake.store().read_gate.close();
    fault_together(fake, true);
    EXPECT_EQ(fake.settled_stats().hard_faults, 1U);
    EXPECT_EQ(fake.store().reads.load(), reads_of_one_page());
    EXPECT_EQ(fake.stats().dirty_bytes, fake.page_bytes());
}

TEST_P(OnePage, DoesNotDelayOthersWhileItIsRead) {
    const Watchdog watchdog;
    Config config = plain_config(GetParam());
    config.handler_threads = 2;
    FakePager fake{GetParam(), config, kPages + 2, kLimit};
    store_pages(fake);
    touch(fake.page(3));
    FakePager::settle();
    fake.store().read_gate.close();
    const int arrived = fake.store().read_gate.arrived();
    std::thread reader{[&] { EXPECT_EQ(load_word(fake.page(1)), stamp(1)); }};
    fake.store().read_gate.wait_for_arrivals(arrived + 1);
    // A first touch, a first write, and an eviction: none reads the store.
    store_word(fake.page(kPages), 7);
    store_word(fake.page(3), 8);
    EXPECT_EQ(load_word(fake.page(kPages)), 7U);
    EXPECT_EQ(load_word(fake.page(3)), 8U);
    fake.store().read_gate.open();
    reader.join();
}

TEST_P(OnePage, IsTakenBackWithoutAReadWhileItIsWrittenBack) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    write_stamps(fake.page(2), fake.page_bytes(), stamp(2));
    FakePager::settle();
    fake.store().write_gate.close();
    std::thread evictor{[&] { fake.pager().advice().evict(fake.region(), {2, 1}); }};
    fake.store().write_gate.wait_for_arrivals(1);

    std::thread other{[&] { EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2))); }};
    other.join();
    EXPECT_EQ(fake.store().reads.load(), 0U);
    fake.store().write_gate.open();
    evictor.join();
    EXPECT_EQ(fake.settled_stats().soft_faults, 1U);
    EXPECT_EQ(fake.stats().hard_faults, 0U);
    EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2)));
    EXPECT_EQ(fake.store().reads.load(), 0U);
}

TEST_P(OnePage, KeepsTheNewerBytesWhenChangedWhileItIsWrittenBack) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    write_stamps(fake.page(2), fake.page_bytes(), stamp(2));
    FakePager::settle();
    fake.store().write_gate.close();
    std::thread evictor{[&] { fake.pager().advice().evict(fake.region(), {2, 1}); }};
    fake.store().write_gate.wait_for_arrivals(1);

    write_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1));
    fake.store().write_gate.open();
    evictor.join();
    EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1)));
    fake.evict_all();
    EXPECT_EQ(fake.settled_stats().swapped_bytes, fake.page_bytes())
        << "it must have left for the next check to mean anything";
    EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1)));
    FakePager::settle();
    EXPECT_EQ(fake.store().reads.load(), reads_of_one_page());
}

TEST_P(OnePage, StaysEmptyWhenDiscardedWhileItIsWrittenBack) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    write_stamps(fake.page(2), fake.page_bytes(), stamp(2));
    FakePager::settle();
    fake.store().write_gate.close();
    std::thread evictor{[&] { fake.pager().advice().evict(fake.region(), {2, 1}); }};
    fake.store().write_gate.wait_for_arrivals(1);

    fake.pager().discarder().discard(fake.region(), {2, 1});
    EXPECT_TRUE(all_zeros(fake.page(2), fake.page_bytes()));
    fake.store().write_gate.open();
    evictor.join();
    EXPECT_TRUE(all_zeros(fake.page(2), fake.page_bytes()));
    fake.evict_all();
    EXPECT_TRUE(all_zeros(fake.page(2), fake.page_bytes()));
    EXPECT_EQ(fake.store().bytes_discarded.load(), fake.page_bytes()) << "the write that ended too late takes no space";
    EXPECT_EQ(fake.store().reads.load(), 0U);
}

TEST_P(OnePage, HasAtMostOneWriteInFlightHoweverOftenItIsTakenBackAndEvicted) {
    const Watchdog watchdog;
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    write_stamps(fake.page(2), fake.page_bytes(), stamp(2));
    FakePager::settle();
    fake.store().write_gate.close();
    std::thread evictor{[&] { fake.pager().advice().evict(fake.region(), {2, 1}); }};
    fake.store().write_gate.wait_for_arrivals(1);

    write_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1));  // taken back and changed
    std::thread second{[&] { fake.pager().advice().evict(fake.region(), {2, 1}); }};
    second.join();  // staged again, but not written: FakeStore counts overlapping writes
    EXPECT_EQ(fake.store().writes.load(), 1U);
    fake.store().write_gate.open();
    evictor.join();
    EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1)));
    fake.evict_all();
    EXPECT_TRUE(has_stamps(fake.page(2), fake.page_bytes(), stamp(2, 1)));
}

INSTANTIATE_TEST_SUITE_P(matrix, OnePage, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{2} << 20);
                             all.insert(all.end(), large.begin(), large.end());
                             return all;
                         }()),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
