"""Variables of the environment as the defaults of a command's flags.

They are those that the library reads by itself where GRAPPLER_GO=1 switches it on
(cc/plugin/config.h), mean the same, and are refused in the same words.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from absl import flags

from grappler_go import settings
from grappler_go.cli import common


class Variable(NamedTuple):
    """What one may be.

    Attributes:
      expected: in words.
      check: called with the flag's value; raises what enable() would raise.
    """

    expected: str
    check: Callable[[Any], object] = lambda _: None


def _min_gain(value: float) -> None:
    if not value < 1:
        raise ValueError


# By the flag's name: that of GRAPPLER_GO_<NAME>. The cheap ones first.
_VARIABLES: Mapping[str, Variable] = {
    "decisions": Variable(
        "some of device,fusion,memory, separated by commas", settings.parse_decisions
    ),
    "memory_limit": Variable(
        "a number of bytes, such as 4000000000, 500MB or 4GiB, or a share of the peak, such as 0.6",
        settings.parse_memory_limit,
    ),
    "budget_ms": Variable("a positive number of milliseconds"),
    "min_gain": Variable("a share of the step, from 0 to below 1, such as 0.05", _min_gain),
    "compile_budget_s": Variable("a number of seconds, 0 or more"),
    "keep_memory": Variable("0 or 1"),
    "record": Variable("a folder"),
    "devices": Variable("", lambda texts: settings.parse_devices(common.devices_from(texts))),
    "policy": Variable("", settings.parse_policy),
}


def name_of(flag: str) -> str:
    """The variable that stands for a flag."""
    return f"GRAPPLER_GO_{flag.upper()}"


def set_defaults(values: flags.FlagValues) -> set[str]:
    """Gives flags that are not on the command line the values of their variables.

    TensorFlow is imported where a policy or devices are named: they are looked at.

    Returns:
      The flags that got theirs from a variable.

    Raises:
      UsageError: a variable's value makes no sense; says which and what is expected.
    """
    found = set()
    for flag, variable in _VARIABLES.items():
        text = os.environ.get(name_of(flag), "")
        if not text or values[flag].present:
            continue
        told = f"{name_of(flag)}={text!r}"
        try:
            if flag == "keep_memory" and text not in ("0", "1"):
                raise ValueError
            values[flag].parse(text)
            variable.check(values[flag].value)
        except (flags.Error, ValueError, TypeError, OSError) as error:
            if variable.expected:
                raise common.UsageError(f"{told} should be {variable.expected}") from error
            raise common.UsageError(f"{told}: {common.one_line(error)}") from error
        found.add(flag)
    return found
