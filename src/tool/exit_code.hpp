// The exit codes of the command, besides those of the program that it runs: the same as those of env(1) and timeout(1).
#pragma once

#include "run/option_words.hpp"

namespace faultline::tool {

inline constexpr int kExitOk = 0;
inline constexpr int kExitLacking = 1;                     // doctor: something necessary does not work
inline constexpr int kExitFailed = run::kExitCannotSetUp;  // invalid arguments, no limit possible, or a refusal by the
                                                           // system
inline constexpr int kExitNotStarted = 126;                // the program exists but cannot be run
inline constexpr int kExitNotFound = 127;                  // the program does not exist
inline constexpr int kExitSignalled = 128;                 // plus the number of the signal that has ended the program

}  // namespace faultline::tool
