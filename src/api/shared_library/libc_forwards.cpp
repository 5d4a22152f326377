// The C library's functions that libfaultline.so calls inside the fault handler. The compiler inserts most of them for
// copies and loops that it recognizes. tests/layers/check_imports.py holds the list of all others.

#include "sys/libc_forwards.hpp"

FAULTLINE_FORWARD(memchr)
FAULTLINE_FORWARD(memcmp)
FAULTLINE_FORWARD(memcpy)
FAULTLINE_FORWARD(memmove)
FAULTLINE_FORWARD(memset)
FAULTLINE_FORWARD(strlen)
