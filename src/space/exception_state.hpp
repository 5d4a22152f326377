// What the C++ runtime keeps of a thread's exceptions: those being handled, and how many are on their way. Code that is
// abandoned inside a handler or a destructor leaves entries behind, which would be taken for its caller's.
#pragma once

#include <cxxabi.h>

namespace faultline::space {

/// As it was when this was made.
class ExceptionState {
public:
    ExceptionState() noexcept : saved_{globals()} {}

    /// Ends the handlers that were entered since and abandoned, as leaving them would: their exceptions are freed. An
    /// exception that was on its way is forgotten.
    void restore() const noexcept {
        while (globals().caught != saved_.caught && globals().caught != nullptr) abi::__cxa_end_catch();
        globals() = saved_;
    }

private:
    /// Itanium C++ ABI: Exception Handling, 2.2.2. An opaque type in the header.
    struct Globals {
        void* caught;
        unsigned uncaught;
    };
    static Globals& globals() noexcept { return *reinterpret_cast<Globals*>(abi::__cxa_get_globals()); }

    Globals saved_;
};

}  // namespace faultline::space
