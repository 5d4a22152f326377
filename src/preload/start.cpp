// The beginning: before the program's first instruction the heap is made, as the environment says, and from then on it
// serves. What goes wrong here ends the program, with a message and the exit code of a command that cannot be run: a
// program that was given a limit must not run without.

#include "preload/descriptors.hpp"
#include "preload/dispatch.hpp"
#include "preload/heap_memory.hpp"
#include "preload/managed_heap.hpp"
#include "preload/status.hpp"
#include "preload/thread_state.hpp"
#include "sys/fork_watch.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace faultline::preload {
namespace {

constexpr int kCannotRun = 127;

[[noreturn]] void refuse(std::string_view why) {
    const std::string line = "libfaultline-preload.so: " + std::string{why} + "\n";
    sys::raw_syscall(SYS_write, 2, sys::syscall_argument(line.data()), line.size());
    for (;;) sys::raw_syscall(SYS_exit_group, kCannotRun);
}

// From before fork until after it, by the thread that forks; what the pager opens in between goes to high numbers.
constinit std::optional<HighNumbers> high_numbers;

void before_fork() {
    InLibrary::enter();
    HeapMemory::before_fork();
    high_numbers.emplace();
}

void after_fork_in_parent() {
    high_numbers.reset();
    find_own_descriptors();
    HeapMemory::after_fork();
    InLibrary::leave();
}

void after_fork_in_child() {
    high_numbers.reset();
    find_own_descriptors();
    Dispatch::begin_thread();
    HeapMemory::after_fork();
    HeapMemory::start_in_child();
    start_status_in_child();
    InLibrary::leave();
}

constexpr sys::ForkHandlers kForkHandlers{&before_fork, &after_fork_in_parent, &after_fork_in_child};

void make_heap(const char* const* environment) {
    ManagedHeap::find_neighbours();
    run::Settings settings;
    run::SettingsProblem problem;
    if (!run::read_settings(environment, settings, problem)) refuse(problem.text.data());
    detail::Heap* heap = nullptr;
    {
        const HighNumbers high;
        heap = &ManagedHeap::make(settings);
    }
    HeapMemory::start(heap->region().pages());
    find_own_descriptors();
    sys::set_fork_handlers(sys::ForkParty::outer, &kForkHandlers);
    const Delivery delivery = heap->pager().delivery();
    if (delivery != Delivery::uffd_threads) Dispatch::start(delivery == Delivery::sigsegv ? SIGSEGV : SIGBUS);
    start_status(*heap, settings);
    ManagedHeap::open(*heap);
}

[[gnu::constructor]] void start(int, char**, char** environment) {
    const InLibrary inside;
    try {
        make_heap(environment);
    } catch (const std::exception& error) {
        refuse(error.what());
    }
}

}  // namespace
}  // namespace faultline::preload
