// Runs one program in a process of its own on one system, and measures it.
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
    double seconds = 0;               ///< Seconds from before the heap is made until the program has freed everything.
    std::uint64_t allocated = 0;      ///< Bytes allocated, if the program reports it.
    std::uint64_t bytes_written = 0;  ///< Bytes written to the store; with kernel swap, by the whole machine.
    std::uint64_t bytes_read = 0;     ///< Bytes read, likewise.
    std::array<char, 256> failure{};  ///< Why it failed; empty: it did not.
};

/// What a process does with an allocator.
using Program = std::function<void(const Allocator&, Measured&)>;

/// Forks. The child runs `program` on a heap with the limit of `options`, or on glibc's heap in `cgroup`. Throws
/// std::runtime_error if the program fails, `Interrupted` if the user interrupts it.
Measured measure(System system, const PagingOptions& options, const MemoryCgroup& cgroup, const Interrupt& interrupt,
                 const Program& program);

}  // namespace bench
