"""The build backend of pyproject.toml: setuptools, plus TensorFlow when missing.

The plugin is compiled against TensorFlow's C headers, which come in its wheel
(600 MB). Most who run `pip install .` have TensorFlow installed already; only
for the others is it asked for as a build requirement.
"""

from __future__ import annotations

import os
import sys
import warnings

from setuptools import build_meta as _setuptools
from setuptools.build_meta import *  # noqa: F403  (the hooks of PEP 517 and PEP 660)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from facts import find_tensorflow

# Ten lines in a box which say that Python finds the package in the current folder, too:
# here that is the same package.
warnings.filterwarnings("ignore", message="Editable installation")


def _tensorflow_if_missing() -> list[str]:
    return [] if find_tensorflow() else ["tensorflow>=2.16.2"]


def get_requires_for_build_wheel(config_settings=None) -> list[str]:
    return _setuptools.get_requires_for_build_wheel(config_settings) + _tensorflow_if_missing()


def get_requires_for_build_editable(config_settings=None) -> list[str]:
    return _setuptools.get_requires_for_build_editable(config_settings) + _tensorflow_if_missing()
