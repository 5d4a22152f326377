"""Page faults among Python's own machinery: threads, signals, faulthandler, fork and the end of the interpreter."""

import multiprocessing
import os
import signal
import threading
import unittest

import faultline
import numpy as np

import support


@support.in_each_delivery
class Threads:
    def test_fault_side_by_side(self):
        pager = support.pager_with(self, self.delivery, resident="1M")
        array = pager.zeros((4, 1 << 16), int)
        failures = []

        def work(row):
            for turn in range(3):
                for begin in range(0, row.size, 1000):
                    row[begin : begin + 1000] += 1
                if not (row == turn + 1).all():
                    failures.append(turn)

        threads = [threading.Thread(target=work, args=(row,)) for row in array]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(array.sum(), array.size * 3)

    def test_make_and_drop_arrays_side_by_side(self):
        pager = support.pager_with(self, self.delivery, resident="1M")
        failures = []

        def work(seed):
            for n in range(30):
                array = pager.full(5000, seed * 100 + n)
                view = array[100:][::-1]
                del array
                if not (view == seed * 100 + n).all():
                    failures.append((seed, n))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(pager.stats().resident_bytes, 0)


@support.in_each_delivery
class Signals:
    def setUp(self):
        support.pager_with(self, self.delivery)  # or skips

    def run_program(self, text):
        done = support.run_program(text, self.delivery)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_control_c_ends_a_long_loop(self):
        self.assertEqual(
            self.run_program(
                """
                import faultline, os, signal, sys, threading

                pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
                array = pager.zeros(1 << 18)
                begun = threading.Event()

                def interrupt():
                    begun.wait()
                    os.kill(os.getpid(), signal.SIGINT)

                threading.Thread(target=interrupt).start()
                turns = 0
                try:
                    while True:
                        array += 1
                        turns += 1
                        begun.set()
                except KeyboardInterrupt:
                    full = array.min() >= turns and array.max() <= turns + 1
                    print("interrupted", full)
                """
            ),
            "interrupted True\n",
        )

    def test_many_python_handlers_run_between_faults(self):
        self.assertEqual(
            self.run_program(
                """
                import faultline, signal, sys

                pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
                array = pager.zeros(1 << 18)
                ticks = 0

                def tick(number, frame):
                    global ticks
                    ticks += 1
                    array[ticks * 977 % array.size] += 0  # faults in the handler

                signal.signal(signal.SIGALRM, tick)
                signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
                turns = 0
                while ticks < 50 or turns < 3:
                    for begin in range(0, array.size, 512):
                        array[begin : begin + 512] += 1
                    turns += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
                print((array == turns).all())
                """
            ),
            "True\n",
        )

    def test_faulthandler_may_be_enabled_before(self):
        self.assertEqual(
            self.run_program(
                """
                import faulthandler, faultline, sys

                faulthandler.enable()
                pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
                array = pager.full(1 << 18, 1.0)
                faulthandler.enable(all_threads=False)  # changes its settings only
                print(array.sum() == array.size)
                """
            ),
            "True\n",
        )

    def test_faulthandler_enabled_afterwards_and_disabled_again_is_harmless(self):
        done = support.run_program(
            """
            import faulthandler, faultline, sys

            pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
            array = pager.full(1 << 18, 1.0)
            faulthandler.enable()
            faulthandler.disable()
            print(array.sum() == array.size)
            """,
            self.delivery,
        )
        self.assertEqual(done.stdout, "True\n", done.stderr)  # disabling it puts faultline's handler back

    def test_faulthandler_enabled_afterwards_ends_the_program_with_a_traceback(self):
        done = support.run_program(
            """
            import faulthandler, faultline, sys

            pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
            array = pager.full(1 << 18, 1.0)
            faulthandler.enable()
            print(array.sum() == array.size)
            """,
            self.delivery,
        )
        if self.delivery == "uffd_threads":  # no signals
            self.assertEqual(done.stdout, "True\n", done.stderr)
        else:
            self.assertEqual(done.stdout, "")
            self.assertIn(done.returncode, (-signal.SIGSEGV, -signal.SIGBUS))
            self.assertIn("Fatal Python error", done.stderr)

    def test_faulthandler_disabled_while_a_pager_lives_takes_its_handler_away(self):
        done = support.run_program(
            """
            import faulthandler, faultline, sys

            faulthandler.enable()
            pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
            array = pager.full(1 << 18, 1.0)
            faulthandler.disable()
            print(array.sum() == array.size)
            """,
            self.delivery,
        )
        if self.delivery == "uffd_threads":  # no signals
            self.assertEqual(done.stdout, "True\n", done.stderr)
        else:
            self.assertIn(done.returncode, (-signal.SIGSEGV, -signal.SIGBUS))

    def test_faulthandler_reports_crashes_that_are_the_programs(self):
        done = support.run_program(
            """
            import ctypes, faulthandler, faultline, sys

            faulthandler.enable()
            pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
            array = pager.full(1 << 18, 1.0)

            def crash():
                ctypes.string_at(8)

            crash()
            """,
            self.delivery,
        )
        self.assertEqual(done.returncode, -signal.SIGSEGV)
        self.assertIn("Segmentation fault", done.stderr)
        self.assertIn("in crash", done.stderr)

    def test_a_program_without_standard_error_has_pagers(self):
        self.assertEqual(
            self.run_program(
                """
                import faultline, sys

                sys.stderr = None
                pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
                print(pager.full(1 << 18, 1.0).sum() == 1 << 18)
                """
            ),
            "True\n",
        )

    def test_the_end_of_the_interpreter_is_clean(self):
        self.assertEqual(
            self.run_program(
                """
                import atexit, faultline, sys, threading

                pager = faultline.Pager(resident="1M", delivery=sys.argv[1])
                array = pager.full(1 << 18, 1.0)
                cycle = [array]
                cycle.append(cycle)
                pin = pager.pin(array[:1000])

                def walk():
                    while True:
                        array.sum()

                threading.Thread(target=walk, daemon=True).start()
                atexit.register(lambda: print(array.sum() == array.size))
                """
            ),
            "True\n",
        )


