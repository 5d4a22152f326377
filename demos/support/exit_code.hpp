// Exit codes of the demos and benchmarks.
#pragma once

namespace faultline::demo {

inline constexpr int kExitOk = 0;
inline constexpr int kExitWrong = 1;          // it ran, and a check failed
inline constexpr int kExitUnusable = 2;       // bad arguments, or a system call failed
inline constexpr int kExitSkipped = 77;       // not permitted for this kernel or user; ctest's SKIP_RETURN_CODE
inline constexpr int kExitInterrupted = 130;  // SIGINT or SIGTERM before there was a result

}  // namespace faultline::demo
