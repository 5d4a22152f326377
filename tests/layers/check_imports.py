#!/usr/bin/env python3
"""Refuses imports of a shared library that have not been reviewed.

    check_imports.py KIND LIBRARY    KIND: library (libfaultline.so) or preload (libfaultline-preload.so)
    check_imports.py --self-test     checks that an import that is not on the list is refused

If a program exports a function of the same name, a library's import is bound to the program's function. So the fault
handler must call no function that a program may define. Names with a leading underscore belong to the compiler, the C
library or C++. Other functions of the fault path are bound to the C library itself (sys/libc_forwards.hpp). Every
import that remains must be on the list below.
"""

import subprocess
import sys

# Called by set-up, control calls and teardown, never by a fault. Before you add a name, make sure of that; else forward
# it (src/api/shared_library/libc_forwards.cpp, src/preload/libc_forwards.cpp).
REVIEWED = {
    # The preload runs in arbitrary programs, which may export any name: it imports no function, only two variables.
    "preload": "environ stderr",
    # calloc and free: used by LZ4's functions that make streams, which the library does not call. pthread_create: a
    # program that replaces it has to see all threads, as it sees those of libstdc++.
    "library": """
        abort close eventfd fcntl fdopen fopen fstat fstatvfs ftruncate getenv getpid getrandom getrlimit getsockopt
        ioctl isatty lseek madvise memfd_create mkostemp mmap mprotect munmap open openat pipe2 pread pwrite read readv recv
        sched_getaffinity sched_yield send sigaction sigaltstack snprintf strcmp strerror syscall sysconf unlink
        unlinkat vsnprintf write writev
        calloc free
        pthread_attr_destroy pthread_attr_init pthread_attr_setstack
        pthread_create pthread_join pthread_key_create pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock
        pthread_self pthread_setaffinity_np pthread_setcancelstate pthread_setname_np pthread_setspecific
    """,
}


def objections(kind, imports):
    """Returns the imports that are not reviewed."""
    reviewed = REVIEWED[kind].split()
    return sorted(name for name in imports if not name.startswith("_") and name not in reviewed)


def imports_of(library):
    lines = subprocess.run(
        ["nm", "-D", "--undefined-only", library], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    names = [line.split()[-1].split("@")[0] for line in lines]
    if not names:
        sys.exit(f"{library}: nm lists no imports")
    return names


def self_test():
    assert objections("preload", ["_Znwm", "__errno_location", "environ"]) == []
    assert objections("preload", ["memcpy", "environ"]) == ["memcpy"]
    assert objections("library", ["sched_getcpu", "open"]) == ["sched_getcpu"]
    print("self-test: 0 failures")


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
