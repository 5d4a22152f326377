import os
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Literal, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["__version__", "Pager", "Pin", "Stats", "fromfile", "load", "ndarray", "tofile"]

__version__: str

_Size = int | str
_Shape = SupportsIndex | Iterable[SupportsIndex]
_Order = Literal["C", "F"]
_Path = str | bytes | os.PathLike[Any]
_Delivery = Literal["automatic", "uffd_threads", "uffd_signal", "sigsegv"]
_Advice = Literal["normal", "sequential", "random", "willneed", "dontneed", "cold"]
_Scalar = TypeVar("_Scalar", bound=np.generic)

class ndarray(np.ndarray[Any, np.dtype[_Scalar]]):
    def tofile(self, fid: Any, sep: str = "", format: str = "%s") -> None: ...

@dataclass(frozen=True)
class Stats:
    first_touches: int
    hard_faults: int
    soft_faults: int
    write_faults: int
    failed_faults: int
    evictions: int
    clean_evictions: int
    pages_read_ahead: int
    bytes_read: int
    bytes_written: int
    read_errors: int
    write_errors: int
    resident_bytes: int
    dirty_bytes: int
    staged_bytes: int
    swapped_bytes: int
    pinned_bytes: int
    resident_limit: int
    frames_used: int
    frames_peak: int
    compressed_used: int
    compressed_limit: int
    records_used: int
    memory_limit: int
    direct_reclaims: int

class Pin:
    def release(self) -> None: ...
    def __enter__(self) -> Pin: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class Pager:
    def __init__(
        self,
        resident: _Size = "512M",
        compressed: _Size = 0,
        memory: _Size | None = None,
        swap_directory: str | os.PathLike[str] | None = None,
        delivery: _Delivery = "automatic",
        replacement: Literal["second_chance", "fifo"] = "second_chance",
        fork: Literal["inherit", "refuse"] = "inherit",
    ) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    def __enter__(self) -> Pager: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def empty(
        self, shape: _Shape, dtype: DTypeLike = ..., order: _Order = "C", page_size: _Size = 4096
    ) -> ndarray[Any]: ...
    def zeros(
        self, shape: _Shape, dtype: DTypeLike = ..., order: _Order = "C", page_size: _Size = 4096
    ) -> ndarray[Any]: ...
    def full(
        self,
        shape: _Shape,
        fill_value: Any,
        dtype: DTypeLike | None = None,
        order: _Order = "C",
        page_size: _Size = 4096,
    ) -> ndarray[Any]: ...
    def array(
        self, like: ArrayLike, dtype: DTypeLike | None = None, order: _Order = "C", page_size: _Size = 4096
    ) -> ndarray[Any]: ...
    def advise(self, array: NDArray[Any], advice: _Advice) -> None: ...
    def wait_for_advised(self, array: NDArray[Any]) -> None: ...
    def discard(self, array: NDArray[Any]) -> None: ...
    def pin(self, array: NDArray[Any], purpose: Literal["writing", "reading"] = "writing") -> Pin: ...
    def retry(self, array: NDArray[Any]) -> None: ...
    def residency(self, array: NDArray[Any]) -> NDArray[np.bool_]: ...
    def stats(self) -> Stats: ...
    @property
    def resident_limit(self) -> int: ...
    @resident_limit.setter
    def resident_limit(self, size: _Size) -> None: ...
    @property
    def memory_limit(self) -> int: ...
    @memory_limit.setter
    def memory_limit(self, size: _Size) -> None: ...
    @property
    def delivery(self) -> Literal["uffd_threads", "uffd_signal", "sigsegv"]: ...

def tofile(array: NDArray[Any], file: _Path | BinaryIO) -> None: ...
def fromfile(
    file: _Path | BinaryIO, pager: Pager, dtype: DTypeLike = ..., shape: _Shape | None = None, offset: int = 0
) -> ndarray[Any]: ...
def load(file: _Path | BinaryIO, pager: Pager) -> ndarray[Any]: ...
