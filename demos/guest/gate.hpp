// The gate between a program that runs in an address space and the process around it. A system call of the program's
// becomes SIGSYS (Syscall User Dispatch, Linux 5.11), and so a call of the gate's keeper, which answers it or lets it
// pass; so does a signal that the keeper has asked for. The gate knows nothing of calls, nor of memory.
//
// One thread of a process uses it, once at a time. The keeper runs on a stack of its own, with the process's thread
// pointer and all signals blocked: it may do what any function of the process may, except touch the program's memory
// where that may be forbidden.
#pragma once

#include <ucontext.h>

#include <array>
#include <csignal>
#include <cstdint>

namespace faultline::demo::guest {

/// A system call of the program's, and its registers.
class GuestCall {
public:
    explicit GuestCall(ucontext_t& registers) noexcept : registers_{registers} {}

    [[nodiscard]] long number() const noexcept { return registers_.uc_mcontext.gregs[REG_RAX]; }
    [[nodiscard]] std::array<std::uint64_t, 6> arguments() const noexcept;

    /// The signals that the program has blocked; they will be when it goes on. Bit n - 1 is signal n.
    [[nodiscard]] std::uint64_t& mask() noexcept;

    /// The program goes on with this result: a value, or a negated errno.
    void answer(long result) noexcept { registers_.uc_mcontext.gregs[REG_RAX] = result; }

    /// The program makes the call itself, when the keeper returns: with its own signals, and interrupted by them.
    /// Writes to the program's stack, at `scratch`.
    void pass() noexcept;

    /// Where a call has a signal mask: the argument points to it, or to its address and size as pselect6(2) has it.
    enum class MaskArgument : std::uint8_t { direct, with_size };

    /// The same as `pass`, with another signal mask in place of what `argument` (0 to 5) points to.
    void pass_with_mask(unsigned argument, MaskArgument kind, std::uint64_t mask) noexcept;

    /// Where on the program's stack the calls above write, at most `kScratchBytes`: below what is the program's.
    [[nodiscard]] std::uint64_t scratch() const noexcept;
    static constexpr std::uint64_t kScratchBytes = 64;

    /// It is rt_sigreturn(2), which takes the registers from the stack: the program makes it itself.
    void pass_signal_return() noexcept;

private:
    ucontext_t& registers_;
};

class GateKeeper {
public:
    virtual ~GateKeeper() = default;
    /// Answers or passes it, or leaves.
    virtual void on_call(GuestCall& call) noexcept = 0;
    /// A signal that came through `watch`.
    virtual void on_signal(const siginfo_t& info, const ucontext_t& context) noexcept = 0;
};

/// Runs the program that begins at `entry` with its stack at `stack`, with zeros in all other registers and the signals
/// of `mask` blocked, until the keeper leaves. The caller's own mask is in force again when it returns, its handlers of
/// signals are not. Throws std::system_error: ENOSYS where the kernel has no Syscall User Dispatch, ENOMEM.
void run_through_gate(GateKeeper& keeper, std::uint64_t entry, std::uint64_t stack, std::uint64_t mask);

/// From the keeper only: the program is over, and `run_through_gate` returns.
[[noreturn]] void leave_gate() noexcept;

/// What the kernel's rt_sigaction(2) takes.
struct KernelSignalAction {
    std::uint64_t handler = 0;
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    std::uint64_t mask = 0;
};

/// Lets the signal come to the keeper from now on. Returns 0 or a negated errno.
long watch_signal(int signal) noexcept;

/// The action as the kernel has it, without libc in between. Each may be null. Returns 0 or a negated errno.
long change_signal_action(int signal, const KernelSignalAction* action, KernelSignalAction* previous) noexcept;

}  // namespace faultline::demo::guest
