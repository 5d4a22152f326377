// RegisterProbe: sets every register of the CPU to given values, touches one byte, and notes the registers afterwards.
// Each thread has its own. If the touch faults, the handler must have preserved all of them.
#pragma once

#include "traps/trap_support.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace faultline::test {

/// register_probe.cpp reads and writes this by offset.
struct ProbedRegisters {
    std::array<std::uint64_t, 16> general{};  ///< rax, rdx, rcx, rbx, rsi, rdi, rbp, (rsp), r8 to r15: unwinders' order
    std::uint64_t flags = 0;
    std::array<std::uint64_t, 7> unused{};
    alignas(64) std::array<std::byte, 4096> vectors{};  ///< what XSAVE writes, at its offsets
};

class RegisterProbe {
public:
    static constexpr std::size_t kTouchedBy = 4;  ///< Index of the register that holds the touched address: rsi.

    /// Fills the registers with random values; `touched` is the address of a byte.
    RegisterProbe(Random& random, std::byte* touched);

    /// Makes run() raise SIGTRAP after each instruction, starting with the one that touches the byte.
    void step_from_touch() noexcept { before_.flags |= 0x100; }

    /// Touches the byte.
    void run();

    /// Names the registers that differ after run(); empty if there are none.
    [[nodiscard]] std::string differences() const;

    [[nodiscard]] const ProbedRegisters& before() const noexcept { return before_; }
    [[nodiscard]] std::uint64_t stack_pointer() const noexcept { return before_.general[7]; }

    /// Returns true if the last fault of run() returned in user space: its return address is still below the red zone.
    [[nodiscard]] bool returned_in_user_space() const noexcept { return after_.unused[0] == touching_instruction(); }

    /// Returns the address of the instruction that touches the byte.
    [[nodiscard]] static std::uint64_t touching_instruction() noexcept;

    /// Returns true if `at` is an instruction of run()'s assembly.
    [[nodiscard]] static bool contains(std::uint64_t at) noexcept;

private:
    ProbedRegisters before_;
    ProbedRegisters after_;
    std::uint64_t components_;  // the parts of the vector state that are probed
};

}  // namespace faultline::test
