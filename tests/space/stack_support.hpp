// Shared by the stack tests: functions that use stack and check that it kept its contents.
#pragma once

#include "support/sanitizers.hpp"
#include "traps/trap_support.hpp"

#include <faultline/guarded_stack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::test {

// A sanitizer makes frames several times larger.
inline constexpr std::size_t kStackBytes = std::size_t{kSanitized ? 256 : 64} << 10;

/// Uses at least 1 KiB of stack per level on the way down, and checks it on the way up. Returns the number of wrong
/// words.
[[gnu::noinline]] inline std::size_t descend(int depth, std::uint64_t seed) {
    std::array<volatile std::uint64_t, 128> frame;
    for (std::size_t i = 0; i < frame.size(); ++i) frame[i] = seed + static_cast<std::uint64_t>(depth) * 1000 + i;
    std::size_t wrong = depth == 0 ? 0 : descend(depth - 1, seed);
    for (std::size_t i = 0; i < frame.size(); ++i) {
        wrong += frame[i] != seed + static_cast<std::uint64_t>(depth) * 1000 + i;
    }
    return wrong;
}

/// Recurses without end; compilers that detect endless recursion see a return.
[[gnu::noinline]] inline std::uint64_t descend_for_ever(volatile std::uint64_t* above) {
    volatile std::uint64_t here = above == nullptr ? 1 : *above + 1;
    return here == 0 ? 0 : descend_for_ever(&here) + here;
}

/// Returns an address near the caller's frame.
[[gnu::noinline]] inline const std::byte* stack_pointer() {
    return static_cast<const std::byte*>(__builtin_frame_address(0));
}

inline bool is_in(std::span<const std::byte> memory, const std::byte* address) {
    return address >= memory.data() && address < memory.data() + memory.size();
}

/// Checks that the overflow is at the guard of that stack.
inline void expect_overflow_of(const std::optional<StackOverflow>& overflow, std::span<const std::byte> memory) {
    ASSERT_TRUE(overflow.has_value());
    EXPECT_EQ(overflow->stack, memory.data());
    EXPECT_EQ(overflow->stack_bytes, memory.size());
    EXPECT_GT(overflow->depth, memory.size());
    EXPECT_LE(overflow->depth, memory.size() + kBasePageBytes);
    EXPECT_EQ(memory.data() + memory.size() - overflow->depth, overflow->address);
}

}  // namespace faultline::test
