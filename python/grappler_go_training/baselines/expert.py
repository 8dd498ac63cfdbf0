"""The human expert: layers in order, one block of them to each device."""

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.budget import Budget
from grappler_go_training.baselines.coplace import scope_of
from grappler_go_training.baselines.costs import sum_by
from grappler_go_training.baselines.problem import Problem

if TYPE_CHECKING:
    from grappler_go import Plan

_Ints = npt.NDArray[np.int64]

# What makes the name of a scope unique.
_NUMBER = re.compile(r"_\d+(?=/|$)")
_MAX_SCOPES = 8
# Scopes say where layers end when no layer has more than this share of the work of one
# device, or, failing that, when together they are not one layer only.
_FINE_ENOUGH = 1.5
_ONE_LAYER = 0.9


def human_expert(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """Contiguous blocks of layers with about equal work, the backward pass with its layer.

    Source: the experts of Mirhoseini et al. (ICML 2017; ICLR 2018). For RNNLM and GNMT
    that is one LSTM layer to a GPU, the embedding with the first, attention and softmax
    with the last; for convolutional networks, contiguous blocks of layers. GO does not
    say what its expert does for Transformer-XL, WaveNet and AmoebaNet.

    We differ in having one rule for all: layers are the name scopes of the forward pass,
    at the shallowest level at which none of them is most of the work, in the order of
    their depth. Blocks are cut by the work of both passes rather than by number of
    layers. Where names say nothing, forward ops are cut by their depth, and a backward op
    goes with the last forward op that it reads.
    """
    if problem.graph.num_ops == 0:
        return problem.plan("human_expert")
    micros = problem.mean_micros
    layer = _layers_by_scope(problem, micros)
    if layer is None:
        layer = problem.graph.depth.astype(np.int64)
        layer[problem.backward] = -1
    layer = _follow_inputs(problem, layer)
    position = _in_order_of_depth(problem, layer, micros)
    work = sum_by(position, micros, int(position.max()) + 1)
    # The middle of each layer's share says where it belongs.
    middle = (np.cumsum(work) - work / 2) / max(float(work.sum()), 1e-12)
    count = len(problem.targets)
    block = problem.targets[np.minimum((middle * count).astype(np.int64), count - 1)]
    return problem.placed(_majority(problem, block[position], micros), "human_expert")


def _layers_by_scope(problem: Problem, micros: npt.NDArray[np.float64]) -> _Ints | None:
    """[num_ops] the layer of each op, -1 where its scope has no forward op that takes
    time; None when scopes do not tell layers apart."""
    scopes = [scope_of(name) for name in problem.graph.names]
    forward = ~problem.backward & (micros > 0)
    total = float(micros[forward].sum())
    if total == 0:
        return None
    best, best_share = None, _ONE_LAYER
    for level in range(1, _MAX_SCOPES + 1):
        cut = ["/".join(scope[:level]) for scope in scopes]
        # What stands between layers, in the scope of the whole model, is none.
        around = {"/".join(scope[:k]) for scope in scopes for k in range(min(level, len(scope)))}
        cut = ["" if name in around else name for name in cut]
        known = {cut[op]: 0 for op in np.flatnonzero(forward).tolist() if cut[op]}
        numbers = {name: k for k, name in enumerate(known)}
        layer = np.array([numbers.get(name, -1) for name in cut], np.int64)
        layer = _join_steps(problem, layer, list(known))
        timed = forward & (layer >= 0)
        if not timed.any():
            break
        share = float(np.bincount(layer[timed], weights=micros[timed]).max()) / total
        if share < best_share:
            best, best_share = layer, share
        if share <= _FINE_ENOUGH / len(problem.targets):
            break
    return best


def _join_steps(problem: Problem, layer: _Ints, names: list[str]) -> _Ints:
    """Layers joined that are steps of one: TensorFlow numbers a scope that is entered
    again (decoder_1/lstm, decoder_2/lstm), and the weights that they read are the same."""
    if not names:
        return layer
    variable = problem.graph.variable
    reads = problem.has_flag("reads_variable") & ~problem.backward & (layer >= 0)
    same = np.arange(len(names))
    first: dict[tuple[int, str], int] = {}
    for op in np.flatnonzero(reads & (variable >= 0)).tolist():
        number = int(layer[op])
        key = int(variable[op]), _NUMBER.sub("", names[number])
        same[number] = min(same[number], same[first.setdefault(key, number)])
    return np.where(layer >= 0, same[layer], -1)


def _follow_inputs(problem: Problem, layer: _Ints) -> _Ints:
    """Ops without a layer get that of what they read: a backward op the last of the
    forward ops' (by depth), others the first input's that has one; else the first's of
    their readers."""
    t = problem.tensors
    found = layer.tolist()
    backward = problem.backward.tolist()
    depth = problem.graph.depth.tolist()
    ptr, src = t.in_ptr.tolist(), t.edge_src.tolist()
    for op, known in enumerate(layer.tolist()):
        if known >= 0:
            continue
        inputs = [src[k] for k in range(ptr[op], ptr[op + 1]) if found[src[k]] >= 0]
        forward = [i for i in inputs if not backward[i]] if backward[op] else []
        if forward:
            found[op] = found[max(forward, key=lambda i: depth[i])]
        elif inputs:
            found[op] = found[inputs[0]]
    for op in range(len(found) - 1, -1, -1):
        if found[op] >= 0:
            for k in range(ptr[op], ptr[op + 1]):
                if found[src[k]] < 0:
                    found[src[k]] = found[op]
    return np.maximum(np.array(found, np.int64), 0)


def _in_order_of_depth(problem: Problem, layer: _Ints, micros: npt.NDArray[np.float64]) -> _Ints:
    """[num_ops] the layer of each op, numbered by the mean depth of its forward ops,
    each with the time it takes as its weight."""
    weight = np.where(problem.backward, 0.0, micros) + 1e-9
    count = int(layer.max()) + 1
    depth = sum_by(layer, weight * problem.graph.depth, count)
    depth /= np.maximum(sum_by(layer, weight, count), 1e-12)
    rank = np.empty(count, np.int64)
    rank[np.argsort(depth, kind="stable")] = np.arange(count)
    return np.unique(rank[layer], return_inverse=True)[1].reshape(-1).astype(np.int64)


def _majority(problem: Problem, block: _Ints, micros: npt.NDArray[np.float64]) -> _Ints:
    """[num_units] the device that most of a unit's work wants, among those allowed; of a
    variable that may move, what most of the work of its forward readers wants."""
    votes = np.zeros((problem.num_units, problem.num_devices))
    if problem.free_state:
        np.add.at(votes, *_votes_of_readers(problem, block, micros))
    undecided = votes.max(1)[problem.unit_of] == 0
    np.add.at(votes, (problem.unit_of[undecided], block[undecided]), (micros + 1e-9)[undecided])
    return np.where(problem.allowed, votes, -1.0).argmax(1).astype(np.int64)


def _votes_of_readers(
    problem: Problem, block: _Ints, micros: npt.NDArray[np.float64]
) -> tuple[tuple[_Ints, _Ints], npt.NDArray[np.float64]]:
    """((units of variables, devices), weights): the work of a variable's own ops is its
    update, whose place in the backward pass says nothing of the layer."""
    t = problem.tensors
    src, dst = problem.unit_of[t.edge_src], problem.unit_of[t.edge_dst]
    reads = problem.has_flag("reads_variable")[t.edge_src] & (t.dtype[t.edge_tensor] >= 0)
    counted = reads & (src != dst) & ~problem.backward[t.edge_dst]
    reader = t.edge_dst[counted]
    return (src[counted], block[reader]), micros[reader] + 1e-9
