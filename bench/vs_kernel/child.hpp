// ChildProcess: the parent's handle on one system under test. The child is forked here, before the parent has any
// thread, and killed if the handle goes before `finish`.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/file_descriptor.hpp"
#include "vs_kernel/interrupt.hpp"
#include "vs_kernel/memory.hpp"
#include "vs_kernel/protocol.hpp"

namespace bench {

/// The child could not do what it was to do, or is dead.
class ChildFailure : public std::runtime_error {
public:
    ChildFailure(const std::string& what, int error) : std::runtime_error{what}, error_{error} {}

    /// The errno value behind it, 0 when there is none.
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

    /// The next reply. Throws `ChildFailure`, or `Interrupted` when the user does not want to wait.
    Reply receive();

    /// Sends an order and waits for its reply. Throws as `receive` does.
    Reply ask(const Order& order);

    /// Lets the child take its memory down and waits for its end. Throws `ChildFailure` when that does not go well.
    void finish();

private:
    void send(const Order& order);
    [[noreturn]] void throw_gone();
    [[nodiscard]] std::string wait();  // how the child ended; empty: well

    const Interrupt& interrupt_;
    FileDescriptor socket_;
    pid_t pid_ = -1;
};

}  // namespace bench
