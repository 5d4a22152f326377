// AlternateStack: gives the calling thread a signal stack large enough to resolve faults on. Needed by threads whose
// own stack is small (under 64 KiB) or lies in managed memory, where faults are delivered as signals. It is not needed
// by ordinary threads: their faults are resolved on their own stack. Nor by threads that have an alternate stack of any
// size: where it is small, faults are resolved on a stack of the library's.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>

namespace faultline {

/// Installs a 64 KiB signal stack with a guard page on construction, unless the thread already has one at least that
/// large; the destructor, on the same thread, puts back what was there. Throws std::system_error with ENOMEM.
class FAULTLINE_API AlternateStack {
public:
    static constexpr std::size_t kBytes = std::size_t{64} << 10;

    AlternateStack();
    ~AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;

private:
    void* mapping_ = nullptr;  // null when the thread kept the stack it had
    void* previous_address_ = nullptr;
    std::size_t previous_bytes_ = 0;
    int previous_flags_ = 0;
};

}  // namespace faultline
