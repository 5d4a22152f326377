#!/usr/bin/env python3
"""Runs programs under a limit that is too small for them: on faultline and on kernel swap, beside a run without a limit.

The table says for each program how much memory it takes without a limit and under faultline, and how long it runs. The
programs' output and exit status must be the same everywhere. bench/README.md explains the figures.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from programs import PROGRAMS, SMOKE, Program
from systems import Faultline, Free, KernelSwap
from tree_memory import PeakSampler

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@dataclass
class Run:
    """One run of a program. `seconds` is None if it did not end in time."""

    seconds: float | None
    status: int
    output: str
    peak: int
    messages: str  # the end of what it wrote to standard error

    def says(self, other: "Run") -> bool:
        return self.status == other.status and self.output == other.output


class Runner:
    """Runs programs in a scratch folder, one after the other."""

    def __init__(self, as_nobody: bool, timeout: float) -> None:
        self._as_nobody = as_nobody
        self._timeout = timeout

    def run(self, program: Program, system: Free, folder: Path) -> Run:
        system.enter(program.limit_mib)
        try:
            return self._run_inside(program, system, folder)
        finally:
            system.leave()

    def _run_inside(self, program: Program, system: Free, folder: Path) -> Run:
        user = NOBODY if self._as_nobody else []
        command = [*user, *system.prefix(program.limit_mib), "sh", "-c", program.command]
        began = time.monotonic()
        with tempfile.TemporaryFile() as messages, subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=messages, preexec_fn=system.join,
            start_new_session=True,
        ) as process:
            sampler = PeakSampler(process.pid)
            try:
                output, _ = process.communicate(timeout=self._timeout)
                seconds: float | None = time.monotonic() - began
            except BaseException as reason:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                if not isinstance(reason, subprocess.TimeoutExpired):
                    raise
                seconds = None
            finally:
                peak = sampler.stop()
            return Run(seconds, process.returncode, hashlib.sha256(output).hexdigest(), peak, end_of(messages))


def end_of(file: IO[bytes]) -> str:
    """Returns the last 4 KiB of a file."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
    return file.read().decode(errors="replace")


def text_of_seconds(run: Run, free: Run, timeout: float) -> str:
    if run.seconds is None:
        return f"over {timeout:.0f}"
    if not run.says(free):
        return f"status {run.status}" if run.status != free.status else "other output"
    return f"{run.seconds:.1f}"


def median_run(runs: list[Run]) -> Run:
    """Returns the run with the median time; one that did not end counts as the longest."""
    return sorted(runs, key=lambda run: math.inf if run.seconds is None else run.seconds)[len(runs) // 2]


def measure(program: Program, systems: list[Free], runner: Runner, rounds: int) -> dict[str, Run]:
    """Returns for each system the run with the median time. The systems take turns."""
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        program.prepare(folder)
        for _ in range(rounds):
            for system in systems:
                print(f"{program.name}: {system.name}", file=sys.stderr, flush=True)
                runs[system.name].append(runner.run(program, system, folder))
    return {system: median_run(of_system) for system, of_system in runs.items()}


def row_of(program: Program, runs: dict[str, Run], timeout: float) -> str:
    free, ours, swap = runs["free"], runs["faultline"], runs.get("kernel swap")
    cells = [
        f"{program.name:<17}",
        f"{program.limit_mib:>5}",
        f"{free.peak / 2**20:>6.0f}",
        f"{ours.peak / 2**20:>6.0f}",
        f"{text_of_seconds(free, free, timeout):>8}",
        f"{text_of_seconds(ours, free, timeout):>10}",
        f"{text_of_seconds(swap, free, timeout) if swap else '-':>10}",
    ]
    ratio = ratio_of(runs)
    return " ".join([*cells, f"{ratio:>6.2f}" if ratio else f"{'-':>6}"])


def ratio_of(runs: dict[str, Run]) -> float | None:
    """Returns faultline's time over kernel swap's; None unless both were right."""
    free, ours, swap = runs["free"], runs["faultline"], runs.get("kernel swap")
    if swap is None or ours.seconds is None or swap.seconds is None:
        return None
    return ours.seconds / swap.seconds if ours.says(free) and swap.says(free) else None


def is_right(runs: dict[str, Run]) -> bool:
    """True if faultline's run ended as the one without a limit did."""
    return runs["faultline"].seconds is not None and runs["faultline"].says(runs["free"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faultline", help="the command, for example build/release/src/faultline")
    parser.add_argument("--options", default="--memory LIMIT", help="of `faultline run` (default: %(default)s)")
    parser.add_argument("--only", help="run the programs whose names contain this")
    parser.add_argument("--peers", choices=("swap", "none"), default="swap", help="swap needs root")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one run")
    parser.add_argument("--as-nobody", action="store_true", help="run the programs as an ordinary user; needs root")
    parser.add_argument("--swap-dir", type=Path, default=Path("/var/tmp"), help="folder of the kernel's swap file")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--smoke", action="store_true", help="one small program, without kernel swap")
    return parser.parse_args()


def systems_for(options: argparse.Namespace) -> list[Free]:
    faultline = shutil.which(options.faultline)
    if faultline is None:
        sys.exit(f"run.py: {options.faultline} is not a program")
    systems = [Free(), Faultline(str(Path(faultline).resolve()), options.options.split())]
    if options.peers == "swap" and not options.smoke:
        systems.append(KernelSwap(options.swap_dir))
    return systems


def print_head() -> None:
    print(f"{'':<17} {'limit':>5} {'peak MiB':>13} {'seconds':>8}")
    print(f"{'program':<17} {'MiB':>5} {'free':>6} {'ours':>6} {'free':>8} {'faultline':>10} {'swap':>10} {'ratio':>6}")


def run_all(options: argparse.Namespace, systems: list[Free]) -> list[dict[str, Run]]:
    runner = Runner(options.as_nobody, options.timeout)
    results: dict[str, dict[str, Run]] = {}
    print_head()
    for program in SMOKE if options.smoke else PROGRAMS:
        if options.only and options.only not in program.name:
            continue
        if missing := program.missing():
            print(f"{program.name:<17} skipped: no {' '.join(missing)}")
            continue
        results[program.name] = measure(program, systems, runner, options.rounds)
        print(row_of(program, results[program.name], options.timeout), flush=True)
        if not is_right(results[program.name]):
            print(results[program.name]["faultline"].messages, file=sys.stderr)
    if options.json:
        text = {name: {system: vars(run) for system, run in runs.items()} for name, runs in results.items()}
        options.json.write_text(json.dumps(text, indent=2) + "\n", encoding="ascii")
    return list(results.values())


def main() -> int:
    options = arguments()
    systems = systems_for(options)
    try:
        results = run_all(options, systems)
    finally:
        for system in systems:
            system.close()
    ratios = [ratio for runs in results if (ratio := ratio_of(runs))]
    if ratios:
        print(f"geometric mean of faultline's time over kernel swap's: {statistics.geometric_mean(ratios):.2f}")
    wrong = sum(not is_right(runs) for runs in results)
    print(f"{len(results)} programs, {wrong} not as without a limit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
