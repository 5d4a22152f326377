// SIGINT and SIGTERM as a flag, so that a program ends in order: threads joined, temporary files removed. A second
// signal ends the program at once.
#pragma once

#include <stdexcept>

namespace faultline::demo {

/// Thrown by work that ends early because the user asked for it.
class Interrupted : public std::runtime_error {
public:
    Interrupted() : std::runtime_error{"interrupted"} {}
};

/// Catches SIGINT and SIGTERM from now on. Throws std::system_error.
void catch_interrupts();

/// Returns whether one of the signals came. Any thread; cheap enough for an inner loop.
[[nodiscard]] bool interrupted() noexcept;

/// Throws Interrupted if one of the signals came.
void throw_if_interrupted();

}  // namespace faultline::demo
