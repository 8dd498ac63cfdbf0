"""What the pass itself costs, beside TensorFlow's own Grappler on the same graph.

The graphs are training steps of an LSTM unrolled in Python, which grow linearly
with the number of steps: 80,000 nodes are about 500 of them. TensorFlow's own
passes are timed by running them on the traced graph through
tensorflow.python.grappler, without our plugin; ours runs on what they leave.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grappler_go.bench import everything, models, worker

if TYPE_CHECKING:
    from grappler_go.captured import CapturedGraph

PHASES = ("parse", "features", "policy", "plan", "rewrite", "verify")
_SMALL_STEPS, _LARGE_STEPS = 4, 12


@dataclasses.dataclass
class Overhead:
    """The cost for one graph.

    Plans, rewrites and their verification are those of a policy that wants every op
    compiled, whatever that would gain, so that every phase has all of its work to do.

    Attributes:
      nodes: nodes of the graph that the pass is given.
      graph_mb: its size.
      phases_ms: median milliseconds of each phase; "parse", "features" and "policy"
        under the policy asked for.
      core_ms: all phases but the policy.
      tensorflow_ms: TensorFlow's own Grappler on the traced graph.
      extra_mb: peak memory above that before the pass, without the result and with
        a policy that needs next to none of its own.
      result_mb: the rewritten graph.
      policy_mb: the same peak under the policy asked for, what it reads and what it
        takes itself included.
      several_ms: median milliseconds that the policy asked for takes where there are four
        GPUs, what it reads included. None: there is no policy that is named.
      several_mb: the peak above what was there before, meanwhile.
      outcome: what the pass reported under the policy asked for.
      everything_outcome: the same under the one that wants every op compiled.
    """

    nodes: int
    graph_mb: float
    phases_ms: dict[str, float]
    core_ms: float
    tensorflow_ms: float
    extra_mb: float
    result_mb: float
    policy_mb: float
    several_ms: float | None
    several_mb: float | None
    outcome: str
    everything_outcome: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def measure(nodes: int, settings: Mapping[str, Any], repeats: int = 5) -> Overhead:
    """Builds a graph of about that many nodes and measures.

    Args:
      nodes: about how many the pass shall be given.
      settings: arguments of grappler_go.enable().
      repeats: runs of the pass, of which the median is taken.
    """
    graph, tensorflow_ms = _optimized_by_tensorflow(_steps_for(nodes))
    # Measured is what it takes, not where it stops.
    arguments = {"budget_ms": 60_000, "compile_budget_s": 1e9, "plan_cache": False, **settings}
    given = _Runs(graph, arguments, repeats)
    forced = _Runs(graph, {**arguments, "policy": everything.decide, "min_gain": 0}, repeats)
    asked = _where_there_are_several(graph, settings.get("policy", "default"), repeats)
    phases = {**forced.phases_ms}
    for phase in ("parse", "features", "policy"):
        phases[phase] = given.phases_ms.get(phase, phases.get(phase, 0.0))
    return Overhead(
        nodes=given.report["num_nodes"],
        graph_mb=len(graph.graphdef) / 1e6,
        phases_ms=phases,
        core_ms=sum(ms for phase, ms in phases.items() if phase != "policy"),
        tensorflow_ms=tensorflow_ms,
        extra_mb=forced.extra_mb,
        result_mb=forced.result_mb,
        policy_mb=given.extra_mb,
        several_ms=None if asked is None else asked[0],
        several_mb=None if asked is None else asked[1],
        outcome=given.report["outcome"],
        everything_outcome=forced.report["outcome"],
    )


def _where_there_are_several(
    graph: "CapturedGraph", policy: Any, repeats: int
) -> tuple[float, float] | None:
    """(milliseconds, megabytes) that a named policy takes to decide for four GPUs."""
    import grappler_go
    from grappler_go import native

    if not isinstance(policy, str):
        return None
    machine = grappler_go.load_machine("p100x4")
    loaded = native.core().load_policy(policy)
    op_graph = graph.op_graph()

    def decide() -> float:
        began = time.perf_counter()
        loaded.decide(op_graph, machine, free_state=True)
        return (time.perf_counter() - began) * 1e3

    decide()  # loads, and warms up
    worker.give_back_memory()
    worker.reset_peak()
    before = worker.memory_mb("VmRSS")
    decide()
    extra_mb = max(0.0, worker.memory_mb("VmHWM") - before)
    return statistics.median(decide() for _ in range(repeats)), extra_mb


def graph_of_about(nodes: int) -> "CapturedGraph":
    """The graph of measure(), as TensorFlow's own Grappler leaves it."""
    return _optimized_by_tensorflow(_steps_for(nodes))[0]


