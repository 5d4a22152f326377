"""Arrays that are much larger than their memory."""

import resource
import unittest

import faultline
import numpy as np

PAGE = 4096


class Large(unittest.TestCase):
    def test_a_gibibyte_touched_here_and_there_stays_within_128_mib(self):
        with faultline.Pager(resident="128M") as pager:
            array = pager.zeros(1 << 30, "u1")
            where = np.random.default_rng(seed=5).permutation((1 << 30) // PAGE)[:2000] * PAGE + 17
            array[where] = np.arange(where.size) % 251
            self.assertTrue(np.array_equal(array[where], np.arange(where.size) % 251))
            array[-1] = 9
            self.assertEqual(int(array[-PAGE:].sum()), 9)
            self.assertLessEqual(pager.stats().resident_bytes, 128 << 20)

    def test_256_mib_all_of_them_within_32_mib(self):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with faultline.Pager(resident="32M") as pager:
            array = pager.empty(32 << 20, np.int64)
            step = 1 << 17
            for begin in range(0, array.size, step):
                array[begin : begin + step] = np.arange(begin, begin + step)
            for begin in range(0, array.size, step):
                self.assertTrue(np.array_equal(array[begin : begin + step], np.arange(begin, begin + step)), begin)
            stats = pager.stats()
            self.assertLessEqual(stats.frames_peak, 32 << 20)
            self.assertGreaterEqual(stats.bytes_read, 224 << 20)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        self.assertLess(grown, 96 << 20)  # the frames, the pager's buffers and NumPy's temporary results


if __name__ == "__main__":
    unittest.main()
