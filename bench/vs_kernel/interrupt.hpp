// Interrupt: SIGINT, SIGTERM and SIGHUP as something the main loop looks at, instead of something that happens to it.
// The signals stay blocked, so that taking down the swap device is never cut short (swapoff(2) gives up with EINTR),
// and arrive as an exception at the places where waiting takes long: the stack unwinds and every destructor cleans up.
#pragma once

#include <exception>

#include "support/file_descriptor.hpp"

namespace bench {

/// Thrown by `Interrupt` when the user wants the program to end.
class Interrupted : public std::exception {
public:
    explicit Interrupted(int signal) noexcept : signal_{signal} {}
    [[nodiscard]] int signal() const noexcept { return signal_; }
    [[nodiscard]] const char* what() const noexcept override { return "interrupted"; }

private:
    int signal_;
};

/// One per process, made before any thread or child.
class Interrupt {
public:
    Interrupt();

    /// Throws `Interrupted` when a signal has come.
    void check() const;

    /// Returns when `fd` is readable or its other end is gone. Throws `Interrupted`.
    void wait_readable(int fd) const;

    /// In a forked child: signals end it again as they normally do.
    static void restore_default() noexcept;

private:
    FileDescriptor signals_;
};

}  // namespace bench
