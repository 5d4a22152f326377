"""The systems that a program runs on: without a limit, under faultline, and in a memory cgroup with a swap file."""

import os
import subprocess
import time
from pathlib import Path

CGROUP_1 = Path("/sys/fs/cgroup/memory")
CGROUP_2 = Path("/sys/fs/cgroup")
SWAP_BYTES = 4 << 30


class Free:
    """No limit."""

    name = "free"

    def prefix(self, _limit_mib: int) -> list[str]:
        return []

    def enter(self, _limit_mib: int) -> None:
        """Prepares a run."""

    def join(self) -> None:
        """Runs in the child, before the program."""

    def leave(self) -> None:
        """Cleans up after a run."""

    def close(self) -> None:
        """Cleans up after all runs."""


class Faultline(Free):
    """`faultline run` with the program's limit."""

    name = "faultline"

    def __init__(self, command: str, options: list[str]) -> None:
        self._command = command
        self._options = options

    def prefix(self, limit_mib: int) -> list[str]:
        return [self._command, "run", *(option.replace("LIMIT", f"{limit_mib}M") for option in self._options), "--"]


class KernelSwap(Free):
    """A memory cgroup with the program's limit, and a swap file of the kernel's. Needs root."""

    name = "kernel swap"

    def __init__(self, swap_folder: Path) -> None:
        self._file = swap_folder / f"programs-{os.getpid()}.swap"
        self._is_v1 = (CGROUP_1 / "memory.limit_in_bytes").exists()
        self._group = (CGROUP_1 if self._is_v1 else CGROUP_2) / f"programs-{os.getpid()}"
        self._swapping = False
        try:
            self._make_swap_file()
        except BaseException:
            self.close()
            raise

    def _make_swap_file(self) -> None:
        with open(self._file, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, SWAP_BYTES)
        self._file.chmod(0o600)
        subprocess.run(["mkswap", "-q", self._file], check=True)
        subprocess.run(["swapon", self._file], check=True)
        self._swapping = True

    def enter(self, limit_mib: int) -> None:
        self._group.mkdir()
        limit = self._group / ("memory.limit_in_bytes" if self._is_v1 else "memory.max")
        limit.write_text(str(limit_mib << 20), encoding="ascii")

    def join(self) -> None:
        (self._group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def leave(self) -> None:
        for _ in range(200):  # the kernel frees a group's pages a moment after its last process
            try:
                self._group.rmdir()
                return
            except OSError:
                time.sleep(0.05)

    def close(self) -> None:
        if self._group.exists():
            self.leave()
        if self._swapping:
            subprocess.run(["swapoff", self._file], check=False)
        self._file.unlink(missing_ok=True)
