#!/usr/bin/env bash
# command_check.sh FAULTLINE WORK_DIR CASE: runs the command as a shell does, and looks at what the shell sees of it.
set -euo pipefail

faultline=$1 work=$2/tool_$3 case=$3
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
    says err "at least 64K"
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
    says err "no program 'no-such-program'"
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
doctor)
    expect 0 "$faultline" doctor
    says out "automatic is"
    says out "All that matters works here."
    expect 0 "$faultline" doctor --json
    python3 -c 'import json; assert json.load(open("out"))["works"] is True'
    expect 1 "$faultline" doctor --swap /no/such/folder
    says out /no/such/folder
    expect 1 bash -c 'ulimit -v 8000000; exec "$1" doctor' bash "$faultline"
    says out "RLIMIT_AS"
    expect 0 "$faultline" doctor --swap /dev/shm
    says out "this is memory"
    ;;
esac
cd /
rm -rf "$work"
