// Interposes the C library's functions that end the program at once, without running its exit handlers.

#include "preload/status.hpp"
#include "sys/syscall.hpp"

#include <cstdlib>

#include <unistd.h>

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

void _exit(int code) {
    faultline::preload::publish_status_before_end();
    for (;;) faultline::sys::raw_syscall(SYS_exit_group, code);
}

void _Exit(int code) noexcept { _exit(code); }

}  // extern "C"
// NOLINTEND
