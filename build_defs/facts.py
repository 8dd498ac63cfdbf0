"""Prints what the C++ build must know of this Python, one key=value a line.

    python build_defs/facts.py
    tensorflow=<folder of the wheel>
    nlohmann=<folder with nlohmann/json.hpp>
    ...

Nothing is imported from TensorFlow: finding its folder takes milliseconds,
importing it seconds.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import sysconfig

_HEADER = "include/tensorflow/c/experimental/grappler/grappler.h"


def find_tensorflow() -> pathlib.Path | None:
    """The folder of the tensorflow package to build against, or None.

    An isolated build (`pip install .`) hides the environment's packages from
    the import system, but its folders are still known: a TensorFlow that is
    there already is used, rather than a second one downloaded.
    """
    candidates = []
    if os.environ.get("GRAPPLER_GO_TENSORFLOW"):
        candidates.append(pathlib.Path(os.environ["GRAPPLER_GO_TENSORFLOW"]))
    spec = importlib.util.find_spec("tensorflow")
    if spec and spec.submodule_search_locations:
        candidates += map(pathlib.Path, spec.submodule_search_locations)
    for key in ("purelib", "platlib"):
        candidates.append(pathlib.Path(sysconfig.get_paths()[key]) / "tensorflow")
    for folder in candidates:
        if (folder / _HEADER).is_file() and (folder / "libtensorflow_cc.so.2").is_file():
            return folder.resolve()
    return None


def _package_include(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"facts.py: {sys.executable} has no package {package}; pip install {package}")
    return pathlib.Path(spec.submodule_search_locations[0]) / "include"


def main() -> None:
    tensorflow = find_tensorflow()
    if tensorflow is None:
        sys.exit(
            f"facts.py: {sys.executable} has no tensorflow with C headers; "
            "pip install tensorflow, or set GRAPPLER_GO_TENSORFLOW to the package's folder"
        )
    facts = {
        "tensorflow": tensorflow,
        "nlohmann": _package_include("nlohmann_json"),
        "pybind11": _package_include("pybind11"),
        "python_include": sysconfig.get_paths()["include"],
        "ext_suffix": sysconfig.get_config_var("EXT_SUFFIX"),
    }
    for key, value in facts.items():
        if " " in str(value):
            sys.exit(f"facts.py: make cannot work with a space in the path {value}")
        print(f"{key}={value}")


if __name__ == "__main__":
    main()
