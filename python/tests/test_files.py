"""Managed memory goes to files and comes from files, in deliveries where the kernel cannot fault it in itself, too."""

import gzip
import io
import os
import tempfile
import threading
import unittest

import faultline
import numpy as np

import support


@support.in_each_delivery
class Files:
    def setUp(self):
        self.pager = support.pager_with(self, self.delivery, resident="1M")
        self.oracle = np.arange(1 << 18)  # twice the limit
        self.array = self.pager.array(self.oracle)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "numbers")

    def content(self):
        with open(self.path, "rb") as file:
            return file.read()

    def test_tofile_writes_paths(self):
        self.array.tofile(self.path)
        self.assertEqual(self.content(), self.oracle.tobytes())
        faultline.tofile(np.asarray(self.array), self.path)
        self.assertEqual(self.content(), self.oracle.tobytes())

    def test_tofile_writes_where_the_file_stands(self):
        for mode, buffering in (("wb", -1), ("wb", 0), ("w+b", -1)):
            with open(self.path, mode, buffering) as file:
                file.write(b"begin")
                self.array.tofile(file)
                self.assertEqual(file.tell(), 5 + self.array.nbytes)
                file.write(b"end")
            self.assertEqual(self.content(), b"begin" + self.oracle.tobytes() + b"end")

    def test_tofile_appends(self):
        with open(self.path, "wb") as file:
            file.write(b"before")
        with open(self.path, "ab") as file:
            self.array.tofile(file)
            file.write(b"after")
        self.assertEqual(self.content(), b"before" + self.oracle.tobytes() + b"after")

    def test_tofile_writes_what_is_not_contiguous(self):
        square = self.array.reshape(512, 512)
        flat = self.array
        for view in (flat[::3], square[:, :4].T, square[10:, 7:], flat[::-1], flat[:0], flat[5:6]):
            view.tofile(self.path)
            self.assertEqual(self.content(), np.asarray(view).tobytes())

    def test_tofile_writes_text(self):
        self.array[:5].tofile(self.path, sep=" ")
        self.assertEqual(self.content(), b"0 1 2 3 4")

    def test_tofile_writes_streams_without_a_descriptor_of_their_own(self):
        stream = io.BytesIO()
        self.array.tofile(stream)
        self.assertEqual(stream.getvalue(), self.oracle.tobytes())
        with gzip.open(self.path, "wb", compresslevel=1) as packed:
            self.array.tofile(packed)
        with gzip.open(self.path, "rb") as packed:
            again = faultline.fromfile(packed, self.pager, int, (self.oracle.size,))
        self.assertTrue(np.array_equal(again, self.oracle))

    def test_pipes_carry_all(self):
        reader, writer = os.pipe()

        def write():
            with open(writer, "wb") as stream:
                self.array.tofile(stream)

        thread = threading.Thread(target=write)
        thread.start()
        with open(reader, "rb") as stream:
            again = faultline.fromfile(stream, self.pager, int, self.oracle.size)
        thread.join()
        self.assertTrue(np.array_equal(again, self.oracle))

    def test_fromfile_reads_where_the_file_stands(self):
        with open(self.path, "wb") as file:
            file.write(b"12345678" + self.oracle.tobytes() + b"end")
        for buffering in (-1, 0):
            with open(self.path, "rb", buffering) as file:
                self.assertEqual(file.read(8), b"12345678")
                array = faultline.fromfile(file, self.pager, int, (512, 512))
                self.assertIs(type(array), faultline.ndarray)
                self.assertTrue(np.array_equal(array.reshape(-1), self.oracle))
                self.assertEqual(file.read(), b"end")

    def test_fromfile_reads_the_rest_without_a_shape(self):
        with open(self.path, "wb") as file:
            file.write(b"xx" + self.oracle.tobytes() + b"end")
        self.assertTrue(np.array_equal(faultline.fromfile(self.path, self.pager, int, offset=2), self.oracle))

    def test_fromfile_says_that_the_file_is_short(self):
        with open(self.path, "wb") as file:
            file.write(bytes(100))
        with self.assertRaisesRegex(EOFError, "ends after 100 of 160 bytes"):
            faultline.fromfile(self.path, self.pager, int, 20)
        with self.assertRaises(EOFError):
            faultline.fromfile(io.BytesIO(bytes(100)), self.pager, int, 20)

    def test_numpy_saves_what_load_reads(self):
        square = self.array.reshape(512, 512)
        flat = self.array
        for array in (flat, square[:100], square[:100].T, flat[::2], flat[:0], self.pager.full((), 4)):
            np.save(self.path + ".npy", array)
            self.assertTrue(np.array_equal(np.load(self.path + ".npy"), array))
            again = faultline.load(self.path + ".npy", self.pager)
            self.assertIs(type(again), faultline.ndarray)
            self.assertEqual((again.dtype, again.shape), (array.dtype, array.shape))
            self.assertTrue(np.array_equal(again, array))
        np.savez(self.path, numbers=self.array)
        self.assertTrue(np.array_equal(np.load(self.path + ".npz")["numbers"], self.oracle))

    def test_objects_are_refused(self):
        np.save(self.path + ".npy", np.array([None, 1], object), allow_pickle=True)
        with self.assertRaisesRegex(ValueError, "Python objects"):
            faultline.load(self.path + ".npy", self.pager)
        with self.assertRaisesRegex(ValueError, "Python objects"):
            faultline.tofile(np.array([None]), self.path)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb", 0) as file, self.assertRaises(OSError):
            self.array.tofile(file)


class Interpreter(unittest.TestCase):
    def test_a_signal_ends_a_write_that_blocks(self):
        done = support.run_program(
            """
            import faultline, os, signal, threading

            pager = faultline.Pager(resident="1M", delivery="sigsegv")
            array = pager.full(1 << 18, 1.0)
            reader, writer = os.pipe()

            def interrupt():
                os.read(reader, 1)  # the write has begun, and will block: the pipe takes less than the array
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=interrupt).start()
            try:
                with open(writer, "wb", 0) as stream:
                    array.tofile(stream)
            except KeyboardInterrupt:
                print("interrupted", array.sum() == array.size)
            """
        )
        self.assertEqual(done.stdout, "interrupted True\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