pool_array = None


def sum_of_quarter(index):
    quarter = pool_array[index * (pool_array.size // 4) : (index + 1) * (pool_array.size // 4)]
    total = int(quarter.sum())
    quarter[:] = -1
    return total


@support.in_each_delivery
class Fork:
    def test_children_have_their_own_copy(self):
        global pool_array
        pager = support.pager_with(self, self.delivery, resident="1M")
        pool_array = pager.array(np.arange(1 << 18))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            totals = pool.map(sum_of_quarter, range(4), chunksize=1)
        self.assertEqual(sum(totals), (1 << 18) * ((1 << 18) - 1) // 2)
        self.assertTrue(np.array_equal(pool_array, np.arange(1 << 18)))
        pool_array = None

    def test_children_use_the_pager(self):
        pager = support.pager_with(self, self.delivery, resident="1M")
        array = pager.full(1 << 18, 1.0)
        child = os.fork()
        if child == 0:
            try:
                more = pager.full(1 << 18, 2.0)
                pager.advise(array, "dontneed")
                os._exit(0 if array.sum() + more.sum() == 3 << 18 else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(array.sum(), array.size)

    def test_children_of_a_pager_that_refuses_get_sigsegv(self):
        done = support.run_program(
            """
            import faultline, os, signal, sys

            pager = faultline.Pager(resident="1M", delivery=sys.argv[1], fork="refuse")
            array = pager.full(1 << 18, 1.0)
            child = os.fork()
            if child == 0:
                try:
                    pager.discard(array)
                except PermissionError:
                    array.sum()
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            print(os.WTERMSIG(status) == signal.SIGSEGV, array.sum() == array.size)
            """,
            self.delivery,
        )
        self.assertEqual(done.stdout, "True True\n", done.stderr)

    def setUp(self):
        support.pager_with(self, self.delivery)  # or skips


if __name__ == "__main__":
    unittest.main()
