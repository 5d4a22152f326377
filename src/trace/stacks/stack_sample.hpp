// A fault as the sampler is told of it, and the sample that it keeps of some faults: registers and a piece of the
// stack, from which a reader finds the call stack later. StackSampler fills samples, StackFileWriter writes them.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/own_memory.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::trace {

/// What a fault needed. `wait`: another thread was already bringing the page in. The values are those of the file.
enum class SampledKind : std::uint8_t { first_touch, hard, soft, write, wait };
inline constexpr std::size_t kSampledKinds = 5;

inline constexpr std::uint32_t kUnknownDistance = ~std::uint32_t{0};

/// A fault that the pager has resolved.
struct ResolvedFault {
    SampledKind kind = SampledKind::first_touch;
    bool write = false;
    std::uintptr_t address = 0;
    std::uint64_t ticks = 0;           ///< That the fault took, of the time stamp counter.
    std::uint64_t touched_units = 0;   ///< That a first touch has brought in.
    std::uint64_t resident_units = 0;  ///< Of the pager now.
    /// For a hard fault, how many pages were evicted since its page was (kUnknownDistance: very many).
    std::uint32_t evictions_ago = kUnknownDistance;
    std::uint64_t evictions = 0;        ///< Of the pager so far.
    const void* interrupted = nullptr;  ///< The thread's ucontext_t. Null: the calling thread asked for the page.
};

/// The registers in the order of the numbers that DWARF gives them on x86-64; the last one is the instruction pointer.
inline constexpr std::size_t kRsp = 7;
inline constexpr std::size_t kRip = 16;
inline constexpr std::size_t kSampledRegisters = 17;
using SampledRegisters = std::array<std::uint64_t, kSampledRegisters>;

/// One fault of a thread with its stack. It counts for `weight_ticks` of the time that faults took.
struct StackSample {
    std::uint64_t time;    ///< ns of the monotonic clock
    std::uint64_t thread;  ///< the kernel's number
    std::uint64_t address;
    /// The address of the fault before this one by the same instruction at the same stack pointer; 0: not known.
    std::uint64_t address_before;
    std::uint64_t ticks;
    std::uint64_t weight_ticks;
    std::uint64_t step_ticks;  ///< Between two samples, when this one was taken.
    std::uint64_t evictions;
    std::uint64_t touched_units;   ///< By all first touches so far.
    std::uint64_t resident_units;  ///< When this one was taken.
    std::uint32_t evictions_ago;
    SampledKind kind;
    bool write;
    bool asked;  ///< The library asked for the page, on behalf of a call of the program.
    std::uint32_t stack_bytes;
    SampledRegisters registers;
    std::array<std::byte, sys::kMostCopied> stack;  // not set beyond `stack_bytes`: a ring of samples stays untouched
};

/// Sums over all faults of a process, sampled or not.
struct FaultTotals {
    std::array<std::uint64_t, kSampledKinds> faults{};
    std::array<std::uint64_t, kSampledKinds> ticks{};
    std::uint64_t evictions = 0;
    std::uint64_t touched_units = 0;
    std::uint64_t samples = 0;
    std::uint64_t lost = 0;  ///< Samples that found the ring full.
};

}  // namespace faultline::trace
