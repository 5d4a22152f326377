// What the demos and benchmarks return to the shell.
#pragma once

namespace faultline::demo {

inline constexpr int kExitOk = 0;
inline constexpr int kExitWrong = 1;          // it ran, and what it checked does not hold
inline constexpr int kExitUnusable = 2;       // bad arguments, or the system refused something
inline constexpr int kExitSkipped = 77;       // this kernel or user may not do it; ctest's SKIP_RETURN_CODE
inline constexpr int kExitInterrupted = 130;  // SIGINT or SIGTERM before there was a result

}  // namespace faultline::demo
