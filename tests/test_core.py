"""The native module: graphs, machines, features, plans and the pass, from Python."""

import gc
import json

import numpy as np
import pytest
import tensorflow as tf

import grappler_go
from grappler_go import native

core = native.core()

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


def two_layers(x):
    """A small function with constants, a control edge and a fan-out."""
    for _ in range(2):
        x = tf.nn.relu(tf.matmul(x, tf.ones((4, 4)))) + 0.5
        tf.debugging.assert_all_finite(x, "not finite")
    return tf.reduce_sum(x * x, name="total")


@pytest.fixture(scope="module")
def graphdef():
    """two_layers as a serialized GraphDef, with a Placeholder for its argument."""
    function = tf.function(two_layers).get_concrete_function(tf.TensorSpec((3, 4)))
    return function.graph.as_graph_def().SerializeToString()


@pytest.fixture
def graph(graphdef):
    return core.OpGraph(graphdef, fetches=["total:0"])


@pytest.fixture
def machine():
    return core.Machine(
        "two",
        devices=[
            {"name": CPU, "type": "CPU", "gflops": 50.0, "gbytes_per_s": 10.0},
            {"name": CPU[:-1] + "1", "type": "CPU", "memory_bytes": 1 << 30},
        ],
        links=[{"src": 0, "dst": 1, "gbytes_per_s": 5.0}, {"src": 1, "dst": 0}],
    )


# ---------------------------------------------------------------- graphs


def test_a_graph_has_what_the_graphdef_says(graph, graphdef):
    proto = tf.compat.v1.GraphDef.FromString(graphdef)
    nodes = {node.name: node for node in proto.node}
    assert graph.num_ops == len(graph) == len(proto.node)
    assert graph.num_edges == sum(len(node.input) for node in proto.node)
    assert sorted(graph.names) == sorted(nodes)
    assert graph.ops == [nodes[name].op for name in graph.names]
    assert [proto.node[i].name for i in graph.file_index] == graph.names
    assert graph.graphdef == graphdef
    assert len(graph.fingerprint) == 32
    assert [graph.find(name) for name in graph.names] == list(range(graph.num_ops))
    assert graph.find("no such op") == -1


def test_a_forward_pass_that_shares_ops_with_its_gradient_is_not_backward():
    # TensorFlow gives the square in x^3 the name of the one in its gradient, 3x^2.
    kernel = tf.Variable(tf.eye(8))

    def step(x):
        with tf.GradientTape() as tape:
            y = tf.nn.gelu(tf.matmul(x, kernel), approximate=True)
            loss = tf.reduce_mean(tf.nn.gelu(tf.matmul(y, kernel), approximate=True))
        kernel.assign_sub(tape.gradient(loss, kernel))
        return loss

    graph = grappler_go.capture(step, tf.ones((4, 8)))[0].op_graph()
    bit = graph.flag_names()["backward"]
    backward = {n for n, flags in zip(graph.names, graph.flags, strict=True) if flags & bit}
    shared = {n for n in graph.names if n.startswith("gradient_tape/") and n.endswith("Pow/Pow")}
    forward = {n for n in graph.names if n.startswith(("Gelu", "MatMul", "Mean"))}
    assert shared, graph.names
    assert len(forward) > 10
    assert not backward & (shared | forward)
    assert {n for n in graph.names if "TanhGrad" in n or "AssignSub" in n} <= backward


def test_edges_are_the_inputs_of_nodes_both_ways(graph, graphdef):
    nodes = {n.name: n for n in tf.compat.v1.GraphDef.FromString(graphdef).node}
    outgoing = []
    for i, name in enumerate(graph.names):
        expected = []
        for text in nodes[name].input:
            producer, _, port = text.lstrip("^").partition(":")
            expected.append((graph.find(producer), -1 if text[0] == "^" else int(port or 0)))
        row = slice(graph.in_ptr[i], graph.in_ptr[i + 1])
        assert list(zip(graph.in_src[row], graph.in_port[row], strict=True)) == expected
        outgoing += [(src, port, i) for src, port in expected]
    seen = []
    for i in range(graph.num_ops):
        row = slice(graph.out_ptr[i], graph.out_ptr[i + 1])
        seen += [(i, p, d) for d, p in zip(graph.out_dst[row], graph.out_port[row], strict=True)]
    assert sorted(seen) == sorted(outgoing)
    assert any(port == -1 for _, port, _ in seen)


