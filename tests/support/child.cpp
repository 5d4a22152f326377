#include "support/child.hpp"

#include "support/require.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>

namespace faultline::test {
namespace {

constexpr unsigned kLongestLifeSeconds = 120;  // less than ctest's own limit

[[noreturn]] void live_as_child(int standard_error, const std::function<int()>& body) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(kLongestLifeSeconds);
    ::dup2(standard_error, STDERR_FILENO);
    ::close(standard_error);
    int code = kChildThrew;
    try {
        code = body();
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
    }
    ::_exit(code);
}

}  // namespace

bool ChildEnd::exited_with(int code) const noexcept { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
bool ChildEnd::killed_by(int signal) const noexcept { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

std::ostream& operator<<(std::ostream& out, const ChildEnd& end) {
    if (WIFEXITED(end.status)) out << "exited with " << WEXITSTATUS(end.status);
    if (WIFSIGNALED(end.status)) out << "killed by signal " << WTERMSIG(end.status);
    return out << ", said: " << end.said;
}

ChildEnd in_child(const std::function<int()>& body) {
    std::cout << std::flush;
    std::array<int, 2> ends{};
    require(::pipe(ends.data()) == 0, "pipe");
    const pid_t child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) {
        ::close(ends[0]);
        live_as_child(ends[1], body);
    }
    ::close(ends[1]);
    ChildEnd end;
    std::array<char, 512> some{};
    for (;;) {
        const ssize_t got = ::read(ends[0], some.data(), some.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        end.said.append(some.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    while (::waitpid(child, &end.status, 0) < 0) require(errno == EINTR, "waitpid");
    return end;
}

}  // namespace faultline::test
