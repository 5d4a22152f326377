// FAULTLINE_SIGNAL_SAFE marks functions that may run in a signal handler at any instruction of the program. They do not
// allocate, log, throw, use stdio, take a pthread lock or touch lazily bound thread-local storage. See
// docs/signal-safety.md. The compiler checks only the `noexcept`.
#pragma once

#define FAULTLINE_SIGNAL_SAFE noexcept
