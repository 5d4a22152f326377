"""Pager, and what its functions return."""

import dataclasses
import math
import operator
import os

import numpy as np

from . import _files, _native
from ._array import ndarray


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a pager has counted, and its state. faultline/stats.hpp describes each figure."""

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
    """Keeps pages resident until `release` or the end of a `with` block. Made by Pager.pin."""

    def __init__(self, pin):
        self._pin = pin

    def release(self):
        """Unpins the pages. Does nothing the second time."""
        if self._pin is not None:
            self._pin.release()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()


class Pager:
    """One limit of resident memory and one swap file for many arrays.

        with faultline.Pager(resident="512M") as pager:
            samples = pager.zeros((1_000_000, 1_000), dtype="f4")  # 4 GB of addresses, at most 512 MiB in memory

    Sizes are numbers of bytes, or text: "64K", "512M", "1.5G" (powers of 1024).

    resident        limit of the memory that all arrays of the pager hold together
    compressed      memory for compressed pages, in addition
    memory          one limit for both, which the pager divides; then `resident` is not used
    swap_directory  where the unnamed swap file is; None: $TMPDIR, else /var/tmp
    delivery        "automatic", "uffd_threads", "uffd_signal" or "sigsegv": how page faults arrive
    replacement     "second_chance" or "fifo": which pages leave first
    fork            "inherit": children made by os.fork and multiprocessing have a copy of all arrays, as they have of
                    ordinary ones. "refuse": an access in a child raises SIGSEGV, and fork costs nothing.

    Arrays keep what they need of the pager: they may outlive it. Any thread may call the functions, which raise OSError
    with errno if something fails, and ValueError once the pager is closed.
    """

    def __init__(
        self,
        resident="512M",
        compressed=0,
        memory=None,
        swap_directory=None,
        delivery="automatic",
        replacement="second_chance",
        fork="inherit",
    ):
        self._closed = True
        self._native = _native.Pager(
            resident=_size(resident),
            compressed=_size(compressed),
            memory=0 if memory is None else _size(memory),
            swap_directory="" if swap_directory is None else os.fspath(swap_directory),
            delivery=delivery,
            replacement=replacement,
            fork=fork,
        )
        self._closed = False

    def close(self):
        """Closes the pager. Arrays made from it stay usable, and it goes on answering their page faults."""
        self._closed = True
        self._native.close()

    @property
    def closed(self):
        """True after `close`."""
        return self._closed

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        if self._closed:
            return "<faultline.Pager, closed>"
        return f"<faultline.Pager, {self.resident_limit >> 20} MiB, {self.delivery}>"

    # Arrays.

    def empty(self, shape, dtype=float, order="C", page_size=4096):
        """Returns a new array. Its items are zeros, and it takes memory only where it is touched.

        `page_size`: what one page fault reads, a power of two from "4K" to "2M". Raises ValueError for a dtype with
        Python objects.
        """
        dtype = np.dtype(dtype)
        _files._refuse_objects(dtype)
        shape = _shape(shape)
        size = math.prod(shape) * dtype.itemsize
        memory = self._native.reserve(max(size, 1), _size(page_size))
        return ndarray.__new__(ndarray, shape, dtype, buffer=memory, order=order)

    def zeros(self, shape, dtype=float, order="C", page_size=4096):
        """Returns a new array of zeros; see `empty`."""
        return self.empty(shape, dtype, order, page_size)

    def full(self, shape, fill_value, dtype=None, order="C", page_size=4096):
        """Returns a new array filled with a value."""
        if dtype is None:
            dtype = np.asarray(fill_value).dtype
        array = self.empty(shape, dtype, order, page_size)
        array[...] = fill_value
        return array

    def array(self, like, dtype=None, order="C", page_size=4096):
        """Returns a copy of an array, or of anything that numpy.asarray accepts."""
        source = np.asarray(like)
        array = self.empty(source.shape, source.dtype if dtype is None else dtype, order, page_size)
        np.copyto(array, source, casting="unsafe")
        return array

    # Control. An array that is not contiguous is meant from its first byte to its last.

    def advise(self, array, advice):
        """Tells the pager how the program will use an array; contents do not change.

        "normal", "sequential", "random": the order of accesses. "willneed": read it in the background. "dontneed":
        evict it now. "cold": evict it before other pages.
        """
        self._native.advise(_range(array), advice)

    def wait_for_advised(self, array):
        """Waits until what "willneed" began for the array has been read."""
        self._native.wait_for_advised(_range(array))

    def discard(self, array):
        """Sets the array to zeros, and frees its memory and its space in the swap file, without reading them.

        Raises ValueError if the array is not contiguous or not writeable, and OSError (EBUSY) if part of it is pinned.
        """
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            raise ValueError("the array is not contiguous")
        if not array.flags.writeable:
            raise ValueError("the array is not writeable")
        self._native.discard(_range(array))

    def pin(self, array, purpose="writing"):
        """Makes the array resident, and keeps it so until the pin is released. The kernel can then access it.

            with pager.pin(block):
                socket.recv_into(block)

        `purpose`: what the kernel does to the array, "writing" or "reading". Raises OSError (ENOMEM) if the pins would
        leave too little of the limit.
        """
        return Pin(self._native.pin(_range(array), purpose))

    def retry(self, array):
        """After a read error, lets the next access read the array from the swap file again."""
        self._native.retry(_range(array))

    def residency(self, array):
        """Returns an array of bool: for each page that the array touches, whether it is in memory. Reads no page."""
        address, size = memory = _range(array)
        if size == 0:
            return np.empty(0, bool)
        page_size = self._native.page_size(memory)
        pages = (address + size - 1) // page_size - address // page_size + 1
        resident = np.empty(pages, bool)
        self._native.residency(memory, resident.view(np.uint8))
        return resident

    # State.

    def stats(self):
        """Returns the pager's counters and state as a Stats."""
        return Stats(**self._native.stats())

    @property
    def resident_limit(self):
        """The limit of resident memory in bytes. Setting it to a smaller one evicts pages first."""
        return self._native.resident_limit

    @resident_limit.setter
    def resident_limit(self, size):
        self._native.resident_limit = _size(size)

    @property
    def memory_limit(self):
        """The limit of all memory in bytes, 0 without one. Can be set if the pager was made with `memory`."""
        return self._native.memory_limit

    @memory_limit.setter
    def memory_limit(self, size):
        self._native.memory_limit = _size(size)

    @property
    def delivery(self):
        """How page faults arrive: "uffd_threads", "uffd_signal" or "sigsegv"."""
        return self._native.delivery


def _size(size):
    """Returns a number of bytes, given as such or as text."""
    if isinstance(size, str):
        return _native.parse_size(size)
    size = operator.index(size)
    if size < 0:
        raise ValueError(f"{size} is not a size: it is negative")
    return size


def _shape(shape):
    shape = tuple(operator.index(n) for n in (shape if hasattr(shape, "__iter__") else (shape,)))
    if any(n < 0 for n in shape):
        raise ValueError("negative dimensions are not allowed")
    return shape


def _range(array):
    """Returns the address and the size in bytes of the memory that an array uses, from its first byte to its last."""
    begin = end = _files.address_of(array)
    if array.size == 0:
        return begin, 0
    for count, stride in zip(array.shape, array.strides):
        if stride < 0:
            begin += (count - 1) * stride
        else:
            end += (count - 1) * stride
    return begin, end + array.itemsize - begin
