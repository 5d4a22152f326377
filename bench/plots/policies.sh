#!/usr/bin/env bash
# Replays the workloads of policy_replay under several policies, and draws how often each reads a page from the store.
# No clock is involved: the figure is the same on every machine.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'END'
bench/plots/policies.sh BUILD_FOLDER SVG POLICY,... [OPTION...]    draw to SVG; the OPTIONs go to policy_replay, such as
                                                                   --plugin my_policy.so, or --trace FILE
Exit status: 0 drawn; 1 something failed; 2 wrong command line; 77 a program is missing.
END
}

if (($# < 3)); then
    usage >&2
    exit 2
fi
build=$1 svg=$2 policies=$3
shift 3
for program in gnuplot python3; do
    command -v "$program" >/dev/null || { echo "policies.sh: $program is missing" >&2; exit 77; }
done

measured=$(mktemp -d)
trap 'rm -rf "$measured"' EXIT
"$build/bench/policy_replay" --suite held-out --policies "$policies" "$@" --csv "$measured/counts.csv" >/dev/null
# One line for each trace: its name, and one column for each policy: hard faults per 100 references.
python3 - "$measured" "$policies" <<'END'
import csv, pathlib, sys

folder, policies = pathlib.Path(sys.argv[1]), sys.argv[2].split(",")
rates = {}
with open(folder / "counts.csv", newline="") as file:
    for row in csv.DictReader(file):
        rates.setdefault(row["trace"], {})[row["policy"]] = 100 * int(row["hard_faults"]) / int(row["references"])
with open(folder / "rates.dat", "w") as file:
    for trace, of in rates.items():
        print(trace, *(f"{of[policy]:.3f}" for policy in policies), sep="\t", file=file)
END
gnuplot -e "data='$measured/rates.dat'; svg='$svg'; policies='${policies//,/ }'" "$here/policies.gp"
