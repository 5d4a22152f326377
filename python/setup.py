"""Packs a wheel from a folder that has the built package; build_wheel.sh calls it there."""

import pathlib
import re

import setuptools


class BuiltDistribution(setuptools.Distribution):
    """Has code for one kind of machine and of interpreter, which CMake has compiled."""

    def has_ext_modules(self):
        return True


version = re.search(r'__version__ = "(.*)"', pathlib.Path("faultline/_version.py").read_text()).group(1)
setuptools.setup(
    name="faultline",
    version=version,
    description="NumPy arrays larger than the memory you want to spend on them",
    license="MIT",
    packages=["faultline"],
    package_data={"faultline": ["*.so*", "*.pyi", "py.typed"]},
    python_requires=">=3.9",
    install_requires=["numpy"],
    distclass=BuiltDistribution,
)
