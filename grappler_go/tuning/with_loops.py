"""The function that is tuned, with its loops compiled (loops.py)."""

from collections.abc import Callable
from typing import Any

from grappler_go import captured, control, guard
from grappler_go import loops as loops_lib


class WithLoops:
    """Functions' copies whose loops XLA runs, and their graphs.

    Args:
      run: one step; it runs once, which compiles the loops.
      within_s: predicted seconds that the loops of a function may take to compile.

    Attributes:
      graphs: that the pass was shown; if none is compiled, those of the functions as they are.
      compiled: functions whose loops are.
      loops: how many; 0: there are none, or one function's would take too long.
      takes_too_long: the latter.
    """

    def __init__(self, run: Callable[[], Any], within_s: float) -> None:
        # Of the copies alone, and the same for all plans that are tried on them.
        self._generation = control.next_generation()
        self._tuning = guard.Tuning(within_s)

        def step() -> None:
            self.switch_on()
            run()

        self.graphs = captured.capture(step, trace=False)
        self.compiled = tuple(self._tuning.compiled)
        # As in enable(), where all of them would be compiled: some is another program.
        self.takes_too_long = self._tuning.left_out > 0
        self.loops = 0 if self.takes_too_long else sum(found.loops for found in self.compiled)

    def switch_on(self) -> None:
        """From the next call on, copies run, until the guard is switched off or control's
        settings change. Loops keep to what enable() says unless it is told otherwise."""
        guard.switch_on(guard.Guarding(self._generation, True, loops_lib.Settings(), self._tuning))
