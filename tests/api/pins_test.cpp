// A pin keeps its memory when the handles that it came from go first, and the last pin frees it.

#include "support/fault_catcher.hpp"
#include "support/variants.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

namespace faultline::test {
namespace {

using namespace faultline::literals;

constexpr std::size_t kLimit = 1_MiB;
constexpr std::size_t kBytes = 4_MiB;

bool is_mapped(const std::byte* address) {
    std::array<unsigned char, 1> present{};
    return ::mincore(const_cast<std::byte*>(address), kBasePageBytes, present.data()) == 0;
}

/// Writes a number of its own to each page; four times more pages than the limit holds.
void fill(std::byte* begin, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kBasePageBytes) std::memcpy(begin + at, &at, sizeof at);
}
bool is_filled(const std::byte* begin, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kBasePageBytes) {
        std::size_t found = 0;
        std::memcpy(&found, begin + at, sizeof found);
        if (found != at) return false;
    }
    return true;
}

class Pins : public ::testing::TestWithParam<Variant> {
protected:
    void SetUp() override {
        try {
            pager_.emplace(config_for(GetParam(), kLimit));
        } catch (const std::system_error& error) {
            if (not_permitted(error)) GTEST_SKIP() << error.what();
            throw;
        }
    }
    std::optional<Pager> pager_;
};

TEST_P(Pins, KeepTheirRegionAndItsPager) {
    std::optional<Region> region{pager_->reserve(kBytes)};
    std::byte* const bytes = region->data();
    fill(bytes, kBytes);
    std::optional<Pin> pin{region->pin(bytes, kBasePageBytes)};
    region.reset();
    pager_.reset();
    EXPECT_TRUE(is_filled(bytes, kBytes)) << "the pager reads back what it had evicted";
    fill(bytes, kBytes);
    EXPECT_TRUE(is_filled(bytes, kBytes)) << "and evicts what is written now";
    pin.reset();
    EXPECT_FALSE(is_mapped(bytes));
}

TEST_P(Pins, KeepTheirRegionUntilTheLastOne) {
    Region region = pager_->reserve(kBytes);
    std::byte* const bytes = region.data();
    fill(bytes, kBytes);
    Pin first = region.pin(bytes, kBasePageBytes);
    Pin second = region.pin(bytes, 2 * kBasePageBytes, PinFor::reading);
    region = Region{};
    first.release();
    EXPECT_TRUE(is_filled(bytes, kBytes));
    Pin third = std::move(second);
    second.release();
    EXPECT_TRUE(is_filled(bytes, kBytes)) << "a pin that was moved from is no user";
    third.release();
    EXPECT_FALSE(is_mapped(bytes));
    EXPECT_EQ(pager_->stats().pinned_bytes, 0U);
    EXPECT_EQ(pager_->stats().resident_bytes, 0U);
}

TEST_P(Pins, ThatThreadsDropAtOnceFreeTheRegionOnce) {
    for (int round = 0; round < 20; ++round) {
        std::optional<Region> region{pager_->reserve(16 * kBasePageBytes)};
        std::byte* const bytes = region->data();
        std::array<std::thread, 4> threads;
        for (std::size_t i = 0; i < threads.size(); ++i) {
            threads[i] = std::thread{[pin = region->pin(bytes + i * kBasePageBytes, kBasePageBytes)]() mutable {
                const Pin mine = std::move(pin);
            }};
        }
        region.reset();
        for (std::thread& thread : threads) thread.join();
        EXPECT_FALSE(is_mapped(bytes));
    }
}

TEST_P(Pins, StopAnExplicitDestroy) {
    Region region = pager_->reserve(kBytes);
    Pin pin = region.pin(region.data(), 1);
    try {
        region.destroy();
        FAIL() << "a pinned region was destroyed";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EBUSY);
    }
    EXPECT_TRUE(region);
    pin.release();
    region.destroy();
    EXPECT_FALSE(region);
}

TEST_P(Pins, KeepTheirHeapsMemory) {
    std::optional<Heap> heap{std::in_place, *pager_, HeapOptions{.reservation = 64_MiB}};
    auto* const block = static_cast<std::byte*>(heap->allocate(kBytes));
    fill(block, kBytes);
    Pin pin = heap->pin(block, kBasePageBytes);
    heap.reset();
    EXPECT_TRUE(is_filled(block, kBytes));
    pager_.reset();
    EXPECT_TRUE(is_filled(block, kBytes));
    pin.release();
    EXPECT_FALSE(is_mapped(block));
}

TEST_P(Pins, KeepTheirAddressSpace) {
    std::optional<AddressSpace> space{std::in_place, *pager_};
    std::byte* const pages = space->map_anonymous(kBytes);
    std::byte* const others = space->heap_begin();
    space->brk(others + kBasePageBytes);
    fill(pages, kBytes);
    fill(others, kBasePageBytes);
    Pin pin = space->pin(pages, kBasePageBytes);
    space.reset();
    pager_.reset();
    EXPECT_TRUE(is_filled(pages, kBytes));
    EXPECT_TRUE(is_filled(others, kBasePageBytes)) << "the other range of the space";
    pin.release();
    EXPECT_FALSE(is_mapped(pages));
    EXPECT_FALSE(is_mapped(others));
}

ViolationAnswer count_violation(const AccessViolation&, void* count) {
    ++*static_cast<int*>(count);
    return ViolationAnswer::deliver;
}

TEST_P(Pins, OfASpaceWhoseHandleIsGoneCallNoHandlerOfItsProgram) {
    pager_.reset();
    const FaultCatcher catcher;
    Pager pager{config_for(GetParam(), kLimit)};
    int violations = 0;
    std::optional<AddressSpace> space{std::in_place, pager};
    std::byte* const page = space->map_anonymous(kBasePageBytes, {.access = Access::read});
    space->on_violation(&count_violation, &violations);
    EXPECT_EQ(FaultCatcher::write(page).signal, SIGSEGV);
    EXPECT_EQ(violations, 1);
    const Pin pin = space->pin(page, kBasePageBytes, PinFor::reading);
    space.reset();
    EXPECT_EQ(FaultCatcher::write(page).signal, SIGSEGV);
    EXPECT_EQ(violations, 1) << "the program's handler may be gone";
}

TEST_P(Pins, OfASystemCallKeepTheRegion) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    std::optional<Region> region{pager_->reserve(kBytes)};
    std::byte* const bytes = region->data();
    std::ptrdiff_t got = 0;
    std::thread reader{[&] { got = io::read(ends[0], bytes, 1); }};
    while (pager_->stats().pinned_bytes == 0) std::this_thread::yield();
    region.reset();
    EXPECT_TRUE(is_mapped(bytes)) << "the call still waits";
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    reader.join();
    EXPECT_EQ(got, 1);
    EXPECT_FALSE(is_mapped(bytes));
    ::close(ends[0]);
    ::close(ends[1]);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, Pins,
                         ::testing::Values(Variant{Delivery::uffd_signal}, Variant{Delivery::uffd_threads},
                                           Variant{Delivery::sigsegv, Eviction::automatic}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
