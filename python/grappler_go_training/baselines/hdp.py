"""HDP, the hierarchical device placer: learned from scratch for each graph."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.budget import Budget, Judge, energy
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan, Simulation
    from grappler_go_training.baselines.hdp_network import Network, Settings

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]

_MAX_TYPES = 200
_MAX_OUTPUTS, _MAX_DIMS = 6, 4
# Of a group, the sums over fewer outputs.
_GROUP_OUTPUTS = 4
_MAX_NEIGHBOURS = 6
_INVALID_REWARD = -10.0


def hdp(
    problem: Problem,
    budget: Budget,
    seed: int,
    *,
    settings: "Settings | None" = None,
    progress: Callable[[int, float], None] | None = None,
) -> "Plan":
    """A grouper and a placer learn together which groups to make and where they go;
    returns the best plan seen.

    Source: Mirhoseini et al., "A Hierarchical Model for Device Placement" (ICLR 2018),
    and, where that leaves details open, their code (tensorflow/python/grappler/
    hierarchical_controller.py). The grouper is a feed-forward network with a softmax over
    groups for each op; the placer reads the groups with two bidirectional LSTM layers and
    says a device for each with an LSTM that attends to them and is fed its last answer.
    Both learn by REINFORCE: the reward is -sqrt(seconds of a step), -10 out of memory,
    less the moving average of rewards. After 500 updates only steps that fit count.

    We differ in that
    - steps are simulated, once for each plan, not run;
    - a budget of plans ends the search, four for each update, where HDP made 1000
      updates with four such controllers side by side;
    - what is grouped are units that may move; their costliest op stands for them, and
      neighbours are numbered in topological order (theirs in breadth-first order);
    - dimensions enter as logarithms, numbers of neighbours as shares of all, and the
      three parts of a group's embedding are each divided by their largest entry plus
      one: the paper does not say how it scales them;
    - there are no more groups than units;
    - the width of device embeddings is ours (32), and so is Adam's rate (0.001): with
      theirs (0.1) our networks say one device for everything after ten updates.

    It learns slowly: on two chains of products for two devices the mean step of the plans
    it tries has become about 4 % shorter after 4800 plans. Ten times the rate ends with one
    device for everything there, too.

    Args:
      problem, budget, seed: as for all baselines.
      settings: None: those of the paper.
      progress: called after each update with how many plans were simulated, and the best
        energy so far (budget.energy, milliseconds).
    """
    name = "hdp"
    judge = Judge(problem.graph, problem.machine, budget)
    if len(problem.movable) == 0 or judge.left == 0:
        return problem.plan(name)
    from grappler_go_training.baselines import hdp_network

    search = _Search(problem, seed, settings or hdp_network.Settings())
    best, best_energy = problem.plan(name), np.inf
    average: float | None = None
    step = 0
    while judge.left > 0:
        sampled = search.sample(step)
        plans = [search.plan(sampled, row, name) for row in range(len(sampled.devices))]
        simulations = judge.simulate(plans)
        if not simulations:  # out of time
            break
        rewards = [_reward(simulation) for simulation in simulations]
        for plan, simulation in zip(plans, simulations, strict=False):
            if energy(simulation) < best_energy:
                best, best_energy = plan, energy(simulation)
        average = search.learn(sampled, rewards, average, step)
        step += 1
        if progress is not None:
            progress(judge.spent, float(best_energy))
    return best


def _reward(simulation: "Simulation") -> float:
    if simulation.out_of_memory:
        return _INVALID_REWARD
    return -float(np.sqrt(simulation.step_ms / 1e3))


class _Sample:
    """A grouping, and placements of it.

    Attributes:
      group_of: [num_movable]
      embedding: [num_groups, group_features]
      devices: [samples, num_groups] as numbers of Problem.targets.
    """

    def __init__(self, group_of: _Ints, embedding: _Floats, devices: _Ints) -> None:
        self.group_of = group_of
        self.embedding = embedding
        self.devices = devices


class _Search:
    """What the networks see of a problem, and what becomes of what they say."""

    def __init__(self, problem: Problem, seed: int, settings: "Settings") -> None:
        from grappler_go_training.baselines import hdp_network

        self._problem = problem
        self._settings = settings
        self._num_groups = min(settings.groups, len(problem.movable))
        op = _costliest_op(problem)[problem.movable]
        common = Counter(problem.graph.ops[k] for k in op.tolist()).most_common(_MAX_TYPES - 1)
        numbers = {name: k for k, (name, _) in enumerate(common)}
        # The last number is for all others.
        self._num_types = len(numbers) + 1
        self._types = np.array(
            [numbers.get(problem.graph.ops[k], len(numbers)) for k in op.tolist()], np.int64
        )
        self._shapes = _shapes(problem, op)
        self._src, self._dst = _edges(problem)
        self._network: Network = hdp_network.Network(
            self._types,
            np.concatenate([self._shapes, _neighbours(self._src, self._dst, len(op))], 1),
            self._num_types,
            self._num_groups,
            self._num_types + _GROUP_OUTPUTS * _MAX_DIMS + self._num_groups,
            len(problem.targets),
            seed,
            settings,
        )

    def _noise(self, step: int) -> float:
        return self._settings.noise if step < self._settings.explore else 0.0

    def sample(self, step: int) -> _Sample:
        group_of = self._network.sample_groups(step, self._noise(step))
        embedding = self._embedding(group_of)
        devices = self._network.sample_devices(embedding, step, self._noise(step))
        return _Sample(group_of, embedding, devices)

    def _embedding(self, group_of: _Ints) -> _Floats:
        """[num_groups, group_features]: how many ops of each type; the sums of their
        outputs' dimensions; which groups read from it."""
        count = self._num_groups
        types = np.zeros((count, self._num_types), np.float32)
        np.add.at(types, (group_of, self._types), 1)
        shapes = np.zeros((count, _GROUP_OUTPUTS * _MAX_DIMS), np.float32)
        np.add.at(shapes, group_of, np.maximum(self._shapes[:, : shapes.shape[1]], 0))
        reads = np.zeros((count, count), np.float32)
        reads[group_of[self._src], group_of[self._dst]] = 1
        parts = [part / (part.max(1, keepdims=True) + 1) for part in (types, shapes, reads)]
        return np.concatenate(parts, 1)

    def plan(self, sampled: _Sample, row: int, name: str) -> "Plan":
        problem = self._problem
        movable = problem.movable
        device = problem.unit_home.copy()
        wanted = problem.targets[sampled.devices[row][sampled.group_of]]
        device[movable] = np.where(problem.allowed[movable, wanted], wanted, device[movable])
        return problem.placed(device, name)

    def learn(
        self, sampled: _Sample, rewards: list[float], average: float | None, step: int
    ) -> float | None:
        """Updates the networks; returns the moving average of rewards, None as long as
        there is none."""
        rows = [
            row
            for row, reward in enumerate(rewards)
            if step < self._settings.explore or reward > _INVALID_REWARD
        ]
        if not rows:
            return average
        mean = float(np.mean([rewards[row] for row in rows]))
        if average is None:
            average = mean
        self._network.update(
            sampled.group_of,
            sampled.embedding,
            sampled.devices[rows],
            [rewards[row] - average for row in rows],
            step,
            self._noise(step),
        )
        decay = self._settings.baseline_decay
        return decay * average + (1 - decay) * mean