def test_ops_are_in_topological_order(graph):
    for i in range(graph.num_ops):
        assert all(src < i for src in graph.in_src[graph.in_ptr[i] : graph.in_ptr[i + 1]])


def test_shapes_dtypes_bytes_and_work_of_an_op(graph):
    product = graph.ops.index("MatMul")
    assert graph.shape(product, 0) == [3, 4]
    assert graph.dtype(product, 0) == tf.float32.as_datatype_enum
    assert graph.output_bytes(product, 0) == 3 * 4 * 4
    assert graph.num_outputs(product) == 1
    assert graph.flops[product] == 2 * 3 * 4 * 4
    assert graph.bytes_moved[product] == 4 * (3 * 4 + 4 * 4 + 3 * 4)
    assert graph.op_classes[product] != graph.op_classes[graph.find("total")]
    value = tf.compat.v1.AttrValue.FromString(graph.attr(product, "transpose_a"))
    assert value.b is False
    assert graph.attr(product, "no such attribute") == b""


def test_unknown_dimensions_are_none():
    function = tf.function(lambda x, y: (x + 1.0, y + 1.0)).get_concrete_function(
        tf.TensorSpec((None, 4)), tf.TensorSpec(None)
    )
    graph = core.OpGraph(function.graph.as_graph_def().SerializeToString())
    shapes = [graph.shape(i, 0) for i, op in enumerate(graph.ops) if op == "AddV2"]
    assert sorted(shapes, key=str) == [None, [None, 4]] or shapes == [[None, 4], None]
    assert graph.output_bytes(graph.ops.index("AddV2"), 0) == -1


def test_fetched_and_preserved_ops_are_marked(graph):
    bit = core.OpGraph.flag_names()["preserved"]
    assert graph.flags[graph.find("total")] & bit
    assert not graph.flags[graph.ops.index("MatMul")] & bit
    name = graph.names[graph.ops.index("MatMul")]
    kept = core.OpGraph(graph.graphdef, preserve=[name])
    assert kept.flags[kept.find(name)] & bit


def test_edge_arrays_outlive_the_graph_and_their_ends_are_views(graphdef):
    graph = core.OpGraph(graphdef)
    names = ("in_src", "in_port", "out_dst", "out_port")
    for name in ("in_src", "out_dst"):
        assert np.shares_memory(getattr(graph, name), getattr(graph, name)), name
    kept = {name: getattr(graph, name) for name in names}
    expected = {name: array.copy() for name, array in kept.items()}
    del graph
    gc.collect()
    [core.OpGraph(graphdef) for _ in range(20)]  # reuses memory that was given back
    for name, array in kept.items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("in_ptr", np.int32),
        ("in_src", np.int32),
        ("out_dst", np.int32),
        ("flags", np.uint32),
        ("depth", np.int32),
        ("colocation_group", np.int32),
        ("variable", np.int32),
        ("flops", np.float64),
    ],
)
def test_arrays_are_typed_and_read_only(graph, name, dtype):
    array = getattr(graph, name)
    assert array.dtype == dtype
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_graph_without_nodes():
    graph = core.OpGraph(b"")
    assert (graph.num_ops, graph.num_edges, graph.names) == (0, 0, [])
    assert graph.in_src.shape == (0,)
    np.testing.assert_array_equal(graph.out_ptr, [0])


