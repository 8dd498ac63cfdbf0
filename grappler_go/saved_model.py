"""A SavedModel on disk gets its plan written in.

The result runs with the plan wherever SavedModels run, without the pass: the
decisions are attributes and devices of ordinary nodes. The signature's graph is
taken as the pass sees it, the plan is applied, and the outcome becomes the body
of a function over the model's own variables. That function is not inlined and
carries a configuration that keeps TensorFlow's graph optimisers off it: they
have run already, and would fuse again what a compiled group needs apart.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grappler_go import captured, native, offline
from grappler_go.control import options, set_options
from grappler_go.report import Report
from grappler_go.settings import DECISIONS, DevicesLike, PolicyLike

if TYPE_CHECKING:
    import tensorflow as tf

# Outputs of the optimised model may differ by the reordering of float sums.
_RELATIVE = 1e-4
# Stands for a dimension that the signature leaves open, when inputs are made up.
_OPEN_DIMENSION = 2


def optimize_saved_model(
    in_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    signature: str = "serving_default",
    policy: PolicyLike = "default",
    example_inputs: Mapping[str, Any] | None = None,
    devices: DevicesLike = None,
    decisions: Sequence[str] = DECISIONS,
    memory_limit: int | float | str | None = None,
    min_gain: float | None = None,
    advanced: Mapping[str, Any] | None = None,
    compile_budget_s: float | None = None,
) -> Report:
    """Writes a copy of a SavedModel in which a plan is applied to one signature.

    Other signatures, variables and assets are kept. Before anything is written
    the optimised function is run beside the original on the example inputs.

    Args:
      in_dir: the SavedModel.
      out_dir: where the copy goes; must not exist or be empty.
      signature: which of its signatures.
      policy, devices, decisions, memory_limit, min_gain, advanced,
        compile_budget_s: as for enable(). Groups with shapes that the signature
        leaves open are compiled once for each shape met;
        advanced={"fuse_unknown_shapes": True} allows them.
      example_inputs: input name -> array. They are what the original and the
        optimised function are compared on; None: made up from the signature.

    Returns:
      The report. Where it says that nothing was applied, nothing is written.

    Raises:
      ValueError: no such signature; example inputs that do not fit it; outputs
        differ by more than 1e-4 relative.
      OSError: in_dir is not a SavedModel, or out_dir is not free.
      RuntimeError: as load(), or GRAPPLER_GO=0.

    Example:
      report = grappler_go.optimize_saved_model("model/1", "model_fast/1")
      print(report)
    """
    tf = native.tensorflow()
    target = pathlib.Path(out_dir)
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} exists and is not empty")
    root = tf.saved_model.load(str(in_dir))
    if signature not in root.signatures:
        raise ValueError(
            f"{in_dir} has no signature {signature!r}; it has " + ", ".join(sorted(root.signatures))
        )
    function = root.signatures[signature]
    inputs = make_inputs(function, example_inputs)
    expected = _run(function, inputs, function.variables)
    graph = graph_of(function, inputs)
    decided = offline.decide(
        graph,
        policy=policy,
        devices=devices,
        decisions=decisions,
        memory_limit=memory_limit,
        min_gain=min_gain,
        advanced=advanced,
        compile_budget_s=compile_budget_s,
    )
    report = decided.report
    if report.micros_before > 0 and _open_inputs(function):
        note = (
            "the signature leaves dimensions open: ops of such shapes are predicted as if they "
            "were tiny, with what it takes to start them"
        )
        report = dataclasses.replace(report, notes=(*report.notes, note))
    if decided.graphdef is None:
        return report
    optimized = _function_with_body(function, decided.graphdef)
    _check_equal(expected, _run(optimized, inputs, function.variables))
    # Keeps the function, and what it captures, in the saved object graph.
    root.grappler_go_optimized = optimized
    tf.saved_model.save(root, str(target), signatures={**root.signatures, signature: optimized})
    return report


def _input_specs(function: Any) -> dict[str, "tf.TensorSpec"]:
    return dict(function.structured_input_signature[1])


def _open_inputs(function: Any) -> bool:
    """Whether the signature leaves a dimension of an input open."""
    return not all(spec.shape.is_fully_defined() for spec in _input_specs(function).values())


def make_inputs(function: Any, given: Mapping[str, Any] | None = None) -> dict[str, "tf.Tensor"]:
    """Inputs to call a signature with.

    Args:
      function: a concrete function of a loaded SavedModel's signatures.
      given: input name -> array; None: made up to fit the signature.

    Raises:
      ValueError: what is given does not fit; nothing can be made up.
    """
    tf = native.tensorflow()
    specs = _input_specs(function)
    if given is not None:
        if set(given) != set(specs):
            raise ValueError(f"example_inputs has {sorted(given)}; expected {sorted(specs)}")
        tensors = {name: tf.convert_to_tensor(given[name], specs[name].dtype) for name in specs}
        for name, spec in specs.items():
            if not spec.is_compatible_with(tensors[name]):
                raise ValueError(f"example input {name!r} does not fit {spec}")
        return tensors
    random = np.random.default_rng(0)
    tensors = {}
    for name, spec in specs.items():
        if spec.shape.rank is None:
            raise ValueError(f"input {name!r} has no known rank: give example_inputs")
        shape = [_OPEN_DIMENSION if size is None else size for size in spec.shape]
        if spec.dtype.is_floating:
            tensors[name] = tf.cast(random.random(shape), spec.dtype)
        else:
            tensors[name] = tf.zeros(shape, spec.dtype)
    return tensors


def _run(function: Any, inputs: Mapping[str, "tf.Tensor"], variables: Sequence[Any]) -> Any:
    """The outputs; variables that the signature writes are put back."""
    before = [(variable, variable.numpy()) for variable in variables]
    try:
        return function(**inputs)
    finally:
        for variable, value in before:
            if not np.array_equal(variable.numpy(), value):
                variable.assign(value)


def graph_of(function: Any, inputs: Mapping[str, "tf.Tensor"]) -> captured.CapturedGraph:
    """A signature's own graph as the pass sees it, not that of a function which it
    calls. The signature is run once; variables that it writes are put back.

    Raises:
      ValueError: TensorFlow did not show it.
      What capture() raises.
    """
    graphs = captured.capture(lambda: _run(function, inputs, function.variables), trace=False)
    results = len(function.outputs)
    for graph in graphs:
        ops = [node.op for node in _parse(graph.graphdef).node]
        if ops.count("_Arg") == len(function.inputs) and ops.count("_Retval") == results:
            return graph
    raise ValueError("TensorFlow did not show the pass the signature's graph")


def _parse(graphdef: bytes) -> Any:
    return native.tensorflow().compat.v1.GraphDef.FromString(graphdef)


def _function_with_body(function: Any, graphdef: bytes) -> Any:
    """A concrete function with the signature of `function` and that graph inside."""
    tf = native.tensorflow()
    body, arguments, results = _body(graphdef)
    specs = _input_specs(function)
    captures = list(function.captured_inputs)
    names = _argument_names(function, len(function.inputs) - len(captures))

    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def planned_body(*user_inputs: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        tensors = [*user_inputs, *(graph.capture(capture) for capture in captures)]
        input_map = {f"{arguments[i]}:0": tensor for i, tensor in enumerate(tensors)}
        return tf.graph_util.import_graph_def(
            body, input_map=input_map, return_elements=results, name=""
        )

    @tf.function(autograph=False)
    def planned(**inputs: Any) -> dict[str, Any]:
        outputs = planned_body(*(inputs[name] for name in names))
        return tf.nest.pack_sequence_as(function.structured_outputs, outputs)

    option = "disable_meta_optimizer"
    before = options().get(option, False)
    set_options({option: True})
    try:
        return planned.get_concrete_function(**specs)
    finally:
        set_options({option: before or None})


def _argument_names(function: Any, number: int) -> list[str]:
    """Names of the signature's inputs in the order of the graph's arguments."""
    specs = _input_specs(function)
    by_op = {spec.name or name: name for name, spec in specs.items()} | {n: n for n in specs}
    ops = [tensor.op.name for tensor in function.inputs[:number]]
    unknown = [op for op in ops if op not in by_op]
    if unknown or len(ops) != len(specs):
        raise ValueError(f"inputs {ops} of the signature's graph are not {sorted(specs)}")
    return [by_op[op] for op in ops]


def _body(graphdef: bytes) -> tuple[Any, dict[int, str], list[str]]:
    """The graph without its arguments and results; both by their numbers."""
    graph = _parse(graphdef)
    arguments: dict[int, str] = {}
    results: dict[int, str] = {}
    kept = type(graph)()
    kept.versions.CopyFrom(graph.versions)
    kept.library.CopyFrom(graph.library)
    names = {node.name for node in graph.node if node.op not in ("_Arg", "_Retval")}
    devices = {node.device for node in graph.node}
    for node in graph.node:
        if node.op == "_Arg":
            arguments[node.attr["index"].i] = node.name
        elif node.op == "_Retval":
            source = node.input[0]
            results[node.attr["index"].i] = source if ":" in source else f"{source}:0"
        else:
            copy = kept.node.add()
            copy.CopyFrom(node)
            if len(devices - {""}) == 1:
                # Everything is on one device: whichever the program has will do.
                copy.device = ""
            _drop_missing_colocation(copy, names)
    return kept, arguments, [results[index] for index in sorted(results)]


def _drop_missing_colocation(node: Any, names: set[str]) -> None:
    classes = node.attr["_class"].list.s if "_class" in node.attr else []
    present = [c for c in classes if c.decode().removeprefix("loc:@") in names]
    if len(present) != len(classes):
        del node.attr["_class"].list.s[:]
        node.attr["_class"].list.s.extend(present)


def _check_equal(expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    for name, tensor in expected.items():
        want, have = tensor.numpy(), got[name].numpy()
        if want.shape != have.shape:
            same = False
        elif want.dtype.kind not in "fc" and want.dtype.name != "bfloat16":
            same = np.array_equal(want, have)
        else:
            scale = max(float(np.max(np.abs(want), initial=0.0)), 1e-6)
            same = np.allclose(
                want.astype(np.float64), have.astype(np.float64), rtol=0, atol=_RELATIVE * scale
            )
        if not same:
            raise ValueError(f"output {name!r} of the optimised model differs; nothing was written")
