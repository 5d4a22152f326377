#include "trace/stacks/stack_sampler.hpp"

#include "core/units.hpp"
#include "sys/clock.hpp"
#include "sys/syscall.hpp"

#include <ucontext.h>

#include <algorithm>

namespace faultline::trace {
namespace {

constexpr std::array<int, kSampledRegisters> kContextRegisters{REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                               REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                               REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

SampledRegisters registers_of(const ucontext_t& context) FAULTLINE_SIGNAL_SAFE {
    SampledRegisters registers;
    for (std::size_t i = 0; i < registers.size(); ++i) {
        registers[i] = static_cast<std::uint64_t>(context.uc_mcontext.gregs[kContextRegisters[i]]);
    }
    return registers;
}

/// Reads the registers that a caller's frame is found by, as they are inside the function that this is inlined into.
[[gnu::always_inline]] inline SampledRegisters current_registers() FAULTLINE_SIGNAL_SAFE {
    SampledRegisters registers{};
    asm volatile(
        "mov %%rbx, %0\n\tmov %%rbp, %1\n\tmov %%rsp, %2\n\tmov %%r12, %3\n\tmov %%r13, %4\n\tmov %%r14, %5\n\t"
        "mov %%r15, %6"
        : "=m"(registers[kRbx]), "=m"(registers[kRbp]), "=m"(registers[kRsp]), "=m"(registers[kR12]),
          "=m"(registers[kR13]), "=m"(registers[kR14]), "=m"(registers[kR15]));
    std::uint64_t here;
    asm volatile("lea 0(%%rip), %0" : "=r"(here));
    registers[kRip] = here;
    return registers;
}

std::uint64_t mix(std::uint64_t value) FAULTLINE_SIGNAL_SAFE {
    value *= 0x9e37'79b9'7f4a'7c15U;
    return value ^ value >> 32;
}

}  // namespace

StackSampler::StackSampler(std::size_t waiting, std::uint64_t step_ticks, std::size_t stack_bytes)
    : half_{waiting / 2},
      stack_bytes_{std::min(stack_bytes, sys::kMostCopied)},
      ring_{waiting},
      next_at_{step_ticks / 2},
      step_{step_ticks} {}

bool StackSampler::count(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE {
    const auto kind = static_cast<std::size_t>(fault.kind);
    faults_of_kind_[kind].fetch_add(1, std::memory_order_relaxed);
    ticks_of_kind_[kind].fetch_add(fault.ticks, std::memory_order_relaxed);
    evictions_.store(fault.evictions, std::memory_order_relaxed);

    const auto* const context = static_cast<const ucontext_t*>(fault.interrupted);
    const SampledRegisters registers = context != nullptr ? registers_of(*context) : current_registers();
    const std::uint64_t before = exchange_last(registers, fault);
    std::uint64_t step = 0;
    const std::uint64_t weight = turn_of(fault.ticks, step);
    if (weight == 0) return false;

    const bool kept = ring_.put_in_place([&](StackSample& sample) FAULTLINE_SIGNAL_SAFE {
        sample.time = static_cast<std::uint64_t>(sys::monotonic_time().count());
        sample.thread = static_cast<std::uint64_t>(sys::raw_syscall(SYS_gettid));
        sample.address = fault.address;
        sample.address_before = before;
        sample.ticks = fault.ticks;
        sample.weight_ticks = weight;
        sample.step_ticks = step;
        sample.evictions = fault.evictions;
        sample.evictions_ago = fault.evictions_ago;
        sample.kind = fault.kind;
        sample.write = fault.write;
        sample.asked = context == nullptr;
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

/// Notes where the instruction has faulted. Returns where it did so before; 0 if another one has taken the entry.
std::uint64_t StackSampler::exchange_last(const SampledRegisters& registers,
                                          const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t key = mix(registers[kRip] ^ mix(registers[kRsp] + (fault.write ? 1 : 0))) | 1U;
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
    totals.samples = samples_.load(std::memory_order_relaxed);
    totals.lost = lost_.load(std::memory_order_relaxed);
    return totals;
}

}  // namespace faultline::trace
