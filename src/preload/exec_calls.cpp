#include "preload/exec_calls.hpp"

#include "preload/started_programs.hpp"
#include "preload/static_program/executable_path.hpp"
#include "preload/static_program/launcher.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <alloca.h>
#include <fcntl.h>
#include <cerrno>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

/// The arguments of execve(2).
struct Execution {
    const char* path;
    char* const* arguments;
    char* const* environment;
};

constexpr std::size_t kMostOnStack = 1000;  // pointers: the stack that handles a call has 32 KiB

long exec(const Execution& wanted, std::uint64_t mask) noexcept {
    const Call call{
        SYS_execve,
        {syscall_argument(wanted.path), syscall_argument(wanted.arguments), syscall_argument(wanted.environment)}};
    return make_exec_call(call, &mask, wanted.path, wanted.arguments, wanted.environment);
}

long launch(const char* program, Execution wanted, std::uint64_t mask, char** list) noexcept {
    LauncherEnvironment launcher{program};
    wanted.path = Launcher::path();
    wanted.environment = launcher.put_in(list, wanted.environment);
    return exec(wanted, mask);
}

/// An environment that is too large for the stack. If the caller is a child of vfork, the mapping stays in its parent.
long launch_with_mapped_list(const char* program, const Execution& wanted, std::uint64_t mask,
                             std::size_t bytes) noexcept {
    std::byte* const mapped = sys::map_zeros(bytes);
    if (mapped == nullptr) return -ENOMEM;
    const long result = launch(program, wanted, mask, reinterpret_cast<char**>(mapped));
    static_cast<void>(sys::unmap(mapped, bytes));
    return result;
}

long exec_program(const Execution& wanted, std::uint64_t mask) noexcept {
    if (!touch_exec_memory(wanted.path, wanted.arguments, wanted.environment)) return exec(wanted, mask);
    StartedProgram program;
    check_started_program(program, wanted.path, wanted.environment);
    if (program.start != Start::by_launcher) return exec(wanted, mask);
    const std::size_t room = LauncherEnvironment::room(wanted.environment);
    const std::size_t bytes = room * sizeof(char*);
    if (room > kMostOnStack) return launch_with_mapped_list(program.path.data(), wanted, mask, bytes);
    return launch(program.path.data(), wanted, mask, static_cast<char**>(alloca(bytes)));
}

}  // namespace

long exec_of_call(const Call& call, std::uint64_t mask) noexcept {
    const auto& a = call.arguments;
    const bool at = call.number == SYS_execveat;
    const std::size_t first = at ? 1 : 0;
    Execution wanted{pointer<const char>(a[first]), pointer<char* const>(a[first + 1]),
                     pointer<char* const>(a[first + 2])};
    // A path below another directory, or a descriptor, is left to the kernel.
    const bool plain = !at || (a[4] == 0 && (static_cast<int>(a[0]) == AT_FDCWD || ExecutablePath::is_absolute(a[1])));
    if (!plain) return make_exec_call(call, &mask, wanted.path, wanted.arguments, wanted.environment);
    if (const char* const own = ExecutablePath::replacement_for(a[first])) wanted.path = own;
    return exec_program(wanted, mask);
}

}  // namespace faultline::preload
