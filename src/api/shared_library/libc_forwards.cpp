// The C library's functions that libfaultline.so calls inside the fault handler, most of them in the place of copies
// and loops that the compiler recognizes. tests/layers/check_imports.py holds the list of all others.

#include "sys/libc_forwards.hpp"

FAULTLINE_FORWARD(memchr)
FAULTLINE_FORWARD(memcmp)
FAULTLINE_FORWARD(memcpy)
FAULTLINE_FORWARD(memmove)
FAULTLINE_FORWARD(memset)
FAULTLINE_FORWARD(strlen)
