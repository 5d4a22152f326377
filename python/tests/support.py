"""What the tests have in common."""

import os
import subprocess
import sys
import textwrap
import unittest

import faultline

DELIVERIES = ("uffd_threads", "uffd_signal", "sigsegv")
REQUIRED = os.environ.get("FAULTLINE_REQUIRE_DELIVERIES", "").split(",")


def pager_with(test, delivery, **options):
    """Returns a pager that the end of the test closes. Skips the test if the machine refuses the delivery."""
    try:
        pager = faultline.Pager(delivery=delivery, **options)
    except OSError as error:
        if delivery in REQUIRED:
            raise
        test.skipTest(f"{delivery}: {error}")
    test.addCleanup(pager.close)
    return pager


def in_each_delivery(case):
    """Makes of a class of tests, which use self.delivery, one class for each delivery, in the same module."""
    module = sys.modules[case.__module__]
    for delivery in DELIVERIES:
        name = f"{case.__name__}_{delivery}"
        made = type(name, (case, unittest.TestCase), {"delivery": delivery, "__module__": case.__module__})
        setattr(module, name, made)
    return case


def run_program(text, *arguments):
    """Runs the text as a Python program of its own. Returns the finished process, with its output as text."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *arguments], capture_output=True, text=True, timeout=120
    )
