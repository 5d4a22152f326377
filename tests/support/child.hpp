// A child process for what a test cannot do to itself: end in interesting ways, or live under limits.
#pragma once

#include <functional>
#include <ostream>
#include <string>

namespace faultline::test {

struct ChildEnd {
    int status = 0;    ///< As waitpid has it.
    std::string said;  ///< On standard error.
    [[nodiscard]] bool exited_with(int code) const noexcept;
    [[nodiscard]] bool killed_by(int signal) const noexcept;
};
std::ostream& operator<<(std::ostream& out, const ChildEnd& end);

/// The exit code of a child whose body threw.
inline constexpr int kChildThrew = 99;

/// Forks; the child exits with what `body` returns. It dies with its parent, and of SIGALRM when it stops for good.
ChildEnd in_child(const std::function<int()>& body);

}  // namespace faultline::test
