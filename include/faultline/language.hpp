// Stops a compiler whose language is older than these headers', before it reports errors that do not say so.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "faultline's C++ headers need C++20: compile with -std=c++20 or newer (C, older C++: <faultline/faultline.h>)"
#include <faultline/needs_std_cxx20>  // does not exist: the compiler ends here
#endif
