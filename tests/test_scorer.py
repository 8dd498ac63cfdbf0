"""The op scorer: fitting, export, and what the exported policy says."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import grappler_go

pytest.importorskip("scipy")
from grappler_go_training.calibrate import fit, measure, memory, op_cases
from grappler_go_training.scorer import export, fitted

from grappler_go import _core, native


@pytest.fixture(scope="module")
def cases():
    wanted = ("Mul", "MatMul", "Conv2D", "DepthwiseConv2dNative", "Slice")
    return [case for case in op_cases.all_cases() if case.op in wanted]


def _samples(cases, tf_terms, xla_terms, handover=0.0):
    """Timings that follow the given coefficients exactly; in a cluster, a slice is nothing
    but `handover` microseconds for each tensor that enters or leaves, which what is timed
    side by side takes on top."""
    result = []
    for case in cases:
        work = fit.work_of(case)
        terms = fit.terms(work.flops, work.bytes_moved)
        inside = 0.0 if case.op == "Slice" else float(terms @ xla_terms)
        boundary = 0.0 if case.chain else handover * (len(case.shapes) + 1)
        result.append(
            measure.Sample(case.label, case.op, float(terms @ tf_terms), inside + boundary)
        )
    return result


def test_labels_tell_all_cases_apart():
    assert len(measure.labels(op_cases.all_cases())) > 300


def test_two_cases_of_one_label_are_an_error(cases):
    with pytest.raises(ValueError, match="same label"):
        measure.labels([cases[0], cases[0]])


def test_the_core_knows_the_cost_of_every_case():
    for case in op_cases.all_cases():
        work = fit.work_of(case)
        assert work.bytes_moved > 0, case.label
        if work.op_class in ("matmul", "conv", "depthwise_conv"):
            assert work.flops > 0, case.label


def test_fit_finds_the_coefficients_that_made_the_timings(cases):
    tf_terms, xla_terms = np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0])
    samples = _samples(cases, tf_terms, xla_terms)
    model = fit.fit(cases, samples)
    assert np.max(fit.relative_errors(model, cases, samples)) < 1e-3


def test_what_was_slower_in_each_timing_is_so_at_any_size():
    model = fitted.fit_shipped().model
    for megabytes in (0.1, 1.0, 10.0, 100.0):
        work = fit.Work("MaxPoolGrad", "pool", 1e6 * megabytes, 1e6 * megabytes)
        alone, within = model.predict(work)
        assert within > 1.2 * alone
    # XLA's products are as fast: no word on these.
    alone, within = model.predict(fit.Work("MatMul", "matmul", 1e9, 1e6))
    assert within < 1.2 * alone


def test_what_the_boundary_of_a_cluster_takes_is_not_the_ops(cases):
    tf_terms, xla_terms = np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0])
    expected = fit.fit(cases, _samples(cases, tf_terms, xla_terms))
    samples = _samples(cases, tf_terms, xla_terms, handover=3.0)
    assert fit.handover_micros(cases, samples) == pytest.approx(3.0)
    model = fit.fit(cases, samples)
    for op, table in expected.by_op.items():
        np.testing.assert_allclose(model.by_op[op], table, rtol=1e-4, atol=1e-4, err_msg=op)
    assert np.max(fit.relative_errors(model, cases, samples)) < 1e-3


def test_where_nothing_was_timed_side_by_side_nothing_is_taken_off(cases):
    chains = [case for case in cases if case.chain]
    samples = _samples(chains, np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0]))
    assert fit.handover_micros(chains, samples) == 0.0
    assert fit.inside_micros(chains, samples) == [sample.xla_micros for sample in samples]


def test_what_was_timed_in_one_way_only_counts_for_that_one(cases):
    tf_terms, xla_terms = np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0])
    samples = _samples(cases, tf_terms, xla_terms)
    expected = fit.fit(cases, samples)
    alone = [dataclasses.replace(s, xla_micros=math.nan) for s in samples]
    within = [dataclasses.replace(s, tf_micros=math.nan) for s in samples]
    model = fit.fit([*cases, *cases], [*alone, *within])
    for op, table in expected.by_op.items():
        np.testing.assert_allclose(model.by_op[op], table, rtol=1e-4, atol=1e-4, err_msg=op)
    # Without a single timing in a cluster there is nothing to say about one.
    elementwise = [i for i, case in enumerate(cases) if case.op == "Mul"]
    model = fit.fit(
        [*cases, *(cases[i] for i in elementwise)], [*alone, *(within[i] for i in elementwise)]
    )
    assert set(model.by_op) == {"Mul", "Mul:broadcast"}
    assert set(model.by_class) == {"elementwise"}


def _summed_case():
    return next(c for c in op_cases.all_cases() if c.label == "Tanh 256x256 summed")


def test_compiled_functions_of_many_instructions_do_not_wait_for_each_other():
    run = measure._sum(_summed_case(), 3)
    graph = run.get_concrete_function().graph
    copies = [op for op in graph.get_operations() if op.type == "Tanh"]
    assert len({op.inputs[0].op.name for op in copies}) == 3

    def ancestors(op):
        return {op}.union(*(ancestors(tensor.op) for tensor in op.inputs))

    for copy in copies:
        assert not any(op.type == "Tanh" for op in ancestors(copy) - {copy})


def test_a_chain_that_was_timed_tells_what_the_executor_takes(tmp_path):
    case = _summed_case()
    path = tmp_path / "samples.jsonl"
    lines = [
        {"label": case.chain_label, "op": "Tanh", "tf_micros": 30.0, "xla_micros": 60.0},
        {"label": case.label, "op": "Tanh", "tf_micros": None, "xla_micros": 20.0},
    ]
    path.write_text(json.dumps(lines[0]) + "\n")
    (of_chain,) = fitted.fit_files([str(path)]).samples
    assert of_chain.tf_micros == 30.0
    assert math.isnan(of_chain.xla_micros)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (summed,) = fitted.fit_files([str(path)]).samples
    assert math.isnan(summed.tf_micros)
    assert summed.xla_micros == 20.0


def test_timings_of_two_machines_give_a_policy_between_them(cases, tmp_path):
    slow = _samples(cases, np.array([1.5, 4.0, 100.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0]))
    fast = _samples(cases, np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0]))
    files = []
    for name, samples in (("slow", slow), ("fast", fast)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(vars(s)) + "\n" for s in samples))
        files.append(str(path))
    command = [sys.executable, "-m", "grappler_go_training.scorer", "export"]
    out = tmp_path / "policy"
    subprocess.run(
        [*command, f"--samples={','.join(files)}", f"--out={out}"], check=True, capture_output=True
    )
    function = tf.function(tf.matmul).get_concrete_function(
        tf.TensorSpec([512, 512]), tf.TensorSpec([512, 512])
    )
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    i = graph.ops.index("MatMul")
    micros = _core.load_policy(str(out)).decide(graph, grappler_go.local_machine())["op_micros"][i]
    terms = fit.terms(graph.flops[i], graph.bytes_moved[i])
    assert 1.1 * terms @ [1.5, 2.0, 50.0, 0.0] < micros < 0.9 * terms @ [1.5, 4.0, 100.0, 0.0]
    assert json.loads((out / "card.json").read_text())["machines_timed"] == 2


def test_the_exported_policy_says_what_the_model_says(cases, tmp_path):
    samples = _samples(cases, np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0]))
    model = fit.fit(cases, samples)
    export.export_policy(model, {"what": "a test"}, str(tmp_path / "policy"))
    policy = _core.load_policy(str(tmp_path / "policy"))
    function = tf.function(lambda x, y: tf.matmul(x, y) * 2.0).get_concrete_function(
        tf.TensorSpec([64, 32]), tf.TensorSpec([32, 16])
    )
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    logits = policy.decide(graph, grappler_go.local_machine())
    i = graph.ops.index("MatMul")
    work = fit.Work("MatMul", graph.op_classes[i], graph.flops[i], graph.bytes_moved[i])
    expected = model.predict(work)
    assert logits["op_micros"][i] == pytest.approx(expected[0], rel=1e-3)
    assert logits["fused_micros"][i] == pytest.approx(expected[1], rel=1e-3)


def test_kinds_of_an_op_are_fitted_apart(cases, tmp_path):
    """Products of unequal shapes take ten times as long here, and 1 x 1 convolutions."""
    samples = _samples(cases, np.array([0.0, 2.0, 50.0, 0.0]), np.array([0.0, 3.0, 10.0, 0.0]))
    samples = [
        dataclasses.replace(one, tf_micros=10 * one.tf_micros)
        if ":" in fit.work_of(case).key
        else one
        for case, one in zip(cases, samples, strict=True)
    ]
    model = fit.fit(cases, samples)
    assert np.max(fit.relative_errors(model, cases, samples)) < 1e-3
    export.export_policy(model, {"what": "a test"}, str(tmp_path / "policy"))

    def step(x, row, image, small, large):
        return (
            x * x,
            x * row,
            tf.nn.conv2d(image, small, 1, "SAME")
            + 0 * tf.reduce_sum(tf.nn.conv2d(image, large, 1, "SAME")),
        )

    shapes = ([64, 32], [32], [1, 16, 16, 8], [1, 1, 8, 8], [3, 3, 8, 8])
    function = tf.function(step).get_concrete_function(*map(tf.TensorSpec, shapes))
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    policy = _core.load_policy(str(tmp_path / "policy"))
    logits = policy.decide(graph, grappler_go.local_machine())
    keys = graph.cost_keys
    assert {"Mul", "Mul:broadcast", "Conv2D", "Conv2D:pointwise"} <= set(keys)
    for i, key in enumerate(keys):
        if key.split(":")[0] in ("Mul", "Conv2D"):
            expected = 2.0 * graph.flops[i] / 1e6 + 50.0 * graph.bytes_moved[i] / 1e6
            times = 10 if ":" in key else 1
            assert logits["op_micros"][i] == pytest.approx(times * expected, rel=1e-3), key


def test_what_the_remapper_makes_costs_what_it_is_made_of(cases):
    samples = _samples(cases, np.array([1.5, 2.0, 50.0, 0.0]), np.array([0.1, 3.0, 10.0, 0.0]))
    model = fit.fit(cases, samples)
    for made, of in (("_FusedConv2D", "Conv2D"), ("_FusedConv2D:pointwise", "Conv2D:pointwise")):
        assert np.array_equal(model.by_op[made], model.by_op[of])


def test_the_shipped_policy_keeps_depthwise_convolutions_out_and_matmuls_in():
    def step(image, kernel, x, y):
        return tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "SAME"), tf.matmul(x, y)

    function = tf.function(step).get_concrete_function(
        tf.TensorSpec([8, 28, 28, 128]),
        tf.TensorSpec([3, 3, 128, 1]),
        tf.TensorSpec([256, 256]),
        tf.TensorSpec([256, 256]),
    )
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    policy = _core.load_policy(str(native.default_policy_path()))
    fusion = policy.decide(graph, grappler_go.local_machine())["fusion"]
    assert fusion[graph.ops.index("DepthwiseConv2dNative")] < 0
    assert fusion[graph.ops.index("MatMul")] > 0


def test_the_shipped_policy_knows_what_moving_by_blocks_takes():
    """A roll takes TensorFlow ten times what a transposition of as much takes it; one of
    an image goes into a group, at its rim, too."""

    def step(x):
        return tf.roll(x, 1, 0), tf.space_to_batch(tf.reshape(x, [1, 256, 256]), [4], [[0, 0]])

    function = tf.function(step).get_concrete_function(tf.TensorSpec([256, 256]))
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    policy = _core.load_policy(str(native.default_policy_path()))
    logits = policy.decide(graph, grappler_go.local_machine())
    roll, blocks = graph.ops.index("Roll"), graph.ops.index("SpaceToBatchND")
    assert logits["op_micros"][roll] > 30
    assert logits["fused_micros"][roll] < logits["op_micros"][roll]
    assert logits["op_micros"][blocks] > 10


def test_the_shipped_policy_leaves_sines_to_tensorflow():
    """Compiled, many of them take three times as long and more; in a chain, whose values
    are small, hardly longer."""
    function = tf.function(tf.sin).get_concrete_function(tf.TensorSpec([512, 1024]))
    graph = _core.OpGraph(function.graph.as_graph_def().SerializeToString())
    policy = _core.load_policy(str(native.default_policy_path()))
    logits = policy.decide(graph, grappler_go.local_machine())
    sine = graph.ops.index("Sin")
    assert logits["fused_micros"][sine] > 3 * logits["op_micros"][sine]
    assert logits["fusion"][sine] < 0


def test_measuring_goes_on_where_it_stopped(tmp_path, cases, monkeypatch):
    timed = []

    def once(case):
        timed.append(case.label)
        return measure.Sample(case.label, case.op, 2.0, 1.0)

    monkeypatch.setattr(measure, "measure_case", once)
    path = str(tmp_path / "samples.jsonl")
    measure.measure_cases(cases[:2], path)
    samples = measure.measure_cases(cases[:3], path)
    assert timed == [case.label for case in cases[:3]]
    assert [s.label for s in samples] == timed


def test_a_small_op_is_timed_on_the_real_executor():
    case = next(c for c in op_cases.all_cases() if c.label == "MatMul 64x256 256x256")
    sample = measure.measure_case(case)
    # 8 million operations: no processor takes less than these.
    assert sample.tf_micros > 5
    assert sample.xla_micros > 5


def test_grappler_is_off_only_while_ops_are_timed():
    name = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    with measure.grappler_off():
        assert tf.config.optimizer.get_experimental_options()[name]
    assert tf.config.optimizer.get_experimental_options()[name] == before


def test_memory_costs_are_per_megabyte(monkeypatch):
    """A machine on which a kept output takes 30 microseconds per MB more than one in
    place, and cold inputs 20 more than others."""
    monkeypatch.setattr(
        measure, "measure_case", lambda case, jit_too: measure.Sample(case.label, "Mul", 5.0, 0.0)
    )

    def micros(shape, sets=1, keep=False):
        megabytes = 4e-6 * shape[0] * shape[1]
        return 5.0 + (30 * megabytes if keep else 0) + (20 * 2 * megabytes if sets > 1 else 0)

    monkeypatch.setattr(memory, "_micros", micros)
    costs = memory.measure_memory()
    assert (costs.new, costs.cold_read) == pytest.approx((30, 20))


def test_the_shipped_card_says_how_it_was_made():
    folder = native.default_policy_path() / "costs"
    card = json.loads((folder / "card.json").read_text())
    assert card["timed_cases"] > 300
    assert card["commands"]
