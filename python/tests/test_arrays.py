"""Arrays in managed memory are NumPy arrays, and their memory lives exactly as long as they do."""

import copy
import gc
import pickle
import unittest

import faultline
import numpy as np

import support

try:
    import pandas
except ImportError:
    pandas = None


@support.in_each_delivery
class Contents:
    def test_survive_eviction(self):
        pager = support.pager_with(self, self.delivery, resident="1M")
        oracle = np.random.default_rng(seed=1).integers(0, 1 << 60, size=1 << 18)
        array = pager.array(oracle)
        self.assertTrue(np.array_equal(array, oracle))
        self.assertGreater(pager.stats().evictions, 0)
        for seed in range(2):
            where = np.random.default_rng(seed).integers(0, oracle.size, size=200)
            array[where] += 1
            oracle[where] += 1
        self.assertTrue(np.array_equal(array, oracle))
        self.assertLessEqual(pager.stats().frames_peak, 1 << 20)

    def test_survive_eviction_into_compressed_memory(self):
        pager = support.pager_with(self, self.delivery, resident="1M", compressed="4M")
        array = pager.array(np.arange(1 << 19))
        self.assertTrue(np.array_equal(array, np.arange(1 << 19)))


class Making(unittest.TestCase):
    def setUp(self):
        self.pager = faultline.Pager(resident="4M")
        self.addCleanup(self.pager.close)

    def test_gives_shape_dtype_and_order(self):
        for shape in ((), (3,), 7, (2, 3, 4), (0,), (5, 0, 2)):
            for dtype in (float, "u1", "c16", "S5", "M8[ns]", [("x", "i4"), ("y", "f8", (2,))]):
                for order in "CF":
                    array = self.pager.empty(shape, dtype, order)
                    like = np.zeros(shape, dtype, order)
                    self.assertEqual((array.shape, array.dtype), (like.shape, like.dtype))
                    if like.size > 0:
                        self.assertEqual(array.strides, like.strides)
                    self.assertEqual(array.tobytes(), like.tobytes())
                    self.assertIsInstance(array, faultline.ndarray)

    def test_fills_with_values(self):
        self.assertTrue(np.array_equal(self.pager.full((3, 4), 7), np.full((3, 4), 7)))
        self.assertEqual(self.pager.full(3, 1.5).dtype, float)
        self.assertEqual(self.pager.full(3, 1.5, dtype="f4").dtype, np.float32)
        self.assertFalse(self.pager.zeros(1000).any())

    def test_copies_what_numpy_takes(self):
        self.assertEqual(self.pager.array([[1, 2], [3, 4]]).tolist(), [[1, 2], [3, 4]])
        self.assertEqual(self.pager.array(range(3), dtype="f4").dtype, np.float32)
        turned = np.arange(6).reshape(2, 3).T
        self.assertTrue(np.array_equal(self.pager.array(turned), turned))

    def test_refuses_what_is_no_data_or_no_shape(self):
        with self.assertRaisesRegex(ValueError, "Python objects"):
            self.pager.empty(3, object)
        with self.assertRaisesRegex(ValueError, "Python objects"):
            self.pager.array([None])
        with self.assertRaises(ValueError):
            self.pager.empty(-1)
        with self.assertRaises(TypeError):
            self.pager.empty(1.5)
        with self.assertRaises(ValueError):
            self.pager.empty(1, page_size="big")
        with self.assertRaises(OSError):
            self.pager.empty(1, page_size=5000)

    def test_takes_larger_pages(self):
        array = self.pager.empty(1 << 20, "u1", page_size="64K")
        array[:] = 1
        self.assertEqual(self.pager.residency(array).size, 16)


