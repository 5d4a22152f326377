// Stops a compiler that does not compile C++20 with one clear error. Every C++ header includes it first. Without it
// such a compiler would report syntax errors inside the headers.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "faultline's C++ headers need C++20: compile with -std=c++20 or newer (C, older C++: <faultline/faultline.h>)"
#include <faultline/needs_std_cxx20>  // does not exist: the compiler ends here
#endif
