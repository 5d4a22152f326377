#!/usr/bin/env python3
"""Turns the JSON of vs_kernel and vs_umap into what gnuplot reads.

    data.py FIGURE OUTPUT_FOLDER JSON_FILE...

FIGURE is latency, resident or threads. For every mode and system of the files OUTPUT_FOLDER gets FIGURE_MODE_SYSTEM.dat,
and FIGURE.vars, which tells the gnuplot script what there is. faultline is measured once for each peer: its figures are
the medians of these measurements, as every figure is the median of its rounds.
"""

import json
import statistics
import sys
from pathlib import Path

SYSTEMS = ["faultline", "swap", "zram", "mmap", "umap"]
MODES = {
    "r": "uniformly random reads",
    "z": "zipf 0.99 reads",
    "s": "sequential reads",
    "n": "random reads named ahead",
    "rw": "uniformly random read-modify-write",
    "zw": "zipf 0.99 read-modify-write",
    "sw": "sequential read-modify-write",
    "populate": "first write of every page",
}


def binary(count):
    """1073741824 as "1 GiB"."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count / 1024:.4g} KiB"


def plural(count, what):
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def resident_percent(run):
    # A part of whole pages is a little less than the percentage that was asked for.
    return round(100 * run["resident_bytes"] / run["size_bytes"])


def latency_rows(runs):
    """x stretches the tail: 1 / (1 - quantile), which is 10 at p90 and 10000 at p99.99."""
    curves = [run["latency_quantiles_us"] for run in runs]
    for points in zip(*curves):
        yield 1 / (1 - points[0][0]), statistics.median(microseconds for _, microseconds in points)


def throughput_rows(runs, value_of):
    """x, operations per second, and the slowest and the fastest round."""
    by_value = {}
    for run in runs:
        by_value.setdefault(value_of(run), []).append(run)
    for value, same in sorted(by_value.items()):
        yield (
            value,
            statistics.median(run["ops_per_s"] for run in same),
            min(run["ops_per_s_min"] for run in same),
            max(run["ops_per_s_max"] for run in same),
        )


FIGURES = {
    "latency": ("none", latency_rows),
    "resident": ("resident", lambda runs: throughput_rows(runs, resident_percent)),
    "threads": ("threads", lambda runs: throughput_rows(runs, lambda run: run["threads"])),
}


def conditions(figure, run):
    parts = [binary(run["size_bytes"]) + " region"]
    if figure != "resident":
        parts.append(binary(run["resident_bytes"]) + " resident")
    if figure != "threads":
        parts.append(plural(run["threads"], "thread"))
    parts.append(f"median of {plural(run['rounds'], 'round')} of {run['round_s']:g} s")
    return ", ".join(parts)


def present(known, found):
    return [name for name in known if name in found]


def load(figure, paths):
    """The runs that belong to the figure. Populating belongs to the latencies alone: no sweep changes it much."""
    sweep, _ = FIGURES[figure]
    runs = [run for path in paths for run in json.loads(Path(path).read_text())]
    return [run for run in runs if run["sweep"] == sweep and (run["mode"] != "populate" or figure == "latency")]


def write(figure, folder, runs):
    _, rows_of = FIGURES[figure]
    modes = present(MODES, {run["mode"] for run in runs})
    systems = present(SYSTEMS, {run["system"] for run in runs})
    for mode in modes:
        for system in systems:
            # Empty where a system did not get that far: gnuplot then leaves it out.
            same = [run for run in runs if run["mode"] == mode and run["system"] == system]
            lines = [" ".join(f"{value:.9g}" for value in row) + "\n" for row in rows_of(same)]
            (folder / f"{figure}_{mode}_{system}.dat").write_text("".join(lines))
    titles = " ".join(f"'{MODES[mode]}'" for mode in modes)
    measured = next(run for run in runs if run["mode"] != "populate")
    (folder / f"{figure}.vars").write_text(
        f'modes = "{" ".join(modes)}"\n'
        f'titles = "{titles}"\n'
        f'systems = "{" ".join(systems)}"\n'
        f'conditions = "{conditions(figure, measured)}"\n'
    )


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in FIGURES:
        sys.exit(__doc__)
    figure, folder, paths = arguments[0], Path(arguments[1]), arguments[2:]
    runs = load(figure, paths)
    if not any(run["mode"] != "populate" for run in runs):
        sys.exit(f"data.py: nothing in {', '.join(paths)} belongs to the figure {figure}")
    folder.mkdir(parents=True, exist_ok=True)
    write(figure, folder, runs)


if __name__ == "__main__":
    main(sys.argv[1:])