def test_numbers_out_of_range_are_index_errors(graph):
    for op, port in ((-1, 0), (graph.num_ops, 0), (0, 99), (0, -1)):
        for method in (graph.shape, graph.dtype, graph.output_bytes):
            with pytest.raises(IndexError):
                method(op, port)
    with pytest.raises(IndexError):
        graph.attr(graph.num_ops, "dtype")


def test_bytes_that_are_no_graph_are_refused(graphdef):
    with pytest.raises(ValueError, match=".+"):
        core.OpGraph(b"\xff" * 100)
    with pytest.raises(ValueError, match=".+"):
        core.OpGraph(graphdef[:-3])
    with pytest.raises(TypeError):
        core.OpGraph("text")


def test_names_that_are_not_utf8_can_still_be_read():
    # node { name: "\xff\xfe" op: "NoOp" }
    node = b"\x0a\x02\xff\xfe\x12\x04NoOp"
    graph = core.OpGraph(b"\x0a" + bytes([len(node)]) + node)
    assert graph.names[0].encode("utf-8", "surrogateescape") == b"\xff\xfe"


# ---------------------------------------------------------------- machines


def test_a_machine_is_what_was_said(machine):
    assert machine.name == "two"
    device = machine.devices[0]
    assert all(
        fractions == {"gflops": 1.0, "gbytes_per_s": 1.0}
        for fractions in device.pop("achieved").values()
    )
    assert device == {
        "name": CPU,
        "type": "CPU",
        "gflops": 50.0,
        "gbytes_per_s": 10.0,
        "memory_bytes": 0,
        "cores": 1,
        "dispatch_us": 1.0,
        "calibration": None,
    }
    assert [(link["src"], link["dst"]) for link in machine.links] == [(0, 1), (1, 0)]
    again = core.Machine.from_json(machine.to_json())
    assert (again.name, again.devices, again.links) == ("two", machine.devices, machine.links)


@pytest.mark.parametrize(
    ("devices", "links", "error", "match"),
    [
        ([{"name": CPU, "type": "CPU", "speed": 1}], [], TypeError, "speed"),
        ([{"name": CPU, "type": "CPU", "gflops": "fast"}], [], TypeError, "gflops"),
        ([{"name": CPU, "type": "CPU", "gflops": -1.0}], [], ValueError, "gflops"),
        ([{"name": CPU, "type": "CPU", "gflops": 0.0}], [], ValueError, "gflops"),
        ([{"name": CPU, "type": "CPU", "gflops": float("nan")}], [], ValueError, "gflops"),
        ([{"name": CPU, "type": "CPU"}] * 2, [], ValueError, "CPU:0"),
        ([{"name": CPU, "type": "CPU"}], [{"src": 0, "dst": 7}], ValueError, "link"),
    ],
)
def test_machines_that_cannot_be(devices, links, error, match):
    with pytest.raises(error, match=match):
        core.Machine("m", devices=devices, links=links)


def test_json_that_is_no_machine():
    with pytest.raises(ValueError, match=".+"):
        core.Machine.from_json("{}")


# ---------------------------------------------------------------- features


def test_features_have_the_shapes_of_the_schema(graph, machine):
    features = core.compute_features(graph, machine)
    schema = json.loads(core.schema_json())
    assert schema["op_features"] == core.op_feature_names()
    assert schema["device_features"] == core.device_feature_names()
    assert features["op_type"].shape == (graph.num_ops,)
    assert features["op_features"].shape == (graph.num_ops, len(core.op_feature_names()))
    assert features["device_features"].shape == (2, len(core.device_feature_names()))
    edges = int((graph.in_port >= 0).sum())
    assert features["edge_src"].shape == features["edge_dst"].shape == (edges,)
    assert features["edge_features"].shape == (edges, 1)
    vocabulary = core.op_vocabulary()
    for op, index in zip(graph.ops, features["op_type"], strict=True):
        assert vocabulary[index] == op if op in vocabulary else index == 0
    assert all(np.isfinite(array).all() for array in features.values())


