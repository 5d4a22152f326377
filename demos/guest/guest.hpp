// Guest: runs the program in the address space from its first instruction to its end. As the GateKeeper, it passes
// memory calls to MemoryCalls and answers calls that would change the process around the program. The kernel gets all
// others.
#pragma once

#include "elf/memory_calls.hpp"
#include "guest/gate.hpp"
#include "guest/guest_signals.hpp"
#include "guest/host_descriptors.hpp"

#include <faultline/address_space.hpp>

#include <cstdint>
#include <string>

namespace faultline::demo::guest {

/// How the program ended.
struct GuestEnd {
    int exit_code = 0;
    int signal = 0;             ///< The signal that ended it, in place of an exit code; 0: none.
    bool was_a_fault = false;   ///< The signal was raised by an access of the program.
    std::uint64_t address = 0;  ///< The address of that access.
};

/// What the program did.
struct GuestCounts {
    std::uint64_t calls = 0;         ///< All system calls.
    std::uint64_t memory_calls = 0;  ///< The calls that the space answered.
};

class Guest final : public GateKeeper {
public:
    /// The arguments must outlive this.
    Guest(AddressSpace& space, GuestSignals& signals, HostDescriptors& descriptors) noexcept
        : space_{space}, memory_{space}, signals_{signals}, descriptors_{descriptors} {}

    /// Runs the program until it ends. Throws what run_through_gate throws.
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
