#!/usr/bin/env bash
# command_check.sh FAULTLINE LIBRARY WORK_DIR CASE: runs the command and checks its exit code, output and report files.
# Exits with 77 if a program that the case needs is missing.
set -euo pipefail

faultline=$1 library=$2 work=$3/tool_$4 case=$4
rm -rf "$work"
mkdir -p "$work"
cd "$work"
export TMPDIR=$work

fail() {
    echo "$*"
    exit 1
}
# expect CODE COMMAND...: runs the command with its output in the files out and err, and checks its exit code.
expect() {
    local wanted=$1 code=0
    shift
    "$@" >out 2>err </dev/null || code=$?
    [[ $code == "$wanted" ]] || fail "$* returned $code, not $wanted: $(cat out err)"
}
# says FILE TEXT: fails unless the file contains the text.
says() { grep -qF -- "$2" "$1" || fail "$1 does not say '$2': $(cat "$1")"; }

# needs PROGRAM: skips the case if the program is not installed.
needs() { command -v "$1" >/dev/null || { echo "skipped: $1 is not installed"; exit 77; }; }

# Builds a static program, one linked with glibc, and one whose PT_INTERP names a loader with musl's name.
build_programs() {
    cat >program.c <<'PROGRAM'
#include <stdio.h>
int main(int count, char** arguments) {
    if (count > 1) fclose(fopen(arguments[1], "w"));
    return STATUS;
}
PROGRAM
    # Replaces musl's loader: exits with 0 if LD_PRELOAD is not in the environment.
    cat >loader.c <<'PROGRAM'
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall begin\n");
void begin(long* stack) {
    long failed = 0;
    for (char** variable = (char**)(stack + *stack + 2); *variable; ++variable) {
        const char* name = "LD_PRELOAD=";
        const char* at = *variable;
        while (*name && *name == *at) ++name, ++at;
        if (!*name) failed = 1;
    }
    __asm__ volatile("syscall" : : "a"(231L), "D"(failed));
}
PROGRAM
    needs cc
    cc -DSTATUS=3 -static -o static program.c && cc -DSTATUS=0 -o dynamic program.c &&
        cc -O1 -nostdlib -static -fno-stack-protector -o ld-musl-test.so.1 loader.c &&
        cc -DSTATUS=0 -Wl,--dynamic-linker="$work/ld-musl-test.so.1" -o musl program.c ||
        fail "cc cannot build the programs of this case"
}

case $case in
help)
    expect 0 "$faultline" --help
    expect 0 "$faultline" help
    says out doctor
    expect 0 "$faultline" help run
    says out --resident
    expect 0 "$faultline" help record
    says out --stack-bytes
    expect 0 "$faultline" help report
    says out --flamegraph
    expect 0 "$faultline" --version
    says out "faultline "
    expect 125 "$faultline"
    expect 125 "$faultline" help nothing
    expect 125 "$faultline" run
    expect 125 "$faultline" run --resident 1 -- true
    says err "outside of 64K to 8T"
    expect 125 "$faultline" run --resident 9999999T -- true
    says err "outside of 64K to 8T"
    expect 0 "$faultline" run --resident 64MB --heap 1.5G -- true
    expect 0 "$faultline" run --resident 8T -- true
    says err "warning: --resident of 8.0 TiB is more than the"
    expect 125 "$faultline" run --resident=-5M -- true
    says err "'-5M' is not a size: write bytes, or a number such as 64 or 1.5 followed by K, M, G or T"
    expect 125 "$faultline" run --delivery pigeon -- true
    says err "'pigeon' is not one of automatic, uffd_threads, uffd_signal, sigsegv"
    expect 125 "$faultline" bogus
    says err "unknown command 'bogus' (run, record, report, doctor, completion, help)"
    says err "doctor"
    expect 125 "$faultline" run --resdent 1M -- true
    expect 125 env FAULTLINE_DELIVERY=post "$faultline" run -- true
    says err FAULTLINE_DELIVERY
    # An invalid variable must not prevent help, version and doctor.
    expect 0 env FAULTLINE_DELIVERY=post "$faultline" help run
    expect 0 env FAULTLINE_DELIVERY=post "$faultline" --version
    FAULTLINE_DELIVERY=post "$faultline" doctor --json >out 2>err || [[ $? == 1 ]] || fail "doctor did not exit with 1: $(cat err)"
    says err FAULTLINE_DELIVERY
    says out '"works"'
    ;;