class Life(unittest.TestCase):
    def setUp(self):
        self.pager = faultline.Pager(resident="4M")
        self.addCleanup(self.pager.close)

    def used(self):
        gc.collect()
        return self.pager.stats().resident_bytes

    def test_ends_with_the_last_view(self):
        array = self.pager.full(1 << 16, 1.0)
        before = self.used()
        self.assertGreaterEqual(before, array.nbytes)
        view = array[100:200][::-1].reshape(10, 10).T
        del array
        self.assertEqual(self.used(), before)
        self.assertEqual(view.sum(), 100)
        view = memoryview(view)
        self.assertEqual(self.used(), before)
        view = np.asarray(view)
        self.assertEqual(view.sum(), 100)
        del view
        self.assertEqual(self.used(), 0)

    def test_of_an_array_goes_on_without_its_pager(self):
        array = self.pager.array(np.arange(1 << 20))  # twice the limit
        self.pager.close()
        self.assertTrue(np.array_equal(array, np.arange(1 << 20)))
        array[:] = 3
        self.assertTrue((array == 3).all())
        view = array[5:]
        del array
        self.assertEqual(view[0], 3)

    def test_of_many_arrays_is_independent(self):
        arrays = [self.pager.full(1000, i) for i in range(100)]
        del arrays[::2]
        for i, array in zip(range(1, 100, 2), arrays):
            self.assertTrue((array == i).all())
        arrays += [self.pager.zeros(1000) for _ in range(100)]
        self.assertFalse(any(array.any() for array in arrays[50:]))


class NumPy(unittest.TestCase):
    def setUp(self):
        self.pager = faultline.Pager(resident="4M")
        self.addCleanup(self.pager.close)
        self.oracle = np.random.default_rng(seed=3).standard_normal((300, 40))
        self.array = self.pager.array(self.oracle)

    def test_functions_give_what_they_give_for_ordinary_arrays(self):
        for function in (np.sort, np.cumsum, np.linalg.norm, np.fft.fft, np.unique, np.argsort, np.median, np.cov):
            np.testing.assert_array_equal(function(self.array), function(self.oracle), function.__name__)
        np.testing.assert_array_equal(self.array @ self.oracle.T, self.oracle @ self.oracle.T)
        np.testing.assert_array_equal(np.einsum("ij->j", self.array), np.einsum("ij->j", self.oracle))

    def test_results_are_ordinary_arrays(self):
        array = self.array
        for result in (array + 1, -array, array.sum(axis=0), array > 0, array[[1, 2]], array[array > 0], np.sin(array)):
            self.assertIs(type(result), np.ndarray)
        self.assertIsInstance(array.sum(), np.float64)
        self.assertIsInstance(array[1, 2], np.float64)

    def test_views_keep_the_class(self):
        array = self.array
        for view in (array[1:], array.T, array[3], array.reshape(-1), array.view("i8"), array[..., None]):
            self.assertIs(type(view), faultline.ndarray)

    def test_output_goes_into_managed_memory(self):
        out = self.pager.empty(self.array.shape)
        result = np.multiply(self.oracle, 2, out=out)
        self.assertIs(result, out)
        out += 1
        self.assertIs(type(out), faultline.ndarray)
        np.testing.assert_array_equal(out, self.oracle * 2 + 1)

    def test_pickles_and_copies_are_ordinary(self):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for array in (self.array, self.array[::2], self.array.T):
                again = pickle.loads(pickle.dumps(array, protocol))
                self.assertIs(type(again), np.ndarray)
                np.testing.assert_array_equal(again, array)
        twin = copy.deepcopy(self.array)
        twin[:] = 0
        np.testing.assert_array_equal(self.array, self.oracle)

    @unittest.skipIf(pandas is None, "pandas is not installed")
    def test_a_data_frame_uses_the_memory(self):
        frame = pandas.DataFrame(self.array, copy=False)
        np.testing.assert_array_equal(frame.mean().to_numpy(), pandas.DataFrame(self.oracle).mean().to_numpy())
        self.array[0, 0] = 123
        self.assertEqual(frame.iloc[0, 0], 123)
        self.assertEqual(frame.groupby(frame[1] > 0)[0].count().sum(), 300)


if __name__ == "__main__":
    unittest.main()
