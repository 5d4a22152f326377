#!/usr/bin/env bash
# real_programs.sh PRELOAD CASE [--full]: runs a common program without libfaultline-preload.so and with it, under a
# limit far below what the program needs, and compares the output. CASE `all` runs all cases and prints their times.
# FAULTLINE_DELIVERY selects the delivery. --full: larger sizes for runs by hand, with a limit of 64M.
# Exits with 77 (ctest: skipped) if the program is not installed.
set -euo pipefail

skip() {
    echo "skipped: $*"
    exit 77
}
need() {
    local program
    for program in "$@"; do command -v "$program" >/dev/null || skip "$program is not installed"; done
}

preload=$(readlink -f "$1")
case=$2
scale=1
resident=${FAULTLINE_TEST_RESIDENT:-2M}
if [[ ${3:-} == --full ]]; then
    scale=full
    resident=64M
fi
of() { [[ $scale == full ]] && echo "$2" || echo "$1"; }  # of SIZE_IN_CI SIZE_WITH_FULL

# The loader only prints a message if it cannot load the library: check that the library reports a bad setting.
chosen=$( (FAULTLINE_RESIDENT=nonsense LD_PRELOAD=$preload exec env true) 2>/dev/null; echo $?)
[[ $chosen == 125 ]] || skip "the loader cannot load $preload"

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/faultline_programs.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# managed COMMAND...: runs the command with the preload.
managed() { env LD_PRELOAD="$preload" FAULTLINE_RESIDENT="$resident" "$@"; }

# compare COMMAND...: runs the command without and with the preload, with the file $input as standard input. Output and
# exit code must be equal.
compare() {
    local want_code=0 got_code=0
    "$@" <"${input:-/dev/null}" >want 2>&1 || want_code=$?
    local begin=$EPOCHREALTIME
    managed "$@" <"${input:-/dev/null}" >got 2>&1 || got_code=$?
    local end=$EPOCHREALTIME
    [[ $case != all ]] || printf '  managed: %d ms\n' $(((${end/./} - ${begin/./}) / 1000))
    if ((want_code != got_code)) || ! cmp want got; then
        echo "FAILED: $* (exit code $got_code, without the preload $want_code)"
        head -c 2000 got
        exit 1
    fi
    [[ -s want ]] || { echo "FAILED: $* prints nothing, so the comparison is void"; exit 1; }
}

# lines COUNT: prints pseudo-random lines, the same in each run.
lines() { awk -v n="$1" 'BEGIN { x = 1; for (i = 0; i < n; i++) { x = (x * 16807) % 2147483647; printf "%010d the line number %d of them\n", x, i } }'; }

case_sort() {
    need sort awk md5sum
    lines "$(of 60000 5000000)" >lines
    input=lines compare bash -c "LC_ALL=C sort --buffer-size=$(of 16M 1G) --parallel=2 | md5sum"
}

case_python() {
    need python3
    export PYTHONMALLOC=malloc  # CPython's own allocator takes its memory by mmap
    [[ $scale == full ]] || resident=8M
    cat >program.py <<'P'
import multiprocessing, sys
count = int(sys.argv[1])
table = {i: "value %d" % (i * 7) for i in range(count)}
def look(part):
    step = count // 8
    return sum(len(table[i]) for i in range(part * step, part * step + step, int(sys.argv[2])))
if __name__ == "__main__":
    assert all(table[i] == "value %d" % (i * 7) for i in range(count))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sum(pool.map(look, range(8))))
    table[3] = "changed"
    print(len(table), table[3], table[count - 1])
P
    compare python3 program.py "$(of 20000 2200000)" "$(of 5 10)"
}

case_perl() {
    need perl
    compare perl -e 'my ($n) = @ARGV; my %h; $h{$_} = "x$_" for 1 .. $n; my $s = 0; $s += length $h{$_} for 1 .. $n;
        print "$s\n"; my @a = sort { $a cmp $b } values %h; print "$a[0] $a[-1]\n";
        if (!fork) { $h{1} = "child"; exit 3 } wait; print $? >> 8, " $h{1}\n";' "$(of 15000 300000)"
}

