#!/usr/bin/env python3
"""Statistics of a table that is larger than the memory it gets, step by step as in a notebook.

    larger_than_memory.py [--rows 20000000] [--limit 256M]

With these defaults the table has 1.3 GB, and at most 256 MiB of it are in memory. Exits with 0 if the results are
right.
"""

import argparse
import tempfile

import faultline
import numpy as np

arguments = argparse.ArgumentParser()
arguments.add_argument("--rows", type=int, default=20_000_000)
arguments.add_argument("--limit", default="256M")
arguments = arguments.parse_args()
rows, columns = arguments.rows, 8

# %% A pager is one limit of memory for many arrays.
pager = faultline.Pager(resident=arguments.limit)
print(pager)

# %% The table begins as zeros and takes memory only where it is touched.
table = pager.zeros((rows, columns))
used = pager.stats().resident_bytes
print(f"{table.nbytes >> 20} MiB of addresses, {used >> 20} MiB in memory")

# %% Fill it block by block: temporary results of NumPy are ordinary memory, so keep them small.
random = np.random.default_rng(seed=7)
block_rows = 1 << 16
for begin in range(0, rows, block_rows):
    block = table[begin : begin + block_rows]
    random.standard_normal(out=block.reshape(-1).view(np.ndarray))
    block += np.arange(columns)

# %% A reduction walks through it. The pager reads ahead, because the accesses are in order.
mean = table.mean(axis=0)
print("means", np.round(mean, 2))
assert np.allclose(mean, np.arange(columns), atol=0.05)

# %% What is in memory now?
stats = pager.stats()
print(f"{stats.resident_bytes / 2**20:.0f} MiB in memory, {stats.swapped_bytes / 2**20:.0f} MiB in the swap file")
print(f"{pager.residency(table).mean():.0%} of the pages are in memory")
assert stats.frames_peak <= pager.resident_limit

# %% To a file and back. np.save and tofile of these arrays pin the memory for the kernel, a piece at a time.
with tempfile.TemporaryFile() as file:
    np.save(file, table)
    file.seek(0)
    again = faultline.load(file, pager)
for begin in range(0, rows, block_rows):
    part = slice(begin, begin + block_rows)
    assert np.array_equal(again[part], table[part])

# %% Memory that is not needed is given back at once, without a byte written.
pager.discard(again)
print(f"{pager.stats().resident_bytes / 2**20:.0f} MiB in memory after discard")
