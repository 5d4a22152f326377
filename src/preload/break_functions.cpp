// Interposes brk and sbrk. The program's break is managed (ProgramMappings); the C library and a linked allocator keep
// the kernel's, so neither finds the other's blocks in its own.

#include "preload/library_call.hpp"
#include "preload/managed_heap.hpp"
#include "preload/next.hpp"
#include "preload/program_mappings.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace faultline::preload {
namespace {

Next<int(void*)> next_brk{"brk"};
Next<void*(std::intptr_t)> next_sbrk{"sbrk"};

/// Returns true if code at `caller` gets the managed break.
bool has_managed_break(const void* caller) noexcept {
    return ProgramMappings::has_break() && this_thread.inside == 0 &&
           !ManagedHeap::neighbours().maps_for_itself(caller);
}

std::uint64_t break_at(std::uint64_t address) noexcept {
    return static_cast<std::uint64_t>(make_or_answer({SYS_brk, {address}}));
}

/// Moves the break. Returns true if the C library's brk reports success: that includes an address below the begin.
bool move_break_to(std::uint64_t address) noexcept { return break_at(address) >= address; }

/// Moves the break by `delta` bytes, as sbrk(3) does. Returns the old break; 0 if that fails.
std::uint64_t move_break_by(std::intptr_t delta) noexcept {
    const std::uint64_t before = break_at(0);
    if (delta == 0) return before;
    const std::uint64_t after = before + static_cast<std::uint64_t>(delta);
    const bool overflows = delta < 0 ? after > before : after < before;
    return !overflows && move_break_to(after) ? before : 0;
}

void* sbrk_for(const void* caller, std::intptr_t delta) noexcept {
    if (!has_managed_break(caller)) return next_sbrk(delta);
    if (const std::uint64_t before = move_break_by(delta)) return reinterpret_cast<void*>(before);
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
}

}  // namespace
}  // namespace faultline::preload

using namespace faultline::preload;

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int brk(void* address) noexcept {
    if (!has_managed_break(__builtin_return_address(0))) return next_brk(address);
    if (move_break_to(faultline::sys::syscall_argument(address))) return 0;
    errno = ENOMEM;
    return -1;
}

void* sbrk(std::intptr_t delta) noexcept { return sbrk_for(__builtin_return_address(0), delta); }
void* __sbrk(std::intptr_t delta) noexcept { return sbrk_for(__builtin_return_address(0), delta); }

}  // extern "C"
// NOLINTEND
