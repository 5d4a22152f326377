#!/usr/bin/env bash
# command_check.sh FAULTLINE LIBRARY WORK_DIR CASE: runs the command as a shell does, and looks at what the shell sees of it.
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
# expect CODE COMMAND...
expect() {
    local wanted=$1 code=0
    shift
    "$@" >out 2>err </dev/null || code=$?
    [[ $code == "$wanted" ]] || fail "$* returned $code, not $wanted: $(cat out err)"
}
says() { grep -qF -- "$2" "$1" || fail "$1 does not say '$2': $(cat "$1")"; }

# A static program, one of glibc, and one that says that musl's loader starts it.
build_programs() {
    cat >program.c <<'PROGRAM'
#include <stdio.h>
int main(int count, char** arguments) {
    if (count > 1) fclose(fopen(arguments[1], "w"));
    return STATUS;
}
PROGRAM
    # In place of musl's loader: succeeds where LD_PRELOAD is not in the environment.
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
    cc -DSTATUS=3 -static -o static program.c && cc -DSTATUS=0 -o dynamic program.c &&
        cc -O1 -nostdlib -static -fno-stack-protector -o ld-musl-test.so.1 loader.c &&
        cc -DSTATUS=0 -Wl,--dynamic-linker="$work/ld-musl-test.so.1" -o musl program.c || exit 77
}

case $case in
help)
    expect 0 "$faultline" --help
    expect 0 "$faultline" help
    says out doctor
    expect 0 "$faultline" help run
    says out --resident
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
    says err "unknown command 'bogus' (run, doctor, help)"
    says err "doctor"
    expect 125 "$faultline" run --resdent 1M -- true
    expect 125 env FAULTLINE_DELIVERY=post "$faultline" run -- true
    says err FAULTLINE_DELIVERY
    # Who has set it wrong needs the others.
    expect 0 env FAULTLINE_DELIVERY=post "$faultline" help run
    expect 0 env FAULTLINE_DELIVERY=post "$faultline" --version
    FAULTLINE_DELIVERY=post "$faultline" doctor --json >out 2>err || [[ $? == 1 ]] || fail "no diagnosis: $(cat err)"
    says err FAULTLINE_DELIVERY
    says out '"works"'
    ;;
exit_codes)
    expect 0 "$faultline" run -- true
    [[ ! -s err && ! -s out ]] || fail "there is something on a terminal that nobody asked for: $(cat out err)"
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
    [[ ! -e was-run ]] || fail "it ran before it was known that there is no report"
    ;;
signals)
    # What is sent to the command goes on to the program, which answers it in its own way.
    mkfifo ready never
    "$faultline" run -- bash -c 'trap "exit 42" USR1; trap "" HUP; exec 3<>never; echo >ready; while :; do read -rt 1 -u 3 || :; done' &
    command=$!
    read -r <ready
    kill -HUP $command
    kill -USR1 $command
    code=0
    wait $command || code=$?
    [[ $code == 42 ]] || fail "the program was to exit with 42, and the command returned $code"
    # A signal that the command's parent ignores, the program ignores, too.
    expect 0 bash -c 'trap "" TERM; exec "$1" run -- bash -c "kill -TERM \$\$; exit 0"' bash "$faultline"
    ;;
traced)
    command -v strace >/dev/null || { echo "skipped: there is no strace here"; exit 77; }
    # Killed where strace waits for a page that is served by a thread which strace has stopped.
    expect 0 timeout -s KILL 60 strace -f -o trace "$faultline" run --resident 1M -- true
    grep -q exit_group trace || fail "strace has seen nothing"
    ;;
report)
    expect 5 "$faultline" run --resident 1M --stats --stats-json report.json -- \
        perl -e 'my @a = map { "$_" x 20 } 1 .. 20000; my $n = 0; $n += length for @a; exit($n == 20 * 88894 ? 5 : 1)'
    says err "perl exited with 5"
    grep -qE '^ +[0-9]+ perl +[0-9,]+ ' err || fail "no line for perl: $(cat err)"
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
    # Children that end at once, or become another program, say what they have done before; and none of their parent's.
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
    [[ $(grep -c '\[.*\]$' err) -ge 1 ]] || fail "no line with a map: $(cat err)"
    ! grep -q $'\x1b' err || fail "escape sequences in a file"
    ;;
