"""The program's state, so that steps can be run that never happened."""

import gc
from typing import Any

from grappler_go import native


class Variables:
    """The values of all TensorFlow variables of this process, weights, optimizer
    slots, metrics and generators of random numbers alike.

    Values are copied: that takes as much memory again as the variables do. Only
    variables of eager mode that have a value are kept; those whose values cannot be
    copied are named in `left_out`.

    Attributes:
      left_out: names of variables that restore() will not put back.
    """

    def __init__(self) -> None:
        np = __import__("numpy")
        self._kept: list[tuple[Any, Any]] = []
        self.left_out: list[str] = []
        for variable in _all_variables():
            try:
                if variable.is_initialized().numpy():
                    # A copy of our own: a step may write into TensorFlow's.
                    self._kept.append((variable, np.array(variable.numpy(), copy=True)))
            except (ValueError, TypeError, AttributeError, NotImplementedError):
                self.left_out.append(variable.name)
            except native.tensorflow().errors.OpError:
                self.left_out.append(variable.name)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """What the copies take."""
        return sum(value.nbytes for _, value in self._kept)

    def restore(self) -> None:
        """Puts every value back; may be called again."""
        for variable, value in self._kept:
            variable.assign(value)


def _all_variables() -> list[Any]:
    from tensorflow.python.framework import ops
    from tensorflow.python.ops import resource_variable_ops

    found = []
    for one in gc.get_objects():
        # Not isinstance(), which wakes up lazy modules and other proxies.
        if issubclass(type(one), resource_variable_ops.BaseResourceVariable) and isinstance(
            one.handle, ops.EagerTensor
        ):
            found.append(one)
    return found
