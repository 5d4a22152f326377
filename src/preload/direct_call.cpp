#include "preload/direct_call.hpp"

#include "core/units.hpp"
#include "preload/call_entry.hpp"
#include "preload/call_stacks.hpp"
#include "preload/dispatch.hpp"
#include "preload/handler_mask.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_call.hpp"
#include "preload/thread_state.hpp"
#include "sys/program_registers.hpp"

#include <pthread.h>

#include <algorithm>

// Calls function(argument) on the stack that ends at `top`, and stores the present stack pointer at `left`.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits
        .globl  faultline_preload_run_on
        .hidden faultline_preload_run_on
        .type   faultline_preload_run_on, @function
faultline_preload_run_on:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        mov     %rsp, (%rcx)
        mov     %rdx, %rsp
        mov     %rdi, %rax
        mov     %rsi, %rdi
        call    *%rax
        mov     %rbp, %rsp
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   faultline_preload_run_on, .-faultline_preload_run_on
        .popsection
)");
extern "C" void faultline_preload_run_on(void (*function)(void*), void* argument, std::uint64_t top,
                                         std::uint64_t* left);

namespace faultline::preload {
namespace {

bool names_managed(const NamedMemory& memory) noexcept {
    return memory.address != nullptr && is_managed(core::address_of(memory.address), memory.bytes);
}

/// Returns true if a call of the calling thread must find its memory in place.
bool needs_resident_memory() noexcept {
    return this_thread.inside == 0 && Dispatch::active() && Dispatch::calls_need_resident_memory();
}

/// A call of the program and its signal mask, for faultline_preload_run_on.
struct CallOfProgram {
    const Call& call;
    std::uint64_t mask;
    long result = 0;

    static void make(void* self) {
        auto& it = *static_cast<CallOfProgram*>(self);
        it.result = make_call(it.call, it.mask);
    }
};

/// Makes the call with its memory in place. The program's stack may be too small for that work, so a slot's is used.
/// The call itself waits on the program's stack, where this function's frame ends.
long call_on_slot(const Call& call) {
    CallStacks::Mark mark;  // in this frame as long as the call takes; a handler that leaves the call overwrites it
    const HandlerMask signals;
    const StackPointerScope stack{core::address_of(&mark)};
    const InLibrary inside;
    CallStacks::Slot* const slot = this_thread.stacks != nullptr ? this_thread.stacks->claim(mark) : nullptr;
    const CallScope scope{slot};
    gregset_t registers;
    sys::store_registers_here(registers);
    const sys::ProgramRegistersScope program{&registers[0]};
    CallOfProgram made{call, signals.before()};
    if (slot != nullptr) {
        faultline_preload_run_on(&CallOfProgram::make, &made, slot->top(), &this_thread.call_stack);
    } else {
        CallOfProgram::make(&made);
    }
    return made.result;
}

/// Lets a thread that waits be cancelled, as the C library does around its calls.
class CancellationPoint {
public:
    CancellationPoint() {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before_);  // NOLINT: unwinding releases what is held
    }
    ~CancellationPoint() {
        int unused = 0;
        pthread_setcanceltype(before_, &unused);
    }
    CancellationPoint(const CancellationPoint&) = delete;
    CancellationPoint& operator=(const CancellationPoint&) = delete;

private:
    int before_ = 0;
};

}  // namespace

long call_directly(const Call& call) { return needs_resident_memory() ? call_on_slot(call) : bare_call(call); }

long call_directly(const Call& call, std::initializer_list<NamedMemory> memory) {
    const bool slot = needs_resident_memory() && std::ranges::any_of(memory, names_managed);
    return slot ? call_on_slot(call) : bare_call(call);
}

long call_cancellably(const Call& call) {
    if (this_thread.inside > 0) return bare_call(call);
    const CancellationPoint here;
    return call_directly(call);
}

long call_cancellably(const Call& call, std::initializer_list<NamedMemory> memory) {
    if (this_thread.inside > 0) return bare_call(call);
    const CancellationPoint here;
    return call_directly(call, memory);
}

}  // namespace faultline::preload
