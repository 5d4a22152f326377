"""The functions of Pager: options, limits, advice, discard, pins, errors."""

import dataclasses
import errno
import tempfile
import threading
import unittest

import faultline
import numpy as np

import support

PAGE = 4096


class Options(unittest.TestCase):
    def test_take_sizes_as_numbers_and_as_text(self):
        for size, expected in ((1 << 20, 1 << 20), ("1M", 1 << 20), ("1024K", 1 << 20), ("1.5MiB", 3 << 19)):
            with faultline.Pager(resident=size) as pager:
                self.assertEqual(pager.resident_limit, expected)
        with faultline.Pager(resident=np.int64(1 << 20)) as pager:
            self.assertEqual(pager.resident_limit, 1 << 20)

    def test_that_are_bad_text_are_value_errors(self):
        for options, message in (
            ({"resident": "lots"}, "'lots' is not a size"),
            ({"resident": -1}, "negative"),
            ({"delivery": "pigeon"}, "invalid delivery 'pigeon': expected automatic, uffd_threads"),
            ({"replacement": "best"}, "invalid replacement 'best': expected second_chance"),
            ({"fork": "maybe"}, "invalid fork 'maybe': expected refuse, inherit"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                faultline.Pager(**options)
        with self.assertRaises(TypeError):
            faultline.Pager(resident=1.5)

    def test_that_the_library_refuses_are_os_errors_with_its_message(self):
        with self.assertRaises(OSError) as raised:
            faultline.Pager(resident=PAGE)
        self.assertEqual(raised.exception.errno, errno.EINVAL)
        self.assertIn("resident_limit", str(raised.exception))
        with self.assertRaises(FileNotFoundError):
            faultline.Pager(swap_directory="/no/such/directory")

    def test_name_the_swap_directory(self):
        with tempfile.TemporaryDirectory() as directory, faultline.Pager(swap_directory=directory) as pager:
            self.assertEqual(pager.zeros(10).sum(), 0)

    def test_set_one_limit_for_all_memory(self):
        with faultline.Pager(memory="16M") as pager:
            self.assertEqual(pager.memory_limit, 16 << 20)
            array = pager.array(np.arange(4 << 20))
            self.assertTrue(np.array_equal(array, np.arange(4 << 20)))
            pager.memory_limit = "8M"
            stats = pager.stats()
            self.assertLessEqual(stats.frames_used + stats.compressed_used + stats.records_used, 8 << 20)

    def test_choose_the_replacement(self):
        with faultline.Pager(resident="1M", replacement="fifo") as pager:
            array = pager.array(np.arange(1 << 18))
            self.assertTrue(np.array_equal(array, np.arange(1 << 18)))


class Closed(unittest.TestCase):
    def test_pagers_raise_value_errors(self):
        pager = faultline.Pager()
        array = pager.zeros(10)
        with pager:
            self.assertFalse(pager.closed)
        self.assertTrue(pager.closed)
        self.assertIn("closed", repr(pager))
        pager.close()
        for call in (
            lambda: pager.empty(1),
            pager.stats,
            lambda: pager.delivery,
            lambda: pager.resident_limit,
            lambda: setattr(pager, "resident_limit", "1M"),
            lambda: pager.advise(array, "cold"),
            lambda: pager.discard(array),
            lambda: pager.pin(array),
            lambda: pager.residency(array),
        ):
            with self.assertRaisesRegex(ValueError, "the pager is closed"):
                call()


class Limits(unittest.TestCase):
    def test_can_change(self):
        with faultline.Pager(resident="8M") as pager:
            array = pager.full(1 << 20, 1.0)
            pager.resident_limit = "1M"
            self.assertEqual(pager.resident_limit, 1 << 20)
            self.assertLessEqual(pager.stats().frames_used, 1 << 20)
            self.assertEqual(array.sum(), array.size)

    def test_stats_are_plain_attributes(self):
        with faultline.Pager(resident="1M") as pager:
            array = pager.full(1 << 18, 1.0)
            stats = pager.stats()
            self.assertTrue(all(type(figure) is int for figure in dataclasses.astuple(stats)))
            self.assertGreater(stats.first_touches, 0)
            self.assertGreater(stats.swapped_bytes, 0)
            self.assertLess(stats.swapped_bytes, array.nbytes)
            self.assertEqual(stats.resident_limit, 1 << 20)


@support.in_each_delivery
class Control:
    def setUp(self):
        self.pager = support.pager_with(self, self.delivery, resident="4M")

    def test_advice_brings_and_evicts(self):
        array = self.pager.full(1 << 16, 1.0)
        self.pager.advise(array, "dontneed")
        self.assertEqual(self.pager.residency(array).sum(), 0)
        self.pager.advise(array[: 1 << 15], "willneed")
        self.pager.wait_for_advised(array[: 1 << 15])
        resident = self.pager.residency(array)
        self.assertGreater(resident.sum(), 0)
        self.assertFalse(resident[-1])
        for advice in ("normal", "sequential", "random", "cold"):
            self.pager.advise(array[::7], advice)
        self.assertEqual(array.sum(), array.size)
        with self.assertRaisesRegex(ValueError, "invalid advice 'soon': expected normal"):
            self.pager.advise(array, "soon")

    def test_discard_clears_exactly_the_array(self):
        for begin, end in ((0, 5000), (1, 2), (500, 530), (512, 1024), (511, 1025), (3000, 5000), (7, 7), (5000, 5000)):
            array = self.pager.full(5000, 1.0)
            self.pager.discard(array[begin:end])
            oracle = np.ones(5000)
            oracle[begin:end] = 0
            self.assertTrue(np.array_equal(array, oracle), (begin, end))

    def test_discard_frees_whole_pages(self):
        array = self.pager.full(5000, 1.0)
        self.pager.discard(array)
        self.assertEqual(self.pager.stats().resident_bytes, 0)

    def test_discard_refuses_what_is_not_only_the_array(self):
        array = self.pager.full((100, 100), 1.0)
        with self.assertRaisesRegex(ValueError, "not contiguous"):
            self.pager.discard(array[:, :50])
        array.flags.writeable = False
        with self.assertRaisesRegex(ValueError, "not writeable"):
            self.pager.discard(array)
        self.assertEqual(array.sum(), 10000)

    def test_pins_keep_pages_resident_and_let_the_kernel_write(self):
        array = self.pager.zeros(1 << 16, "u1")
        other = self.pager.zeros(8 << 20, "u1")
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(bytes(range(256)) * 256)
            file.seek(0)
            with self.pager.pin(array) as pin:
                other[:] = 1  # twice the limit
                self.assertTrue(self.pager.residency(array).all())
                self.assertEqual(self.pager.stats().pinned_bytes, array.nbytes)
                self.assertEqual(file.readinto(array), array.size)
            pin.release()
        self.assertEqual(self.pager.stats().pinned_bytes, 0)
        self.assertEqual(array.tobytes(), bytes(range(256)) * 256)
        with self.assertRaises(OSError) as raised:
            self.pager.pin(other)
        self.assertEqual(raised.exception.errno, errno.ENOMEM)
        with self.assertRaises(ValueError):
            self.pager.pin(array, "fun")

    def test_discard_of_pinned_pages_is_refused(self):
        array = self.pager.full(1 << 16, 1.0)
        with self.pager.pin(array[:10], "reading"), self.assertRaises(OSError) as raised:
            self.pager.discard(array)
        self.assertEqual(raised.exception.errno, errno.EBUSY)

    def test_pins_outlive_array_and_pager(self):
        array = self.pager.full(1000, 1.0)
        pin = self.pager.pin(array)
        del array
        self.pager.close()
        pin.release()
        pin.release()

    def test_residency_is_by_page(self):
        array = self.pager.zeros(100 * PAGE, "u1")
        array[PAGE * 7] = 1
        array[PAGE * 99] = 1
        resident = self.pager.residency(array)
        self.assertEqual(resident.dtype, bool)
        self.assertEqual(np.flatnonzero(resident).tolist(), [7, 99])
        self.assertEqual(self.pager.residency(array[PAGE * 7 - 1 : PAGE * 7 + 1]).tolist(), [False, True])
        self.assertEqual(self.pager.residency(self.pager.zeros(3000 * PAGE, "u1")).tolist(), [False] * 3000)

    def test_retry_of_good_pages_changes_nothing(self):
        array = self.pager.full(5000, 1.0)
        self.pager.retry(array[100:200])
        self.assertEqual(array.sum(), 5000)

    def test_other_memory_is_refused(self):
        with faultline.Pager() as other:
            for array in (np.zeros(10), other.zeros(10)):
                with self.assertRaisesRegex(ValueError, "not in memory of this pager"):
                    self.pager.advise(array, "cold")

    def test_views_of_any_shape_name_their_memory(self):
        array = self.pager.full((100, 1000), 1.0)
        for view in (array[::-1], array[3, ::-7], array.T, array[5:6, 5:5], np.asarray(array)[50:], array[4, 4:5]):
            self.pager.advise(view, "dontneed")
        empty = array[100:]
        self.pager.advise(empty, "willneed")
        self.pager.wait_for_advised(empty)
        self.pager.retry(empty)
        self.assertEqual(self.pager.residency(empty).tolist(), [])
        with self.pager.pin(empty):
            self.assertEqual(self.pager.stats().pinned_bytes, 0)
        self.assertEqual(array.sum(), array.size)


class Threads(unittest.TestCase):
    def test_close_during_calls_of_other_threads_is_harmless(self):
        for _ in range(5):
            pager = faultline.Pager(resident="4M")
            ready = threading.Barrier(4)

            def work():
                ready.wait()
                try:
                    while True:
                        array = pager.full(1000, 1.0)
                        pager.discard(array)
                        pager.stats()
                except ValueError as error:
                    errors.append(str(error))

            errors = []
            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            ready.wait()
            pager.close()
            for thread in threads:
                thread.join()
            self.assertEqual(errors, ["the pager is closed"] * 3)


if __name__ == "__main__":
    unittest.main()
