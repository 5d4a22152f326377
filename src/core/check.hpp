// Checks that stop the process. `FAULTLINE_REQUIRE` stays in every build: it guards what would lose data if it went on.
// `FAULTLINE_INVARIANT` is for builds with FAULTLINE_CHECKED: what the code believes of itself.
// Neither is for bad input (that throws std::system_error) or for failing devices (those are values).
#pragma once

namespace faultline::core {

/// Writes `message` with its place to standard error and aborts. Signal-safe. (Defined in src/sys/fatal.cpp, since it
/// is a system call that speaks.)
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