def test_features_outlive_what_they_were_made_from(graphdef):
    graph = core.OpGraph(graphdef)
    machine = core.Machine("one", devices=[{"name": CPU, "type": "CPU"}])
    features = core.compute_features(graph, machine)
    expected = {name: array.copy() for name, array in features.items()}
    arrays = dict(features)
    del graph, machine, features
    gc.collect()
    for name, array in arrays.items():
        assert not array.flags.writeable
        assert not array.flags.owndata
        np.testing.assert_array_equal(array, expected[name])


# ---------------------------------------------------------------- plans


def group_of(graph, *ops):
    return np.array([0 if op in ops else -1 for op in graph.ops], np.int32)


def test_a_new_plan_decides_nothing(graph):
    plan = core.Plan(graph)
    assert plan.empty
    assert plan.fingerprint == graph.fingerprint
    assert plan.num_ops == graph.num_ops
    assert plan.device is plan.fusion_group is plan.recompute is None
    assert (plan.num_groups, plan.num_moved, plan.num_recomputed) == (0, 0, 0)


def test_what_is_assigned_to_a_plan_is_read_back_and_saved(graph):
    plan = core.Plan(graph)
    plan.fusion_group = group_of(graph, "Relu", "AddV2").tolist()  # any integers will do
    plan.devices = [CPU]
    plan.device = np.full(graph.num_ops, -1, np.int64)
    plan.recompute = np.zeros(graph.num_ops, bool)
    plan.order = [(0, 5), (1, 5)]
    assert plan.turn_bytes == 0
    plan.turn_bytes = 1 << 40
    plan.policy, plan.machine = "by hand", "mine"
    plan.micros_before, plan.micros_after = 10.0, 4.5
    plan.peak_bytes_before, plan.peak_bytes_after = 1 << 40, 7
    assert plan.fusion_group.dtype == np.int32
    assert plan.recompute.dtype == np.uint8
    assert plan.num_groups == 1
    assert not plan.empty

    again = core.Plan.from_json(plan.to_json(graph))
    np.testing.assert_array_equal(again.fusion_group, plan.fusion_group)
    assert again.order == [(0, 5), (1, 5)]
    assert again.turn_bytes == 1 << 40
    assert (again.policy, again.machine) == ("by hand", "mine")
    assert (again.micros_before, again.micros_after) == (10.0, 4.5)
    assert (again.peak_bytes_before, again.peak_bytes_after) == (1 << 40, 7)
    assert graph.names[graph.ops.index("Relu")] in plan.to_json(graph)

    plan.fusion_group = None
    assert plan.fusion_group is None


def test_arrays_of_a_plan_are_copies_that_say_so(graph):
    plan = core.Plan(graph)
    plan.fusion_group = np.zeros(graph.num_ops, np.int32)
    array = plan.fusion_group
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 3
    plan.fusion_group = None
    del plan
    gc.collect()
    np.testing.assert_array_equal(array, 0)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("fusion_group", [0, 1], ValueError),
        ("fusion_group", "text", TypeError),
        ("fusion_group", lambda n: np.zeros(n, np.float32), TypeError),
        ("fusion_group", lambda n: np.zeros((n, 1), np.int32), ValueError),
        ("device", lambda n: np.full(n, 2**40), ValueError),
        ("recompute", lambda n: np.full(n, 256), ValueError),
        ("recompute", lambda n: np.full(n, -1), ValueError),
        ("order", [(1, 2, 3)], TypeError),
    ],
)
def test_arrays_that_do_not_fit_a_plan(graph, field, value, error):
    plan = core.Plan(graph)
    with pytest.raises(error, match=".+"):
        setattr(plan, field, value(graph.num_ops) if callable(value) else value)
    assert plan.empty


