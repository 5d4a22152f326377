// OwnPlace and OwnHeap: what they hand out lies in the place, does not overlap, and is closed again when it comes back.
// A place is for the rest of the process, so each test runs in a child of fork.
#include "sys/own_place.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/own_heap.hpp"
#include "sys/service_thread.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kPlaceBytes = std::size_t{16} << 20;
constexpr std::size_t kUnit = core::kUnitBytes;

/// Runs `body` in a child that has a place. `body` returns true if all is well.
template <typename Body>
void expect_in_child_with_place(Body body) {
    if (kSanitized) GTEST_SKIP() << "only the preload opens a place, which no sanitizer runs with";
    const pid_t child = ::fork();
    if (child == 0) {
        sys::OwnPlace::open(kPlaceBytes);
        ::_exit(body() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

bool is_mapped(const std::byte* address) {
    unsigned char resident = 0;
    return ::mincore(const_cast<std::byte*>(address), kUnit, &resident) == 0;  // NOLINT
}

TEST(OwnPlace, GivesNothingBeforeItIsOpen) {
    EXPECT_EQ(sys::OwnPlace::take(kUnit, kUnit, sys::OwnPlace::InChild::kept), nullptr);
    EXPECT_EQ(sys::OwnHeap::allocate(10), nullptr);
    std::byte outside{};
    EXPECT_FALSE(sys::OwnPlace::give_back(&outside, kUnit));
}

TEST(OwnPlace, GivesAlignedRangesThatDoNotOverlap) {
    expect_in_child_with_place([] {
        std::mt19937 random{7};
        std::vector<std::pair<std::byte*, std::size_t>> taken;
        for (int i = 0; i < 2000; ++i) {
            const std::size_t bytes = (random() % 20 + 1) * kUnit;
            const std::size_t alignment = kUnit << random() % 4;
            std::byte* const got = sys::OwnPlace::take(bytes, alignment, sys::OwnPlace::InChild::kept);
            if (got == nullptr || core::address_of(got) % alignment != 0) return false;
            for (const auto& [begin, size] : taken) {
                if (got < begin + size && begin < got + bytes) return false;
            }
            taken.emplace_back(got, bytes);
            if (taken.size() < 100) continue;
            const std::size_t leaving = random() % taken.size();
            if (!sys::OwnPlace::give_back(taken[leaving].first, taken[leaving].second)) return false;
            taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(leaving));
        }
        return true;
    });
}

TEST(OwnPlace, ClosesWhatComesBackAndDropsItsContents) {
    expect_in_child_with_place([] {
        std::byte* const first = sys::map_zeros(4 * kUnit);
        std::memset(first, 1, 4 * kUnit);
        if (sys::unmap(first, 4 * kUnit) != 0 || !is_mapped(first)) return false;
        std::byte* const second = sys::map_zeros(4 * kUnit);
        return second == first &&
               std::all_of(second, second + 4 * kUnit, [](std::byte one) { return one == std::byte{}; });
    });
}

TEST(OwnPlace, GoesOnInAnotherPlaceWhenItIsFull) {
    expect_in_child_with_place([] {
        for (int i = 0; i < 8; ++i) {
            std::byte* const got = sys::OwnPlace::take(kPlaceBytes / 4, kUnit, sys::OwnPlace::InChild::kept);
            if (got == nullptr) return false;
            const std::uintptr_t begin = core::address_of(got);
            if (!sys::OwnPlace::overlaps({begin, begin + kUnit})) return false;
        }
        return true;
    });
}

TEST(OwnPlace, IsWholeInAChildThatHasNotInheritedAllOfIt) {
    expect_in_child_with_place([] {
        const sys::Mapping left_out = sys::Mapping::reserve(8 * kUnit, kUnit, false, "a test");
        const sys::Mapping kept = sys::Mapping::reserve(8 * kUnit, kUnit, true, "a test");
        kept.data()[0] = std::byte{5};
        const pid_t child = ::fork();
        if (child == 0) {
            const bool closed = is_mapped(left_out.data());
            std::byte* const again = sys::OwnPlace::take(8 * kUnit, kUnit, sys::OwnPlace::InChild::kept);
            ::_exit(closed && kept.data()[0] == std::byte{5} && again == left_out.data() ? 0 : 1);
        }
        int status = -1;
        return ::waitpid(child, &status, 0) == child && status == 0;
    });
}

TEST(OwnPlace, HasTheStacksOfServiceThreads) {
    expect_in_child_with_place([] {
        std::uintptr_t on_stack = 0;
        for (int i = 0; i < 100; ++i) {
            sys::ServiceThread thread{"fl-test", "", [&] {
                                          char here = 0;
                                          on_stack = core::address_of(&here);
                                      }};
            thread.join();
            if (!sys::OwnPlace::overlaps({on_stack, on_stack + 1})) return false;
        }
        return true;
    });
}

TEST(OwnHeap, KeepsTheContentsOfBlocksOfAllSizes) {
    expect_in_child_with_place([] {
        struct Block {
            unsigned char* at;
            std::size_t bytes;
            unsigned char value;
        };
        std::mt19937 random{11};
        std::vector<Block> blocks;
        for (int i = 0; i < 20000; ++i) {
            const std::size_t bytes = random() % (std::size_t{1} << random() % 18);
            const std::size_t alignment = std::size_t{16} << random() % 9;
            auto* const at = static_cast<unsigned char*>(sys::OwnHeap::allocate(bytes, alignment));
            if (at == nullptr || core::address_of(at) % alignment != 0 || !sys::OwnHeap::owns(at)) return false;
            if (sys::OwnHeap::usable_size(at) < bytes) return false;
            blocks.push_back({at, bytes, static_cast<unsigned char>(i)});
            std::memset(at, blocks.back().value, bytes);
            if (blocks.size() < 64) continue;
            std::swap(blocks[random() % blocks.size()], blocks.back());
            const Block last = blocks.back();
            blocks.pop_back();
            for (std::size_t byte = 0; byte < last.bytes; ++byte) {
                if (last.at[byte] != last.value) return false;
            }
            sys::OwnHeap::release(last.at);
        }
        return true;
    });
}

}  // namespace
}  // namespace faultline::test
