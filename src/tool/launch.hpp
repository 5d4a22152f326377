// Launch: runs a program as a child in the command's own process group, and passes on to it the signals that only the
// command gets. To a shell it looks as if the shell had run the program itself.
// It knows nothing of the preloaded library. Used by run_command.cpp.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/types.h>

namespace faultline::tool {

/// How a program has ended.
struct ProgramEnd {
    int status = 0;       ///< As waitpid(2) reports it; 0 if the program could not be started.
    int start_error = 0;  ///< The errno of execve(2) or fork(2) if the program could not be started.
    rusage used{};        ///< By the program and by the children that it waited for.
    std::chrono::nanoseconds took{};

    /// Returns the exit code for the shell: see exit_code.hpp.
    [[nodiscard]] int exit_code() const noexcept;
    /// Returns "exited with 0", "was ended by SIGTERM", "could not be started: ...".
    [[nodiscard]] std::string text() const;
};

/// One object at a time in a process. Other threads of the process must block all signals.
class Launch {
public:
    /// Blocks signals, which are then passed on to the program. Throws std::system_error.
    Launch();
    /// Leaves the program running if `wait_until` has not returned its end.
    ~Launch();
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    /// Starts `file` with `arguments` (the first is its name) and `environment`. Returns an end only if the program
    /// could not be started.
    [[nodiscard]] std::optional<ProgramEnd> start(const std::string& file, const std::vector<std::string>& arguments,
                                                  const std::vector<std::string>& environment);

    /// Passes on signals until the program ends or until `when`. Returns the end, or nothing at `when`.
    [[nodiscard]] std::optional<ProgramEnd> wait_until(std::chrono::steady_clock::time_point when);

    /// Passes on signals until the program ends.
    [[nodiscard]] ProgramEnd wait();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    [[noreturn]] void become(const std::string& file, const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment, int report_to);
    [[nodiscard]] std::optional<ProgramEnd> ended();
    void send_on(const siginfo_t& signal) const noexcept;

    sigset_t awaited_{};
    sigset_t mask_before_{};
    struct sigaction child_before_ {};
    pid_t pid_ = -1;
    std::chrono::steady_clock::time_point started_{};
};

}  // namespace faultline::tool
