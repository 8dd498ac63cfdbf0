"""The command line as tests run it."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run_cli(*arguments, environment=None, cwd=None):
    """grappler-go in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grappler_go", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
