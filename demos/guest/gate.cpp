#include "guest/gate.hpp"

#include "guest/gate_entry.hpp"

#include <faultline/types.hpp>

#include <asm/prctl.h>
#include <linux/audit.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

// NOLINTBEGIN: shared with the gate's instructions
volatile char gate_selector = SYSCALL_DISPATCH_FILTER_ALLOW;
char gate_has_fsgsbase = 0;
std::uint64_t gate_host_thread_pointer = 0;
std::uint64_t gate_host_stack = 0;
// NOLINTEND

namespace faultline::demo::guest {
namespace {

constexpr unsigned long kHardwareFsgsbase = 2;   // AT_HWCAP2
constexpr int kSystemCallDispatched = 2;         // SYS_USER_DISPATCH, which glibc does not define yet
constexpr std::uint64_t kRestorer = 0x04000000;  // SA_RESTORER, which glibc does not export
constexpr std::uint64_t kRedZone = 128;          // bytes below the stack pointer that the program may use (ABI)
constexpr std::size_t kStackBytes = std::size_t{512} << 10;

GateKeeper* keeper = nullptr;

std::uint64_t address_of(const void* pointer) noexcept { return reinterpret_cast<std::uint64_t>(pointer); }

/// Writes to the program's stack.
void store(std::uint64_t address, std::uint64_t value) noexcept {
    *reinterpret_cast<volatile std::uint64_t*>(address) = value;  // NOLINT: the program's registers are numbers
}

/// A signal stack with an inaccessible page below it.
class SignalStack {
public:
    SignalStack()
        : memory_{::mmap(nullptr, kStackBytes + kBasePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
                         0)} {
        if (memory_ == MAP_FAILED) fail("cannot map a signal stack for the gate");
        char* const bottom = static_cast<char*>(memory_) + kBasePageBytes;
        const stack_t mine{bottom, 0, kStackBytes};
        if (::mprotect(bottom, kStackBytes, PROT_READ | PROT_WRITE) != 0 || ::sigaltstack(&mine, &previous_) != 0) {
            const int error = errno;
            ::munmap(memory_, kStackBytes + kBasePageBytes);
            errno = error;
            fail("cannot install the gate's signal stack");
        }
    }
    ~SignalStack() {
        ::sigaltstack(&previous_, nullptr);
        ::munmap(memory_, kStackBytes + kBasePageBytes);
    }
    SignalStack(const SignalStack&) = delete;
    SignalStack& operator=(const SignalStack&) = delete;

private:
    [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
    void* memory_;
    stack_t previous_{};
};

/// While it lives, system calls of this thread from outside the gate are dispatched if the selector says so.
class Dispatch {
public:
    Dispatch() {
        const auto bytes = static_cast<unsigned long>(gate_end - gate_begin);
        if (::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, gate_begin, bytes, &gate_selector) != 0) {
            // EINVAL: the kernel does not have the feature.
            throw std::system_error(errno == EINVAL ? ENOSYS : errno, std::generic_category(),
                                    "Syscall User Dispatch (Linux 5.11) is not possible here");
        }
    }
    ~Dispatch() { ::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0); }
    Dispatch(const Dispatch&) = delete;
    Dispatch& operator=(const Dispatch&) = delete;
};

/// Blocks all signals while it lives.
class Blocked {
public:
    Blocked() noexcept {
        const std::uint64_t all = ~std::uint64_t{0};
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
    }
    ~Blocked() { ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_); }
    Blocked(const Blocked&) = delete;
    Blocked& operator=(const Blocked&) = delete;

private:
    std::uint64_t before_ = 0;
};

KernelSignalAction to_keeper() noexcept {
    return {address_of(gate_on_signal), SA_SIGINFO | SA_ONSTACK | kRestorer, address_of(gate_restore),
            ~std::uint64_t{0}};
}

}  // namespace

// ---- a call

std::array<std::uint64_t, 6> GuestCall::arguments() const noexcept {
    const auto at = [&](int name) { return static_cast<std::uint64_t>(registers_.uc_mcontext.gregs[name]); };
    return {at(REG_RDI), at(REG_RSI), at(REG_RDX), at(REG_R10), at(REG_R8), at(REG_R9)};
}

