// AlternateStack: gives the calling thread a signal stack that is large enough to resolve faults on. Under
// `uffd_signal` and `sigsegv` it is needed by threads whose own stack is smaller than 64 KiB or lies in managed memory.
// Other threads do not need it: they resolve faults on their own stack. Nor do threads that have a signal stack of any
// size: if it is small, the library switches to a stack of its own.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>

namespace faultline {
inline namespace v0 {

/// Installs a 64 KiB signal stack with a guard page, unless the thread has a signal stack of at least that size.
/// Construct and destroy it on the same thread, outside of signal handlers.
class FAULTLINE_API AlternateStack {
public:
    /// The size of the signal stack, in bytes.
    static constexpr std::size_t kBytes = std::size_t{64} << 10;

    /// Installs the stack. Throws std::system_error: ENOMEM (no memory, or vm.max_map_count), EPERM (the thread runs on
    /// its signal stack).
    AlternateStack();
    /// Restores the thread's previous signal stack.
    ~AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;

private:
    void* mapping_ = nullptr;  // null when the thread kept the stack it had
    void* previous_address_ = nullptr;
    std::size_t previous_bytes_ = 0;
    int previous_flags_ = 0;
};

}  // namespace v0
}  // namespace faultline