exit_codes)
    expect 0 "$faultline" run -- true
    [[ ! -s err && ! -s out ]] || fail "output without --stats: $(cat out err)"
    expect 7 "$faultline" run sh -c 'exit 7'
    expect 143 "$faultline" run -- sh -c 'kill -TERM $$'
    expect 127 "$faultline" run -- no-such-program
    says err "program 'no-such-program' not found"
    expect 127 "$faultline" run -- ./no-such-program
    touch not-executable
    expect 126 "$faultline" run -- ./not-executable
    printf 'exit 9\n' >script && chmod +x script
    expect 9 "$faultline" run -- ./script
    expect 0 "$faultline" run -- sh -c '[ "$1" = -- ] && [ "$2" = --stats ]' sh -- --stats
    expect 0 "$faultline" run sh -c '[ "$1" = -- ]' sh --
    expect 125 "$faultline" run --stats-json /no/such/folder/file -- touch was-run
    [[ ! -e was-run ]] || fail "the program ran although its report file cannot be made"
    ;;
signals)
    # The command forwards signals to the program, whose own handlers run.
    mkfifo ready never
    "$faultline" run -- bash -c 'trap "exit 42" USR1; trap "" HUP; exec 3<>never; echo >ready; while :; do read -rt 1 -u 3 || :; done' &
    command=$!
    read -r <ready
    kill -HUP $command
    kill -USR1 $command
    code=0
    wait $command || code=$?
    [[ $code == 42 ]] || fail "the command returned $code, not the program's exit code 42"
    # The program ignores a signal that the command's parent ignores.
    expect 0 bash -c 'trap "" TERM; exec "$1" run -- bash -c "kill -TERM \$\$; exit 0"' bash "$faultline"
    ;;
traced)
    needs strace
    # Ends in a timeout if strace reads a page whose fault needs a thread that strace has stopped.
    expect 0 timeout -s KILL 60 strace -f -o trace "$faultline" run --resident 1M -- true
    grep -q exit_group trace || fail "the trace has no exit_group"
    ;;
report)
    expect 5 "$faultline" run --resident 1M --stats --stats-json report.json -- \
        perl -e 'my @a = map { "$_" x 20 } 1 .. 20000; my $n = 0; $n += length for @a; exit($n == 20 * 88894 ? 5 : 1)'
    says err "perl exited with 5"
    grep -qE '^ +[0-9]+ perl +[0-9,]+ ' err || fail "the report has no line for perl: $(cat err)"
    python3 - <<'PYTHON'
import json
report = json.load(open("report.json"))
program = next(p for p in report["programs"] if p["name"] == "perl")
assert report["exit_code"] == 5 and report["entered"] and program["memory"]["resident_limit"] == 1 << 20, report
assert program["counters"]["hard_faults"] > 0 and program["memory"]["frames_peak"] <= 1 << 20, program
assert program["heap"]["break_bytes"] > 2 << 20, program
PYTHON
    ;;
children)
    # A child that calls _exit or exec reports its own figures first, without those of its parent.
    python=$(python3 -c 'import sys; print(sys.executable)')  # python3 may be a script
    for delivery in uffd_signal sigsegv; do
        expect 0 env FAULTLINE_DELIVERY=$delivery "$faultline" run --resident 1M --stats-json report.json -- "$python" -c '
import os
kept = [bytes(5000) for _ in range(500)]
def child(end):
    pid = os.fork()
    if pid == 0:
        mine = [bytes(5000) for _ in range(300)]
        end()
    assert os.waitpid(pid, 0)[1] == 0
child(lambda: os._exit(0))
child(lambda: os.execv("/bin/true", ["true"]))
child(lambda: os.execvp("true", ["true"]))
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
'
        python3 - <<'PYTHON'
import json
report = json.load(open("report.json"))
programs = [p for p in report["programs"] if p["name"].startswith("python")]
assert len(programs) == 5, report
faults = [p["counters"]["first_touches"] for p in programs]
assert min(faults[:4]) > 300, faults
assert faults[4] < 100, faults
latencies = programs[4]["latency"]
assert all(latencies[kind]["count"] < 100 for kind in latencies), latencies
PYTHON
    done
    ;;
live)
    expect 0 "$faultline" run --resident 1M --live -- \
        perl -e 'my $end = time + 2; my @a; while (time < $end) { $a[rand 60000] = "x" x 50 for 1 .. 1000 }'
    says err "procs  first"
    [[ $(grep -c '\[.*\]$' err) -ge 1 ]] || fail "no live line has a map: $(cat err)"
    ! grep -q $'\x1b' err || fail "the live view writes escape sequences to a file"
    ;;
