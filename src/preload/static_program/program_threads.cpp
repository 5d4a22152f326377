#include "preload/static_program/program_threads.hpp"

#include "core/units.hpp"
#include "preload/call_entry.hpp"
#include "preload/call_stacks.hpp"
#include "preload/dispatch.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/static_program/clone_request.hpp"
#include "preload/static_program/robust_list.hpp"
#include "preload/thread_state.hpp"
#include "sys/futex.hpp"
#include "sys/syscall.hpp"

#include <alloca.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <csignal>

// faultline_preload_run_thread: becomes the program's thread that `context` describes. Returns when the thread ends.
// faultline_preload_end_thread: where ProgramThreads::end makes the thread continue, on the stack of run_thread.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits

        .globl  faultline_preload_run_thread
        .hidden faultline_preload_run_thread
        .type   faultline_preload_run_thread, @function
faultline_preload_run_thread:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     faultline_preload_home@gottpoff(%rip), %rax
        mov     %rsp, %fs:(%rax)
        call    faultline_preload_to_program
        mov     %rdi, %rsp
        mov     $15, %eax               # rt_sigreturn
        syscall
        ud2
        .size   faultline_preload_run_thread, .-faultline_preload_run_thread

        .globl  faultline_preload_end_thread
        .hidden faultline_preload_end_thread
        .type   faultline_preload_end_thread, @function
faultline_preload_end_thread:
        call    faultline_preload_to_library
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
        .size   faultline_preload_end_thread, .-faultline_preload_end_thread

        .popsection
)");
extern "C" {
void faultline_preload_run_thread(const ucontext_t* context);
void faultline_preload_end_thread();
/// The stack pointer of the calling thread in run_thread; 0 in the first thread of a process.
[[gnu::visibility("hidden"), gnu::used,
  gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t faultline_preload_home = 0;
}

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::size_t kStackBytes = std::size_t{128} << 10;  // the library's, for the start and the end of a thread

/// The flags of pthread_create in every C library, and of Go. CLONE_DETACHED has no effect.
constexpr std::uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
constexpr std::uint64_t kKnownThreadFlags = kThreadFlags | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                                            CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED;

constinit std::atomic<unsigned> program_threads{1};

/// The word that the kernel would clear at the end of the thread. 0: none.
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t id_address = 0;

/// On the stack of the creating thread, which waits for `id`.
struct Start {
    const ucontext_t& context;
    CloneRequest request;
    std::uint64_t program_base;
    std::atomic<std::uint32_t> id{0};  // futex
};

/// Makes the context with which the thread starts from its creator's: the call returns 0 on another stack.
void make_start(ucontext_t& context, const CloneRequest& request) noexcept {
    context.uc_mcontext.gregs[REG_RAX] = 0;
    if (request.stack_end != 0) context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(request.stack_end);
    static_cast<void>(raw_syscall(SYS_sigaltstack, 0, syscall_argument(&context.uc_stack)));
}

/// Does what the kernel does with the word when the thread ends. Its memory may be freed at once.
void clear_id() noexcept {
    if (id_address == 0 || !permits(id_address, sizeof(std::uint32_t), PinFor::writing)) return;
    auto* const word = pointer<std::uint32_t>(id_address);
    std::atomic_ref{*word}.store(0, std::memory_order_release);
    static_cast<void>(raw_syscall(SYS_futex, syscall_argument(word), FUTEX_WAKE, 1));
}

void* begin(void* given) {
    Dispatch::begin_thread();
    const RobustList robust;
    Start& start = *static_cast<Start*>(given);
    const CloneRequest request = start.request;
    const long id = raw_syscall(SYS_gettid);
    ForeignTls::set_program_base(request.has(CLONE_SETTLS) ? request.tls : start.program_base);
    if (request.has(CLONE_PARENT_SETTID)) CloneRequest::store_id(request.parent_id, id);
    if (request.has(CLONE_CHILD_SETTID)) CloneRequest::store_id(request.child_id, id);
    id_address = request.has(CLONE_CHILD_CLEARTID) ? request.child_id : 0;
    auto* const room = static_cast<std::byte*>(alloca(frame_bytes(start.context)));
    ucontext_t& context = copy_frame(start.context, core::address_of(room) + frame_bytes(start.context));
    make_start(context, request);
    start.id.store(static_cast<std::uint32_t>(id), std::memory_order_release);
    sys::futex_wake(start.id);  // `start` may be gone from here on
    InLibrary::leave();
    faultline_preload_run_thread(&context);
    InLibrary::enter();
    robust.give_up();
    clear_id();
    return nullptr;
}

/// Returns 0 or an errno.
int create_detached(Start& start) noexcept {
    pthread_attr_t attributes;
    if (const int error = ::pthread_attr_init(&attributes)) return error;
    int error = ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (error == 0) error = ::pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_t thread;
    if (error == 0) error = ::pthread_create(&thread, &attributes, &begin, &start);
    static_cast<void>(::pthread_attr_destroy(&attributes));
    return error;
}

}  // namespace

bool ProgramThreads::is_creation(const Call& call) noexcept {
    const std::optional<CloneRequest> request = CloneRequest::of(call);
    return request && request->has(CLONE_THREAD);
}

long ProgramThreads::create(const ucontext_t& context, const Call& call) noexcept {
    const std::optional<CloneRequest> request = CloneRequest::of(call);
    if (!request || (request->flags & kThreadFlags) != kThreadFlags || (request->flags & ~kKnownThreadFlags) != 0)
        return -EINVAL;
    Start start{context, *request, ForeignTls::program_base()};
    program_threads.fetch_add(1);
    if (const int error = create_detached(start)) {
        program_threads.fetch_sub(1);
        return -error;
    }
    while (start.id.load(std::memory_order_acquire) == 0) sys::futex_wait(start.id, 0);
    return static_cast<long>(start.id.load());
}

bool ProgramThreads::end(ucontext_t& context, std::uint64_t code) noexcept {
    if (program_threads.fetch_sub(1) == 1) {
        for (;;) static_cast<void>(raw_syscall(SYS_exit_group, code));
    }
    if (faultline_preload_home == 0) return false;
    context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&faultline_preload_end_thread);
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(faultline_preload_home);
    context.uc_sigmask.__val[0] = kHandlerMask;
    return true;
}

long ProgramThreads::set_id_address(std::uint64_t address) noexcept {
    if (faultline_preload_home == 0) return raw_syscall(SYS_set_tid_address, address);
    id_address = address;
    return raw_syscall(SYS_gettid);
}

void ProgramThreads::start_in_child() noexcept {
    program_threads.store(1);
    faultline_preload_home = 0;
    id_address = 0;
}

}  // namespace faultline::preload
