// Interposes pthread_create and thrd_create. Threads that the library creates stay inside the library (InLibrary).
// Threads of the program start dispatch if the delivery needs it (Dispatch).

#include "core/units.hpp"
#include "preload/dispatch.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/libc_malloc.hpp"
#include "preload/next.hpp"
#include "preload/program_mappings.hpp"
#include "preload/thread_state.hpp"
#include "sys/signal_block.hpp"

#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <new>

namespace faultline::preload {
namespace {

constexpr std::size_t kSmallStack = std::size_t{256} << 10;
constexpr std::size_t kForSignals = std::size_t{64} << 10;  // bytes of the thread's own stack that our handlers use

Next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)> next_create{"pthread_create"};

/// The function that a thread starts with. Exactly one of the two is set.
struct Beginning {
    void* (*posix)(void*);
    int (*standard)(void*);
    void* argument;
    bool of_library;
};

void* begin(void* given) {
    const Beginning beginning = *static_cast<Beginning*>(given);
    __libc_free(given);
    if (ForeignTls::active()) ForeignTls::begin_thread();
    if (beginning.of_library) {
        InLibrary::enter();
    } else {
        Dispatch::begin_thread();
    }
    if (beginning.posix != nullptr) return beginning.posix(beginning.argument);
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(beginning.standard(beginning.argument)));
}

/// Takes a stack that the program has mapped out of management. Returns 0 or an errno.
int keep_stack(const void* stack, std::size_t bytes) {
    const sys::SignalBlock signals;
    const std::uintptr_t begin = core::align_down(core::address_of(stack), core::kUnitBytes);
    const std::uintptr_t end = core::align_up(core::address_of(stack) + bytes, core::kUnitBytes);
    return ProgramMappings::give_to_kernel({begin, end}) == 0 ? 0 : EAGAIN;
}

/// Creates the thread. Enlarges a small stack by what signal handlers need.
int create_roomy(pthread_t* thread, const pthread_attr_t* attributes, void* argument) {
    std::size_t bytes = 0;
    void* stack = nullptr;
    const bool named = attributes != nullptr && ::pthread_attr_getstack(attributes, &stack, &bytes) == 0;
    // If the program's attributes name no stack, glibc reports one that ends at address 0.
    const bool own = named && core::address_of(stack) + bytes != 0;
    if (own) {
        if (const int error = keep_stack(stack, bytes)) return error;
    } else if (named && bytes != 0 && bytes < kSmallStack) {
        pthread_attr_t enlarged = *attributes;
        if (::pthread_attr_setstacksize(&enlarged, bytes + kForSignals) == 0) {
            return next_create(thread, &enlarged, &begin, argument);
        }
    }
    return next_create(thread, attributes, &begin, argument);
}

int create(pthread_t* thread, const pthread_attr_t* attributes, const Beginning& wanted) {
    void* const room = __libc_malloc(sizeof(Beginning));
    if (room == nullptr) return EAGAIN;
    new (room) Beginning{wanted};
    const InLibrary inside;
    const int error = create_roomy(thread, attributes, room);
    if (error != 0) __libc_free(room);
    return error;
}

}  // namespace
}  // namespace faultline::preload

using namespace faultline::preload;

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                   void* argument) noexcept {
    return create(thread, attributes, {function, nullptr, argument, this_thread.inside > 0});
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
    switch (create(thread, nullptr, {nullptr, function, argument, false})) {
        case 0:
            return thrd_success;
        case EAGAIN:
            return thrd_nomem;
        default:
            return thrd_error;
    }
}

}  // extern "C"
// NOLINTEND