case_bash() {
    need bash md5sum
    cat >program.sh <<'P'
list=()
for ((i = 0; i < $1; i++)); do list+=("element $i of a long list"); done
for ((i = 0; i < 6; i++)); do x=$(echo "${list[i * $1 / 6]}" | tr a-z A-Z); echo "$x"; done
exec 3</etc/passwd; read -r -u 3 line; echo "$line"; exec 3<&-
f() { echo "in $BASH_SUBSHELL: ${list[-1]}"; }
(f; (f; (f)))
printf '%s\n' "${list[@]}" | md5sum
trap 'echo bye' EXIT
P
    [[ $scale == full ]] || resident=1M
    compare bash program.sh "$(of 6000 400000)"
}

case_compilers() {
    need gcc g++ md5sum awk
    awk -v n="$(of 20 1200)" 'BEGIN { for (i = 0; i < n; i++) printf "int f%d(int a, int* b) { int s = 0; for (int i = 0; i < a; ++i) s += b[i] * %d + (a > %d ? b[a - i - 1] : i); return s; }\n", i, i, i }' >program.c
    compare bash -c 'gcc -O2 -S program.c -o - | md5sum'
    { echo "#include <$(of utility map)>"; cat program.c; echo 'std::pair<int, int> g(int a) { return {a, 1}; }'; } >program.cc
    compare bash -c "g++ -O$(of 0 2) -S program.cc -o - | md5sum"
}

case_git() {
    need git awk
    export HOME=$folder GIT_CONFIG_NOSYSTEM=1
    git init -q repository
    cd repository
    git config user.email somebody@example.invalid
    git config user.name somebody
    for i in 1 2 3 4; do
        lines "$(of 3000 400000)" | sed "s/line/line of version $i/" >"file$((i % 2))"
        git add . && git commit -q -m "version $i"
    done
    managed git repack -q -a -d -f --depth=20 --window=20
    compare git fsck --full --strict --no-progress --verbose
    compare git log -p --stat --format=%H
}

case_xz() {
    need xz awk md5sum
    [[ $scale == full ]] || resident=4M
    lines "$(of 6000 1500000)" >lines
    compare bash -c 'xz -2 -T1 -c lines | md5sum'
    xz -2 -c lines >lines.xz
    compare bash -c 'xz -d -c lines.xz | md5sum'
}

case_sqlite() {
    need python3
    export PYTHONMALLOC=malloc
    python3 -c 'import sqlite3' 2>/dev/null || skip "this python3 has no sqlite3"
    cat >program.py <<'P'
import sqlite3, sys
db = sqlite3.connect(":memory:")
db.execute("create table t (id integer primary key, name text, value blob)")
db.executemany("insert into t values (?, ?, ?)", ((i, "name %d" % (i * 7919 % 100003), b"v" * (i % 400)) for i in range(int(sys.argv[1]))))
db.execute("create index by_name on t (name)")
print(db.execute("pragma integrity_check").fetchall(), db.execute("select count(*), sum(length(value)) from t").fetchall())
print(db.execute("select id from t where name > 'name 5' order by name, id limit 5").fetchall())
P
    compare python3 program.py "$(of 12000 1100000)"
}

case_threads() {
    need xz awk
    lines "$(of 10000 2000000)" >lines
    compare bash -c "xz -0 -T2 --block-size=$(of 128KiB 4MiB) -c lines | xz -d -T2 -c | md5sum"
}

cases=(sort python perl bash compilers git xz sqlite threads)
if [[ $case != all ]]; then
    "case_$case"
    exit
fi
for each in "${cases[@]}"; do
    echo "$each"
    (mkdir -p "$each" && cd "$each" && folder=$PWD && "case_$each") || { (($? == 77)) || exit 1; }
done
