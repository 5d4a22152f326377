// Defaults for the sanitizers' run time, compiled into each test program so that they hold however it is started
// ($ASAN_OPTIONS and the like still win).
//
// The sanitizers must leave the fault signals alone: tests assert which signal ends a process, and that faultline
// passes foreign ones on to the default action. They must not bring their own alternate stacks either, because tests
// look at the thread's.

#define FAULTLINE_LEAVE_SIGNALS_ALONE "handle_segv=0:handle_sigbus=0:handle_abort=0:use_sigaltstack=0"

extern "C" {

const char* __asan_default_options() { return FAULTLINE_LEAVE_SIGNALS_ALONE; }
const char* __tsan_default_options() { return FAULTLINE_LEAVE_SIGNALS_ALONE ":halt_on_error=1"; }
const char* __ubsan_default_options() { return "print_stacktrace=1"; }

}  // extern "C"
