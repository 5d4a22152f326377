"""Arrays to and from files. The kernel reads and writes managed memory only while it is pinned, a piece at a time."""

import fcntl
import io
import os

import numpy as np

from . import _native

# What one step copies through ordinary memory, in bytes.
_PIECE = 1 << 20


def tofile(array, file):
    """Writes the items of an array to a file in C order, as numpy.ndarray.tofile does without `sep`.

    `file` is a path or an object with a method `write`. The array may be in any memory.
    """
    array = np.asarray(array)
    _refuse_objects(array.dtype)
    if isinstance(file, (str, bytes, os.PathLike)):
        with open(file, "wb") as stream:
            _write(array, stream)
    else:
        _write(array, file)


def fromfile(file, pager, dtype=float, shape=None, offset=0):
    """Reads items from a file into a new array in memory of the pager.

    `file` is a path or a binary file object, which is read from where it stands; `offset` bytes are skipped first.
    Without a shape, the array has one dimension and as many items as the file still has; the file must be seekable.
    Raises EOFError if the file has fewer items than the shape.
    """
    if isinstance(file, (str, bytes, os.PathLike)):
        with open(file, "rb") as stream:
            return fromfile(stream, pager, dtype, shape, offset)
    dtype = np.dtype(dtype)
    _refuse_objects(dtype)
    if offset:
        file.seek(offset, io.SEEK_CUR)
    if shape is None:
        shape = (_bytes_left(file) // dtype.itemsize,)
    array = pager.empty(shape, dtype)
    _read(file, array)
    return array


def load(file, pager):
    """Reads an array that numpy.save wrote (.npy) into memory of the pager. `file`: a path or a binary file object."""
    if isinstance(file, (str, bytes, os.PathLike)):
        with open(file, "rb") as stream:
            return load(stream, pager)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format: expected 1.0 or 2.0")
    _refuse_objects(dtype)
    array = pager.empty(shape, dtype, order="F" if fortran_order else "C")
    _read(file, array.T if fortran_order else array)
    return array


def _refuse_objects(dtype):
    if dtype.hasobject:
        raise ValueError(f"dtype {dtype} has Python objects, which are references and not data")


def address_of(array):
    return array.__array_interface__["data"][0]


def _is_real_file(stream):
    """True if the stream's bytes are those of its descriptor, which those of a GzipFile are not."""
    return isinstance(getattr(stream, "raw", stream), io.FileIO)


def _write(array, stream):
    if array.size == 0 or array.dtype.itemsize == 0:
        return
    if array.flags.c_contiguous and _is_real_file(stream):
        _write_contiguous(array, stream)
        return
    count = max(1, _PIECE // array.dtype.itemsize)
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        pieces = (flat[begin : begin + count] for begin in range(0, flat.size, count))
    else:
        flags = ["external_loop", "buffered", "zerosize_ok"]
        pieces = np.nditer(array, flags=flags, buffersize=count, order="C")
    for piece in pieces:
        left = memoryview(piece.tobytes())
        while left:
            written = stream.write(left)
            left = left[written if isinstance(written, int) else len(left) :]


def _write_contiguous(array, stream):
    stream.flush()
    descriptor = stream.fileno()
    if not stream.seekable():
        _native.write_all(descriptor, address_of(array), array.nbytes, None)
        return
    begin = stream.tell()
    _native.write_all(descriptor, address_of(array), array.nbytes, begin)
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND:  # then the kernel disregards `begin`
        stream.seek(0, io.SEEK_END)
    else:
        stream.seek(begin + array.nbytes)


def _read(stream, array):
    """Fills a C-contiguous array."""
    if array.nbytes == 0:
        return
    if _is_real_file(stream) and stream.seekable():
        stream.flush()
        begin = stream.tell()
        got = _native.read_all(stream.fileno(), address_of(array), array.nbytes, begin)
        stream.seek(begin + got)
    else:
        got = _read_through_memory(stream, array)
    if got < array.nbytes:
        raise EOFError(f"the file ends after {got} of {array.nbytes} bytes")


def _read_through_memory(stream, array):
    target = array.reshape(-1).view(np.uint8) if array.ndim else array.reshape(1).view(np.uint8)
    done = 0
    while done < target.size:
        piece = stream.read(min(_PIECE, target.size - done))
        if not piece:
            break
        target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return done


def _bytes_left(stream):
    here = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return max(0, end - here)
