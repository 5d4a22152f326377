// The gate between a program in an address space and the process around it. It turns each system call of the program
// into SIGSYS (Syscall User Dispatch, Linux 5.11), and then into a call of the GateKeeper, which answers the call or
// lets it pass. Signals that the keeper watches arrive there, too. The gate does not know what calls mean, nor memory.
//
// One thread of a process uses the gate, one program at a time. The keeper runs on a stack of its own, with the
// process's thread pointer and all signals blocked. It may do what any function of the process may, except access the
// program's memory where that may be forbidden.
#pragma once

#include <ucontext.h>

#include <array>
#include <csignal>
#include <cstdint>

namespace faultline::demo::guest {

/// One system call of the program, and the program's registers.
class GuestCall {
public:
    explicit GuestCall(ucontext_t& registers) noexcept : registers_{registers} {}

    [[nodiscard]] long number() const noexcept { return registers_.uc_mcontext.gregs[REG_RAX]; }
    [[nodiscard]] std::array<std::uint64_t, 6> arguments() const noexcept;

    /// The program's signal mask, which is in force when it continues. Bit n - 1 is signal n.
    [[nodiscard]] std::uint64_t& mask() noexcept;

    /// Lets the program continue with this result: a value, or a negated errno.
    void answer(long result) noexcept { registers_.uc_mcontext.gregs[REG_RAX] = result; }

    /// Lets the program make the call itself when the keeper returns, with its own signal mask, so that signals
    /// interrupt it. Writes to the program's stack at `scratch`.
    void pass() noexcept;

    /// How an argument refers to a signal mask: it points to the mask, or, as for pselect6(2), to its address and size.
    enum class MaskArgument : std::uint8_t { direct, with_size };

    /// Does what `pass` does, with `mask` in place of the mask that `argument` (0 to 5) refers to.
    void pass_with_mask(unsigned argument, MaskArgument kind, std::uint64_t mask) noexcept;

    /// Returns the address on the program's stack where the calls above write at most `kScratchBytes`. It is below the
    /// bytes that the program uses.
    [[nodiscard]] std::uint64_t scratch() const noexcept;
    static constexpr std::uint64_t kScratchBytes = 64;

    /// Lets the program make rt_sigreturn(2) itself, because that takes the registers from its stack.
    void pass_signal_return() noexcept;

private:
    ucontext_t& registers_;
};

class GateKeeper {
public:
    virtual ~GateKeeper() = default;
    /// Answers or passes the call, or leaves the gate.
    virtual void on_call(GuestCall& call) noexcept = 0;
    /// Handles a signal that watch_signal has directed here.
    virtual void on_signal(const siginfo_t& info, const ucontext_t& context) noexcept = 0;
};

/// Runs the program from `entry`, with its stack pointer at `stack`, zeros in all other registers, and the signals of
/// `mask` blocked, until the keeper leaves. On return the caller's signal mask is in force again, but not its signal
/// handlers. Throws std::system_error: ENOSYS (the kernel has no Syscall User Dispatch), ENOMEM.
void run_through_gate(GateKeeper& keeper, std::uint64_t entry, std::uint64_t stack, std::uint64_t mask);

/// Ends the program: `run_through_gate` returns. Called by the keeper only.
[[noreturn]] void leave_gate() noexcept;

/// The argument of the kernel's rt_sigaction(2).
struct KernelSignalAction {
    std::uint64_t handler = 0;
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    std::uint64_t mask = 0;
};

/// Directs the signal to the keeper from now on. Returns 0 or a negated errno.
long watch_signal(int signal) noexcept;

/// Changes and returns a signal action with the kernel's call, not libc's. Each pointer may be null. Returns 0 or a
/// negated errno.
long change_signal_action(int signal, const KernelSignalAction* action, KernelSignalAction* previous) noexcept;

}  // namespace faultline::demo::guest
