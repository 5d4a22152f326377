#!/usr/bin/env bash
# record_check.sh FAULTLINE WORK_DIR SOURCE_DIR CASE: records recorded_program.c and checks the report.
# Exits with 77 if a program or a library that the case needs is missing.
set -euo pipefail

faultline=$1 work=$2/record_$4 source=$3 case=$4
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
# says FILE TEXT: fails unless the file contains the text, wherever lines break in it.
says() { tr -s '\n ' ' ' <"$1" | grep -qF -- "$2" || fail "$1 does not say '$2': $(cat "$1")"; }
needs() { command -v "$1" >/dev/null || { echo "skipped: $1 is not installed"; exit 77; }; }

needs cc
cc -std=gnu11 -O2 -g -fomit-frame-pointer -pthread -o program "$source/recorded_program.c" || fail "cc fails"
check() { python3 "$source/check_recording.py" "$@" || fail "see above: $(cat out)"; }

# record ARGUMENT...: records the program, and reports.
record() {
    expect 0 "$faultline" record --resident 8M -o data "$@"
    says err "see \`faultline report data\`"
    expect 0 "$faultline" report data --json report.json --flamegraph graph.svg --perfetto events.json
    if grep -q "without libdw\|lacks libdw" out; then
        echo "skipped: no libdw"
        exit 77
    fi
    if grep -E '.{81}' out; then fail "the report is wider than 80 columns"; fi
    check events events.json
    check flame graph.svg
}

case $case in
places)
    for delivery in uffd_signal sigsegv; do
        record --delivery $delivery -- ./program places
        check places report.json
        says out "touch_once"
        says out "MADV_SEQUENTIAL"
        says out "avoids 9 of 10 hard faults"
    done
    ;;
tree)
    record -- ./program tree
    check function report.json walk_in_order
    check function report.json jump_often
    says out "and 1 more process"
    [[ $(grep -c '"pid"' report.json) == 2 ]] || fail "two processes have faulted: $(cat report.json)"
    # A program that is started by a recorded one is recorded, too.
    record -- sh -c './program tree; ./program places'
    check function report.json touch_once
    ;;
stack_end)
    record -- ./program stack_end
    check function report.json jump_often
    record --stack-bytes 0 -- ./program stack_end
    check function report.json jump_often
    record --stack-bytes 16K -- ./program stack_end
    check function report.json jump_often
    ;;
system_call)
    record -- ./program system_call
    says out "system_call"
    says out "in pwrite"
    ;;
stripped)
    needs strip
    strip program
    record -- ./program places
    says out "program+0x"
    says out "random"
    ;;
bad_files)
    expect 125 "$faultline" report
    says err "cannot read faultline.data; \`faultline record\` makes it"
    expect 125 "$faultline" report program
    says err "program is not a file of \`faultline record\`"
    record -- ./program tree
    head -c -1 data >cut
    expect 125 "$faultline" report cut
    says err "ends in the middle of a block"
    expect 125 "$faultline" report data --flamegraph /no/such/folder/file
    says err "cannot write /no/such/folder/file"
    expect 125 "$faultline" record -o /no/such/folder/file -- touch was-run
    [[ ! -e was-run ]] || fail "the program ran although its file cannot be made"
    expect 125 "$faultline" record --delivery uffd_threads -- true
    says err "registers"
    expect 125 "$faultline" record --stack-bytes 17K -- true
    says err "outside of 0 to 16K"
    expect 125 "$faultline" record
    says err "PROGRAM is missing: faultline record"
    expect 3 "$faultline" record -- sh -c 'exit 3'
    [[ $(stat -c %a faultline.data) == 600 ]] || fail "others may read the stacks"
    # A program that faults too little has no stack, and that is no error.
    expect 0 "$faultline" report
    # The file that was recorded is another one now.
    cc -std=gnu11 -O1 -pthread -DKEEP= -Dwalk_in_order=walked -o program "$source/recorded_program.c" || fail "cc fails"
    expect 0 "$faultline" report data
    says out "program is not the file that was recorded"
    ;;
*) fail "no case $case" ;;
esac
