#include "preload/calls.hpp"

#include "preload/argument_memory.hpp"
#include "preload/call_memory.hpp"
#include "preload/dispatch.hpp"
#include "preload/memory_calls.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_call.hpp"
#include "preload/program_memory.hpp"
#include "preload/thread_state.hpp"
#include "preload/traced_child.hpp"
#include "preload/transfer.hpp"
#include "preload/transfers.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>

namespace faultline::preload {
namespace {

constexpr int kMostRetries = 256;

// ---- calls that replace a signal mask

struct MaskAndBytes {
    std::uint64_t mask;
    std::uint64_t bytes;
};

/// Returns the index of the argument that points to the signal mask for the duration of the call, or -1.
int mask_argument(long number) noexcept {
    switch (number) {
        case SYS_rt_sigsuspend:
            return 0;
        case SYS_ppoll:
            return 3;
        case SYS_epoll_pwait:
        case kEpollPwait2:
            return 4;
        case SYS_pselect6:
        case SYS_io_pgetevents:
            return 5;
        default:
            return -1;
    }
}

/// Replaces the mask by a copy without the signals of faults and calls: handlers that run during the call need them.
/// Leaves bad pointers to the kernel.
void clear_kept_signals(Call& call, std::uint64_t& mask, MaskAndBytes& both) noexcept {
    const int which = mask_argument(call.number);
    if (which < 0) return;
    std::uint64_t& argument = call.arguments[static_cast<std::size_t>(which)];
    if (argument == 0) return;
    std::uint64_t mask_at = argument;
    if (call.number == SYS_pselect6 || call.number == SYS_io_pgetevents) {
        const std::optional<MaskAndBytes> given = load<MaskAndBytes>(argument);
        if (!given || given->mask == 0) return;
        both = *given;
        mask_at = both.mask;
    }
    const std::optional<std::uint64_t> given = load<std::uint64_t>(mask_at);
    if (!given) return;
    mask = *given & ~(kFaultSignals | std::uint64_t{1} << (31 - 1));
    both.mask = sys::syscall_argument(&mask);
    argument = mask_at == argument ? both.mask : sys::syscall_argument(&both);
}

/// Replaces the mask of a call while it lives.
class MaskWithoutKept {
public:
    explicit MaskWithoutKept(Call& call) noexcept { clear_kept_signals(call, mask_, both_); }
    MaskWithoutKept(const MaskWithoutKept&) = delete;
    MaskWithoutKept& operator=(const MaskWithoutKept&) = delete;

private:
    std::uint64_t mask_ = 0;
    MaskAndBytes both_{};
};

// ---- execve

/// Makes a list of texts resident. Returns false if not all of it may be read.
bool touch_list(char* const* list) noexcept {
    for (auto at = sys::syscall_argument(list); at != 0; at += sizeof *list) {
        touch_managed(at, sizeof *list);
        const std::optional<std::uint64_t> text = load<std::uint64_t>(at);
        if (!text) return false;
        if (*text == 0) break;
        if (!is_readable_text(*text)) return false;
    }
    return true;
}

// ---- the kinds of calls

/// Makes a futex call without pins: the kernel reads the futex only at the start, and may then wait without limit.
long make_futex_call(const Call& call, std::uint64_t mask) {
    long result = interruptible_call(call, mask);
    for (int tries = 0; result == -EFAULT && tries < kMostRetries; ++tries) {
        constexpr unsigned kAddresses[] = {0, 3, 4};
        const auto managed = [&](unsigned i) { return is_managed(call.arguments[i], extent_of(call, i).bytes); };
        if (std::ranges::none_of(kAddresses, managed)) break;
        for (const unsigned i : kAddresses) touch_managed(call.arguments[i], extent_of(call, i).bytes);
        result = interruptible_call(call, mask);
    }
    return result;
}

long make_other_call(const Call& call, std::uint64_t mask) {
    ArgumentMemory memory{call};
    long result = interruptible_call(memory.call(), mask);
    for (int tries = 0; result == -EFAULT && !memory.complete() && tries < kMostRetries; ++tries) {
        memory.touch_rest();
        result = interruptible_call(memory.call(), mask);
    }
    const bool given_back = memory.give_back();
    return result >= 0 && !given_back ? -EFAULT : result;
}

}  // namespace

long make_call(Call call, std::uint64_t mask) {
    if (concerns_managed_memory(call)) {
        if (const std::optional<long> answer = answer_memory_call(call)) return *answer;
    }
    if (!Dispatch::calls_need_resident_memory()) {
        const MaskWithoutKept cleared{call};
        return interruptible_call(call, mask);
    }
    if (Transfer::is_one(call.number)) return make_transfer(call, mask);
    switch (call.number) {
        case SYS_sendmmsg:
        case SYS_recvmmsg:
            return make_message_transfers(call, mask);
        case SYS_vmsplice:
            return make_vmsplice(call, mask);
        case SYS_getrandom:
            return make_getrandom(call, mask);
        case SYS_futex:
            return make_futex_call(call, mask);
        case SYS_mmap:
        case SYS_munmap:
        case SYS_mremap:
        case SYS_mprotect:
        case SYS_madvise:
        case SYS_mlock:
        case SYS_munlock:
        case SYS_brk:
            return interruptible_call(call, mask);
        case SYS_exit:
        case SYS_exit_group: {
            const StackPointerScope none{0};  // a child of vfork shares this memory, and does not come back
            return interruptible_call(call, mask);
        }
        default: {
            const MaskWithoutKept cleared{call};
            return make_other_call(call, mask);
        }
    }
}

bool touch_exec_memory(const char* path, char* const* arguments, char* const* environment) noexcept {
    return is_readable_text(sys::syscall_argument(path)) && touch_list(arguments) && touch_list(environment);
}

long make_exec_call(const Call& call, const std::uint64_t* mask, const char* path, char* const* arguments,
                    char* const* environment) noexcept {
    long result = -EFAULT;
    bool readable = true;
    for (int tries = 0; result == -EFAULT && readable && tries < kMostRetries; ++tries) {
        readable = touch_exec_memory(path, arguments, environment);
        if (readable) TracedChild::begin_before(call, path);
        const StackPointerScope none{0};  // a child of vfork shares this memory, and does not come back
        result = mask != nullptr ? interruptible_call(call, *mask) : bare_call(call);
    }
    return result;
}

}  // namespace faultline::preload
