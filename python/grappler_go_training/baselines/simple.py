"""Placements that take no thought: TensorFlow's own, and everything on one device."""

from typing import TYPE_CHECKING

import numpy as np

from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan


def tensorflow_default(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """The graph as TensorFlow placed, fused and scheduled it; decides nothing.

    Source: tensorflow/core/common_runtime/placer.cc, whose result is in the graph. TF's
    ready queue is first in, first out; the simulator's is, too.
    """
    return problem.plan("tensorflow_default")


def one_device(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Everything that may move on the fastest device of its type.

    Source: the single-GPU rows of Mirhoseini et al., "Device Placement Optimization with
    Reinforcement Learning" (ICML 2017). The fastest is the one with the least time for
    all movable ops together; the first among equals. Memory is not looked at.
    """
    total = problem.unit_micros[problem.movable].sum(0)
    # Where few units may go, a sum over all says little: choose among common places.
    common = problem.allowed[problem.movable].all(0)
    if not common.any():
        fastest = np.where(problem.allowed, problem.unit_micros, np.inf).argmin(1)
        return problem.placed(fastest, "one_device")
    best = int(np.where(common, total, np.inf).argmin())
    return problem.placed(np.where(problem.allowed[:, best], best, problem.unit_home), "one_device")