def test_a_plan_is_held_against_its_graph(graph):
    plan = core.Plan(graph)
    plan.validate(graph)
    plan.fusion_group = np.zeros(graph.num_ops, np.int32)
    with pytest.raises(ValueError, match=".+"):
        plan.validate(graph)  # a Placeholder may not be touched
    other = core.OpGraph(b"\x0a\x09\x0a\x01a\x12\x04NoOp")
    with pytest.raises(ValueError, match=".+"):
        core.Plan(other).validate(graph)


def test_text_that_is_no_plan():
    for text in ("", "[]", "{}", '{"format": "grappler-go-plan", "version": "9.0"}'):
        with pytest.raises(ValueError, match=".+"):
            core.Plan.from_json(text)


def test_a_plan_from_logits(graph, machine):
    plan, why = core.build_plan(
        graph,
        machine,
        {"fusion": np.ones(graph.num_ops)},
        {"min_group_ops": 2, "group_launch_micros": 0.0, "min_gain": 0.0},
    )
    assert plan.fingerprint == graph.fingerprint
    plan.validate(graph)
    assert set(why) == {"left_out", "per_op", "summary"}
    assert len(why["per_op"]) == graph.num_ops
    assert all(isinstance(count, int) for count in why["left_out"].values())


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"min_gian": 0.1}, TypeError, "min_gian"),
        ({"min_gain": "a lot"}, TypeError, "min_gain"),
        ({"min_gain": -0.5}, ValueError, "min_gain"),
        ({"min_gain": float("nan")}, ValueError, "min_gain"),
        ({"memory_limit": 2.5}, TypeError, "memory_limit"),
        ({"memory_limit": -1}, ValueError, "memory_limit"),
    ],
)
def test_options_of_plans_that_cannot_be(graph, machine, options, error, match):
    with pytest.raises(error, match=match):
        core.build_plan(graph, machine, {}, options)


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("fusion", lambda n: np.ones(n + 1), r"fusion.*\[\d+\]"),
        ("fusion", lambda n: np.ones((n, 1)), r"fusion.*\[\d+, 1\]"),
        ("device", lambda n: np.ones((n, 3)), r"device.*\[\d+, 2\]"),
        ("device", lambda n: np.ones(n), "device"),
        ("fusion", lambda n: np.full(n, np.nan), "fusion"),
        ("fusion", lambda n: np.full(n, 1e39), "fusion"),  # infinite as float32
        ("fusion", lambda n: np.ones(n, complex), "fusion.*real"),
        ("fusion", lambda n: ["1"] * n, "fusion.*real"),
        ("fusion", lambda n: [[1], [2, 3]], "fusion.*real"),
        ("fushion", lambda n: np.ones(n), "fushion"),
    ],
)
# numpy says that 1e39 does not fit into float32.
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_logits_that_are_not_what_they_should_be(graph, machine, name, array, match):
    with pytest.raises(ValueError, match=match):
        core.build_plan(graph, machine, {name: array(graph.num_ops)})


def test_a_plan_is_written_into_the_graph_and_verified(graph):
    plan = core.Plan(graph)
    plan.fusion_group = group_of(graph, "Relu", "AddV2", "MatMul")
    rewritten = core.apply_plan(plan, graph)
    core.verify_rewrite(graph, rewritten)
    marked = [
        node.name
        for node in tf.compat.v1.GraphDef.FromString(rewritten).node
        if node.attr["_XlaCompile"].b
    ]
    names = {n for n, op in zip(graph.names, graph.ops, strict=True) if op in ("Relu", "MatMul")}
    assert names <= set(marked)


def test_a_plan_that_decides_nothing_is_not_written(graph):
    with pytest.raises(ValueError, match=".+"):
        core.apply_plan(core.Plan(graph), graph)


def test_a_rewritten_graph_that_lost_a_node_is_found(graph):
    proto = tf.compat.v1.GraphDef.FromString(graph.graphdef)
    del proto.node[graph.file_index[graph.find("total")]]
    with pytest.raises(ValueError, match="total"):
        core.verify_rewrite(graph, proto.SerializeToString())
    moved = tf.compat.v1.GraphDef.FromString(graph.graphdef)
    moved.node[0].device = CPU[:-1] + "9"
    with pytest.raises(ValueError, match="CPU:9"):
        core.verify_rewrite(graph, moved.SerializeToString(), devices=[CPU])


