// Marks functions that may run inside a signal handler at any instruction of the program. docs/signal-safety.md says
// what the mark promises: no allocation, no stdio, no logging, no pthread lock, no exception, no lazily bound TLS.
#pragma once

#define FAULTLINE_SIGNAL_SAFE noexcept
