# gdb settings for programs that use faultline, as a library or under `faultline run`:
#
#     gdb -x faultline.gdb --args PROGRAM ...        PROGRAM is linked with faultline
#     gdb -x faultline.gdb --args PROGRAM ...        then enter: faultline-preload LIBRARY 64M
#     gdb -x faultline.gdb -p PID                    attach to a running program
#
# Page faults of managed memory arrive as signals, thousands a second. The library handles them, so gdb must pass them on
# without stopping. uffd_signal takes SIGBUS. System calls that the preloaded library dispatches (uffd_signal
# and sigsegv) arrive as SIGSYS. With uffd_threads there are no such signals.

handle SIGBUS nostop noprint pass
handle SIGSYS nostop noprint pass

define faultline-sigsegv
    handle SIGSEGV nostop noprint pass
end
document faultline-sigsegv
Let SIGSEGV pass: for Delivery::sigsegv, whose page faults arrive by it.
A real crash then ends the program without a stop. gdb stops at it after `handle SIGSEGV stop print`.
end

define faultline-preload
    set exec-wrapper env LD_PRELOAD=$arg0 FAULTLINE_RESIDENT=$arg1
end
document faultline-preload
Usage: faultline-preload LIBRARY SIZE
Run the program with its heap in managed memory, as `faultline run --resident SIZE` does.
LIBRARY is the path of libfaultline-preload.so. gdb itself must not be run under `faultline run`.
end