class _Runs:
    """Some runs of the pass over one graph under the same settings."""

    def __init__(self, graph: "CapturedGraph", settings: Mapping[str, Any], repeats: int) -> None:
        self._graph = graph
        self._config = _config(settings)
        # The policy warms up, and the result is seen: below it is thrown away at once,
        # as Python's copy of it is not what TensorFlow is handed.
        first = self._run(keep_graphdef=True)
        self.report = first["report"]
        self.result_mb = len(first["graphdef"] or b"") / 1e6
        del first
        self.extra_mb = self._extra_mb()
        timings: dict[str, list[float]] = {}
        for _ in range(repeats):
            report = self._run(keep_graphdef=False)["report"]
            for phase, spent in report["timing_ms"].items():
                timings.setdefault(phase, []).append(spent)
        self.phases_ms = {phase: statistics.median(ms) for phase, ms in timings.items()}

    def _run(self, keep_graphdef: bool) -> dict[str, Any]:
        from grappler_go import native

        graph = self._graph
        names = list(graph.fetches), list(graph.preserve)
        return native.core().optimize(graph.graphdef, *names, self._config, keep_graphdef)

    def _extra_mb(self) -> float:
        """The peak above what was there before, without the result."""
        worker.give_back_memory()
        worker.reset_peak()
        before = worker.memory_mb("VmRSS")
        self._run(keep_graphdef=False)
        return max(0.0, worker.memory_mb("VmHWM") - before - self.result_mb)


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What grappler_go.enable() would configure, without enabling it."""
    import grappler_go
    from grappler_go import native

    with grappler_go.scope(**settings):
        return native.core().current_config()


def small_graph_micros(settings: Mapping[str, Any], repeats: int = 2000) -> float:
    """Median microseconds for a graph too small to matter, with the settings of the
    process, as the pass has them; the call from Python included."""
    import tensorflow as tf

    import grappler_go
    from grappler_go import native

    function = tf.function(lambda x: x * 2.0 + 1.0).get_concrete_function(tf.ones((4,)))
    graphdef = function.graph.as_graph_def().SerializeToString()
    fetches = [tensor.op.name for tensor in function.outputs]
    core = native.core()
    spent = []
    with grappler_go.scope(**settings):
        for _ in range(repeats):
            began = time.perf_counter()
            core.optimize(graphdef, fetches, fetches)
            spent.append((time.perf_counter() - began) * 1e6)
    return statistics.median(spent)


def _steps_for(nodes: int) -> int:
    """How often to unroll for that many nodes, from two small graphs."""
    small, large = (_traced_nodes(steps) for steps in (_SMALL_STEPS, _LARGE_STEPS))
    per_step = (large - small) / (_LARGE_STEPS - _SMALL_STEPS)
    return max(1, round(_SMALL_STEPS + (nodes - small) / per_step))


@functools.cache
def _traced_nodes(steps: int) -> int:
    import tensorflow as tf

    graph, _ = _optimized_by_tensorflow(steps)
    return len(tf.compat.v1.GraphDef.FromString(graph.graphdef).node)


def _optimized_by_tensorflow(steps: int) -> "tuple[CapturedGraph, float]":
    """The graph after TensorFlow's own Grappler, and the milliseconds that took."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
    from tensorflow.python.grappler import tf_optimizer

    program = models.lstm_step(steps, width=32)
    function = tf.function(program.step).get_concrete_function(*program.args)
    # Without the assignments among them most of the graph would be pruned.
    fetches = [tensor.op.name for tensor in function.outputs]
    fetches += [op.name for op in function.graph.control_outputs if op.type != "ReadVariableOp"]
    fetches = list(dict.fromkeys(fetches))
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(function.graph.as_graph_def())
    for node in meta_graph.graph_def.node:
        node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    meta_graph.collection_def["train_op"].node_list.value.extend(fetches)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.meta_optimizer_timeout_ms = 20 * 60 * 1000
    # The pass registers process-wide; here TensorFlow's own passes are timed.
    config.graph_options.rewrite_options.use_plugin_optimizers = 2  # OFF
    began = time.perf_counter()
    optimized = tf_optimizer.OptimizeGraph(config, meta_graph)
    spent_ms = (time.perf_counter() - began) * 1e3
    _name_arguments(optimized, function)
    from grappler_go.captured import CapturedGraph

    return CapturedGraph(optimized.SerializeToString(), tuple(fetches), tuple(fetches)), spent_ms


def _name_arguments(graphdef: Any, function: Any) -> None:
    """Makes arguments of the placeholders, as a function's graph has them when it runs.

    An argument says of which shape it is, and a variable's handle of which shape
    and type the variable; without that hardly an op of the graph has a known shape.
    """
    from tensorflow.python.ops import handle_data_util

    inputs = {tensor.op.name: (i, tensor) for i, tensor in enumerate(function.inputs)}
    for node in graphdef.node:
        if node.op != "Placeholder" or node.name not in inputs:
            continue
        index, tensor = inputs[node.name]
        dtype = node.attr["dtype"].type
        node.attr.clear()
        node.op = "_Arg"
        node.attr["T"].type = dtype
        node.attr["index"].i = index
        node.attr["_output_shapes"].list.shape.add().CopyFrom(tensor.shape.as_proto())
        data = handle_data_util.get_resource_handle_data(tensor)
        if data is not None and data.is_set:
            for held in data.shape_and_type:
                node.attr["_handle_dtypes"].list.type.append(held.dtype)
                node.attr["_handle_shapes"].list.shape.add().CopyFrom(held.shape)
