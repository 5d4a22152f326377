// ChildProcess: the parent's handle on one system under test. The constructor forks the child, before the parent has
// any thread. The destructor kills it unless `finish` was called.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "sys/file_descriptor.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/memory.hpp"
#include "vs_kernel/protocol.hpp"

namespace bench {

/// Thrown if the child failed or died.
class ChildFailure : public std::runtime_error {
public:
    ChildFailure(const std::string& what, int error) : std::runtime_error{what}, error_{error} {}

    /// Returns the errno value of the failure, 0 if there is none.
    [[nodiscard]] int error() const noexcept { return error_; }

private:
    int error_;
};

class ChildProcess {
public:
    using MakeMemory = std::function<std::unique_ptr<Memory>()>;

    /// Forks. `make_memory` runs in the child.
    ChildProcess(const Interrupt& interrupt, const MakeMemory& make_memory, const WorkloadShape& shape);
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ~ChildProcess();

    /// Returns the next reply. Throws `ChildFailure`, or `Interrupted` if the user interrupts the wait.
    Reply receive();

    /// Sends an order and waits for its reply. Throws as `receive` does.
    Reply ask(const Order& order);

    /// Lets the child free its memory, and waits for its end. Throws `ChildFailure` if it ends with an error.
    void finish();

private:
    void send(const Order& order);
    [[noreturn]] void throw_gone();
    [[nodiscard]] std::string wait();  // returns how the child ended; empty: without an error

    const Interrupt& interrupt_;
    faultline::sys::FileDescriptor socket_;
    pid_t pid_ = -1;
};

}  // namespace bench
