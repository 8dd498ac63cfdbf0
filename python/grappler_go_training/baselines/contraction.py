"""A graph whose nodes are merged one pair after the other and which stays acyclic."""

from collections.abc import Callable

import numpy as np

from grappler_go_training.baselines.problem import Problem

# Nodes looked at for a path before a merge is refused. It bounds the time of a merge; on
# graphs as wide as a recurrent network's it costs few of them.
_MAX_VISITED = 2000


class Contraction:
    """Pairs of neighbours become one node where no other path joins them.

    The order is maintained as in Pearce and Kelly, "A Dynamic Topological Sort Algorithm
    for Directed Acyclic Graphs" (J. Exp. Algorithmics 2006), which
    tensorflow/compiler/jit/graphcycles does for XLA's clusters, too.
    """

    def __init__(self, problem: Problem) -> None:
        t = problem.tensors
        count = problem.graph.num_ops
        self._parent = list(range(count))
        self._rank = list(range(count))  # ops are numbered in topological order
        self._out: list[set[int]] = [set() for _ in range(count)]
        self._in: list[set[int]] = [set() for _ in range(count)]
        pairs = np.unique(t.edge_src * max(count, 1) + t.edge_dst)
        src, dst = np.divmod(pairs, max(count, 1))
        for a, b in zip(src.tolist(), dst.tolist(), strict=True):
            self._out[a].add(b)
            self._in[b].add(a)

    def find(self, op: int) -> int:
        """The node that an op is part of by now."""
        while self._parent[op] != op:
            self._parent[op] = self._parent[self._parent[op]]
            op = self._parent[op]
        return op

    def merge(self, producer: int, consumer: int) -> int:
        """Merges two nodes of which the second reads the first.

        Returns:
          The node that is both now, one of the two; -1 when another path joins them or
          too many nodes would have to be looked at.
        """
        low, high = self._rank[producer], self._rank[consumer]
        after = self._reach(producer, consumer, self._out, lambda rank: rank < high)
        if after is None:
            return -1
        before = self._reach(consumer, producer, self._in, lambda rank: rank > low)
        if before is None:
            return -1
        slots = sorted([low, high, *(self._rank[node] for node in after + before)])
        # What the consumer waits for comes first, then the merged node, then what waits
        # for the producer.
        before.sort(key=self._rank.__getitem__)
        after.sort(key=self._rank.__getitem__)
        # The larger one takes in the smaller one.
        sizes = [len(self._out[n]) + len(self._in[n]) for n in (producer, consumer)]
        kept, gone = (producer, consumer) if sizes[0] >= sizes[1] else (consumer, producer)
        for node, slot in zip([*before, kept], slots, strict=False):
            self._rank[node] = slot
        for node, slot in zip(after, slots[len(before) + 2 :], strict=True):
            self._rank[node] = slot
        self._take_in(kept, gone)
        return kept

    def _reach(
        self,
        start: int,
        target: int,
        edges: list[set[int]],
        within: Callable[[int], bool],
    ) -> list[int] | None:
        """What can be reached from start within a window of ranks; None when that has the
        target by another path than the edge itself, or too many nodes."""
        found: list[int] = []
        stack = [node for node in edges[start] if node != target and within(self._rank[node])]
        seen = set(stack)
        while stack:
            node = stack.pop()
            found.append(node)
            if len(seen) > _MAX_VISITED:
                return None
            for other in edges[node]:
                if other == target:
                    return None
                if other not in seen and within(self._rank[other]):
                    seen.add(other)
                    stack.append(other)
        return found

    def _take_in(self, kept: int, gone: int) -> None:
        self._parent[gone] = kept
        for mine, theirs in ((self._out, self._in), (self._in, self._out)):
            for node in mine[gone]:
                theirs[node].discard(gone)
                if node != kept:
                    theirs[node].add(kept)
            mine[kept] |= mine[gone]
            mine[kept] -= {kept, gone}
            mine[gone] = set()
