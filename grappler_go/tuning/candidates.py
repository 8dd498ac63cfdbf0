"""Plans to try for the graphs of a function.

Each is made by the pass itself, from the policy's scores or from scores that want
everything, changed in one way. That two ways come to the same plan is usual; it is
tried once.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grappler_go import native, offline, settings
from grappler_go.captured import CapturedGraph

if TYPE_CHECKING:
    from grappler_go._core import OpGraph, Plan, Policy

# What oneDNN and TensorFlow's own kernels do well and XLA for CPUs does not: depthwise
# convolutions above all (7 to 17 times slower), then convolutions, then large products.
_DEPTHWISE = ("DepthwiseConv",)
_CONVOLUTIONS = (*_DEPTHWISE, "Conv2D", "Conv3D", "FusedConv")
_PRODUCTS = ("MatMul", "Einsum")

# Names that cc/rewrite/fuse_updates.cc gives, which did its work before a graph is captured.
_UPDATE = "grappler_go/update/"

Scores = dict[str, Any]
Change = Callable[["OpGraph", Scores], Scores]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Plans for the graphs of one function, made in one way.

    Attributes:
      name: the way.
      plans: by fingerprint; graphs for which nothing was decided are missing.
      compile_s: predicted seconds to compile all groups.
      loops: compiled as a whole before the graphs are planned; they are compiled by now.
    """

    name: str
    plans: Mapping[str, "Plan"]
    compile_s: float
    loops: int = 0

    @property
    def num_groups(self) -> int:
        """Compiled groups."""
        return sum(plan.num_groups for plan in self.plans.values())

    @property
    def num_ops(self) -> int:
        """Ops in them."""
        return sum(int(np.sum(_groups(plan) >= 0)) for plan in self.plans.values())


def candidates(
    graphs: Sequence[CapturedGraph],
    *,
    policy: settings.PolicyLike = "default",
    devices: settings.DevicesLike = None,
    compile_budget_s: float = 60.0,
    loops: int = 0,
) -> Iterator[Candidate]:
    """All that differ, the most promising first.

    Args:
      graphs: of the function; small ones are left alone as always.
      policy: whose plans are tried at several settings.
      devices: as for grappler_go.enable().
      compile_budget_s: a plan leaves groups out to compile within it.
      loops: so many are compiled in these graphs, which may be all that is done.

    Raises:
      ValueError, TypeError, OSError: an argument, as for grappler_go.enable().
    """
    base = settings.parse_policy(policy)
    maker = _Maker(graphs, base, devices, compile_budget_s)
    seen = set()
    if loops:
        yield Candidate("loops compiled, nothing else", {}, 0.0, loops)
    for made in maker.all():
        key = tuple(sorted((f, _groups(plan).tobytes()) for f, plan in made.plans.items()))
        if made.plans and key not in seen:
            seen.add(key)
            yield _with_loops(made, loops) if loops else made


class _Maker:
    def __init__(
        self,
        graphs: Sequence[CapturedGraph],
        policy: "Policy | None",
        devices: settings.DevicesLike,
        compile_budget_s: float,
    ) -> None:
        self._graphs = [(graph, graph.op_graph()) for graph in graphs]
        self._policy = policy
        self._devices = devices
        self._compile_budget_s = compile_budget_s

    def all(self) -> Iterator[Candidate]:
        yield self._updates_alone()
        if self._policy is not None:
            yield self._make("the policy's plan", self._policy, min_gain=None)
            bold = self._make("the policy's, however small the gain", self._policy)
            yield bold
        yield self._make("all but convolutions", _everything(_without(_CONVOLUTIONS)))
        everything = self._make("all that XLA takes", _everything(_as_it_is))
        yield everything
        yield self._make(
            "all but convolutions and products", _everything(_without(_CONVOLUTIONS + _PRODUCTS))
        )
        yield self._make("all but depthwise convolutions", _everything(_without(_DEPTHWISE)))
        if self._policy is not None:
            yield self._make("the policy's, no op slower", self._changed(_no_slower))
            yield self._make("the policy's, only groups of 32 ops", self._policy, min_group_ops=32)
            yield _largest(bold, 1, "the policy's largest group")
            yield _largest(bold, 4, "the policy's four largest groups")
        yield _largest(everything, 1, "the largest group of all")
        yield self._make("all, grown from the end", _everything(_from_the_end))
        yield self._make("all, grown from the beginning", _everything(_from_the_beginning))

    def _updates_alone(self) -> Candidate:
        """Plans that decide nothing: the kernels that do updates are in the graphs already."""
        plans = {
            graph.fingerprint: native.core().Plan(graph)
            for _, graph in self._graphs
            if any(name.startswith(_UPDATE) for name in graph.names)
        }
        return _named("updates by kernels, nothing else", plans)

    def _changed(self, change: Change) -> "Policy":
        policy = self._policy

        def decide(policy_input: Any) -> Any:
            assert policy is not None
            scores = policy.decide(policy_input.graph, policy_input.machine)
            return change(policy_input.graph, scores) if isinstance(scores, dict) else scores

        return native.core().PythonPolicy(decide, "tuned")

    def _make(
        self, name: str, policy: "Policy", min_gain: float | None = 0.0, min_group_ops: int = 4
    ) -> Candidate:
        plans = {}
        for captured, graph in self._graphs:
            decided = offline.decide(
                captured,
                policy,
                self._devices,
                decisions=("fusion",),
                budget_ms=60_000,
                min_gain=min_gain,
                compile_budget_s=self._compile_budget_s,
                advanced={"min_group_ops": min_group_ops},
            )
            # One that the verifier refuses would be refused later, too.
            if decided.report.applied:
                plans[graph.fingerprint] = decided.plan
        return _named(name, plans)


