"""Running a program that knows nothing of the pass with the pass on."""

import os
import pathlib
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from grappler_go import control


def run_script(path: str | os.PathLike[str], args: Sequence[str] = (), **settings: Any) -> None:
    """Runs a Python script as `python path args...` would, with the pass on.

    The script sees itself as __main__, its own sys.argv and its own folder first
    on sys.path. What it raises, SystemExit with its exit code included, reaches
    the caller.

    Args:
      path: the script, or a folder or zip file with a __main__.py.
      args: its arguments.
      **settings: as for enable().

    Raises:
      FileNotFoundError: there is no such script.
      RuntimeError, ValueError, TypeError: as enable().

    Example:
      grappler_go.run_script("train.py", ["--epochs=3"], min_gain=0.1)
    """
    script = pathlib.Path(path)
    if not script.exists():
        raise FileNotFoundError(f"no such script: {script}")
    control.enable(**settings)
    argv, search_path = sys.argv, list(sys.path)
    sys.argv = [str(path), *args]
    # runpy puts a folder or zip file there itself, a plain script's folder not.
    if script.is_file() and script.suffix != ".zip":
        sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = argv
        sys.path[:] = search_path
