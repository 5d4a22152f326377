// Checks that abort the process. `FAULTLINE_REQUIRE` is in every build: use it where going on would lose data.
// `FAULTLINE_INVARIANT` is in builds with FAULTLINE_CHECKED only: use it for what the code assumes about its own state.
// Use neither for bad input (throw std::system_error) nor for failing devices (return an error value).
#pragma once

namespace faultline::core {

/// Writes `message` with its source file and line to standard error and aborts. Signal-safe. Defined in
/// src/sys/fatal.cpp, because core makes no system call.
[[noreturn]] void fatal(const char* message, const char* file, int line) noexcept;

}  // namespace faultline::core

#define FAULTLINE_REQUIRE(condition, message)                      \
    do {                                                           \
        if (!(condition)) [[unlikely]]                             \
            ::faultline::core::fatal(message, __FILE__, __LINE__); \
    } while (false)

#ifdef FAULTLINE_CHECKED
#define FAULTLINE_INVARIANT(condition) FAULTLINE_REQUIRE(condition, "invariant broken: " #condition)
#else
#define FAULTLINE_INVARIANT(condition) static_cast<void>(0)
#endif
