"""Graph partitioners: METIS, KaHIP and Mt-KaHyPar, on the graph of units.

All three balance work and make little cross a cut; none of them knows which op waits for
which. Units that may not move and stand on one device are one vertex for them, so that
they stay together; the part which has it becomes that device. Devices count as equal.
"""

import contextlib
import dataclasses
import importlib
import io
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.costs import sum_by
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

_Ints = npt.NDArray[np.int64]

# Parts may be this much heavier than the mean (METIS's own default for k-way).
IMBALANCE = 0.03
# Weights are integers; all vertices and all edges together come to about this much,
# which is within 32 bits.
_TOTAL_WEIGHT = 10**8


class MissingPackage(ImportError):
    """An optional package is not installed; the message says how to install it."""


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackage(
            f"this baseline needs the package {name}: pip install grappler-go[baselines]"
        ) from error


def metis(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """METIS, multilevel k-way.

    Source: Karypis and Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning
    Irregular Graphs" (SIAM J. Sci. Comput. 1998), through pymetis; GO's METIS baseline.
    GO does not say what its weights are: ours are microseconds (with bytes, where the
    machine has memory limits) and the bytes of tensors.
    """
    pymetis = _package("pymetis")
    vertices = _vertices(problem)
    if vertices is None:
        return problem.plan("metis")
    xadj, adjncy, weights = _adjacency(problem, vertices)
    _, part = pymetis.part_graph(
        len(problem.targets),
        pymetis.CSRAdjacency(xadj, adjncy),
        vweights=vertices.weight.tolist(),
        eweights=weights.tolist(),
        recursive=False,
        options=pymetis.Options(seed=seed, ufactor=round(1000 * IMBALANCE)),
    )
    return _placed(problem, vertices, part, "metis")


def kahip(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """KaHIP's KaFFPa, in its `eco` configuration.

    Source: Sanders and Schulz, "Think Locally, Act Globally: Highly Balanced Graph
    Partitioning" (SEA 2013), through the package kahip. Weights as for METIS.
    """
    package = _package("kahip")
    vertices = _vertices(problem)
    if vertices is None:
        return problem.plan("kahip")
    xadj, adjncy, weights = _adjacency(problem, vertices)
    _, part = package.kaffpa(
        vertices.weight.tolist(),
        xadj.tolist(),
        weights.tolist(),
        adjncy.tolist(),
        len(problem.targets),
        IMBALANCE,
        True,  # say nothing
        seed,
        package.ECO,
    )
    return _placed(problem, vertices, part, "kahip")


def mtkahypar(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Mt-KaHyPar on the hypergraph of tensors, one thread, deterministic preset.

    Source: Gottesbüren et al., "Scalable Shared-Memory Hypergraph Partitioning" (ALENEX
    2021), through the package mtkahypar. A net is a tensor with its producer and all of
    its readers, and what is minimised (connectivity, km1) is then what is sent: once to
    each device that reads it. Units that may not move are fixed to their devices.
    """
    package = _package("mtkahypar")
    vertices = _vertices(problem)
    if vertices is None:
        return problem.plan("mtkahypar")
    nets, weights = _nets(problem, vertices)
    if not nets:
        return _placed(problem, vertices, _heaviest_first(vertices, problem), "mtkahypar")
    package.set_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        engine = _mtkahypar_engine(package)
        context = engine.context_from_preset(package.PresetType.DETERMINISTIC)
        context.set_partitioning_parameters(len(problem.targets), IMBALANCE, package.Objective.KM1)
        context.logging = False
        hypergraph = engine.create_hypergraph(
            context,
            len(vertices.weight),
            len(nets),
            nets,
            vertices.weight.tolist(),
            weights,
        )
        fixed = [-1] * len(vertices.weight)
        for vertex, target in vertices.home.items():
            fixed[vertex] = target
        if vertices.home:
            hypergraph.add_fixed_vertices(fixed, len(problem.targets))
        part = hypergraph.partition(context).get_partition()
    return _placed(problem, vertices, part, "mtkahypar")


_engines: dict[int, object] = {}


def _mtkahypar_engine(package: ModuleType) -> "ModuleType":
    # It may be initialised once in a process.
    if 1 not in _engines:
        _engines[1] = package.initialize(1, False)
    return _engines[1]  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class _Vertices:
    """What is partitioned.

    Attributes:
      of_unit: [num_units] the vertex of each unit; -1: it stays on a device that is
        none of Problem.targets.
      weight: [num_vertices], at least 1.
      home: vertices of units that may not move -> their device, as a number of
        Problem.targets.
    """

    of_unit: _Ints
    weight: _Ints
    home: dict[int, int]


def _vertices(problem: Problem) -> _Vertices | None:
    """None when there is nothing to decide."""
    if len(problem.movable) == 0:
        return None
    stays = np.ones(problem.num_units, bool)
    stays[problem.movable] = False
    targets = problem.targets.tolist()
    homes = [home for home in np.unique(problem.unit_home[stays]).tolist() if home in targets]
    of_unit = np.full(problem.num_units, -1, np.int64)
    of_unit[problem.movable] = len(homes) + np.arange(len(problem.movable))
    for vertex, home in enumerate(homes):
        of_unit[stays & (problem.unit_home == home)] = vertex
    share = _shares(problem.unit_mean_micros)
    if np.isfinite(problem.memory_bytes).any():
        share = (share + _shares(problem.unit_bytes)) / 2
    known = of_unit >= 0
    weight = sum_by(of_unit[known], share[known], int(of_unit.max()) + 1)
    return _Vertices(
        of_unit,
        np.maximum(np.rint(weight * _TOTAL_WEIGHT), 1).astype(np.int64),
        {vertex: targets.index(home) for vertex, home in enumerate(homes)},
    )


def _shares(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = float(values.sum())
    return values / total if total > 0 else np.full(len(values), 1.0 / len(values))


def _adjacency(problem: Problem, vertices: _Vertices) -> tuple[_Ints, _Ints, _Ints]:
    """(xadj, adjncy, edge weights) of the undirected graph, as METIS takes them."""
    count = len(vertices.weight)
    src, dst, nbytes = problem.unit_edges
    a, b = vertices.of_unit[src], vertices.of_unit[dst]
    across = (a != b) & (a >= 0) & (b >= 0)
    low, high = np.minimum(a, b)[across], np.maximum(a, b)[across]
    pairs, inverse = np.unique(low * count + high, return_inverse=True)
    weight = sum_by(inverse.reshape(-1), nbytes[across], len(pairs))
    weight = np.maximum(np.rint(_TOTAL_WEIGHT * _shares(weight)), 1).astype(np.int64)
    low, high = np.divmod(pairs, count)
    from_, to = np.concatenate([low, high]), np.concatenate([high, low])
    both = np.concatenate([weight, weight])
    order = np.lexsort((to, from_))
    xadj = np.searchsorted(from_[order], np.arange(count + 1))
    return xadj.astype(np.int64), to[order], both[order]


def _nets(problem: Problem, vertices: _Vertices) -> tuple[list[list[int]], list[int]]:
    """(nets, weights): the vertices of each tensor that more than one of them has."""
    t = problem.tensors
    count = len(vertices.weight)
    ends = vertices.of_unit[problem.unit_of]
    tensor = np.concatenate([np.arange(len(t.src)), t.edge_tensor])
    end = np.concatenate([ends[t.src], ends[t.edge_dst]])
    pins = np.unique((tensor * count + end)[end >= 0])
    tensor, vertex = np.divmod(pins, count)
    bounds = np.searchsorted(tensor, np.arange(len(t.src) + 1)).tolist()
    members = vertex.tolist()
    total = max(float(t.bytes.sum()), 1.0)
    nets, weights = [], []
    for k, nbytes in enumerate(t.bytes.tolist()):
        net = members[bounds[k] : bounds[k + 1]]
        if len(net) > 1:
            nets.append(net)
            weights.append(max(1, round(nbytes / total * _TOTAL_WEIGHT)))
    return nets, weights


def _heaviest_first(vertices: _Vertices, problem: Problem) -> list[int]:
    """Without edges: each vertex, from the heaviest on, where there is least so far."""
    part = np.zeros(len(vertices.weight), np.int64)
    load = np.zeros(len(problem.targets))
    for vertex, target in vertices.home.items():
        part[vertex] = target
        load[target] += vertices.weight[vertex]
    for vertex in np.argsort(-vertices.weight, kind="stable").tolist():
        if vertex not in vertices.home:
            part[vertex] = load.argmin()
            load[part[vertex]] += vertices.weight[vertex]
    return part.tolist()


def _placed(problem: Problem, vertices: _Vertices, part: npt.ArrayLike, name: str) -> "Plan":
    """Parts become devices: those with a pinned vertex its home, the heaviest first where
    two want the same; the others in order."""
    parts = np.asarray(part, np.int64)
    count = len(problem.targets)
    target_of_part: dict[int, int] = {}
    for vertex in sorted(vertices.home, key=lambda v: -int(vertices.weight[v])):
        wanted = vertices.home[vertex]
        if int(parts[vertex]) not in target_of_part and wanted not in target_of_part.values():
            target_of_part[int(parts[vertex])] = wanted
    free = [k for k in range(count) if k not in target_of_part.values()]
    for number in range(count):
        if number not in target_of_part:
            target_of_part[number] = free.pop(0)
    table = np.array([problem.targets[target_of_part[k]] for k in range(count)], np.int64)
    device = table[parts[vertices.of_unit]]
    # A part may have become a device of a type that a unit cannot go to.
    fits = problem.allowed[np.arange(problem.num_units), device] & (vertices.of_unit >= 0)
    return problem.placed(np.where(fits, device, problem.unit_home), name)