unmanaged)
    build_programs
    # A static program runs under the limit, also as the interpreter of a script.
    expect 3 "$faultline" run -- ./static ran
    [[ ! -s err ]] || fail "a message although the program had a limit: $(cat err)"
    [[ -e ran ]] || fail "a static program did not run"
    rm ran
    printf '#!%s\n' "$work/static" >script && chmod +x script
    expect 3 "$faultline" run -- ./script
    # A program that cannot be limited does not run without --allow-unmanaged.
    expect 125 "$faultline" run -- ./musl ran
    says err "musl"
    says err "--allow-unmanaged"
    [[ ! -e ran ]] || fail "a program without a limit ran"
    expect 0 "$faultline" run --allow-unmanaged -- ./musl
    says err "without a limit"
    expect 125 "$faultline" run -- ./musl
    [[ $(wc -l <err) == 1 ]] || fail "more than one line: $(cat err)"
    # A managed program may start unmanaged ones: the command names them at the end.
    expect 0 "$faultline" run -- sh -c './musl; ./musl; env -i ./dynamic; env -i ./static; exit 0'
    says err "musl, which is linked with musl, whose loader cannot load a library for glibc (2 times)"
    says err "dynamic, which was started without LD_PRELOAD"
    says err "static, which is statically linked"
    expect 3 "$faultline" run -- sh -c 'exec ./static'
    [[ ! -s err ]] || fail "a message although the program had a limit: $(cat err)"
    expect 0 "$faultline" run --stats-json report.json -- python3 -c 'import os, subprocess
subprocess.call(["./static"]); os.system("./static"); os.waitpid(os.posix_spawn("./static", ["static"], os.environ), 0)'
    [[ ! -s err ]] || fail "a message although every program had a limit: $(cat err)"
    expect 0 "$faultline" run -- sh -c ./musl
    says err "musl, which is linked with musl"
    expect 0 "$faultline" run -- sh -c ./dynamic
    [[ ! -s err ]] || fail "a message although every program had a limit: $(cat err)"
    if [[ $(id -u) == 0 ]]; then
        cp dynamic setuid && chown nobody setuid && chmod u+s setuid
        expect 125 "$faultline" run -- ./setuid
        says err "changes privileges"
    fi
    # The loader ignores a library that it cannot load, which would leave the program without a limit.
    for wrong in /no/such/library.so "$work/script" /bin; do
        expect 125 "$faultline" run --library "$wrong" -- ./dynamic
        says err "--library: '$wrong'"
    done
    cp static other.so
    expect 125 "$faultline" run --library other.so -- ./dynamic
    ;;
set_up)
    # A failure at the start exits with 125 and names options of the command.
    for directory in /no/such/folder /proc; do
        expect 125 "$faultline" run --swap $directory -- true
        says err "--swap (FAULTLINE_SWAP)"
        ! grep -qF Config:: err || fail "the message names a member of Config: $(cat err)"
    done
    ! grep -qF "the directory does not exist" err || fail "the message denies that /proc exists: $(cat err)"
    expect 125 bash -c 'ulimit -d 4000; exec "$1" run -- true' bash "$faultline"
    says err "ulimit -d unlimited"
    ! grep -qF "ulimit -v" err || fail "the message names the wrong limit: $(cat err)"
    expect 125 "$faultline" run --resident 99999999 --compressed 1K -- true
    says err "--compressed (FAULTLINE_COMPRESSED)"
    if unshare --mount true 2>/dev/null; then
        expect 0 unshare --mount sh -c 'umount -l /proc && exec "$1" run -- true' sh "$faultline"
        [[ ! -s err ]] || fail "a message without /proc: $(cat err)"
    fi
    if command -v valgrind >/dev/null; then
        code=0
        "$faultline" run --allow-unmanaged -- valgrind -q /bin/true >out 2>err || code=$?
        says err "valgrind cannot run"
        [[ $code == 125 ]] || fail "the command returned $code for valgrind, not 125"
    fi
    ;;
memory)
    # Memory outside the heap is not limited: the report warns about it.
    expect 0 "$faultline" run --resident 16M --stats --stats-json report.json -- \
        python3 -c 'import mmap, os; memory = mmap.mmap(-1, 100 << 20); memory.write(b"x" * (100 << 20)); os._exit(0)'
    says err "had up to"
    says err "times its limit of 16.0 MiB"
    python3 - <<'PYTHON'
import json
report = json.load(open("report.json"))
memory = max((p["process_memory"] for p in report["programs"]), key=lambda m: m["resident_peak"])
assert memory["resident_peak"] > 100 << 20 and memory["anonymous_peak"] > 90 << 20 and memory["file_peak"] > 0, memory
assert memory["resident_peak"] < 200 << 20, memory
PYTHON
    expect 0 "$faultline" run --resident 256M --stats -- true
    ! grep -qF "times its limit" err || fail "a warning that true exceeded 256 MiB: $(cat err)"
    ;;