unmanaged)
    build_programs
    # What cannot be held to a limit does not run, unless that is allowed.
    expect 125 "$faultline" run -- ./static ran
    says err "static is statically linked"
    says err "--allow-unmanaged"
    [[ ! -e ran ]] || fail "a program without a limit has run"
    expect 3 "$faultline" run --allow-unmanaged -- ./static ran
    says err "without a limit"
    [[ -e ran ]] || fail "it was allowed and has not run"
    printf '#!%s\n' "$work/static" >script && chmod +x script
    expect 125 "$faultline" run -- ./script
    says err "is a script for $work/static, which is statically linked"
    expect 125 "$faultline" run -- ./musl
    says err "musl"
    [[ $(wc -l <err) == 1 ]] || fail "more than one line: $(cat err)"
    # What starts such programs is managed itself, and they are told of at the end.
    expect 0 "$faultline" run -- sh -c './static; ./static; env -i ./dynamic; exit 0'
    says err "static, which is statically linked (2 times)"
    says err "dynamic, which was started without LD_PRELOAD"
    expect 3 "$faultline" run -- sh -c 'exec ./static'
    says err "static, which is statically linked"
    expect 0 "$faultline" run --stats-json report.json -- python3 -c 'import os, subprocess
subprocess.call(["./static"]); os.system("./static"); os.posix_spawn("./static", ["static"], os.environ)'
    says report.json '"starts": 3'
    expect 0 "$faultline" run -- sh -c ./musl
    says err "musl, which is linked with musl"
    expect 0 "$faultline" run -- sh -c ./dynamic
    [[ ! -s err ]] || fail "all had a limit, and there is a message: $(cat err)"
    if [[ $(id -u) == 0 ]]; then
        cp dynamic setuid && chown nobody setuid && chmod u+s setuid
        expect 125 "$faultline" run -- ./setuid
        says err "changes privileges"
    fi
    # A library that is not there, or is none, would leave the program without a limit, too.
    for wrong in /no/such/library.so "$work/script" /bin; do
        expect 125 "$faultline" run --library "$wrong" -- ./dynamic
        says err "--library: '$wrong'"
    done
    cp static other.so
    expect 125 "$faultline" run --library other.so -- ./dynamic
    ;;
set_up)
    # What fails at the start says so in the words of the command, with the command's own exit code.
    for directory in /no/such/folder /proc; do
        expect 125 "$faultline" run --swap $directory -- true
        says err "--swap (FAULTLINE_SWAP)"
        ! grep -qF Config:: err || fail "a user of the command knows no Config: $(cat err)"
    done
    ! grep -qF "the directory does not exist" err || fail "/proc is there: $(cat err)"
    expect 125 bash -c 'ulimit -d 4000; exec "$1" run -- true' bash "$faultline"
    says err "ulimit -d unlimited"
    ! grep -qF "ulimit -v" err || fail "that is not what refuses: $(cat err)"
    expect 125 "$faultline" run --resident 99999999 --compressed 1K -- true
    says err "--compressed (FAULTLINE_COMPRESSED)"
    if unshare --mount true 2>/dev/null; then
        expect 0 unshare --mount sh -c 'umount -l /proc && exec "$1" run -- true' sh "$faultline"
        [[ ! -s err ]] || fail "without /proc there is a message: $(cat err)"
    fi
    if command -v valgrind >/dev/null; then
        code=0
        "$faultline" run --allow-unmanaged -- valgrind -q /bin/true >out 2>err || code=$?
        says err "valgrind cannot run"
        [[ $code == 125 ]] || fail "valgrind's program returned $code"
    fi
    ;;
memory)
    # The program has memory that is not from its heap.
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
    ! grep -qF "times its limit" err || fail "true does not take 256 MiB: $(cat err)"
    ;;
crash)
    # Figures that a program had no time to leave are not zeros.
    expect 139 "$faultline" run --stats -- sh -c 'kill -SEGV $$'
    says err "ended suddenly"
    expect 0 "$faultline" run --stats -- sh -c 'exit 0'
    ! grep -qF "ended suddenly" err || fail "it has ended in order: $(cat err)"
    ;;
gdb)
    command -v gdb >/dev/null || exit 77
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
    command -v perl >/dev/null || exit 77
    # Whose threads stop and start again in a process, and in its children.
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
    # The default heap takes fewer addresses then; one that is asked for cannot be had.
    expect 0 bash -c 'ulimit -v 8000000; exec "$1" doctor' bash "$faultline"
    says out "RLIMIT_AS"
    says out "64G for a heap cannot be reserved: a program gets"
    # Too little for the tables of a pager: the program is refused, and the doctor says so.
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
