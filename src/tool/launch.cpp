#include "tool/launch.hpp"

#include "sys/error.hpp"
#include "sys/file_descriptor.hpp"
#include "tool/exit_code.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <system_error>

namespace faultline::tool {
namespace {

using Clock = std::chrono::steady_clock;

/// The signals that end, stop or inform a program. Those of the terminal's job control act on the whole process group.
constexpr std::array kSentOn{SIGHUP,  SIGINT,   SIGQUIT, SIGTERM, SIGUSR1,   SIGUSR2,
                             SIGALRM, SIGWINCH, SIGPWR,  SIGXCPU, SIGVTALRM, SIGPROF};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

timespec as_timespec(std::chrono::nanoseconds duration) {
    constexpr long kSecond = 1'000'000'000;
    const auto count = duration.count() > 0 ? duration.count() : 0;
    return {static_cast<std::time_t>(count / kSecond), static_cast<long>(count % kSecond)};
}

/// Returns the errno that the child has written before it ended; 0 if exec succeeded.
int start_error_from(int fd) {
    int error = 0;
    ssize_t got;
    do {
        got = ::read(fd, &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(sizeof error) ? error : 0;
}

}  // namespace

int ProgramEnd::exit_code() const noexcept {
    if (start_error == ENOENT || start_error == ENOTDIR) return kExitNotFound;
    if (start_error != 0) return kExitNotStarted;
    return WIFSIGNALED(status) ? kExitSignalled + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string ProgramEnd::text() const {
    if (start_error != 0) return std::string{"could not be started: "} + std::generic_category().message(start_error);
    if (!WIFSIGNALED(status)) return "exited with " + std::to_string(WEXITSTATUS(status));
    const int signal = WTERMSIG(status);
    const char* const name = ::sigabbrev_np(signal);
    return "was ended by " + (name != nullptr ? "SIG" + std::string{name} : "signal " + std::to_string(signal));
}

Launch::Launch() {
    sigemptyset(&awaited_);
    sigaddset(&awaited_, SIGCHLD);
    for (const int signal : kSentOn) sigaddset(&awaited_, signal);
    // If the command's parent made it ignore SIGCHLD, the kernel would discard the program's exit status.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    if (::sigaction(SIGCHLD, &action, &child_before_) != 0) sys::throw_error(errno, "cannot handle SIGCHLD");
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &awaited_, &mask_before_); error != 0) {
        sys::throw_error(error, "cannot block signals");
    }
}

/// Discards signals that came for the program after its end, because they would end the command.
Launch::~Launch() {
    const timespec at_once{};
    while (::sigtimedwait(&awaited_, nullptr, &at_once) > 0) {
    }
    ::sigaction(SIGCHLD, &child_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

std::optional<ProgramEnd> Launch::start(const std::string& file, const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& environment) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) sys::throw_error(errno, "cannot make a pipe; see `ulimit -n`");
    sys::FileDescriptor reading{ends[0]};
    sys::FileDescriptor writing{ends[1]};
    started_ = Clock::now();
    pid_ = ::fork();
    if (pid_ < 0) sys::throw_error(errno, "cannot start a process; see `ulimit -u`");
    if (pid_ == 0) become(file, arguments, environment, writing.get());
    writing.reset();
    const int error = start_error_from(reading.get());
    if (error == 0) return std::nullopt;
    ProgramEnd end = wait();
    end.start_error = error;
    return end;
}

void Launch::become(const std::string& file, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment, int report_to) {
    ::sigaction(SIGCHLD, &child_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    ::execve(file.c_str(), pointers_to(arguments).data(), pointers_to(environment).data());
    int error = errno;
    if (error == ENOEXEC) {  // a script without a "#!" line: as execvp(3) does
        std::vector<std::string> script{"sh", file};
        if (!arguments.empty()) script.insert(script.end(), arguments.begin() + 1, arguments.end());
        ::execve("/bin/sh", pointers_to(script).data(), pointers_to(environment).data());
    }
    // If the parent has ended, it needs no answer.
    static_cast<void>(!::write(report_to, &error, sizeof error));
    ::_exit(kExitNotStarted);
}

std::optional<ProgramEnd> Launch::wait_until(Clock::time_point when) {
    for (;;) {
        if (auto end = ended()) return end;
        const timespec left = as_timespec(when - Clock::now());
        siginfo_t signal{};
        if (::sigtimedwait(&awaited_, &signal, &left) > 0) {
            send_on(signal);
        } else if (errno == EAGAIN) {
            return ended();
        }
    }
}

ProgramEnd Launch::wait() {
    for (;;) {
        if (const auto end = wait_until(Clock::now() + std::chrono::hours{1})) return *end;
    }
}

std::optional<ProgramEnd> Launch::ended() {
    ProgramEnd end;
    const pid_t waited = ::wait4(pid_, &end.status, WNOHANG, &end.used);
    if (waited != pid_) return std::nullopt;
    end.took = Clock::now() - started_;
    return end;
}

/// Passes on a signal. Signals that the kernel sends (a terminal's ^C, its size) have gone to the whole process group.
void Launch::send_on(const siginfo_t& signal) const noexcept {
    if (signal.si_signo == SIGCHLD || signal.si_code > 0) return;
    if (signal.si_pid == pid_) return;  // the program signals its whole group, itself included
    ::kill(pid_, signal.si_signo);      // fails only if the program has just ended
}

}  // namespace faultline::tool
