// SIGINT and SIGTERM as a flag to look at, so that a program ends in order: threads joined, temporary files removed.
// A second signal kills as usual.
#pragma once

#include <stdexcept>

namespace faultline::demo {

/// Thrown by work that gives up because the user asked for it.
class Interrupted : public std::runtime_error {
public:
    Interrupted() : std::runtime_error{"interrupted"} {}
};

/// Catches SIGINT and SIGTERM from now on. Throws std::system_error.
void catch_interrupts();

/// Whether one of them came. Any thread; cheap enough for an inner loop.
[[nodiscard]] bool interrupted() noexcept;

/// Throws Interrupted when one came.
void throw_if_interrupted();

}  // namespace faultline::demo
