#!/usr/bin/env bash
# run_elf_check.sh RUN_ELF PROGRAMS FOLDER CASE: runs a program with run_elf in a new folder under FOLDER, and compares
# its output and exit code with those outside of run_elf. PROGRAMS is the folder of the built programs; CASE is one of
#     hello_break grow_break pause probe probe_pie violation refused busybox malformed
# Exits 77 (ctest: skipped) if run_elf is not permitted, or busybox-static is not installed.
set -euo pipefail

run_elf=$1 programs=$2 folder=$(mktemp -d "$3/run_elf_check.XXXXXX") case=$4
trap 'rm -rf "$folder"' EXIT
export PROBE_VARIABLE=value

fail() {
    echo "FAILED: $*"
    cat "$folder"/*.report 2>/dev/null || true
    exit 1
}

# inside LIMIT PROGRAM ARGUMENT...: leaves code and output in $folder; ends the script if run_elf is not permitted.
inside() {
    local limit=$1
    code=0
    "$run_elf" --resident "$limit" --swap "$folder" -- "${@:2}" \
        <"${input:-/dev/null}" >"$folder/inside" 2>"$folder/inside.report" || code=$?
    if ((code == 77)); then
        cat "$folder/inside.report"
        exit 77
    fi
}

# same LIMIT PROGRAM ARGUMENT...: checks that code and output are the same inside and outside, and the limit was kept.
same() {
    local expected=0 peak
    inside "$@"
    "${@:2}" <"${input:-/dev/null}" >"$folder/outside" || expected=$?
    cmp "$folder/outside" "$folder/inside" || fail "$* prints something else"
    ((code == expected)) || fail "$* returns $code instead of $expected"
    for word in faults "peak resident" segment; do
        grep -q "$word" "$folder/inside.report" || fail "$*: no $word in the report"
    done
    cat "$folder/inside.report"
}

# says TEXT: checks that the report contains TEXT.
says() {
    grep -q -- "$1" "$folder/inside.report" || fail "it does not say \"$1\""
}

# Runs a program that pauses until a signal, and sends run_elf the signal once it reports that the program runs.
paused() {
    mkfifo "$folder/said"
    "$run_elf" --resident 32K --swap "$folder" --maps -- "$programs/pause" 2>"$folder/said" &
    local pid=$! line code=0
    {
        read -r line || true
        echo "$line"
        if [[ $line == *"runs as process"* ]]; then kill -USR1 "$pid" || true; fi
        cat
    } <"$folder/said" >"$folder/inside.report"
    wait "$pid" || code=$?
    if ((code == 77)); then exit 77; fi
    ((code == 128 + $(kill -l USR1))) || fail "returned $code"
    says "r-xp .*programs/pause \[text\]"
    says "rw-p .*\[stack\]"
    says "was ended by signal 10 (SIGUSR1)"
    cat "$folder/inside.report"
}

# Makes words of all lengths, the same each time; about 20 MB in lines of up to 4,000 characters.
make_text() {
    LC_ALL=C awk -v bytes=$((20 << 20)) 'BEGIN {
        srand(1)
        for (written = 0; written < bytes; written += length(line) + 1) {
            line = sprintf("%09d", rand() * 1e9)
            for (words = int(rand() * 360); words > 0; --words) line = line sprintf(" %d", rand() * 2 ^ (rand() * 60))
            print line
        }
    }' >"$folder/text"
}

# Each input is long enough to need more memory than the limit.
real_work() {
    [[ -x /bin/busybox ]] && ! ldd /bin/busybox >/dev/null 2>&1 || {
        echo "skipped: there is no static /bin/busybox (package busybox-static)"
        exit 77
    }
    make_text
    same 4M /bin/busybox sort "$folder/text"
    says "4.0 MiB"
    same 1M /bin/busybox sha256sum "$folder/text"
    same 1M /bin/busybox awk '{ words += NF; longest = NF > longest ? NF : longest; ++first[substr($1, 1, 4)] }
        END { print NR, words, longest, length(first), first["0123"] }' "$folder/text"
}

# Runs programs with randomly changed headers: run_elf refuses them, or they run and end, but run_elf never crashes.
malformed() {
    inside 32K "$programs/hello_break"  # may it run at all?
    local seed=$RANDOM$RANDOM
    echo "seed $seed"
    for file in empty short text; do : >"$folder/$file"; done
    head -c 100 "$programs/hello_break" >"$folder/short"
    echo "#!/bin/sh" >"$folder/text"
    for file in empty short text; do
        inside 32K "$folder/$file"
        ((code == 2)) || fail "$file returns $code"
        says "cannot run .*: it is \|cannot run .*: its "
    done
    inside 32K "$run_elf"
    ((code == 2)) || fail "run_elf in run_elf returns $code"
    says "linked dynamically"
    python3 - "$programs/hello_break" "$folder" "$seed" <<'PYTHON'
import random, sys
program, folder, seed = sys.argv[1:]
random.seed(seed)
good = open(program, "rb").read()
for i in range(60):
    bad = bytearray(good)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(16, 64 + 4 * 56)
        value = random.choice([0, 1, 0xfff, 1 << 47, (1 << 64) - 1, (1 << 63), random.getrandbits(64)])
        if random.random() < 0.5:
            bad[at] = random.getrandbits(8)
        else:
            bad[at // 8 * 8:at // 8 * 8 + 8] = value.to_bytes(8, "little")
    open(f"{folder}/mutant{i}", "wb").write(bad)
PYTHON
    local refused=0 mutant
    for mutant in "$folder"/mutant*; do
        code=0
        timeout 20 "$run_elf" --resident 32K --swap "$folder" -- "$mutant" \
            </dev/null >/dev/null 2>"$folder/inside.report" || code=$?
        ((code != 124)) || continue  # it does run, and never ends
        if grep -q "was killed by signal\|terminate called\|faultline: " "$folder/inside.report"; then
            cp "$mutant" "$3/run_elf_mutant"
            fail "$3/run_elf_mutant (seed $seed) ends run_elf itself"
        fi
        if ((code == 2)); then refused=$((refused + 1)); fi
    done
    echo "$refused of 60 were refused"
    ((refused > 10)) || fail "hardly any was refused"
}

case $case in
    hello_break) same 32K "$programs/hello_break" ;;
    grow_break) same 64K "$programs/grow_break" ;;
    pause) paused ;;
    probe | probe_pie) same 128K "$programs/$case" one "" three ;;
    violation)
        inside 128K "$programs/probe" --violate
        ((code == 139)) || fail "returns $code"
        says "signal 11 (SIGSEGV) at 0x0, in no segment"
        inside 128K "$programs/probe" --overflow
        ((code == 139)) || fail "returns $code"
        says "signal 11 (SIGSEGV) at 0x"
        ;;
    refused)
        inside 128K "$programs/probe" --fork
        ((code == 0)) || fail "returns $code"
        (($(grep -c ' 38$' "$folder/inside") == 3)) || fail "fork, clone and execve are not refused with ENOSYS"
        ;;
    busybox) real_work ;;
    malformed) malformed ;;
    *) fail "no such case" ;;
esac
