// StaticProgram: a static program that this library runs in its own process, because no dynamic loader would load the
// library into it. `faultline run`, and this library before exec, start the launcher (launcher_main.cpp) in place of
// the program and name the program in an environment variable. The launcher is dynamically linked, so the library is
// preloaded. The launcher calls the library, which maps the program and jumps to its first instruction.
#pragma once

#include <string_view>

namespace faultline::preload {

class StaticProgram {
public:
    /// Returns the path of the program that this process is to run; empty if it is not the launcher. The path is a part
    /// of `environment`.
    [[nodiscard]] static std::string_view path_in(const char* const* environment) noexcept;

    /// Names the process after the program and prepares its threads. Call before the library starts threads.
    static void begin(std::string_view path) noexcept;

    /// Makes the program's break, in the window of mappings, and enters the library until `run` starts the program.
    /// Throws std::system_error.
    static void prepare();

    /// Runs the program with the launcher's arguments. Throws std::runtime_error or std::system_error if it cannot be
    /// mapped. The launcher calls it after all libraries have been initialised. `arguments` and `environment` lie where
    /// the kernel put them.
    [[noreturn]] static void run(const char* path, const char* const* arguments, const char* const* environment);
};

}  // namespace faultline::preload
