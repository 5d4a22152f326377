// SignalResolver: answers the faults of the whole process in a signal handler while it lives. Only one may live at a
// time, and no pager whose faults arrive by the same signal.
#pragma once

#include <csignal>
#include <cstddef>

namespace bench {

class SignalResolver {
public:
    explicit SignalResolver(int signal);
    SignalResolver(const SignalResolver&) = delete;
    SignalResolver& operator=(const SignalResolver&) = delete;
    virtual ~SignalResolver();

protected:
    /// Makes the page at `address` accessible. Called in the handler: must be signal-safe. If it returns false, the
    /// signal ends the process.
    virtual bool resolve(std::byte* address) noexcept = 0;

private:
    static void handle(int signal, siginfo_t* info, void* context);

    int signal_;
    struct sigaction previous_ {};
};

}  // namespace bench
