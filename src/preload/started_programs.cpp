#include "preload/started_programs.hpp"

#include "preload/managed_heap.hpp"
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

/// Checks and reports a program. `path` is a copy, because the kernel may not be able to read the program's own.
run::Obstacle note(const Path& path, const char* const* environment) noexcept {
    run::Obstacle obstacle = run::check_program(path.data(), run::LookForCapabilities::no).obstacle;
    if (obstacle == run::Obstacle::none && preload_name[0] != '\0' &&
        run::value_of(environment, "LD_PRELOAD").find(preload_name.data()) == std::string_view::npos) {
        obstacle = run::Obstacle::environment_cleared;
    }
    if (obstacle != run::Obstacle::none) note_unmanaged(run::unmanaged_program(path.data(), obstacle));
    return obstacle;
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

bool wants_notes() noexcept { return notes_unmanaged() && faults_are_answered(); }

}  // namespace

void remember_preload_name(const char* const* environment) noexcept {
    std::string_view name = run::value_of(environment, "LD_PRELOAD");
    name = name.substr(0, name.find_first_of(": "));
    name = name.substr(name.rfind('/') + 1);
    if (name.size() < preload_name.size()) std::copy(name.begin(), name.end(), preload_name.begin());
}

run::Obstacle note_started_program(const char* path, const char* const* environment) noexcept {
    Path copy;
    if (!wants_notes() || path == nullptr || !put_together(copy, {}, path)) return run::Obstacle::none;
    return can_be_executed(copy) ? note(copy, environment) : run::Obstacle::none;
}

run::Obstacle note_started_program_in_path(const char* file, const char* const* environment) noexcept {
    if (!wants_notes() || file == nullptr) return run::Obstacle::none;
    if (std::string_view{file}.find('/') != std::string_view::npos) return note_started_program(file, environment);
    // Does not call getenv, because some programs replace it.
    std::string_view rest = run::value_of(environ, "PATH");
    if (rest.empty()) rest = "/bin:/usr/bin";
    for (;;) {
        const std::string_view directory = rest.substr(0, rest.find(':'));
        Path path;
        if (put_together(path, directory.empty() ? "." : directory, file) && can_be_executed(path)) {
            return note(path, environment);
        }
        if (directory.size() == rest.size()) return run::Obstacle::none;
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
