// What all handles have in common: they move, do not copy, and are false when empty. Arithmetic of spans and sizes.

#include <faultline/faultline.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

namespace faultline::test {
namespace {

using namespace faultline::literals;

static_assert(4_KiB == 4096 && 64_MiB == std::size_t{64} << 20 && 1_GiB == std::size_t{1} << 30 &&
              16'777'215_TiB == std::size_t{16'777'215} << 40);
static_assert(std::is_same_v<decltype(1_KiB), std::size_t>);

template <typename Handle>
constexpr bool is_handle = std::is_nothrow_move_constructible_v<Handle>&& std::is_nothrow_move_assignable_v<Handle> &&
                           !std::is_copy_constructible_v<Handle> && !std::is_copy_assignable_v<Handle> &&
                           std::is_nothrow_destructible_v<Handle> && std::is_constructible_v<bool, const Handle&> &&
                           !std::is_convertible_v<const Handle&, bool>;
static_assert(is_handle<Pager> && is_handle<Region> && is_handle<Heap> && is_handle<AddressSpace> &&
              is_handle<GuardedStack> && is_handle<StackPool> && is_handle<Pin>);

/// Checks that a move empties `from`, and that the result works as `use` says.
template <typename Handle, typename Use>
void expect_moves(Handle from, Use use) {
    EXPECT_TRUE(from);
    Handle to = std::move(from);
    EXPECT_FALSE(from);  // NOLINT(bugprone-use-after-move): that is the test
    EXPECT_TRUE(to);
    use(to);
    from = std::move(to);
    EXPECT_FALSE(to);  // NOLINT(bugprone-use-after-move)
    use(from);
}

int error_of(const auto& call) {
    try {
        call();
        return 0;
    } catch (const std::system_error& error) {
        return error.code().value();
    }
}

TEST(Handles, AreFalseAfterAMove) {
    Pager pager{{.resident_limit = 4_MiB}};
    expect_moves(pager.reserve(1_MiB), [](Region& region) { region.data()[0] = std::byte{1}; });
    expect_moves(Heap{pager}, [](Heap& heap) { heap.deallocate(heap.allocate(100)); });
    expect_moves(AddressSpace{pager}, [](AddressSpace& space) { EXPECT_FALSE(space.segments().empty()); });
    expect_moves(GuardedStack{pager, 64_KiB}, [](GuardedStack& stack) { EXPECT_FALSE(stack.run([] {})); });
    expect_moves(StackPool{pager, {.stacks = 2}}, [](StackPool& pool) { EXPECT_TRUE(pool.take()); });
    Region region = pager.reserve(1_MiB);
    expect_moves(region.pin(region.bytes().first(1)), [](Pin& pin) { EXPECT_TRUE(pin); });
    expect_moves(std::move(pager), [](Pager& moved) { EXPECT_EQ(moved.resident_limit(), 4_MiB); });
}

TEST(Handles, ThatAreEmptyRefuseCalls) {
    Pager pager{{.resident_limit = 4_MiB}};
    StackPool pool{pager, {.stacks = 1}};
    const StackPool moved = std::move(pool);
    EXPECT_EQ(error_of([&] { static_cast<void>(pool.take()); }), EINVAL);
    EXPECT_EQ(error_of([&] { static_cast<void>(pool.stats()); }), EINVAL);
    EXPECT_EQ(pool.capacity(), 0U);
    EXPECT_EQ(moved.capacity(), 1U);
    Region region;
    EXPECT_EQ(error_of([&] { region.discard(region.bytes()); }), EINVAL);
    EXPECT_TRUE(region.as<int>().empty());
    const Pager other = std::move(pager);
    EXPECT_EQ(error_of([&] { static_cast<void>(pager.reserve(1_MiB)); }), EINVAL);
}

TEST(Spans, AreTheRangesOfARegion) {
    Pager pager{{.resident_limit = 1_MiB, .background_evictor = false, .read_ahead = false}};
    Region region = pager.reserve(4_MiB);
    const std::span<std::byte> part = region.bytes().subspan(1_MiB, 64_KiB);
    std::fill(part.begin(), part.end(), std::byte{7});
    {
        const Pin pin = region.pin(part.first(3), PinFor::reading);
        EXPECT_EQ(region.stats().pinned_bytes, 4_KiB);
    }
    region.advise(part, Advice::dontneed);
    EXPECT_EQ(region.stats().resident_bytes, 0U);
    region.protect(part, Access::read);
    EXPECT_EQ(error_of([&] { static_cast<void>(region.pin(part)); }), EACCES);
    region.protect(part, Access::read_write);
    EXPECT_EQ(part[1], std::byte{7});
    region.discard(part);
    EXPECT_EQ(part[1], std::byte{0});
}

TEST(Spans, OfElementsCoverARegion) {
    struct Odd {
        std::array<std::uint8_t, 24> bytes;
    };
    Pager pager{{.resident_limit = 1_MiB}};
    const Region region = pager.reserve(4_MiB);
    const std::span<std::uint64_t> numbers = region.as<std::uint64_t>();
    ASSERT_EQ(numbers.size(), 4_MiB / 8);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], i);
    EXPECT_EQ(region.as<Odd>().size(), 4_MiB / 24) << "rounded down";
}

TEST(Residency, OfARangeCountsItsPagesOnly) {
    Pager pager{{.resident_limit = 4_MiB, .background_evictor = false, .read_ahead = false}};
    Region region = pager.reserve(1_MiB);
    Heap heap{pager};
    AddressSpace space{pager};
    auto* const block = static_cast<std::byte*>(heap.allocate(1_MiB, 4_KiB));
    const auto expect_two_pages = [](auto& handle, std::byte* begin) {
        begin[64_KiB] = begin[68_KiB] = std::byte{1};
        std::array<ResidencyCell, 2> cells{};
        handle.residency(begin, 128_KiB, cells);
        EXPECT_EQ(cells[0].resident, 0U);
        EXPECT_EQ(cells[0].untouched, 64_KiB);
        EXPECT_EQ(cells[1].resident, 8_KiB);
        handle.advise(std::span{begin, 128_KiB}, Advice::dontneed);
        handle.residency(begin + 64_KiB + 1, 1, std::span{cells}.first(1));
        EXPECT_EQ(cells[0].swapped, 4_KiB);
        EXPECT_EQ(error_of([&] { handle.residency(&cells, 1, cells); }), EINVAL) << "not in the handle's memory";
    };
    expect_two_pages(region, region.data());
    expect_two_pages(heap, block);
    expect_two_pages(space, space.map_anonymous(1_MiB));
}

}  // namespace
}  // namespace faultline::test
