"""The class of arrays in managed memory."""

import numpy as np

from . import _files


class ndarray(np.ndarray):
    """An array in memory of a pager. Made by Pager.empty and the like; views and slices have this class, too.

    It differs from numpy.ndarray in that the kernel may not access its memory: the pages may be absent. So tofile pins
    the memory piece by piece, and pickle gets a copy in ordinary memory. New arrays that NumPy computes from it are
    ordinary ones.
    """

    def tofile(self, fid, sep="", format="%s"):
        """Writes the array to a file, as numpy.ndarray.tofile does."""
        if sep:
            super().tofile(fid, sep, format)  # formats each item, so the kernel sees text only
        else:
            _files.tofile(self, fid)

    def __reduce_ex__(self, protocol):
        return np.array(self, subok=False).__reduce_ex__(protocol)

    def __reduce__(self):
        return np.array(self, subok=False).__reduce__()

    def __array_wrap__(self, array, *arguments):
        wrapped = super().__array_wrap__(array, *arguments)
        if wrapped is self or type(self) is not ndarray:  # self: it was given as `out`
            return wrapped
        return wrapped[()] if wrapped.shape == () else wrapped.view(np.ndarray)

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if type(item) is ndarray and not np.may_share_memory(item, self):  # a copy: the index was an array
            return item.view(np.ndarray)
        return item
