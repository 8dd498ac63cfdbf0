"""What enable(advanced=...) may set: settings of the native core that few need.

docs/use.md has this list as a table, written by build_defs/reference_tables.py.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Option:
    """One setting.

    Attributes:
      default: what the core takes when it is not given; of the type that is expected.
      least: the smallest value that makes sense; of no meaning for a bool.
      meaning: one sentence, with its unit.
    """

    default: bool | int | float
    least: int
    meaning: str

    @property
    def type_name(self) -> str:
        """ "bool", "int" or "float"."""
        return type(self.default).__name__

    @property
    def range_text(self) -> str:
        """What may be given."""
        if self.type_name == "bool":
            return "`True`, `False`"
        return f"{self.least} or more"


# The defaults are those of cc/plugin/config.h and cc/plan/build_plan.h, which say where
# the numbers come from.
OPTIONS: Mapping[str, Option] = {
    "min_ops": Option(16, 0, "Graphs with fewer ops are left alone at once."),
    "search_ms": Option(
        0,
        0,
        "Milliseconds of a search for a better plan in the simulator, at most half of what "
        "budget_ms leaves; 0: as many as that where there are several devices and the policy "
        "scores them, else none.",
    ),
    "max_shapes": Option(
        4,
        0,
        "A function that was compiled for as many different shapes is left alone with others.",
    ),
    "min_group_ops": Option(
        4, 1, "A group with fewer ops than this, after merging, is taken apart."
    ),
    "group_launch_micros": Option(22.0, 0, "Microseconds that starting a compiled group takes."),
    "group_tensor_micros": Option(
        5.0, 0, "Microseconds for each tensor that enters or leaves a compiled group."
    ),
    "group_output_micros_per_mb": Option(
        120.0,
        0,
        "Microseconds for each megabyte that leaves a group, in memory new to it.",
    ),
    "fuse_updates": Option(
        True,
        0,
        "An optimizer's update of a variable (Adam, SGD) that is spelled out in the graph is "
        "done by TensorFlow's own kernel.",
    ),
    "compile_loops": Option(
        True,
        0,
        "A loop of small ops, as in Keras's recurrent layers, is run by XLA as a whole where "
        "the guard can time it.",
    ),
    "flatten_rows": Option(
        True,
        0,
        "Element-wise ops whose results are summed over all but the innermost axis, as in the "
        "backward pass of a normalization, may be compiled on matrices.",
    ),
    "fuse_unknown_shapes": Option(
        False,
        0,
        "Ops whose shapes are not all known may be in groups, which are compiled anew for each "
        "shape that comes.",
    ),
}

_MOST = 2**31 - 1  # the core's integers


def check(settings: Mapping[str, Any]) -> dict[str, bool | int | float]:
    """The settings as the core takes them.

    Raises:
      TypeError: no dict, a name that is none, or a value of another type.
      ValueError: a value that makes no sense.
    """
    if not isinstance(settings, Mapping):
        raise TypeError(f"advanced={settings!r}: expected a dict of settings by name")
    checked: dict[str, bool | int | float] = {}
    for name, value in settings.items():
        if name not in OPTIONS:
            raise TypeError(f"advanced={{{name!r}: ...}}: known are {', '.join(OPTIONS)}")
        option = OPTIONS[name]
        wanted = f"advanced={{{name!r}: {value!r}}}: expected "
        if isinstance(option.default, bool):
            if not isinstance(value, bool):
                raise TypeError(wanted + "True or False")
        elif isinstance(value, bool) or not isinstance(
            value, int if isinstance(option.default, int) else int | float
        ):
            raise TypeError(wanted + f"{option.type_name}, {option.range_text}")
        elif not option.least <= value <= _MOST or math.isnan(value):
            raise ValueError(wanted + f"{option.type_name}, {option.range_text}")
        checked[name] = value
    return checked
