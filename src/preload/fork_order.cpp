// Decides the order of fork handlers: interposes __register_atfork, through which every library registers its handlers.
// Before a fork, the C library runs handlers in reverse order of registration; after it, in order. The pager's handlers
// stop and restart the threads that serve faults, so they must be registered first. Otherwise handlers of a library
// whose constructors ran before ours would use the heap while no thread serves faults.
//
// An allocator that the program is linked with (jemalloc, tcmalloc) has handlers that lock it, and the pager's handlers
// allocate from it. So this file keeps the allocator's handlers and runs them inside the pager's.

#include "preload/next.hpp"
#include "preload/unmanaged.hpp"
#include "sys/fork_watch.hpp"

#include <array>
#include <atomic>
#include <cstddef>

namespace faultline::preload {
namespace {

Next<int(void (*)(), void (*)(), void (*)(), void*)> next_register{"__register_atfork"};

/// The allocator's handlers, in order of registration. Such an allocator is never unloaded and registers one set at
/// most.
constinit std::array<sys::ForkHandlers, 4> of_allocator{};
constinit std::atomic<std::size_t> of_allocator_count{0};

void call(void (*handler)()) {
    if (handler != nullptr) handler();
}

void allocator_before_fork() {
    for (std::size_t i = of_allocator_count.load(); i-- > 0;) call(of_allocator[i].before);
}
void in_parent() {
    for (std::size_t i = 0; i < of_allocator_count.load(); ++i) call(of_allocator[i].in_parent);
}
void in_child() {
    for (std::size_t i = 0; i < of_allocator_count.load(); ++i) call(of_allocator[i].in_child);
}
constexpr sys::ForkHandlers kAllocatorHandlers{&allocator_before_fork, &in_parent, &in_child};

/// Keeps the handlers. Returns false if there is no room. Called while the process starts, with one thread.
bool keep(const sys::ForkHandlers& handlers) noexcept {
    const std::size_t count = of_allocator_count.load();
    if (count == of_allocator.size()) return false;
    of_allocator[count] = handlers;
    of_allocator_count.store(count + 1);
    sys::set_fork_handlers(sys::ForkParty::allocator, &kAllocatorHandlers);
    return true;
}

bool is_of_allocator(const sys::ForkHandlers& handlers) noexcept {
    for (void (*const handler)() : {handlers.before, handlers.in_parent, handlers.in_child}) {
        if (unmanaged::is_code_of_linked_allocator(reinterpret_cast<const void*>(handler))) return true;
    }
    return false;
}

}  // namespace
}  // namespace faultline::preload

// NOLINTBEGIN: the C library's name and signature
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* library) noexcept {
    faultline::sys::watch_forks();
    const faultline::sys::ForkHandlers handlers{prepare, parent, child};
    if (faultline::preload::is_of_allocator(handlers) && faultline::preload::keep(handlers)) return 0;
    return faultline::preload::next_register(prepare, parent, child, library);
}
// NOLINTEND
