// ExceptionState: the C++ runtime's exception state of a thread: the exceptions being handled, and the number in
// flight. StackArea saves it before a `run` and restores it after an overflow: code that was abandoned inside a handler
// or destructor has left entries in it, and the runtime would take them for the caller's.
#pragma once

#include <cxxabi.h>

namespace faultline::space {

/// Saves the calling thread's state on construction. Use it on that thread only.
class ExceptionState {
public:
    ExceptionState() noexcept : saved_{globals()} {}

    /// Restores the saved state. Ends the handlers that were entered since, which frees their exceptions. Drops
    /// exceptions in flight.
    void restore() const noexcept {
        while (globals().caught != saved_.caught && globals().caught != nullptr) abi::__cxa_end_catch();
        globals() = saved_;
    }

private:
    /// __cxa_eh_globals of the Itanium C++ ABI (Exception Handling, 2.2.2), which the header declares opaque.
    struct Globals {
        void* caught;
        unsigned uncaught;
    };
    static Globals& globals() noexcept { return *reinterpret_cast<Globals*>(abi::__cxa_get_globals()); }

    Globals saved_;
};

}  // namespace faultline::space
