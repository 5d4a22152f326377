#include "preload/signal_stack.hpp"

#include "core/units.hpp"
#include "preload/call_stacks.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_mappings.hpp"
#include "preload/program_memory.hpp"
#include "preload/thread_state.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <sys/auxv.h>
#include <sys/mman.h>

#include <cerrno>
#include <optional>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::size_t kForHandlers = std::size_t{12} << 10;  // for the program's handler and for a call that it makes
constexpr std::size_t kLeast = 2048;                         // MINSIGSTKSZ: the kernel refuses smaller stacks
constexpr unsigned kAutoDisarm = 1U << 31;                   // SS_AUTODISARM, for which glibc has no name

/// A program's stack of at least this size is used unchanged. It holds two signal frames, which may have AVX-512
/// registers, and kForHandlers. This value applies until measure_signal_frames() is called.
constinit std::size_t roomy = std::size_t{32} << 10;

long kernel_stack(const stack_t* wanted, stack_t* before) noexcept {
    return raw_syscall(SYS_sigaltstack, wanted != nullptr ? syscall_argument(wanted) : 0,
                       before != nullptr ? syscall_argument(before) : 0);
}

bool is_on(const stack_t& stack, const ucontext_t& context) noexcept {
    const auto at = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
    return (stack.ss_flags & SS_DISABLE) == 0 && at - core::address_of(stack.ss_sp) - 1 < stack.ss_size;
}

bool is_managed(const stack_t& stack) noexcept {
    return preload::is_managed(core::address_of(stack.ss_sp), stack.ss_size);
}

/// Returns the stack that sigaltstack(2) reports to the program: the one that the program has set, or ours while a
/// handler runs on it. Language runtimes (Go) ask in each handler which stack they run on; the C library asks before a
/// longjmp that leaves a stack.
stack_t told(const CallStacks::Substituted& substituted, const stack_t& of_kernel, bool on) noexcept {
    if (!on) return substituted.is ? substituted.told : of_kernel;
    stack_t stack = of_kernel;
    stack.ss_flags = SS_ONSTACK;
    return stack;
}

/// Stores in `found` an unmanaged stack of at least the size of `wanted`. Returns 0 or a negated errno.
long stand_in(CallStacks& stacks, const stack_t& wanted, stack_t& found) noexcept {
    found = stacks.alternate_stack();
    found.ss_flags = static_cast<int>(static_cast<unsigned>(wanted.ss_flags) & kAutoDisarm);
    if (wanted.ss_size <= found.ss_size) return 0;
    stack_t& large = stacks.substituted().large;
    if (large.ss_size < wanted.ss_size) {
        std::byte* const mapped = sys::map_zeros(wanted.ss_size);
        if (mapped == nullptr) return -ENOMEM;
        if (large.ss_sp != nullptr) static_cast<void>(sys::unmap(large.ss_sp, large.ss_size));
        large.ss_sp = mapped;
        large.ss_size = wanted.ss_size;
    }
    found.ss_sp = large.ss_sp;
    found.ss_size = large.ss_size;
    return 0;
}

bool changes_nothing(const stack_t& before, const stack_t& wanted) noexcept {
    const int flags = before.ss_size == 0 ? 0 : before.ss_flags;
    return wanted.ss_sp == before.ss_sp && wanted.ss_size == before.ss_size && wanted.ss_flags == flags;
}

bool has_valid_flags(const stack_t& stack) noexcept {
    const unsigned mode = static_cast<unsigned>(stack.ss_flags) & ~kAutoDisarm;
    return mode == 0 || mode == SS_ONSTACK || mode == SS_DISABLE;
}

long substitute(CallStacks& stacks, const stack_t& wanted) noexcept {
    const bool disables = (wanted.ss_flags & SS_DISABLE) != 0;
    if (!has_valid_flags(wanted)) return -EINVAL;
    if (!disables && wanted.ss_size < kLeast) return -ENOMEM;
    stack_t ours = stacks.alternate_stack();
    const long error = disables ? 0 : stand_in(stacks, wanted, ours);
    const long result = error != 0 ? error : kernel_stack(&ours, nullptr);
    if (result != 0) return result;
    CallStacks::Substituted& substituted = stacks.substituted();
    substituted.is = true;
    substituted.told = {};
    substituted.told.ss_flags = SS_DISABLE;
    if (!disables) substituted.told = wanted;
    return 0;
}

/// Takes a stack that the program has mapped out of management, as thread_functions.cpp does with those of threads:
/// its handlers then run on it. If that fails, the stack stays managed and gets a stand-in.
void keep_mapped_stack(const stack_t& stack) noexcept {
    const std::uint64_t begin = core::align_down(core::address_of(stack.ss_sp), core::kUnitBytes);
    const std::uint64_t end = core::align_up(core::address_of(stack.ss_sp) + stack.ss_size, core::kUnitBytes);
    static_cast<void>(ProgramMappings::give_to_kernel({begin, end}));
}

long install(CallStacks* stacks, const stack_t& wanted) noexcept {
    const bool disables = (wanted.ss_flags & SS_DISABLE) != 0;
    if (!disables && wanted.ss_size >= roomy && is_managed(wanted)) keep_mapped_stack(wanted);
    if (stacks != nullptr && (disables || wanted.ss_size < roomy || is_managed(wanted))) {
        return substitute(*stacks, wanted);
    }
    if (!disables && is_managed(wanted)) return -ENOMEM;
    const long result = kernel_stack(&wanted, nullptr);
    if (result == 0 && stacks != nullptr) stacks->substituted().is = false;
    return result;
}

}  // namespace

void measure_signal_frames() noexcept {
    if (const std::size_t frame = ::getauxval(AT_MINSIGSTKSZ)) roomy = 2 * frame + kForHandlers;
}

long change_alternate_stack(ucontext_t& context, std::uint64_t given, std::uint64_t previous) noexcept {
    CallStacks* const stacks = this_thread.stacks;
    const std::optional<stack_t> wanted = given != 0 ? load<stack_t>(given) : stack_t{};
    if (!wanted) return -EFAULT;
    const bool on = is_on(context.uc_stack, context);
    const stack_t before = stacks != nullptr ? told(stacks->substituted(), context.uc_stack, on) : context.uc_stack;
    if (given != 0) {
        if (on) return -EPERM;
        if (changes_nothing(before, *wanted)) return 0;  // before any check, as the kernel
        if (const long error = install(stacks, *wanted)) return error;
        static_cast<void>(kernel_stack(nullptr, &context.uc_stack));  // the return from the handler sets it again
    }
    return previous == 0 || store(previous, before) ? 0 : -EFAULT;
}

}  // namespace faultline::preload
