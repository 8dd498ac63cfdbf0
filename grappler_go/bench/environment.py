"""Where figures come from: what every stored result says beside its numbers."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from typing import Any


def describe() -> dict[str, Any]:
    """The machine, the versions, the day and the command, as plain values."""
    return {
        "command": shlex.join(["grappler-go", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "tensorflow": _version("tensorflow"),
        "grappler_go": _version("grappler-go"),
    }


def where() -> str:
    """The machine, TensorFlow and the day, in a line."""
    return "{date}, {cores} cores of {cpu}, TensorFlow {tensorflow}".format(**describe())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    """The CPU's name with its widest vector instructions: clouds hide the model."""
    name, flags = platform.machine(), ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() == "flags":
                    flags = value
                    break
    except OSError:
        pass
    widest = [kind for kind in ("amx_tile", "avx512f", "avx2") if kind in flags.split()]
    return f"{name}, {widest[0]}" if widest else name
