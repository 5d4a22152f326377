#include "preload/static_program/launcher.hpp"

#include "run/launcher.hpp"
#include "sys/syscall.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace faultline::preload {
namespace {

constinit std::array<char, PATH_MAX> launcher_path{};  // empty: there is none

/// Joins the directory of this library, `between` and the launcher's name. Returns false if that is no program.
bool try_path(std::string_view directory, std::string_view between) noexcept {
    if (directory.size() + between.size() + run::kLauncherName.size() >= launcher_path.size()) return false;
    char* at = std::copy(directory.begin(), directory.end(), launcher_path.data());
    at = std::copy(between.begin(), between.end(), at);
    at = std::copy(run::kLauncherName.begin(), run::kLauncherName.end(), at);
    *at = '\0';
    if (Launcher::can_start()) return true;
    launcher_path[0] = '\0';
    return false;
}

bool names_program(const char* variable) noexcept {
    return std::strncmp(variable, run::kProgramVariable.data(), run::kProgramVariable.size()) == 0 &&
           variable[run::kProgramVariable.size()] == '=';
}

}  // namespace

void Launcher::remember() noexcept {
    Dl_info self{};
    if (::dladdr(&launcher_path, &self) == 0 || self.dli_fname == nullptr) return;
    const std::string_view library{self.dli_fname};
    const std::string_view directory = library.substr(0, library.rfind('/') + 1);
    if (directory.empty() || directory.front() != '/') return;  // the program may change its directory
    for (const std::string_view between : run::kLauncherFolders) {
        if (try_path(directory, between)) return;
    }
}

bool Launcher::can_start() noexcept {
    return launcher_path[0] != '\0' &&
           sys::raw_syscall(SYS_faccessat, AT_FDCWD, sys::syscall_argument(launcher_path.data()), X_OK) == 0;
}

const char* Launcher::path() noexcept { return launcher_path.data(); }

LauncherEnvironment::LauncherEnvironment(const char* program) noexcept {
    static_assert(run::kProgramVariable.size() + 1 < kForName);
    char* at = std::copy(run::kProgramVariable.begin(), run::kProgramVariable.end(), variable_.data());
    *at++ = '=';
    std::memcpy(at, program, std::strlen(program) + 1);
}

std::size_t LauncherEnvironment::room(char* const* environment) noexcept {
    std::size_t count = 2;
    for (; environment != nullptr && *environment != nullptr; ++environment) ++count;
    return count;
}

char* const* LauncherEnvironment::put_in(char** list, char* const* environment) noexcept {
    char** to = list;
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        if (!names_program(*environment)) *to++ = *environment;
    }
    *to++ = variable_.data();
    *to = nullptr;
    return list;
}

}  // namespace faultline::preload