# ---------------------------------------------------------------- the pass


def fuse_most(inp):
    plan = core.Plan(inp.graph)
    plan.fusion_group = group_of(inp.graph, "Relu", "AddV2", "MatMul")
    return plan


SETTINGS = {"min_gain": 0.0, "min_ops": 1, "min_group_ops": 1, "enabled": True}


def test_the_pass_over_bytes(graph):
    policy = core.PythonPolicy(fuse_most, "most")
    result = core.optimize(graph.graphdef, ["total:0"], [], {**SETTINGS, "policy": policy})
    assert result["applied"], result["report"]["outcome"]
    core.verify_rewrite(graph, result["graphdef"])
    assert result["report"]["groups"] == 1
    assert result["report"]["policy"] == result["plan"].policy == "most"
    assert result["report"]["fingerprint"] == graph.fingerprint
    assert result["plan"].num_groups == 1
    assert set(result["why"]) == {"left_out", "per_op", "summary"}
    assert set(result["report"]["timing_ms"]) >= {"parse", "policy", "rewrite", "verify"}


def test_the_pass_over_nonsense_says_so():
    policy = core.PythonPolicy(fuse_most, "most")
    result = core.optimize(b"\xff" * 10000, [], [], {**SETTINGS, "policy": policy})
    assert not result["applied"]
    assert result["graphdef"] is None
    assert result["report"]["outcome"]


@pytest.fixture
def configuration():
    """The process's configuration, put back afterwards."""
    before = core.current_config()
    yield before
    core.set_config(before)


def test_the_configuration_is_replaced_as_a_whole(configuration, machine):
    policy = core.PythonPolicy(lambda _: None, "nothing")
    core.set_config({"policy": policy, "machine": machine, "budget_ms": 7, "fusion": False})
    config = core.current_config()
    assert config["policy"].name == "nothing"
    assert config["machine"].devices == machine.devices
    assert (config["budget_ms"], config["fusion"], config["device"]) == (7, False, True)
    core.set_config({})
    config = core.current_config()
    assert config["policy"] is config["machine"] is None
    assert config["budget_ms"] != 7
    assert config["fusion"] is True
    assert config["enabled"] is False


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"budget": 3}, TypeError, '"budget".*budget_ms'),
        ({"policy": "default"}, TypeError, "policy"),
        ({"machine": {}}, TypeError, "machine"),
        ({"budget_ms": "soon"}, TypeError, "budget_ms"),
        ({"min_ops": -1}, ValueError, "min_ops"),
        ({"record_dir": 3}, TypeError, "record_dir"),
    ],
)
def test_settings_that_cannot_be_change_nothing(configuration, settings, error, match):
    with pytest.raises(error, match=match):
        core.set_config({"enabled": True, **settings})
    assert core.current_config()["enabled"] == configuration["enabled"]
    with pytest.raises(error, match=match):
        core.optimize(b"", [], [], settings)


@pytest.mark.parametrize("spec", ["", "no/such/folder", "nothing.json", "python:os", "python::f"])
def test_policies_that_are_not_there(spec):
    with pytest.raises(ValueError, match=".+"):
        core.load_policy(spec)


def test_reports_and_captured_graphs_are_handed_out_once(pass_off):
    with grappler_go.scope(None):
        core.set_config({"enabled": True, "capture": True, "min_ops": 1})
        core.clear_reports()
        core.take_captured()
        tf.function(two_layers)(tf.ones((3, 4)))
    assert len(core.reports()) == 1
    core.clear_reports()
    assert core.reports() == []
    (captured,) = core.take_captured()
    assert "MatMul" in " ".join(core.OpGraph(captured["graphdef"]).ops)
    assert captured["fetches"]
    assert core.take_captured() == []
