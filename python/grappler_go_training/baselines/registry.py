"""The baselines by name."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from grappler_go_training.baselines import (
    anneal,
    baechi,
    expert,
    fusion,
    genetic,
    hdp,
    heft,
    order,
    partition,
    recompute,
    search,
    simple,
)
from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Machine, OpGraph, Plan

Maker = Callable[[Problem, Budget, int], "Plan"]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """One algorithm.

    Attributes:
      name: by which it is asked for, and Plan.policy after "baseline:".
      decides: "device", "fusion", "order", "recompute" or "all".
      make: (problem, budget, seed) -> plan. Its docstring names its source and where it
        differs from that.
      description: one line.
    """

    name: str
    decides: str
    make: Maker
    description: str


def _hdp(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """hdp.hdp with the paper's settings.

    Source: Mirhoseini et al., "A Hierarchical Model for Device Placement" (ICLR 2018).
    """
    return hdp.hdp(problem, budget, seed)


def _table() -> dict[str, Baseline]:
    rows = [
        ("tensorflow_default", "device", simple.tensorflow_default, "the graph as it stands"),
        ("one_device", "device", simple.one_device, "everything on the fastest device"),
        ("human_expert", "device", expert.human_expert, "contiguous blocks of layers"),
        ("metis", "device", partition.metis, "METIS k-way partitioning"),
        ("kahip", "device", partition.kahip, "KaHIP (KaFFPa eco) partitioning"),
        ("mtkahypar", "device", partition.mtkahypar, "Mt-KaHyPar hypergraph partitioning"),
        ("m_topo", "device", baechi.m_topo, "Baechi: topological order, equal memory"),
        ("m_etf", "device", baechi.m_etf, "Baechi: earliest task first"),
        ("m_sct", "device", baechi.m_sct, "Baechi: small communication times, by an LP"),
        ("heft", "device", heft.heft, "critical-path list scheduling (HEFT)"),
        (
            "simulated_annealing",
            "device",
            anneal.simulated_annealing,
            "simulated annealing, judged by the simulator",
        ),
        ("genetic", "device", genetic.genetic, "genetic search, judged by the simulator"),
        ("search", "device", search.search, "this package's search, without a policy"),
        (
            "joint_search",
            "all",
            search.joint_search,
            "the same for device, fusion, order and memory together",
        ),
        ("hdp", "device", _hdp, "HDP: learned groups and places (Mirhoseini et al. 2018)"),
        ("no_fusion", "fusion", fusion.no_fusion, "every op by itself"),
        (
            "topological_fusion",
            "fusion",
            fusion.topological_fusion,
            "each op with a neighbour, in topological order",
        ),
        (
            "priority_fusion",
            "fusion",
            fusion.priority_fusion,
            "the merge that saves most first, as XLA's PriorityFusion",
        ),
        ("auto_clustering", "fusion", fusion.auto_clustering, "all that XLA can compile"),
        ("fifo", "order", order.fifo, "first ready, first run"),
        ("lifo", "order", order.lifo, "last ready, first run"),
        ("critical_path", "order", order.critical_path, "longest path to the end first"),
        ("sqrt_n", "recompute", recompute.sqrt_n, "√n segments of the forward pass"),
        ("budgeted", "recompute", recompute.budgeted, "segments that fit the memory"),
    ]
    return {row[0]: Baseline(*row) for row in rows}


BASELINES: Mapping[str, Baseline] = _table()


def check_names(names: Sequence[str]) -> None:
    """
    Raises:
      ValueError: one is not the name of a baseline; the message lists those that are.
    """
    for name in names:
        if name not in BASELINES:
            raise ValueError(f"no baseline {name!r}; there are {', '.join(BASELINES)}")


def make_plan(
    name: str,
    graph: "OpGraph",
    machine: "Machine",
    budget: Budget | None = None,
    seed: int = 0,
    free_state: bool = False,
) -> "Plan":
    """The plan of one baseline, valid for the graph.

    Args:
      name: a key of BASELINES.
      graph: any, an empty one included; nothing can be decided for that. Tensors of
        unknown size count as nothing.
      machine: any. With too little memory there is a plan all the same, and simulating it
        says out of memory.
      budget: for searches; None: Budget().
      seed: the same seed, the same plan, unless the budget is in seconds.
      free_state: as Problem: the program is yet to be placed on the machine. The plan is
        for simulations.

    Raises:
      ValueError: no such baseline.
      MissingPackage: it needs an optional package.
    """
    check_names([name])
    return BASELINES[name].make(Problem(graph, machine, free_state), budget or Budget(), seed)
