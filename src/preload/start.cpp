// Starts the preload: makes the heap from the environment before the program's first instruction.
// A failure ends the program, because a program that was given a limit must not run without it. The program then prints
// a message and returns the exit code by which `faultline run` reports failures.

#include "core/units.hpp"
#include "preload/call_stacks.hpp"
#include "preload/credentials.hpp"
#include "preload/descriptors.hpp"
#include "preload/dispatch.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/interposition.hpp"
#include "preload/io_functions.hpp"
#include "preload/managed_heap.hpp"
#include "preload/managed_memory.hpp"
#include "preload/program_mappings.hpp"
#include "preload/seccomp_filters.hpp"
#include "preload/started_programs.hpp"
#include "preload/static_program/launcher.hpp"
#include "preload/static_program/static_program.hpp"
#include "preload/status.hpp"
#include "preload/thread_state.hpp"
#include "preload/unmanaged.hpp"
#include "run/option_words.hpp"
#include "sys/fork_watch.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

namespace faultline::preload {
namespace {

void say(std::string_view what) {
    const std::string line = "libfaultline-preload.so: " + std::string{what} + "\n";
    sys::raw_syscall(SYS_write, 2, sys::syscall_argument(line.data()), line.size());
}

[[noreturn]] void refuse(std::string_view why) {
    say(run::in_words_of_options(why));
    for (;;) sys::raw_syscall(SYS_exit_group, run::kExitCannotSetUp);
}

template <typename Act>
void for_each_region(Act act) {
    for (RegionMemory* const memory : {ManagedMemory::heap(), ManagedMemory::window()}) {
        if (memory != nullptr) act(*memory);
    }
}

void before_fork() {
    InLibrary::enter();
    ProgramMappings::before_fork();
    for_each_region([](RegionMemory& memory) { memory.before_fork(); });
}

void after_fork_in_parent() {
    for_each_region([](RegionMemory& memory) { memory.after_fork(); });
    ProgramMappings::after_fork();
    InLibrary::leave();
}

/// Returns the signal that reports faults; 0 if none does.
int fault_signal_of(Delivery delivery) noexcept {
    if (delivery == Delivery::uffd_threads) return 0;
    return delivery == Delivery::sigsegv ? SIGSEGV : SIGBUS;
}

/// The calls of a static program, which does not use this library's functions, are dispatched in every delivery.
void start_dispatch_for(Delivery delivery) {
    const int signal = fault_signal_of(delivery);
    if (signal != 0 || ForeignTls::active()) Dispatch::start(signal);
}

/// Starts dispatch if the pager now needs it: in a child that has lost its privileges, faults arrive by signal.
void dispatch_in_child() {
    if (Dispatch::active()) Dispatch::begin_thread();
    heap::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr) return;
    try {
        const Delivery delivery = heap->pager().delivery();
        if (Dispatch::active()) return Dispatch::change_fault_signal(fault_signal_of(delivery));
        start_dispatch_for(delivery);
    } catch (const std::exception& error) {
        refuse(error.what());
    }
}

/// From here on the library only passes calls on: all memory is ordinary memory of the kernel.
void stand_down() {
    for_each_region([](RegionMemory& memory) { memory.start_without_pager(); });
    ProgramMappings::start_without_pager();
    ManagedMemory::forget();
    ManagedHeap::retire();
    Dispatch::end();
    forget_status();
}

/// In a child that has no pager: stands down if it has its memory, else ends it, because its next access would be to
/// unmapped addresses. The parent has said why. A static program needs the library for all its calls.
void go_on_without_pager(pager::Pager& pager) {
    if (!pager.left_plain_memory() || ForeignTls::active()) {
        refuse("this child of fork ends, because it has not inherited its memory; its parent has said why");
    }
    stand_down();
}

void after_fork_in_child() {
    remember_process();
    heap::Heap* const heap = ManagedHeap::get();
    if (heap != nullptr && !heap->pager().in_owner_process()) go_on_without_pager(heap->pager());
    CallStacks::forget_other_threads();
    dispatch_in_child();
    for_each_region([](RegionMemory& memory) {
        memory.after_fork();
        memory.start_in_child();
    });
    ProgramMappings::after_fork();
    ProgramMappings::start_in_child();
    start_status_in_child();
    InLibrary::leave();
}

constexpr sys::ForkHandlers kForkHandlers{&before_fork, &after_fork_in_parent, &after_fork_in_child};

/// Returns null, after a message, if a seccomp filter of the program that started this one forbids what a heap needs.
heap::Heap* make_heap_unless_filtered(const run::Settings& settings) {
    try {
        return &ManagedHeap::make(settings);
    } catch (const std::system_error& error) {
        if (!has_gained_seccomp_filter(settings.status_file)) throw;
        say(std::string{
                "memory is not managed, and no limit holds: a seccomp filter of the program that started this one "
                "forbids a call that the heap needs; "} +
            error.what());
        return nullptr;
    }
}

void make_heap(const char* const* environment) {
    ManagedHeap::find_neighbours();
    look_behind_io_functions();
    run::Settings settings;
    run::SettingsProblem problem;
    if (!run::read_settings(environment, settings, problem)) refuse(problem.text.data());
    place_descriptors_high();
    const std::string_view static_program = StaticProgram::path_in(environment);
    const bool runs_static_program = !static_program.empty();
    if (runs_static_program) StaticProgram::begin(static_program);
    heap::Heap* const heap = make_heap_unless_filtered(settings);
    if (heap == nullptr) return;
    ManagedMemory::add_heap(heap->region());
    if (settings.manages_mappings() || runs_static_program) ProgramMappings::start(heap->pager());
    if (runs_static_program) StaticProgram::prepare();  // the launcher's own code runs inside the library
    sys::set_fork_handlers(sys::ForkParty::outer, &kForkHandlers);
    start_dispatch_for(heap->pager().delivery());
    remember_preload_name(environment);
    Launcher::remember();
    start_status(*heap, settings, &say);
    remember_process();
    ManagedHeap::open(*heap);
}

/// Returns true if the program has an allocator of its own, whose blocks are neither managed nor limited. The preload
/// then does nothing.
bool stand_aside() {
    if (!unmanaged::program_has_own_malloc()) return false;
    const std::string_view object = unmanaged::object_of_own_malloc();
    say(std::string{object.empty() ? "the program" : object} +
        " brings a malloc of its own: its memory is neither managed nor limited");
    return true;
}

/// From here on the library's memory lies where no hole of the program can be. Only regions lie elsewhere, and what
/// they need: they are mapped once, before the program's first instruction.
void open_own_place() noexcept {
    constexpr std::size_t kBytes = std::size_t{1} << 30;  // tables of swap files, buffers, and stacks of 1,500 threads
    constexpr std::size_t kShare = 16;  // at most one in so many of the addresses that the program may have
    rlimit limit{};
    const bool limited = ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    sys::OwnPlace::open(
        limited ? std::min<std::size_t>(kBytes, core::align_down(limit.rlim_cur / kShare, core::kUnitBytes)) : kBytes);
}

[[gnu::constructor]] void start(int, char**, char** environment) {
    const InLibrary inside;
    try {
        if (stand_aside()) return;
        open_own_place();
        make_heap(environment);
        if (ManagedHeap::get() != nullptr) replace_functions_of_libc();
    } catch (const std::exception& error) {
        refuse(error.what());
    }
}

}  // namespace
}  // namespace faultline::preload

// NOLINTBEGIN: a C function for the launcher
extern "C" void faultline_run_static_program(char** arguments, char** environment) {
    using namespace faultline::preload;
    const std::string_view path = StaticProgram::path_in(environment);
    if (path.empty()) return;
    try {
        StaticProgram::run(path.data(), arguments, environment);
    } catch (const std::exception& error) {
        refuse(error.what());
    }
}
// NOLINTEND
