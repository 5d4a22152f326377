// Guest: the program in the address space, from its first instruction to its end. It is the gate's keeper: calls for
// memory go to the space, those that would change what the process around it lives by are answered here, all others
// are the kernel's.
#pragma once

#include "elf/memory_calls.hpp"
#include "guest/gate.hpp"
#include "guest/guest_signals.hpp"
#include "guest/host_descriptors.hpp"

#include <faultline/address_space.hpp>

#include <cstdint>
#include <string>

namespace faultline::demo::guest {

/// How it ended.
struct GuestEnd {
    int exit_code = 0;
    int signal = 0;             ///< Instead of an exit code; 0: none.
    bool was_a_fault = false;   ///< The signal is of an access of the program's own.
    std::uint64_t address = 0;  ///< Of that access.
};

struct GuestCounts {
    std::uint64_t calls = 0;         ///< System calls.
    std::uint64_t memory_calls = 0;  ///< Of those, the ones that the space has answered.
};

class Guest final : public GateKeeper {
public:
    /// All of them must live as long.
    Guest(AddressSpace& space, GuestSignals& signals, HostDescriptors& descriptors) noexcept
        : space_{space}, memory_{space}, signals_{signals}, descriptors_{descriptors} {}

    /// Runs the program to its end. Throws as run_through_gate does.
    GuestEnd run(std::uint64_t entry, std::uint64_t stack);

    [[nodiscard]] const GuestCounts& counts() const noexcept { return counts_; }

private:
    void on_call(GuestCall& call) noexcept override;
    void on_signal(const siginfo_t& info, const ucontext_t& context) noexcept override;

    void route(GuestCall& call);
    void pass(GuestCall& call);
    void pass_with_mask(GuestCall& call, unsigned argument, GuestCall::MaskArgument kind);
    void require_scratch(const GuestCall& call);
    void serve_memory(GuestCall& call);
    [[noreturn]] void end(const GuestEnd& how);

    AddressSpace& space_;
    elf::MemoryCalls memory_;
    GuestSignals& signals_;
    HostDescriptors& descriptors_;
    GuestCounts counts_;
    GuestEnd end_;
};

}  // namespace faultline::demo::guest