def _named(name: str, plans: "Mapping[str, Plan]") -> Candidate:
    for plan in plans.values():
        plan.policy = f"tuned: {name}"
    seconds = sum(native.core().compile_seconds(plan) for plan in plans.values())
    return Candidate(name, plans, seconds)


def _with_loops(made: Candidate, loops: int) -> Candidate:
    return dataclasses.replace(_named(f"loops compiled; {made.name}", made.plans), loops=loops)


def _groups(plan: "Plan") -> Any:
    if plan.fusion_group is None:
        return np.zeros(0, np.int32)
    return np.asarray(plan.fusion_group)


def _largest(made: Candidate, count: int, name: str) -> Candidate:
    """With each graph's largest groups alone."""
    plans = {}
    for fingerprint, plan in made.plans.items():
        groups = _groups(plan)
        sizes = np.bincount(groups[groups >= 0], minlength=plan.num_groups)
        kept = np.sort(np.argsort(-sizes, kind="stable")[:count])
        number = np.full(len(sizes) + 1, -1, np.int32)  # the last one: of no group
        number[kept] = np.arange(len(kept))
        smaller = plan.copy()
        smaller.fusion_group = number[groups]
        # What the policy predicted was for all of them.
        smaller.micros_before = smaller.micros_after = 0.0
        plans[fingerprint] = smaller
    return _named(name, plans)


def _everything(change: Change) -> "Policy":
    """Every op wanted, as if compiling cost nothing."""

    def decide(policy_input: Any) -> Scores:
        ones = np.ones(policy_input.graph.num_ops, np.float32)
        scores = {"fusion": ones, "op_micros": 1000 * ones, "fused_micros": 0 * ones}
        return change(policy_input.graph, scores)

    return native.core().PythonPolicy(decide, "tuned")


def _as_it_is(graph: "OpGraph", scores: Scores) -> Scores:
    del graph
    return scores


def _without(kinds: Sequence[str]) -> Change:
    def change(graph: "OpGraph", scores: Scores) -> Scores:
        out = np.array([any(kind in op for kind in kinds) for op in graph.ops])
        return {**scores, "fusion": np.where(out, np.float32(-1), scores["fusion"])}

    return change


def _no_slower(graph: "OpGraph", scores: Scores) -> Scores:
    del graph
    if not {"fusion", "op_micros", "fused_micros"} <= scores.keys():
        return scores
    slower = np.asarray(scores["fused_micros"]) > np.asarray(scores["op_micros"])
    return {**scores, "fusion": np.where(slower, np.float32(-1), scores["fusion"])}


# Ops of high priority merge first; graphs list their ops from the beginning to the end.
def _from_the_end(graph: "OpGraph", scores: Scores) -> Scores:
    return {**scores, "fusion": np.linspace(0.1, 1, graph.num_ops, dtype=np.float32)}


def _from_the_beginning(graph: "OpGraph", scores: Scores) -> Scores:
    return {**scores, "fusion": np.linspace(1, 0.1, graph.num_ops, dtype=np.float32)}
