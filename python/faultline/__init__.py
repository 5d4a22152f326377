"""Arrays larger than the memory you want to spend on them.

    import faultline

    with faultline.Pager(resident="512M") as pager:
        samples = pager.zeros((1_000_000, 1_000), dtype="f4")  # 4 GB; at most 512 MiB of it is in memory

The arrays are NumPy arrays. Pages that were not used lately are in a swap file, and come back when they are touched.
docs/python.md says what to keep to.
"""

from ._array import ndarray
from ._files import fromfile, load, tofile
from ._pager import Pager, Pin, Stats
from ._version import __version__

__all__ = ["__version__", "Pager", "Pin", "Stats", "fromfile", "load", "ndarray", "tofile"]

for _public in (Pager, Pin, Stats, fromfile, load, ndarray, tofile):
    _public.__module__ = __name__  # what messages and pickles name
del _public
