"""The memory of a process and all its descendants."""

import threading
import time
from pathlib import Path

# A look takes milliseconds of a CPU that the programs need, too. So the time between two looks is at least the first of
# these, and at least the second's share of the time so far.
LEAST_PERIOD_SECONDS = 0.05
PERIOD_SHARE = 0.04


def children_of(pid: int) -> list[int]:
    """Returns the children of all threads of a process; none if it has ended."""
    found: list[int] = []
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for thread in threads:
        try:
            found += [int(child) for child in (thread / "children").read_text(encoding="ascii").split()]
        except OSError:
            continue  # the thread has ended
    return found


def anonymous_bytes(pid: int) -> int:
    """Returns the anonymous and shared memory in RAM of one process; what several share is divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0  # the process has ended
    kilobytes = 0
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in ("Pss_Anon", "Pss_Shmem"):
            kilobytes += int(rest.split()[0])
    return kilobytes << 10


def anonymous_bytes_of_tree(root: int) -> int:
    """Returns the sum over a process and its descendants."""
    total, left = 0, [root]
    while left:
        pid = left.pop()
        total += anonymous_bytes(pid)
        left += children_of(pid)
    return total


class PeakSampler:
    """Watches a tree until it is stopped. `peak` is the most that one look has seen, in bytes."""

    def __init__(self, root: int) -> None:
        self.peak = 0
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """Returns the peak."""
        self._ended.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(max(LEAST_PERIOD_SECONDS, PERIOD_SHARE * (time.monotonic() - began))):
            self.peak = max(self.peak, anonymous_bytes_of_tree(self._root))
