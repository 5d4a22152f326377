#!/usr/bin/env bash
# Runs vs_kernel and draws the results. bench/README.md explains the figures.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'END'
bench/plots/make.sh BUILD_FOLDER [OPTION...]    measure, draw to docs/plots; the OPTIONs go to vs_kernel each time
bench/plots/make.sh --redraw BUILD_FOLDER       draw again what was measured last
bench/plots/make.sh --smoke BUILD_FOLDER        tiny and short, faultline alone, drawn to BUILD_FOLDER/plots-smoke:
                                                whether it works, not how fast

BUILD_FOLDER is what CMake built in, for example build/release. The measurements stay in BUILD_FOLDER/plots.
Exit status: 0 drawn; 1 something failed; 2 wrong command line; 77 a program is missing.
END
}

fail() {
    local status=$1
    shift
    echo "make.sh: $*" >&2
    exit "$status"
}

find_gnuplot() {
    command -v gnuplot >/dev/null || fail 77 "gnuplot is missing: apt-get install gnuplot-nox (or your system's package)"
    command -v python3 >/dev/null || fail 77 "python3 is missing: apt-get install python3 (or your system's package)"
}

# given NAME OPTION...: returns whether the option NAME is among the OPTIONs.
given() {
    local name=$1 option
    shift
    for option in "$@"; do
        if [[ $option == "$name" || $option == "$name="* ]]; then return 0; fi
    done
    return 1
}

# measure FIGURE OPTION...: runs vs_kernel for the figure with the OPTIONs.
measure() {
    local figure=$1
    shift
    given --modes "$@" || set -- --modes r,z,s,n "$@"
    given --seconds "$@" || given --smoke "$@" || set -- --seconds 1 "$@"
    if [[ $figure != latency ]]; then set -- --sweep "$figure" "$@"; fi
    echo "== vs_kernel $*"
    "$vs_kernel" --json "$measured/$figure.json" "$@"
}

draw() {
    local figure=$1
    [[ -f $measured/$figure.json ]] || fail 1 "no $measured/$figure.json: nothing measured yet"
    mkdir -p "$drawings"
    python3 "$here/data.py" "$figure" "$measured/data" "$measured/$figure.json"
    gnuplot -e "folder = '$here'; data = '$measured/data'; svg = '$drawings/$figure.svg'" "$here/$figure.gp"
    echo "== $drawings/$figure.svg"
}

measuring=true
smoke=()
case ${1:-} in
    -h | --help | help)
        usage
        exit 0
        ;;
    --redraw) measuring=false ;;&
    --smoke) smoke=(--smoke --peers none --modes "r,n" --seconds 0.02) ;;&
    --redraw | --smoke) shift ;;
esac
if (($# == 0)); then
    usage >&2
    exit 2
fi

build=$1
shift
vs_kernel=$build/bench/vs_kernel
measured=$build/plots
drawings=$(cd "$here/../.." && pwd)/docs/plots
if ((${#smoke[@]} > 0)); then
    measured=$build/plots-smoke
    drawings=$measured
fi

find_gnuplot
if $measuring; then
    [[ -x $vs_kernel ]] || fail 1 "no $vs_kernel: cmake --build $build --target vs_kernel"
    mkdir -p "$measured"
    for figure in latency resident threads; do measure "$figure" "${smoke[@]}" "$@"; done
fi
for figure in latency resident threads; do draw "$figure"; done
