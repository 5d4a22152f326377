// Interrupt: SIGINT, SIGTERM and SIGHUP, taken by the main loop. The signals stay blocked, so that removing the swap
// device is never interrupted (swapoff(2) fails with EINTR). They become an exception at the places that wait long: the
// stack unwinds, and every destructor cleans up.
#pragma once

#include <exception>

#include "sys/file_descriptor.hpp"

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

    /// Throws `Interrupted` if a signal has come.
    void check() const;

    /// Blocks until `fd` is readable or its other end is closed. Throws `Interrupted`.
    void wait_readable(int fd) const;

    /// Called in a forked child: restores the normal effect of the signals.
    static void restore_default() noexcept;

private:
    faultline::sys::FileDescriptor signals_;
};

}  // namespace bench
