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

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <functional>
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

/// Beginnings of threads that are just being created. The C library's malloc would set up 64 MiB of addresses for each
/// thread that frees its own. A child of fork loses those of its parent's other threads. Lock-free.
class Beginnings {
public:
    /// Returns a copy of `wanted`; null without memory.
    static Beginning* keep(const Beginning& wanted) noexcept {
        std::uint64_t taken = taken_.load(std::memory_order_relaxed);
        while (taken != ~std::uint64_t{0}) {
            const auto free = static_cast<unsigned>(std::countr_one(taken));
            if (!taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << free, std::memory_order_acquire)) {
                continue;
            }
            all_[free] = wanted;
            return &all_[free];
        }
        void* const room = __libc_malloc(sizeof(Beginning));
        return room == nullptr ? nullptr : new (room) Beginning{wanted};
    }
    static void drop(Beginning* kept) noexcept {
        const std::less<const Beginning*> before;
        if (before(kept, all_.begin()) || !before(kept, all_.end())) return __libc_free(kept);
        taken_.fetch_and(~(std::uint64_t{1} << (kept - all_.begin())), std::memory_order_release);
    }

private:
    static inline constinit std::array<Beginning, 64> all_{};
    static inline constinit std::atomic<std::uint64_t> taken_{0};  // a bit for each
};

void* begin(void* given) {
    const Beginning beginning = *static_cast<Beginning*>(given);
    Beginnings::drop(static_cast<Beginning*>(given));
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

/// Creates a thread of the program. Enlarges a small stack by what signal handlers need.
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
    Beginning* const kept = Beginnings::keep(wanted);
    if (kept == nullptr) return EAGAIN;
    const InLibrary inside;
    const int error =
        wanted.of_library ? next_create(thread, attributes, &begin, kept) : create_roomy(thread, attributes, kept);
    if (error != 0) Beginnings::drop(kept);
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
