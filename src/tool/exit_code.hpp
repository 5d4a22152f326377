// What the command returns to the shell, besides what the program that it runs returns: as env(1) and timeout(1) do.
#pragma once

#include "run/option_words.hpp"

namespace faultline::tool {

inline constexpr int kExitOk = 0;
inline constexpr int kExitLacking = 1;                     // doctor: something that matters does not work
inline constexpr int kExitFailed = run::kExitCannotSetUp;  // bad arguments, no limit to be had, a refusal of the system
inline constexpr int kExitNotStarted = 126;                // the program is there and cannot be run
inline constexpr int kExitNotFound = 127;                  // there is no such program
inline constexpr int kExitSignalled = 128;                 // and the signal's number: a signal has ended the program

}  // namespace faultline::tool