def _costliest_op(problem: Problem) -> _Ints:
    """[num_units] the op of each unit that takes longest, the first among equals."""
    order = np.lexsort((np.arange(problem.graph.num_ops), -problem.mean_micros, problem.unit_of))
    return order[np.unique(problem.unit_of[order], return_index=True)[1]]


def _shapes(problem: Problem, ops: _Ints) -> _Floats:
    """[len(ops), outputs * dims] ln(1 + size) / 10 of each dimension; -1 where there is none."""
    values = np.full((len(ops), _MAX_OUTPUTS, _MAX_DIMS), -1.0, np.float32)
    for row, op in enumerate(ops.tolist()):
        for port in range(min(problem.graph.num_outputs(op), _MAX_OUTPUTS)):
            for k, size in enumerate((problem.graph.shape(op, port) or [])[:_MAX_DIMS]):
                if size is not None:
                    values[row, port, k] = np.log1p(size) / 10
    return values.reshape(len(ops), -1)


def _edges(problem: Problem) -> tuple[_Ints, _Ints]:
    """Between units that may move, as numbers of Problem.movable."""
    number = np.full(problem.num_units, -1, np.int64)
    number[problem.movable] = np.arange(len(problem.movable))
    src, dst, _ = problem.unit_edges
    src, dst = number[src], number[dst]
    among = (src >= 0) & (dst >= 0)
    return src[among], dst[among]


def _neighbours(src: _Ints, dst: _Ints, count: int) -> _Floats:
    """[count, 12]: the first six producers and the first six readers of each, as shares of
    all; -1 where there are fewer."""
    values = np.full((count, 2 * _MAX_NEIGHBOURS), -1.0, np.float32)
    for offset, here, there in ((0, dst, src), (_MAX_NEIGHBOURS, src, dst)):
        order = np.lexsort((there, here))
        here, there = here[order], there[order]
        rank = np.arange(len(here)) - np.searchsorted(here, here)
        kept = rank < _MAX_NEIGHBOURS
        values[here[kept], offset + rank[kept]] = there[kept] / max(count, 1)
    return values
