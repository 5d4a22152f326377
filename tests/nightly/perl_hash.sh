#!/usr/bin/env bash
# perl_hash.sh PRELOAD RUNS: builds and reads a hash of 640,000 entries (about 110 MiB) in perl under a limit of 57 MiB,
# RUNS times, two at a time. Each run must print what perl prints without the preload. Exits with 77 if perl is not
# installed.
set -euo pipefail
preload=$(readlink -f "$1")
runs=$2
command -v perl >/dev/null || exit 77
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/faultline_perl.XXXXXX")
trap 'rm -rf "$folder"' EXIT

cat >"$folder/hash.pl" <<'END'
my $n = shift;
my (%h, $sum);
$h{$_} = "v$_" for 1 .. $n;
for (1 .. $n) {
    my $v = $h{$_};
    die "lost $_" unless defined $v && $v eq "v$_";
    $sum += length $v;
}
print "$sum\n";
END
want=$(perl "$folder/hash.pl" 640000)

one_run() {
    local got code=0
    got=$(LD_PRELOAD=$preload FAULTLINE_RESIDENT=57M perl "$folder/hash.pl" 640000 2>&1) || code=$?
    [[ $code == 0 && $got == "$want" ]] && return
    echo "run $1: exit code $code, printed '${got:0:200}', not '$want'"
    return 1
}
failed=0
for ((run = 1; run <= runs; run += 2)); do
    one_run "$run" &
    first=$!
    if ((run < runs)); then one_run $((run + 1)) || failed=$((failed + 1)); fi
    wait "$first" || failed=$((failed + 1))
done
echo "$((runs - failed)) of $runs runs printed the right sum"
((failed == 0))
