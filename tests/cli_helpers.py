"""The command line as tests run it."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
_STAND_INS = ROOT / "tests" / "stand_ins"  # see conftest.py


def run_cli(*arguments, environment=None, cwd=None, draws=False):
    """grappler-go in a process of its own, with matplotlib where it draws."""
    search = [str(ROOT)] if draws else [str(_STAND_INS), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-m", "grappler_go", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search), **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
