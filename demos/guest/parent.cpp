#include "guest/parent.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>

namespace faultline::demo::guest {
namespace {

constexpr int kSignalled = 128;  // as shells do
constexpr std::array kHandedOn{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

sigset_t held() noexcept {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (const int signal : kHandedOn) sigaddset(&set, signal);
    return set;
}

std::optional<int> status_of(pid_t child) noexcept {
    int status = 0;
    pid_t ended = 0;
    do {
        ended = ::waitpid(child, &status, WNOHANG);
    } while (ended < 0 && errno == EINTR);
    if (ended == 0) return std::nullopt;
    return status;
}

/// The terminal sends these signals to the child, too, so they are not forwarded.
void hand_on(pid_t child, const siginfo_t& info) noexcept {
    if (info.si_code <= 0) ::kill(child, info.si_signo);
}

}  // namespace

HeldSignals::HeldSignals() noexcept {
    ::signal(SIGCHLD, SIG_DFL);  // if SIGCHLD were ignored, the child's end could not be waited for
    const sigset_t set = held();
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &set, &before);
    std::memcpy(&before_, &before, sizeof before_);  // glibc's sigset_t begins with the kernel's
}

int relay(pid_t child, const ReportBoard& board) {
    const sigset_t set = held();
    std::optional<int> status = status_of(child);
    while (!status) {
        siginfo_t info{};
        const int signal = ::sigwaitinfo(&set, &info);
        if (signal > 0 && signal != SIGCHLD) hand_on(child, info);
        status = status_of(child);
    }
    if (board.written()) {
        const std::string_view text = board.text();
        static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
        return board.end().signal != 0 ? kSignalled + board.end().signal : board.end().exit_code;
    }
    if (!WIFSIGNALED(*status)) return WEXITSTATUS(*status);  // the child has printed the reason
    static_cast<void>(
        std::fprintf(stderr, "run_elf: the program's process was killed by signal %d\n", WTERMSIG(*status)));
    return kSignalled + WTERMSIG(*status);
}

}  // namespace faultline::demo::guest
