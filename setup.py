"""Builds the two native libraries with build_defs/native.mk; the rest is in pyproject.toml."""

import os
import pathlib
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_ROOT = pathlib.Path(__file__).resolve().parent


class BuildNative(build_ext):
    """libgrappler_go.so and _core, compiled by make, put beside the Python files."""

    def run(self) -> None:
        in_place = self.inplace or self.editable_mode
        out = (_ROOT if in_place else pathlib.Path(self.build_lib).resolve()) / "grappler_go"
        out.mkdir(parents=True, exist_ok=True)
        jobs = os.environ.get("GRAPPLER_GO_JOBS") or str(os.cpu_count() or 1)
        subprocess.run(
            [
                *("make", "--no-print-directory", "-f", "build_defs/native.mk", f"-j{jobs}"),
                *(f"PYTHON={sys.executable}", f"OUT={out}", "native"),
            ],
            cwd=_ROOT,
            check=True,
        )

    def get_outputs(self) -> list[str]:
        folder = pathlib.Path(self.build_lib) / "grappler_go"
        return [str(file) for file in folder.glob("*.so")]


setup(
    # Sources are found by native.mk; the Extension only makes the wheel a
    # platform wheel.
    ext_modules=[Extension("grappler_go._core", sources=[])],
    cmdclass={"build_ext": BuildNative},
)
