// A thread that waits for another one sleeps. If it polled, it would keep the CPU from the thread it waits for, if that
// has a lower priority.

#include "pager/fake_store.hpp"
#include "pager/thread_state.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace faultline::test {
namespace {

class Waiting : public testing::TestWithParam<Variant> {
protected:
    static constexpr std::size_t kLimitPages = 16;

    static constexpr std::size_t kPages = 64;
};

std::uint64_t read_word(const std::byte* at) { return *reinterpret_cast<const volatile std::uint64_t*>(at); }
void write_word(std::byte* at, std::uint64_t value) { *reinterpret_cast<volatile std::uint64_t*>(at) = value; }

TEST_P(Waiting, AThreadThatNeedsAFrameSleepsWhileAnotherWritesAnOlderVersionOfTheOldestPage) {
    std::unique_ptr<FakePager> pager;
    try {
        Config config = plain_config(GetParam());
        config.staging_percent = 0;
        config.read_ahead = false;
        pager = std::make_unique<FakePager>(GetParam(), config, kPages, kLimitPages);
    } catch (const std::system_error& error) {
        if (may_be_skipped(error, GetParam().delivery)) GTEST_SKIP() << error.what();
        throw;
    }
    for (std::size_t page = 0; page + 3 < kLimitPages; ++page) write_word(pager->page(page), page + 1);
    pager->store().write_gate.close();
    Sleepers sleepers{3};
    std::thread writer{[&] {
        sleepers.about_to_sleep(0);
        pager->pager().advice().evict(pager->region(), {0, 1});
    }};
    pager->store().write_gate.wait_for_arrivals(1);
    write_word(pager->page(0), 1000);  // taken back while its older version is being written
    std::thread evictor{[&] {
        sleepers.about_to_sleep(1);
        pager->pager().advice().evict(pager->region(), {0, 1});
    }};
    std::thread faulting{[&] {
        while (!pager->region().load(0).is(core::PageState::staged)) std::this_thread::yield();
        sleepers.about_to_sleep(2);
        for (std::size_t page = kLimitPages; page < 2 * kLimitPages; ++page) write_word(pager->page(page), page + 1);
    }};
    EXPECT_TRUE(sleepers.asleep_within(100'000)) << "a thread tries again and again";
    pager->store().write_gate.open();
    writer.join();
    evictor.join();
    faulting.join();
    EXPECT_EQ(read_word(pager->page(0)), 1000U);
    for (std::size_t page = 1; page + 3 < kLimitPages; ++page) EXPECT_EQ(read_word(pager->page(page)), page + 1);
    for (std::size_t page = kLimitPages; page < 2 * kLimitPages; ++page) {
        EXPECT_EQ(read_word(pager->page(page)), page + 1);
    }
}

INSTANTIATE_TEST_SUITE_P(Signals, Waiting,
                         testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                         Variant{Delivery::uffd_signal, Eviction::copy},
                                         Variant{Delivery::sigsegv, Eviction::guard},
                                         Variant{Delivery::sigsegv, Eviction::protect}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
