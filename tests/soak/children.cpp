#include "soak/children.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

namespace faultline::soak {
namespace {

constexpr unsigned kPatienceSeconds = 30;
constexpr int kDiffers = 3;
constexpr int kNotEnded = 4;

// Makes only system calls, because other threads of the parent may have held any lock at the fork.
[[noreturn]] void live_as_child(ChildDoes what, const Territory& territory, unsigned thread) {
    const rlimit no_core{0, 0};
    static_cast<void>(::setrlimit(RLIMIT_CORE, &no_core));
    static_cast<void>(::signal(SIGALRM, SIG_DFL));
    ::alarm(kPatienceSeconds);
    if (what == ChildDoes::leave) ::_exit(0);
    if (what == ChildDoes::verify) ::_exit(territory.differs(thread) ? kDiffers : 0);
    static_cast<void>(*static_cast<const volatile std::byte*>(territory.page(0)));
    ::_exit(kNotEnded);
}

void judge(ChildDoes what, int status, Findings& findings) {
    if (what == ChildDoes::verify && WIFEXITED(status) && WEXITSTATUS(status) == kDiffers) {
        findings.mismatch("a child's copy differs from what its parent held when it forked");
        return;
    }
    const bool good = what == ChildDoes::touch ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV
                                               : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good) findings.fault("a child of fork ended with wait status " + std::to_string(status));
}

}  // namespace

void fork_child(ChildDoes what, const Territory& territory, unsigned thread, Findings& findings) {
    const pid_t child = ::fork();
    if (child == 0) live_as_child(what, territory, thread);
    if (child < 0) {
        if (errno != EAGAIN && errno != ENOMEM) findings.fault(std::string("fork: ") + std::strerror(errno));
        return;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) != child) {
        if (errno != EINTR) return findings.fault(std::string("waitpid: ") + std::strerror(errno));
    }
    judge(what, status, findings);
}

}  // namespace faultline::soak
