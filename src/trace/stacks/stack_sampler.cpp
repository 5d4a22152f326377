#include "trace/stacks/stack_sampler.hpp"

#include "core/units.hpp"
#include "sys/clock.hpp"
#include "sys/program_registers.hpp"
#include "sys/syscall.hpp"

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <span>

namespace faultline::trace {
namespace {

constexpr std::array<int, kSampledRegisters> kContextRegisters{REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                               REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                               REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

SampledRegisters in_dwarf_order(const greg_t* values) FAULTLINE_SIGNAL_SAFE {
    SampledRegisters registers;
    for (std::size_t i = 0; i < registers.size(); ++i) {
        registers[i] = static_cast<std::uint64_t>(values[kContextRegisters[i]]);
    }
    return registers;
}

/// Returns the registers of the thread that faulted, `interrupted`; null: those with which the program has made the
/// call in progress, or else the library's own.
[[gnu::always_inline]] inline SampledRegisters registers_at(const void* interrupted) FAULTLINE_SIGNAL_SAFE {
    if (interrupted != nullptr) {
        return in_dwarf_order(&static_cast<const ucontext_t*>(interrupted)->uc_mcontext.gregs[0]);
    }
    gregset_t values;
    const std::uintptr_t address = core::address_of(sys::program_registers);
    const std::span<std::byte> copy{reinterpret_cast<std::byte*>(&values), sizeof values};
    if (address == 0 || sys::copy_readable(address, copy) < copy.size()) sys::store_registers_here(values);
    return in_dwarf_order(&values[0]);
}

std::uint64_t mix(std::uint64_t value) FAULTLINE_SIGNAL_SAFE {
    value *= 0x9e37'79b9'7f4a'7c15U;
    return value ^ value >> 32;
}

}  // namespace

StackSampler::StackSampler(std::size_t waiting, std::uint64_t step_ticks, std::size_t stack_bytes,
                           std::uint64_t touched_units)
    : half_{waiting / 2},
      stack_bytes_{std::min(stack_bytes, sys::kMostCopied)},
      ring_{waiting},
      next_at_{step_ticks / 2},
      step_{step_ticks},
      touched_units_{touched_units} {}

bool StackSampler::count(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE {
    const auto kind = static_cast<std::size_t>(fault.kind);
    faults_of_kind_[kind].fetch_add(1, std::memory_order_relaxed);
    ticks_of_kind_[kind].fetch_add(fault.ticks, std::memory_order_relaxed);
    evictions_.store(fault.evictions, std::memory_order_relaxed);
    const std::uint64_t touched =
        touched_units_.fetch_add(fault.touched_units, std::memory_order_relaxed) + fault.touched_units;
    const std::uint64_t before = address_before(fault);
    std::uint64_t step = 0;
    const std::uint64_t weight = turn_of(fault.ticks, step);
    if (weight == 0) return false;

    const SampledRegisters registers = registers_at(fault.interrupted);
    const bool kept = ring_.put_in_place([&](StackSample& sample) FAULTLINE_SIGNAL_SAFE {
        sample.time = static_cast<std::uint64_t>(sys::monotonic_time().count());
        sample.thread = static_cast<std::uint64_t>(sys::raw_syscall(SYS_gettid));
        sample.address = fault.address;
        sample.address_before = before;
        sample.ticks = fault.ticks;
        sample.weight_ticks = weight;
        sample.step_ticks = step;
        sample.evictions = fault.evictions;
        sample.touched_units = touched;
        sample.resident_units = fault.resident_units;
        sample.evictions_ago = fault.evictions_ago;
        sample.kind = fault.kind;
        sample.write = fault.write;
        sample.asked = fault.interrupted == nullptr;
        sample.registers = registers;
        sample.stack_bytes = static_cast<std::uint32_t>(
            sys::copy_readable(registers[kRsp], std::span{sample.stack}.first(stack_bytes_)));
    });
    if (!kept) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    const std::uint64_t samples = samples_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (samples % kSamplesPerStep == 0) step_.store(2 * step, std::memory_order_relaxed);
    return waiting_.fetch_add(1, std::memory_order_relaxed) + 1 >= half_;
}

/// Adds the time of a fault. Returns for how many ticks a sample of it stands; 0: its turn has not come.
std::uint64_t StackSampler::turn_of(std::uint64_t ticks, std::uint64_t& step) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t now = ticks_.fetch_add(ticks, std::memory_order_relaxed) + ticks;
    std::uint64_t due = next_at_.load(std::memory_order_relaxed);
    for (;;) {
        if (now < due) return 0;
        step = step_.load(std::memory_order_relaxed);
        const std::uint64_t weight = ((now - due) / step + 1) * step;
        if (next_at_.compare_exchange_weak(due, due + weight, std::memory_order_relaxed)) return weight;
    }
}

/// Notes where the instruction has faulted. Returns where it did so before; 0 if it is not known, because the library
/// asks for the page, or another instruction has taken the entry.
std::uint64_t StackSampler::address_before(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE {
    if (fault.interrupted == nullptr) return 0;
    const auto& registers = static_cast<const ucontext_t*>(fault.interrupted)->uc_mcontext.gregs;
    const auto instruction = static_cast<std::uint64_t>(registers[REG_RIP]);
    const auto stack_pointer = static_cast<std::uint64_t>(registers[REG_RSP]);
    const std::uint64_t key = mix(instruction ^ mix(stack_pointer + (fault.write ? 1 : 0))) | 1U;
    LastFault& last = last_faults_[(key >> 1) % kInstructions];
    const bool same = last.key.load(std::memory_order_relaxed) == key;
    const std::uint64_t before = same ? last.address.load(std::memory_order_relaxed) : 0;
    last.key.store(key, std::memory_order_relaxed);
    last.address.store(fault.address, std::memory_order_relaxed);
    return before;
}

FaultTotals StackSampler::totals() const noexcept {
    FaultTotals totals;
    for (std::size_t kind = 0; kind < kSampledKinds; ++kind) {
        totals.faults[kind] = faults_of_kind_[kind].load(std::memory_order_relaxed);
        totals.ticks[kind] = ticks_of_kind_[kind].load(std::memory_order_relaxed);
    }
    totals.evictions = evictions_.load(std::memory_order_relaxed);
    totals.touched_units = touched_units_.load(std::memory_order_relaxed);
    totals.samples = samples_.load(std::memory_order_relaxed);
    totals.lost = lost_.load(std::memory_order_relaxed);
    return totals;
}

}  // namespace faultline::trace
