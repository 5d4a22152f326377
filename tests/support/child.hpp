// Runs code in a child process: code that ends the process, or that lives under limits.
#pragma once

#include <functional>
#include <ostream>
#include <string>

namespace faultline::test {

struct ChildEnd {
    int status = 0;    ///< As waitpid returns it.
    std::string said;  ///< The child's output on standard error.
    [[nodiscard]] bool exited_with(int code) const noexcept;
    [[nodiscard]] bool killed_by(int signal) const noexcept;
};
std::ostream& operator<<(std::ostream& out, const ChildEnd& end);

/// The exit code of a child whose body threw an exception.
inline constexpr int kChildThrew = 99;

/// Forks. The child exits with the result of `body`. It dies with its parent, and by SIGALRM if it hangs.
ChildEnd in_child(const std::function<int()>& body);

}  // namespace faultline::test
