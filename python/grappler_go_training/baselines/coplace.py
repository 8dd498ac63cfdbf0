"""Fewer choices, as a person would make them: what belongs to one layer moves as one."""

import functools
import re

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.problem import Problem

_Ints = npt.NDArray[np.int64]

# Scopes that TensorFlow adds around a layer's own, and what it does to their names.
_WRAPPERS = re.compile(
    r"gradient_tape|gradients(_\d+)?|(Stateful)?PartitionedCall(_\d+)?|"
    r"ConstantFolding|ArithmeticOptimizer|cond|while"
)

# Of what a device would have if all had the same, the most that one unit is joined to.
_LARGEST_SHARE = 0.25


def scope_of(name: str) -> list[str]:
    """The scopes of an op as the forward pass has them: gradient_tape/a/b/MatMul_1 and
    gradients/a/b_grad/MatMul are of a/b."""
    parts = [part.removesuffix("_grad") for part in name.split("/")[:-1]]
    return [part for part in parts if not _WRAPPERS.fullmatch(part)]


def forward_op_of(problem: Problem) -> _Ints:
    """[num_ops] the forward op that an op of the backward pass belongs to, itself for
    forward ops, -1 where there is none.

    That is the op it is the gradient of, by its name, as TensorFlow 1's
    colocate_gradients_with_ops had it. Where the name says nothing (Grappler has fused
    the forward op, gradients are added up), it is that of the largest gradient it reads;
    with none of these the deepest forward op that it reads.
    """
    names = problem.graph.names
    backward = problem.backward.tolist()
    by_name = {name: op for op, name in enumerate(names) if not backward[op]}
    # Of a product that Grappler has fused with its bias the read of the weight keeps the
    # name: layer/MatMul/ReadVariableOp.
    for op in np.flatnonzero(problem.has_flag("reads_variable") & ~problem.backward).tolist():
        by_name.setdefault(names[op].rpartition("/")[0], op)
    t = problem.tensors
    ptr, src = t.in_ptr.tolist(), t.edge_src.tolist()
    nbytes = np.where(t.dtype < 0, -1.0, t.bytes)[t.edge_tensor].tolist()
    depth = problem.graph.depth.tolist()
    found = list(range(len(names)))
    for op, name in enumerate(names):
        if not backward[op]:
            continue
        found[op] = by_name.get("/".join(scope_of(name)), -1)
        if found[op] >= 0:
            continue
        data = [k for k in range(ptr[op], ptr[op + 1]) if nbytes[k] >= 0]
        gradients = [k for k in data if backward[src[k]] and found[src[k]] >= 0]
        forward = [src[k] for k in data if not backward[src[k]]]
        # TensorFlow leaves out the op's own name where it has a gradient op for it.
        beside = [i for i in forward if names[i].rpartition("/")[0] == "/".join(scope_of(name))]
        if beside:
            found[op] = max(beside, key=lambda i: depth[i])
        elif gradients:
            found[op] = found[src[max(gradients, key=lambda k: nbytes[k])]]
        elif forward:
            found[op] = max(forward, key=lambda i: depth[i])
    return np.array(found, np.int64)


class CoplacedProblem(Problem):
    """A problem whose units are joined to what Baechi places as one (Jeon et al., SoCC
    2020, and its placer/grouper.py): of the forward pass, an op whose output has one
    reader there goes with that, the read of a weight with its product among them; the
    gradients of an op go with the op. Only units that may go to the same devices are
    joined.

    We differ in that, but for a weight with its product, nothing is joined that holds
    more than a quarter of a device's fair share of the step's memory: a network without
    branches would become one unit, and where that fits no device nothing could be placed.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.graph, problem.machine, problem.free_state)
        self._apart = problem

    @functools.cached_property
    def _placement(self) -> dict[str, np.ndarray]:
        apart = self._apart
        # Roots are the first units of their sets, and units are numbered by first ops.
        first, set_of_unit = np.unique(self._joined(), return_inverse=True)
        return {
            "home": apart.stands,
            "unit_of": set_of_unit.reshape(-1)[apart.unit_of],
            "pinned": apart.pinned[first],
            "allowed": apart.allowed[first],
        }

    def _joined(self) -> _Ints:
        """[num_units] of the problem as it was: the first unit of each one's set."""
        apart = self._apart
        parent = list(range(apart.num_units))
        choice = np.unique(apart.allowed, axis=0, return_inverse=True)[1].reshape(-1).tolist()
        movable = np.zeros(apart.num_units, bool)
        movable[apart.movable] = True
        may = movable.tolist()

        def root(unit: int) -> int:
            while parent[unit] != unit:
                parent[unit] = parent[parent[unit]]
                unit = parent[unit]
            return unit

        unit_of = apart.unit_of.tolist()
        nbytes = apart.unit_bytes.tolist()
        types = apart.graph.ops
        limit = _LARGEST_SHARE * sum(nbytes) / len(apart.targets)
        for op, other in self._pairs():
            a, b = unit_of[op], unit_of[other]
            if may[a] and may[b] and choice[a] == choice[b]:
                low, high = sorted((root(a), root(b)))
                too_large = nbytes[low] + nbytes[high] > limit
                too_large = too_large and types[op] != "ReadVariableOp"
                if low == high or too_large:
                    continue
                parent[high] = low
                nbytes[low] += nbytes[high]
        return np.array([root(unit) for unit in range(apart.num_units)], np.int64)

    def _pairs(self) -> list[tuple[int, int]]:
        """Ops that belong together."""
        t = self.tensors
        forward_op = forward_op_of(self)
        known = np.flatnonzero(forward_op >= 0)
        pairs = list(zip(known.tolist(), forward_op[known].tolist(), strict=True))
        forward = (t.dtype[t.edge_tensor] >= 0) & ~self.backward[t.edge_dst]
        src, dst = t.edge_src[forward], t.edge_dst[forward]
        only = np.bincount(src, minlength=self.graph.num_ops)[src] == 1
        return pairs + list(zip(src[only].tolist(), dst[only].tolist(), strict=True))
