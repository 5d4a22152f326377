#include "preload/started_programs.hpp"

#include "preload/managed_heap.hpp"
#include "preload/static_program/launcher.hpp"
#include "preload/status.hpp"
#include "run/program_file.hpp"
#include "run/settings.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace faultline::preload {
namespace {

using Path = std::array<char, PATH_MAX>;

constinit std::array<char, 256> preload_name{};  // file name of the library; empty: LD_PRELOAD does not name it

/// Joins directory and file. Returns false if the path is too long for the kernel.
bool put_together(Path& path, std::string_view directory, std::string_view file) noexcept {
    const std::size_t slash = directory.empty() ? 0 : 1;
    if (directory.size() + slash + file.size() >= path.size()) return false;
    char* at = std::copy(directory.begin(), directory.end(), path.data());
    if (slash != 0) *at++ = '/';
    at = std::copy(file.begin(), file.end(), at);
    *at = '\0';
    return true;
}

bool can_be_executed(const Path& path) noexcept {
    return sys::raw_syscall(SYS_faccessat, AT_FDCWD, sys::syscall_argument(path.data()), X_OK) == 0;
}

/// Returns true if a program with this environment loads the library.
bool loads_library(const char* const* environment) noexcept {
    return preload_name[0] == '\0' ||
           run::value_of(environment, "LD_PRELOAD").find(preload_name.data()) != std::string_view::npos;
}

/// Returns true if the program is a tool of valgrind's: a static program that loads another one, with the library, and
/// needs the addresses of the process as the kernel lays them out.
bool is_valgrind_tool(const char* const* environment) noexcept {
    return !run::value_of(environment, "VALGRIND_LAUNCHER").empty();
}

/// Checks and reports a program. `program.path` is a copy, because the kernel may not be able to read the program's
/// own.
void check(StartedProgram& program, const char* const* environment) noexcept {
    run::Obstacle obstacle = run::check_program(program.path.data(), run::LookForCapabilities::no).obstacle;
    const bool is_static = obstacle == run::Obstacle::statically_linked;
    if (is_static && is_valgrind_tool(environment)) return;
    if (is_static && loads_library(environment) && Launcher::can_start()) {
        program.start = Start::by_launcher;
        return;
    }
    if (obstacle == run::Obstacle::musl) program.start = Start::without_preload;
    if (obstacle == run::Obstacle::none && !loads_library(environment)) obstacle = run::Obstacle::environment_cleared;
    if (obstacle != run::Obstacle::none) note_unmanaged(run::unmanaged_program(program.path.data(), obstacle));
}

/// Returns true if managed memory of the program may be read. A child of vfork may have removed our fault handler
/// before exec; an absent page would then end it.
bool faults_are_answered() noexcept {
    heap::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr || heap->pager().delivery() == Delivery::uffd_threads) return true;
    const int signal = heap->pager().delivery() == Delivery::sigsegv ? SIGSEGV : SIGBUS;
    std::array<std::uint64_t, 4> action{};  // the kernel's structure: handler, flags, restorer, mask
    constexpr std::size_t kMaskBytes = 8;
    if (sys::raw_syscall(SYS_rt_sigaction, signal, 0, sys::syscall_argument(action.data()), kMaskBytes) != 0)
        return false;
    return action[0] != reinterpret_cast<std::uintptr_t>(SIG_DFL) &&
           action[0] != reinterpret_cast<std::uintptr_t>(SIG_IGN);
}

}  // namespace

void remember_preload_name(const char* const* environment) noexcept {
    std::string_view name = run::value_of(environment, "LD_PRELOAD");
    name = name.substr(0, name.find_first_of(": "));
    name = name.substr(name.rfind('/') + 1);
    if (name.size() < preload_name.size()) std::copy(name.begin(), name.end(), preload_name.begin());
}

void check_started_program(StartedProgram& program, const char* path, const char* const* environment) noexcept {
    program.start = Start::as_it_is;
    if (path == nullptr || !faults_are_answered() || !put_together(program.path, {}, path)) return;
    if (can_be_executed(program.path)) check(program, environment);
}

void check_started_program_in_path(StartedProgram& program, const char* file, const char* const* environment) noexcept {
    program.start = Start::as_it_is;
    if (file == nullptr || !faults_are_answered()) return;
    if (std::string_view{file}.find('/') != std::string_view::npos) {
        return check_started_program(program, file, environment);
    }
    // Does not call getenv, because some programs replace it.
    std::string_view rest = run::value_of(environ, "PATH");
    if (rest.empty()) rest = "/bin:/usr/bin";
    for (;;) {
        const std::string_view directory = rest.substr(0, rest.find(':'));
        if (put_together(program.path, directory.empty() ? "." : directory, file) && can_be_executed(program.path)) {
            return check(program, environment);
        }
        if (directory.size() == rest.size()) return;
        rest.remove_prefix(directory.size() + 1);
    }
}

void drop_preload(char** environment) noexcept {
    constexpr std::string_view kVariable = "LD_PRELOAD=";
    char** to = environment;
    for (char** from = environment; *from != nullptr; ++from) {
        if (std::string_view{*from}.substr(0, kVariable.size()) != kVariable) *to++ = *from;
    }
    *to = nullptr;
}

}  // namespace faultline::preload