std::uint64_t& GuestCall::mask() noexcept {
    static_assert(sizeof registers_.uc_sigmask.__val[0] == sizeof(std::uint64_t));
    return registers_.uc_sigmask.__val[0];
}

std::uint64_t GuestCall::scratch() const noexcept {
    return static_cast<std::uint64_t>(registers_.uc_mcontext.gregs[REG_RSP]) - kRedZone - kScratchBytes;
}

void GuestCall::pass() noexcept {
    auto& registers = registers_.uc_mcontext.gregs;
    const std::uint64_t stack = scratch() + kScratchBytes - 8;
    store(stack, static_cast<std::uint64_t>(registers[REG_RIP]));
    registers[REG_RSP] = static_cast<greg_t>(stack);
    registers[REG_RIP] = static_cast<greg_t>(address_of(gate_pass));
}

/// What gate_pass pops, lowest address first: rdi, r10, r8, r9, the return address, the mask, its address, its size.
void GuestCall::pass_with_mask(unsigned argument, MaskArgument kind, std::uint64_t mask) noexcept {
    static constexpr std::array<int, 6> kNames{REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    auto& registers = registers_.uc_mcontext.gregs;
    const std::uint64_t stack = scratch();
    std::uint64_t at = stack;
    for (const int name : {REG_RDI, REG_R10, REG_R8, REG_R9, REG_RIP}) {
        store(at, static_cast<std::uint64_t>(registers[name]));
        at += 8;
    }
    store(at, mask);
    store(at + 8, at);
    store(at + 16, sizeof mask);
    registers[kNames.at(argument)] = static_cast<greg_t>(kind == MaskArgument::direct ? at : at + 8);
    registers[REG_RSP] = static_cast<greg_t>(stack);
    registers[REG_RIP] = static_cast<greg_t>(address_of(gate_pass_restoring));
}

void GuestCall::pass_signal_return() noexcept {
    registers_.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(address_of(gate_pass_signal_return));
}

// ---- signals

long change_signal_action(int signal, const KernelSignalAction* action, KernelSignalAction* previous) noexcept {
    const long result = ::syscall(SYS_rt_sigaction, signal, action, previous, sizeof action->mask);
    return result == 0 ? 0 : -long{errno};
}

long watch_signal(int signal) noexcept {
    const KernelSignalAction action = to_keeper();
    return change_signal_action(signal, &action, nullptr);
}

// ---- entering and leaving

void run_through_gate(GateKeeper& by, std::uint64_t entry, std::uint64_t stack, std::uint64_t mask) {
    const SignalStack signals;
    if (const long error = watch_signal(SIGSYS)) {
        throw std::system_error(static_cast<int>(-error), std::generic_category(), "cannot handle SIGSYS");
    }
    unsigned long thread_pointer = 0;
    if (::syscall(SYS_arch_prctl, ARCH_GET_FS, &thread_pointer) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot ask for the thread pointer");
    }
    gate_host_thread_pointer = thread_pointer;
    gate_has_fsgsbase = (::getauxval(AT_HWCAP2) & kHardwareFsgsbase) != 0 ? 1 : 0;
    const Blocked blocked;
    keeper = &by;
    const Dispatch dispatch;
    gate_enter(entry, stack, &mask);
}

void leave_gate() noexcept { gate_leave(); }

}  // namespace faultline::demo::guest

void gate_call_keeper(int signal, siginfo_t* info, void* context) {
    using namespace faultline::demo::guest;
    auto& registers = *static_cast<ucontext_t*>(context);
    if (signal != SIGSYS || info->si_code != kSystemCallDispatched) {
        keeper->on_signal(*info, registers);
        return;
    }
    GuestCall call{registers};
    if (info->si_arch != AUDIT_ARCH_X86_64) {
        call.answer(-ENOSYS);  // int $0x80: the numbers are those of another architecture
        return;
    }
    keeper->on_call(call);
}
