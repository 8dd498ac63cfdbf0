"""The linear program of SCT: which child should follow each op without a transfer."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from grappler_go_training.baselines.coarsen import coarsen_acyclic
from grappler_go_training.baselines.list_schedule import mean_transfer_micros

if TYPE_CHECKING:
    from grappler_go_training.baselines.problem import Problem

# The program has a row for each edge and two for each node; HiGHS takes seconds at this
# size on one core and minutes at ten times that.
MAX_NODES = 1000

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


def favourite_children(problem: "Problem", max_nodes: int = MAX_NODES) -> list[int]:
    """By op, its favourite child, an op that reads it; -1: none.

    No op is the favourite child of two. A graph of more than max_nodes ops is solved for
    clusters of ops (coarsen.coarsen_acyclic); within a cluster an op's favourite is the
    child it sends most to, and the favourite of a cluster is taken for the ops that send
    to it.
    """
    num_ops = problem.graph.num_ops
    cluster = coarsen_acyclic(problem, max_nodes)
    favourite = _solve(problem, cluster) if num_ops else np.zeros(0, np.int64)
    t = problem.tensors
    src, dst = t.edge_src, t.edge_dst
    same = cluster[src] == cluster[dst]
    wanted = same | (favourite[cluster[src]] == cluster[dst])
    nbytes = t.bytes[t.edge_tensor]
    # The heaviest first; among equals in order of edges.
    child, taken = [-1] * num_ops, [False] * num_ops
    order = np.lexsort((np.arange(len(src)), -nbytes))
    for k in order[wanted[order]].tolist():
        parent, reader = int(src[k]), int(dst[k])
        if child[parent] < 0 and not taken[reader]:
            child[parent] = reader
            taken[reader] = True
    return child


def _solve(problem: "Problem", cluster: _Ints) -> _Ints:
    """[num_clusters] the favourite child of each, -1: none.

    Minimises the last end, and by a very small weight what is transferred, over starts s
    and, for every edge, x in [0, 1], 0 where child follows parent without a transfer:
      s[i] + p[i] + c[i, j] x[i, j] <= s[j]          for every edge
      sum over children j of x[i, j] >= children - 1  at most one favourite child
      sum over parents i of x[i, j] >= parents - 1    favourite of at most one
    An edge counts as x = 0 below one half, as in Hanen and Munier; Baechi has 0.1.
    """
    nodes = int(cluster.max()) + 1
    src, dst, transfer = _cluster_edges(problem, cluster, nodes)
    edges = len(src)
    none = np.full(nodes, -1, np.int64)
    if edges == 0 or len(problem.targets) == 1:
        return none
    micros = np.bincount(cluster, weights=problem.mean_micros, minlength=nodes)
    # In units of the longest, so that HiGHS's tolerances mean something.
    scale = max(float(micros.max(initial=0.0)), float(transfer.max(initial=0.0)), 1e-9)
    p, c = micros / scale, transfer / scale

    # Columns: starts, then x, then the end of the step.
    e, n = np.arange(edges), np.arange(nodes)
    children, parents = np.bincount(src, minlength=nodes), np.bincount(dst, minlength=nodes)
    rows = np.concatenate([e, e, e, edges + src, edges + nodes + dst])
    columns = np.concatenate([src, dst, nodes + e, nodes + e, nodes + e])
    values = np.concatenate([np.ones(edges), -np.ones(edges), c, -np.ones(2 * edges)])
    last = edges + 2 * nodes + n
    rows = np.concatenate([rows, last, last])
    columns = np.concatenate([columns, n, np.full(nodes, nodes + edges)])
    values = np.concatenate([values, np.ones(nodes), -np.ones(nodes)])
    bounds = np.concatenate(
        [-p[src], 1.0 - np.maximum(children, 1), 1.0 - np.maximum(parents, 1), -p]
    )
    matrix = coo_matrix((values, (rows, columns)), shape=(edges + 3 * nodes, nodes + edges + 1))
    objective = np.zeros(nodes + edges + 1)
    objective[-1] = 1.0
    # Where the end does not depend on an edge, any x would do.
    objective[nodes : nodes + edges] = 1e-6 * c / max(float(c.sum()), 1e-12)
    upper = np.concatenate([np.full(nodes, np.inf), np.ones(edges), [np.inf]])
    solved = linprog(
        objective,
        A_ub=matrix.tocsr(),
        b_ub=bounds,
        bounds=np.stack([np.zeros(len(upper)), upper], axis=1),
        method="highs",
    )
    if solved.x is None:
        raise RuntimeError(f"the linear program of m-SCT was not solved: {solved.message}")
    x = solved.x[nodes : nodes + edges]
    near = np.flatnonzero(x < 0.5)
    none[src[near]] = dst[near]
    return none


def _cluster_edges(problem: "Problem", cluster: _Ints, nodes: int) -> tuple[_Ints, _Ints, _Floats]:
    """(src, dst, microseconds of a transfer) of the edges between clusters, each once."""
    t = problem.tensors
    src, dst = cluster[t.edge_src], cluster[t.edge_dst]
    carries = (src != dst) & (t.bytes[t.edge_tensor] > 0)
    pairs, inverse = np.unique(src[carries] * nodes + dst[carries], return_inverse=True)
    # The largest of the tensors between two clusters: they travel together.
    transfer = np.zeros(len(pairs))
    np.maximum.at(transfer, inverse.reshape(-1), mean_transfer_micros(problem)[carries])
    pair_src, pair_dst = np.divmod(pairs, nodes)
    return pair_src, pair_dst, transfer
