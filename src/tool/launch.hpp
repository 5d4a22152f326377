// A program as a child in the command's own process group: started, watched, and sent the signals that only the command
// has got. What a shell sees of it is as if it had run the program itself.
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
    int status = 0;       ///< As waitpid(2) has it; 0 when it could not be started.
    int start_error = 0;  ///< The errno of execve(2) or fork(2) when it could not be started.
    rusage used{};        ///< By it and by those of its children that it waited for.
    std::chrono::nanoseconds took{};

    /// For the shell: see exit_code.hpp.
    [[nodiscard]] int exit_code() const noexcept;
    /// "exited with 0", "was ended by SIGTERM", "could not be started: ...".
    [[nodiscard]] std::string text() const;
};

/// One at a time in a process, whose other threads, if any, block all signals.
class Launch {
public:
    /// From here on signals are held back, to be sent on to the program. Throws std::system_error.
    Launch();
    /// Whoever gets here without `wait_until` having returned an end leaves the program running.
    ~Launch();
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    /// Starts `file` with `arguments` (the first is its name) and `environment`. Returns how that ended, if it has
    /// already: because it could not be started.
    [[nodiscard]] std::optional<ProgramEnd> start(const std::string& file, const std::vector<std::string>& arguments,
                                                  const std::vector<std::string>& environment);

    /// Waits for the end of the program, sending signals on, or until `when`.
    [[nodiscard]] std::optional<ProgramEnd> wait_until(std::chrono::steady_clock::time_point when);

    /// Waits for the end of the program, sending signals on.
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
