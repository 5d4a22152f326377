// One program in a process of its own, on one system, and what it took.
#pragma once

#include "heap_paging/options.hpp"
#include "heap_paging/programs.hpp"
#include "vs_kernel/cgroup.hpp"
#include "vs_kernel/interrupt.hpp"

#include <array>
#include <cstdint>
#include <functional>

namespace bench {

enum class System : std::uint8_t { faultline, kernel };
inline constexpr std::array kSystems{System::faultline, System::kernel};

struct Measured {
    Phases phases{};
    double seconds = 0;               ///< From before the heap is made until the program has freed all.
    std::uint64_t allocated = 0;      ///< In bytes, where the program says so.
    std::uint64_t bytes_written = 0;  ///< To the store; by the kernel's side: swapped out, by the whole machine.
    std::uint64_t bytes_read = 0;     ///< Likewise.
    std::array<char, 256> failure{};  ///< Empty: none.
};

/// What a process does with its allocator.
using Program = std::function<void(const Allocator&, Measured&)>;

/// Forks; the child runs `program` on a heap with a limit of `options`, or on glibc's in `cgroup`. Throws
/// std::runtime_error when it fails, `Interrupted` when the user does not want to wait.
Measured measure(System system, const PagingOptions& options, const MemoryCgroup& cgroup, const Interrupt& interrupt,
                 const Program& program);

}  // namespace bench
