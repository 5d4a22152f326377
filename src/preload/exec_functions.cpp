// Interposes the functions that start other programs.
// The kernel reads paths and arguments on behalf of a child whose calls are not dispatched (vfork, posix_spawn). So
// these functions make that memory resident first, or pass unmanaged copies.

#include "core/units.hpp"
#include "preload/calls.hpp"
#include "preload/dispatch.hpp"
#include "preload/libc_malloc.hpp"
#include "preload/next.hpp"
#include "preload/started_programs.hpp"
#include "preload/static_program/launcher.hpp"
#include "preload/status.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace faultline::preload {
namespace {

Next<int(const char*)> next_system{"system"};
Next<FILE*(const char*, const char*)> next_popen{"popen"};
Next<int(const char*, char* const*, char* const*)> next_execvpe{"execvpe"};

using Spawn = int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                  char* const*);
Next<Spawn> next_spawn{"posix_spawn"};
Next<Spawn> next_spawnp{"posix_spawnp"};

/// A copy of a string or of a list of strings in memory of the C library; null stays null.
class UnmanagedText {
public:
    explicit UnmanagedText(const char* text) noexcept {
        if (text == nullptr) return;
        const std::size_t bytes = std::strlen(text) + 1;
        copy_ = static_cast<char*>(__libc_malloc(bytes));
        if (copy_ != nullptr) std::memcpy(copy_, text, bytes);
    }
    ~UnmanagedText() { __libc_free(copy_); }
    UnmanagedText(const UnmanagedText&) = delete;
    UnmanagedText& operator=(const UnmanagedText&) = delete;

    [[nodiscard]] const char* get() const noexcept { return copy_; }

private:
    char* copy_ = nullptr;
};

class UnmanagedList {
public:
    explicit UnmanagedList(char* const* list) noexcept {
        if (list == nullptr) return;
        std::size_t count = 1;
        std::size_t bytes = 0;
        for (char* const* at = list; *at != nullptr; ++at, ++count) bytes += std::strlen(*at) + 1;
        copy_ = static_cast<char**>(__libc_malloc(count * sizeof(char*) + bytes));
        if (copy_ == nullptr) return;
        char* text = reinterpret_cast<char*>(copy_ + count);
        for (std::size_t i = 0; i + 1 < count; ++i) {
            copy_[i] = text;
            const std::size_t length = std::strlen(list[i]) + 1;
            std::memcpy(text, list[i], length);
            text += length;
        }
        copy_[count - 1] = nullptr;
    }
    ~UnmanagedList() { __libc_free(copy_); }
    UnmanagedList(const UnmanagedList&) = delete;
    UnmanagedList& operator=(const UnmanagedList&) = delete;

    [[nodiscard]] char* const* get() const noexcept { return copy_; }
    [[nodiscard]] char** get() noexcept { return copy_; }

private:
    char** copy_ = nullptr;
};

template <typename T>
const T* copied(const T* from, T& to) noexcept {
    if (from == nullptr) return nullptr;
    to = *from;
    return &to;
}

int spawn(Next<Spawn>& next, pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
          const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
    if (!touch_exec_memory(path, arguments, environment)) {
        return next(pid, path, actions, attributes, arguments, environment);
    }
    const UnmanagedText its_path{path};
    const UnmanagedList its_arguments{arguments};
    UnmanagedList its_environment{environment};
    if ((path != nullptr && its_path.get() == nullptr) || (arguments != nullptr && its_arguments.get() == nullptr) ||
        (environment != nullptr && its_environment.get() == nullptr)) {
        return ENOMEM;
    }
    posix_spawn_file_actions_t its_actions;
    posix_spawnattr_t its_attributes;
    pid_t child = 0;
    StartedProgram program;
    {
        const InLibrary inside;
        if (&next == &next_spawnp) {
            check_started_program_in_path(program, its_path.get(), its_environment.get());
        } else {
            check_started_program(program, its_path.get(), its_environment.get());
        }
    }
    if (program.start == Start::without_preload) drop_preload(its_environment.get());
    const bool launch = program.start == Start::by_launcher;
    LauncherEnvironment launcher{launch ? program.path.data() : ""};
    auto** const list = static_cast<char**>(
        __builtin_alloca(launch ? LauncherEnvironment::room(its_environment.get()) * sizeof(char*) : 0));
    const int error = next(&child, launch ? Launcher::path() : its_path.get(), copied(actions, its_actions),
                           copied(attributes, its_attributes), its_arguments.get(),
                           launch ? launcher.put_in(list, its_environment.get()) : its_environment.get());
    if (error == 0 && pid != nullptr) *pid = child;
    return error;
}

/// Reports /bin/sh as a started program, for `system` and `popen`.
void note_shell() {
    const InLibrary inside;
    StartedProgram shell;
    check_started_program(shell, "/bin/sh", environ);
}

int fail(long result) noexcept {
    errno = sys::error_of(result);
    return -1;
}

/// The environment of a started program, if it needs another than its own. The list lies on the caller's stack, because
/// memory that a child of vfork allocates would remain allocated in its parent.
class NextEnvironment {
public:
    NextEnvironment(const StartedProgram& program, char* const* environment) noexcept
        : start_{program.start},
          environment_{environment},
          launcher_{start_ == Start::by_launcher ? program.path.data() : ""} {}

