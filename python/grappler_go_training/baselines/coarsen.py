"""Fewer nodes: a graph's ops for a linear program, a problem's units for a search."""

import numpy as np
import numpy.typing as npt

from grappler_go_training.baselines.problem import Problem

_Ints = npt.NDArray[np.int64]


def coarsen_acyclic(problem: Problem, max_nodes: int) -> _Ints:
    """[num_ops] the cluster of each op, at most max_nodes of them. Contracting every
    cluster leaves the graph acyclic.

    An op joins its only reader's cluster, then one whose inputs all come from one
    cluster joins that: the edge that vanishes was the only way out, or in. No cluster so
    made takes more than four times the mean. If that is not enough, clusters of one
    depth join, between which no path can lead; in the end whole depths do.
    """
    num_ops = problem.graph.num_ops
    cluster = np.arange(num_ops)
    if num_ops <= max_nodes:
        return cluster
    limit = 4.0 * float(problem.mean_micros.sum()) / max_nodes
    for join in (_join_only_reader, _join_only_producer):
        cluster = _numbered(join(problem, cluster, limit))
        if cluster.max() < max_nodes:
            return cluster
    return _join_depths(problem, cluster, max_nodes)


def _numbered(label: npt.ArrayLike) -> _Ints:
    """The same clusters as 0 .. k - 1."""
    return np.unique(label, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _join_only_reader(problem: Problem, cluster: _Ints, limit: float) -> _Ints:
    src, dst = problem.tensors.edge_src, problem.tensors.edge_dst
    order = np.argsort(src, kind="stable")
    ptr = np.searchsorted(src[order], np.arange(problem.graph.num_ops + 1))
    return _join(problem, cluster, limit, ptr.tolist(), dst[order].tolist(), backwards=True)


def _join_only_producer(problem: Problem, cluster: _Ints, limit: float) -> _Ints:
    # Clusters are no longer single ops: only what enters them from outside counts, and
    # an op whose cluster has others is left alone.
    t = problem.tensors
    return _join(problem, cluster, limit, t.in_ptr.tolist(), t.edge_src.tolist(), backwards=False)


def _join(
    problem: Problem,
    cluster: _Ints,
    limit: float,
    ptr: list[int],
    neighbour: list[int],
    backwards: bool,
) -> _Ints:
    label = cluster.tolist()
    size = np.bincount(cluster).tolist()
    weight = np.bincount(cluster, weights=problem.mean_micros).tolist()
    ops = range(len(label))
    for op in reversed(ops) if backwards else ops:
        own = label[op]
        if size[own] != 1:
            continue
        others = {label[neighbour[k]] for k in range(ptr[op], ptr[op + 1])}
        if len(others) != 1:
            continue
        other = others.pop()
        if other == own or weight[own] + weight[other] > limit:
            continue
        label[op] = other
        size[own], size[other] = 0, size[other] + 1
        weight[other] += weight[own]
    return np.array(label, np.int64)


def _join_depths(problem: Problem, cluster: _Ints, max_nodes: int) -> _Ints:
    depth = _depths(problem, cluster)
    levels = int(depth.max()) + 1
    if levels >= max_nodes:
        return _numbered(depth[cluster] * max_nodes // levels)
    # Neighbours by number, so that what was made together tends to stay together.
    order = np.lexsort((np.arange(len(depth)), depth))
    per_level = np.bincount(depth, minlength=levels)
    rank = np.empty(len(depth), np.int64)
    rank[order] = np.arange(len(depth)) - np.repeat(np.cumsum(per_level) - per_level, per_level)
    spare = max_nodes - levels
    kept = 1 + (per_level - 1) * spare // max(int((per_level - 1).sum()), 1)
    slot = rank * kept[depth] // per_level[depth]
    return _numbered((depth * (len(depth) + 1) + slot)[cluster])


def _depths(problem: Problem, cluster: _Ints) -> _Ints:
    """[num_clusters] the longest path to each, in clusters."""
    src, dst = cluster[problem.tensors.edge_src], cluster[problem.tensors.edge_dst]
    across = src != dst
    count = int(cluster.max()) + 1
    edges = np.unique(src[across] * count + dst[across])
    src, dst = np.divmod(edges, count)
    ptr = np.searchsorted(src, np.arange(count + 1)).tolist()
    readers = dst.tolist()
    missing = np.bincount(dst, minlength=count).tolist()
    depth = [0] * count
    ready = [node for node in range(count) if missing[node] == 0]
    while ready:
        node = ready.pop()
        for reader in readers[ptr[node] : ptr[node + 1]]:
            depth[reader] = max(depth[reader], depth[node] + 1)
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.append(reader)
    return np.array(depth, np.int64)


def group_units(problem: Problem, max_groups: int, apart: _Ints | None = None) -> _Ints:
    """[num_units] the group of each unit that may move, -1 for the others; at most
    max_groups, numbered by their first units.

    Heavy-edge matching as in Karypis and Kumar, "A Fast and High Quality Multilevel
    Scheme" (SIAM J. Sci. Comput. 1998), repeated until there are few enough: units that
    send each other most join, as long as no group takes more than four times the mean.
    Then neighbours by number join. Only units with the same choices do, and, where it is
    given, with the same number in apart, [num_units].
    """
    group = np.full(problem.num_units, -1, np.int64)
    movable = problem.movable
    if len(movable) == 0:
        return group
    kinds = problem.allowed.astype(np.int64)
    if apart is not None:
        kinds = np.column_stack([kinds, apart])
    choice = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1).tolist()
    micros = problem.unit_mean_micros
    limit = 4.0 * float(micros[movable].sum()) / max_groups
    parent = list(range(problem.num_units))
    weight = micros.tolist()
    can_move = np.zeros(problem.num_units, bool)
    can_move[movable] = True

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    count = len(movable)
    src, dst, nbytes = problem.unit_edges
    between = can_move[src] & can_move[dst]
    heaviest = np.argsort(-nbytes[between], kind="stable")
    pairs = zip(src[between][heaviest].tolist(), dst[between][heaviest].tolist(), strict=True)
    for a, b in pairs:
        if count <= max_groups:
            break
        first, second = sorted((root(a), root(b)))
        if first == second or choice[first] != choice[second]:
            continue
        if weight[first] + weight[second] <= limit:
            parent[second] = first
            weight[first] += weight[second]
            count -= 1
    roots = np.array([root(unit) for unit in movable.tolist()], np.int64)
    group[movable] = _numbered(roots)
    if count > max_groups:
        number_of = np.unique(roots)
        kind = np.array([choice[unit] for unit in number_of.tolist()], np.int64)
        # By kind, then by number, cut into runs.
        order = np.lexsort((number_of, kind))
        position = np.empty(count, np.int64)
        position[order] = np.arange(count)
        spare = max(1, max_groups - int(kind.max()))
        run = position * spare // count
        group[movable] = _numbered((kind * (count + 1) + run)[group[movable]])
    return group