limit)
    needs perl
    needs python3
    # One limit for the memory of a program and its children: the results are right, and a line says that it held.
    fill='my %h; $h{$_} = "value " x 20 . $_ for 1 .. 60000; my $n = 0; $n += length $h{$_} for 1 .. 60000;
          my $bad = $n != 60000 * 120 + 288894; while (wait > 0) { $bad ||= $? } exit($bad ? 1 : 0)'
    expect 0 perl -e "$fill"
    expect 0 "$faultline" run --memory 32M -- perl -e "$fill"
    says err "MiB of 32.0 MiB (managed"
    expect 0 "$faultline" run --memory 48M --stats-json report.json -- \
        perl -e 'fork; fork; '"$fill"
    says err "MiB of 48.0 MiB (managed"
    ! grep -qF "did not hold" err || fail "four processes exceed one limit: $(cat err)"
    # Python maps most of its memory by itself.
    expect 0 "$faultline" run --memory 48M -- python3 -c 'assert len({i: str(i) for i in range(600000)}) == 600000'
    says err "MiB of 48.0 MiB (managed"
    ! grep -qF "did not hold" err || fail "mapped memory exceeds the limit: $(cat err)"
    expect 0 "$faultline" run --memory-per-process 32M -- perl -e "$fill"
    says err "MiB of 32.0 MiB (managed"
    expect 0 "$faultline" run --memory 64M --quiet -- true
    [[ ! -s err ]] || fail "--quiet is not quiet: $(cat err)"
    expect 125 "$faultline" run --memory 64M --resident 16M -- true
    says err "exclude each other"
    expect 125 env FAULTLINE_MEMORY=64M FAULTLINE_COMPRESSED=1M "$faultline" run -- true
    says err "exclude each other"
    ;;
crash)
    # Missing figures of a killed program are not shown as zeros.
    expect 139 "$faultline" run --stats -- sh -c 'kill -SEGV $$'
    says err "ended suddenly"
    expect 0 "$faultline" run --stats -- sh -c 'exit 0'
    ! grep -qF "ended suddenly" err || fail "the report calls an orderly exit sudden: $(cat err)"
    ;;
gdb)
    needs gdb
    needs perl
    for delivery in uffd_signal sigsegv; do
        gdb -batch -x "$(dirname "$0")/../../src/tool/gdb/faultline.gdb" \
            -ex "$([[ $delivery == sigsegv ]] && echo faultline-sigsegv || echo 'print 1')" \
            -ex "faultline-preload $library 1M" -ex "set environment FAULTLINE_DELIVERY $delivery" -ex run \
            --args perl -e 'my @a = map { "$_" x 20 } 1 .. 20000; my $n = 0; $n += length for @a; exit($n == 20 * 88894 ? 5 : 1)' \
            >out 2>err </dev/null || fail "gdb failed: $(cat out err)"
        says out "exited with code 05"
        ! grep -qE "SIG(BUS|SYS|SEGV)," out || fail "gdb stopped: $(cat out)"
    done
    ;;
identity)
    needs perl
    # setgid stops and restarts the pager's threads, in a process and in its child.
    program='use POSIX; setgid(getgid()); if (!fork) { setgid(getgid()); _exit(5) } wait; _exit($? >> 8)'
    for delivery in uffd_threads uffd_signal sigsegv; do
        expect 5 "$faultline" run --library "$library" --resident 1M --delivery $delivery -- perl -e "$program"
        expect 5 "$faultline" run --library "$library" --resident 1M --delivery $delivery --stats -- perl -e "$program"
        says err "perl"
    done
    ;;
doctor)
    expect 0 "$faultline" doctor
    says out "automatic is"
    says out "Everything that matters works here."
    expect 0 "$faultline" doctor --json
    python3 -c 'import json; assert json.load(open("out"))["works"] is True'
    expect 1 "$faultline" doctor --swap /no/such/folder
    says out /no/such/folder
    # Under RLIMIT_AS the default heap reserves fewer addresses; a heap size that FAULTLINE_HEAP sets is refused.
    expect 0 bash -c 'ulimit -v 8000000; exec "$1" doctor' bash "$faultline"
    says out "RLIMIT_AS"
    says out "64G for a heap cannot be reserved: a program gets"
    # RLIMIT_AS below the size of a pager's tables: run refuses the program, and doctor says so.
    expect 125 bash -c 'ulimit -v 150000; exec "$1" run true' bash "$faultline"
    expect 1 bash -c 'ulimit -v 150000; exec "$1" doctor' bash "$faultline"
    says out "no program can be run"
    expect 1 bash -c 'ulimit -v 8000000; FAULTLINE_HEAP=32G exec "$1" doctor' bash "$faultline"
    says out "RLIMIT_AS"
    expect 0 "$faultline" doctor --swap /dev/shm
    says out "this is memory"
    ;;
esac
cd /
rm -rf "$work"