    /// Returns how many pointers `get` needs; 0 if the environment stays as it is.
    [[nodiscard]] std::size_t room() const noexcept {
        const bool same = start_ == Start::as_it_is || (environment_ == nullptr && start_ == Start::without_preload);
        return same ? 0 : LauncherEnvironment::room(environment_);
    }

    [[nodiscard]] char* const* get(char** list) noexcept {
        if (room() == 0) return environment_;
        if (start_ == Start::by_launcher) return launcher_.put_in(list, environment_);
        std::copy_n(environment_, room() - 1, list);
        drop_preload(list);
        return list;
    }

private:
    Start start_;
    char* const* environment_;
    LauncherEnvironment launcher_;
};

int exec_file(const char* path, char* const* arguments, char* const* environment) noexcept {
    const Call call{
        SYS_execve,
        {sys::syscall_argument(path), sys::syscall_argument(arguments), sys::syscall_argument(environment)}};
    const StackPointerScope stack{core::address_of(__builtin_frame_address(0))};
    return fail(make_exec_call(call, nullptr, path, arguments, environment));
}

int exec(const char* path, char* const* arguments, char* const* environment) noexcept {
    if (!touch_exec_memory(path, arguments, environment)) return exec_file(path, arguments, environment);
    StartedProgram program;
    check_started_program(program, path, environment);
    NextEnvironment next{program, environment};
    environment = next.get(static_cast<char**>(__builtin_alloca(next.room() * sizeof(char*))));
    publish_status_before_end();
    return exec_file(program.start == Start::by_launcher ? Launcher::path() : path, arguments, environment);
}

/// Tries the file in each folder of the path. The arguments are made resident before each attempt: by make_exec_call's
/// retries if calls are dispatched, otherwise by the loop here.
int exec_in_path(const char* file, char* const* arguments, char* const* environment) noexcept {
    if (!touch_exec_memory(file, arguments, environment)) return next_execvpe(file, arguments, environment);
    if (std::strchr(file, '/') != nullptr) {
        const int result = exec(file, arguments, environment);
        if (errno != ENOEXEC) return result;
    }
    StartedProgram program;
    check_started_program_in_path(program, file, environment);
    NextEnvironment next{program, environment};
    environment = next.get(static_cast<char**>(__builtin_alloca(next.room() * sizeof(char*))));
    publish_status_before_end();
    if (program.start == Start::by_launcher) return exec_file(Launcher::path(), arguments, environment);
    int result = -1;
    for (int tries = 0; tries < 256; ++tries) {
        static_cast<void>(touch_exec_memory(file, arguments, environment));
        result = next_execvpe(file, arguments, environment);
        if (errno != EFAULT) break;
    }
    return result;
}

/// Calls `call` with the arguments of execl and its relatives as a list. The list lies on the stack, because memory
/// that a child of vfork allocates would remain allocated in its parent. `rest` then points behind the terminating
/// null.
template <typename Call>
int with_arguments(const char* first, std::va_list& rest, Call call) noexcept {
    std::va_list counting;
    va_copy(counting, rest);
    std::size_t count = 1;
    for (const char* text = first; text != nullptr; ++count) text = va_arg(counting, const char*);
    va_end(counting);
    auto** const arguments = static_cast<char**>(__builtin_alloca(count * sizeof(char*)));
    arguments[0] = const_cast<char*>(first);
    for (std::size_t i = 1; i < count; ++i) arguments[i] = va_arg(rest, char*);
    return call(arguments);
}

}  // namespace
}  // namespace faultline::preload

using namespace faultline::preload;

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int execve(const char* path, char* const arguments[], char* const environment[]) noexcept {
    return exec(path, arguments, environment);
}
int execv(const char* path, char* const arguments[]) noexcept { return exec(path, arguments, environ); }
int execvp(const char* file, char* const arguments[]) noexcept { return exec_in_path(file, arguments, environ); }
int execvpe(const char* file, char* const arguments[], char* const environment[]) noexcept {
    return exec_in_path(file, arguments, environment);
}

int execl(const char* path, const char* first, ...) noexcept {
    std::va_list list;
    va_start(list, first);
    const int result =
        with_arguments(first, list, [&](char* const* arguments) { return exec(path, arguments, environ); });
    va_end(list);
    return result;
}

int execlp(const char* file, const char* first, ...) noexcept {
    std::va_list list;
    va_start(list, first);
    const int result =
        with_arguments(first, list, [&](char* const* arguments) { return exec_in_path(file, arguments, environ); });
    va_end(list);
    return result;
}

int execle(const char* path, const char* first, ...) noexcept {
    std::va_list list;
    va_start(list, first);
    const int result = with_arguments(
        first, list, [&](char* const* arguments) { return exec(path, arguments, va_arg(list, char* const*)); });
    va_end(list);
    return result;
}

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
    return spawn(next_spawn, pid, path, actions, attributes, arguments, environment);
}
int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
    return spawn(next_spawnp, pid, file, actions, attributes, arguments, environment);
}

int system(const char* command) {
    const UnmanagedText its{command};
    note_shell();
    return next_system(its.get());
}
FILE* popen(const char* command, const char* mode) {
    const UnmanagedText its{command};
    note_shell();
    return next_popen(its.get(), mode);
}

}  // extern "C"
// NOLINTEND
