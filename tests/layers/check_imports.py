#!/usr/bin/env python3
"""Refuses imports of a shared library that have not been reviewed.

    check_imports.py KIND LIBRARY    KIND: library (libfaultline.so) or preload (libfaultline-preload.so)
    check_imports.py --self-test     checks that an import that is not on the list is refused

A function that a library imports is the program's, where the program exports one of that name. So the fault handler
calls none that a program may define: names that begin with an underscore are the compiler's, the C library's or C++
functions, and the others are bound to the C library itself (sys/libc_forwards.hpp). What is left is on the list below.
"""

import subprocess
import sys

# Called while the program sets something up, changes it or ends it: never by a fault. To add a name here, make sure of
# that; else forward it (src/api/shared_library/libc_forwards.cpp, src/preload/libc_forwards.cpp).
REVIEWED = {
    # The preload lives in programs that do not know it, which may export anything: no function. Two variables.
    "preload": "environ stderr",
    # calloc and free: of LZ4's functions that make streams, which are not called.
    "library": """
        abort close eventfd fcntl fdopen fopen fstat fstatvfs ftruncate getenv getpid getrandom getrlimit getsockopt
        ioctl isatty lseek madvise memfd_create mkostemp mmap mprotect munmap open openat pipe2 pread pwrite read readv recv
        sched_getaffinity sched_yield send sigaction sigaltstack snprintf strcmp strerror syscall sysconf unlink
        unlinkat vsnprintf write writev
        calloc free
        pthread_key_create pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_self
        pthread_setaffinity_np pthread_setcancelstate pthread_setname_np pthread_setspecific
    """,
}


def objections(kind, imports):
    """The imports that are not reviewed."""
    reviewed = REVIEWED[kind].split()
    return sorted(name for name in imports if not name.startswith("_") and name not in reviewed)


def imports_of(library):
    lines = subprocess.run(
        ["nm", "-D", "--undefined-only", library], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    names = [line.split()[-1].split("@")[0] for line in lines]
    if not names:
        sys.exit(f"{library} imports nothing: this cannot be right")
    return names


def self_test():
    assert objections("preload", ["_Znwm", "__errno_location", "environ"]) == []
    assert objections("preload", ["memcpy", "environ"]) == ["memcpy"]
    assert objections("library", ["sched_getcpu", "open"]) == ["sched_getcpu"]
    print("refuses what it must")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    kind, library = sys.argv[1:]
    found = objections(kind, imports_of(library))
    for name in found:
        print(f"{library} imports {name}: bind it to the C library (sys/libc_forwards.hpp), or review it in {__file__}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
