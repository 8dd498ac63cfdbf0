"""Workloads: names, split, graphs as the pass sees them, the cache, random graphs."""

import collections
import json
import os
import pathlib
import re
import warnings
import zlib

import numpy as np
import pytest
import tensorflow as tf
from grappler_go_training import workloads
from grappler_go_training.workloads import __main__ as cli
from grappler_go_training.workloads import (
    amoebanet,
    batch,
    generator,
    gnmt,
    layers,
    registry,
    rnnlm,
    steps,
    tracing,
    transformer_xl,
    wavenet,
    workload,
)

import grappler_go
from grappler_go.bench import models

_ALL = [workloads.get(name) for name in workloads.names()]


def _backward(graph):
    op_graph = graph.op_graph()
    return int(np.count_nonzero(op_graph.flags & op_graph.flag_names()["backward"]))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv(workload.FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- names and split


def test_names_are_well_formed():
    for one in _ALL:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name), one.name
        assert one.split in workloads.SPLITS
        assert one.num_devices >= 1
        if one.name.endswith(("-train", "-infer")):
            assert one.training == one.name.endswith("-train"), one.name


def test_the_papers_rows_have_their_devices_and_are_training_steps():
    devices = [2, 4, 8, 2, 4, 8, 2, 4, 8, 2, 2, 4, 2, 4]  # Table 2
    rows = [workloads.get(name) for name in workloads.PAPER]
    assert [row.num_devices for row in rows] == devices
    assert all(row.training for row in rows)
    assert len({row.family for row in rows}) == 6
    assert workloads.names(paper=True) == list(workloads.PAPER)


def test_there_are_thirty_more_in_several_sizes():
    others = workloads.names(paper=False)
    assert len(others) >= 30
    assert sum(not workloads.get(name).training for name in others) >= 15
    assert not set(others) & set(workloads.PAPER)


def test_families_do_not_straddle_the_split():
    splits = collections.defaultdict(set)
    for one in _ALL:
        splits[one.family].add(one.split)
    assert all(len(found) == 1 for found in splits.values())
    assert set(splits) == set(workloads.SPLIT_OF), "a family without workloads"
    for split in workloads.SPLITS:
        assert len({w.family for w in _ALL if w.split == split}) >= 4


def test_two_of_the_papers_families_are_held_out():
    held_out = {workloads.get(n).family for n in workloads.names(split="test", paper=True)}
    assert len(held_out) >= 2


def test_what_is_benchmarked_is_never_trained_on():
    programs = {w.make.keywords["program"]: w for w in _ALL if w.name.startswith("bench-")}
    assert set(programs) == set(models.names())
    assert all(w.split != "train" for w in programs.values())
    # A program of grappler-go bench may be any model of keras.applications.
    applications = [w for w in _ALL if w.make.func.__module__.endswith(".applications")]
    assert {w.split for w in applications} <= {"validation", "test"}


def test_names_are_filtered():
    assert workloads.names(family="gnmt", paper=True) == ["gnmt-2", "gnmt-4", "gnmt-8"]
    assert set(workloads.names(split="test")) == {w.name for w in _ALL if w.split == "test"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: workloads.get("gnmt8"), "gnmt-8"),
        (lambda: workloads.names(family="resnets"), "resnet"),
        (lambda: workloads.names(split="valid"), "validation"),
    ],
)
def test_a_name_that_is_none_gets_the_nearest(call, said):
    with pytest.raises(ValueError, match=f"the nearest is '{said}'"):
        call()


def test_the_table_in_the_documentation_is_the_registrys():
    page = pathlib.Path(__file__).resolve().parent.parent / "docs" / "workloads.md"
    assert registry.markdown_table() in page.read_text(encoding="utf-8")


def test_two_workloads_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="two workloads"):
        registry.workload("gnmt-2", "gnmt", training=True)(lambda: None)


# ---- graphs


def test_a_graph_of_a_step_that_is_not_run_is_the_one_that_runs():
    def make():
        return rnnlm.language_model(depth=1, units=8, unroll=3, batch=2, vocabulary=11)

    unexecuted = tracing.capture_unexecuted(make)
    executed = grappler_go.capture(*_flat(make()))[0]
    assert sorted(unexecuted.op_graph().ops) == sorted(executed.op_graph().ops)
    assert unexecuted.op_graph().num_edges == executed.op_graph().num_edges


def _flat(made):
    return (made[0], *made[1])


def test_variables_without_a_value_take_no_initial_value_and_cannot_be_read():
    drawn = []

    def value():
        drawn.append(tf.random.uniform((3, 4)))
        return drawn[-1]

    with tracing.unset_variables():
        variable = tf.Variable(value, name="w")
    assert variable.shape == (3, 4)
    assert not tf.is_tensor(drawn[0]) or not hasattr(drawn[0], "numpy")  # only traced
    with pytest.raises(tf.errors.FailedPreconditionError):
        variable.read_value()
    assert tf.Variable(1.0).numpy() == 1.0


def test_a_step_is_not_executed():
    ran = []

    def make():
        weight = tf.Variable(lambda: tf.ones((4, 4)))

        def step(x):
            y = tf.matmul(x, weight)
            return tf.py_function(lambda v: ran.append(1) or v, [y], tf.float32)

        return step, (tf.ones((2, 4)),)

    assert "MatMul" in tracing.capture_unexecuted(make).op_graph().ops
    assert not ran


def test_a_step_that_reaches_no_pass_is_an_error(monkeypatch):
    def make():
        return lambda x: x + 1.0, (tf.ones(3),)

    # As with TensorFlow's meta optimizer switched off.
    monkeypatch.setattr(grappler_go, "capture", lambda call, trace: call() or [])

    with pytest.raises(RuntimeError, match="no graph reached the pass"):
        tracing.capture_unexecuted(make)


_SMALL = {
    "rnnlm": lambda: rnnlm.language_model(2, 8, 3, 2, 11),
    "gnmt": lambda: gnmt.translation(3, 8, 3, 2, 11),
    "transformer-xl": lambda: transformer_xl.segment_step(2, 16, 2, 32, 8, 2, 11),
    "wavenet": lambda: wavenet.audio_step(2, 3, 8, 8, 32, 2),
}


@pytest.mark.parametrize("family", _SMALL)
def test_the_papers_models_train_when_they_are_small(family):
    step, args = _SMALL[family]()
    function = tf.function(step)
    losses = [float(function(*args)) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("family", _SMALL)
def test_the_papers_models_have_shapes_and_costs(family):
    graph = tracing.capture_unexecuted(_SMALL[family])
    assert _backward(graph) > 100
    assert grappler_go.simulate(graph).unknown_outputs == 0
    assert grappler_go.uncosted_ops(graph) == []


def test_relative_shift_moves_each_row_to_its_own_distance():
    x = tf.reshape(tf.range(2 * 4, dtype=tf.float32), (1, 1, 2, 4))
    shifted = transformer_xl._relative_shift(x)[0, 0].numpy()
    # Row i sees distance 0 at the column of its own position, which is 2 + i.
    np.testing.assert_array_equal(shifted[0, :3], [1, 2, 3])
    np.testing.assert_array_equal(shifted[1], [4, 5, 6, 7])


def test_amoebanet_has_the_parameters_that_gpipe_counts():
    with tracing.unset_variables():
        network = amoebanet.build(cells=18, filters=208, size=224, batch=1)
    # 82 million, table 1 of the GPipe paper (Huang et al. 2019).
    assert round(network.count_params() / 1e6) == 82


@pytest.mark.parametrize(
    "name",
    ["dlrm-small-train", "gat-train", "kalman-small", "vae-small-train", "bench-lstm-infer"],
)
def test_small_ones_capture_and_train_if_they_say_so(name):
    one = workloads.get(name)
    graph = one.graph(cache=False)
    assert (_backward(graph) > 0) == one.training
    assert grappler_go.simulate(graph).unknown_outputs == 0


def test_the_same_numbers_are_made_each_time():
    first, second = (workloads.get("two-tower-small-infer").make() for _ in range(2))
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)
    weights = [layers.Weights().normal("w", 3, 5).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
def test_every_optimizer_descends(optimizer):
    weight = tf.Variable([2.0, -3.0])
    step = tf.function(
        steps.training_step(lambda: tf.reduce_sum(tf.square(weight)), [weight], optimizer)
    )
    before = float(step())
    for _ in range(5):
        after = float(step())
    assert after < before


def test_an_optimizer_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="known are sgd"):
        steps.training_step(lambda: 0.0, [], "adagrad")


# ---- cache


def _counted(monkeypatch):
    calls = []
    real = tracing.capture_unexecuted

    def counting(make):
        calls.append(make)
        return real(make)

    monkeypatch.setattr(tracing, "capture_unexecuted", counting)
    return calls


def test_a_graph_is_captured_once(cache, monkeypatch):
    calls = _counted(monkeypatch)
    one = workloads.get("n-body-small")
    first, second = one.graph(), one.graph()
    assert len(calls) == 1
    assert first == second
    assert [file.name for file in cache.iterdir()] == [one.cache_file().name]


@pytest.mark.parametrize("damage", [b"", b"{}\nx", b"not json\n", None])
def test_a_damaged_file_is_made_again(cache, monkeypatch, damage):
    one = workloads.get("n-body-small")
    whole = one.graph()
    path = one.cache_file()
    good = path.read_bytes()
    path.write_bytes(good[:-7] if damage is None else damage)
    calls = _counted(monkeypatch)
    assert one.graph().op_graph().fingerprint == whole.op_graph().fingerprint
    assert len(calls) == 1
    assert workload.read(path) is not None


def test_a_file_with_another_graphs_bytes_is_made_again(cache):
    one = workloads.get("n-body-small")
    whole = one.graph()
    head = one.cache_file().read_bytes().partition(b"\n")[0]
    one.cache_file().write_bytes(head + b"\n" + zlib.compress(b""))
    assert one.graph().op_graph().num_ops == whole.op_graph().num_ops


def test_where_nothing_can_be_kept_a_warning_says_so(tmp_path, monkeypatch):
    # A file where the folder should be: refused to root, too.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(workload.FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="n-body-small is not kept"):
        assert workloads.get("n-body-small").graph().op_graph().num_ops > 50


def test_other_code_or_another_tensorflow_is_another_file(monkeypatch):
    one = workloads.get("gnmt-8")
    here = one.cache_file()
    assert here == one.cache_file()
    monkeypatch.setattr(workload, "_versions", lambda: ("tensorflow 9.9",))
    assert one.cache_file() != here
    monkeypatch.undo()
    monkeypatch.setattr(workload, "_digest", lambda files: "other")
    assert one.cache_file() != here


def test_a_file_is_whole_or_not_there(cache, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    graph = grappler_go.CapturedGraph(b"abc")
    with pytest.raises(OSError, match="disk full"):
        workload.write(cache / "x.graph", graph)
    assert list(cache.iterdir()) == []


def test_a_failure_ends_one_capture_only(cache):
    started, done = [], []
    rows = batch.capture_all(
        ["no-such-workload", "n-body-small"], on_start=started.append, on_done=done.append
    )
    assert started == ["no-such-workload", "n-body-small"]
    assert done == rows
    assert "the nearest is" in rows[0]["error"]
    assert rows[1]["error"] == ""
    assert rows[1]["ops"] > 50
    assert batch.describe("n-body-small")["seconds"] is None


def test_the_command_line(cache, capsys):
    assert cli.main(["list", "--split=test", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(workloads.names(split="test"))
    assert not listed["rnnlm-2"]["captured"]
    assert cli.main(["list", "--family=gnmt"]) == 0
    assert "gnmt-8" in capsys.readouterr().out
    assert cli.main(["capture", "gnmt8"]) == 2
    assert "gnmt-8" in capsys.readouterr().err
    assert cli.main([]) == 2
    for wrong in (["capture"], ["capture", "gnmt-2", "--all"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(wrong)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert "Examples:" in capsys.readouterr().out


def test_the_command_line_goes_on_where_it_was(cache, capsys):
    workloads.get("n-body-small").graph()
    assert cli.main(["capture", "n-body-small", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["seconds"] is None
    assert cli.main(["capture", "n-body-small"]) == 0
    assert "was there" in capsys.readouterr().out


# ---- random graphs


@pytest.mark.parametrize("kind", generator.KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_a_random_graph_is_one_that_tensorflow_runs(kind, training):
    graph = workloads.synthetic(3, 150, kind=kind, training=training, width=8, batch=4)
    assert (_backward(graph) > 0) == training
    proto = tf.compat.v1.GraphDef.FromString(graph.graphdef)
    with tf.Graph().as_default() as tf_graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(proto, name="")
        feeds = {}
        for op in tf_graph.get_operations():
            if op.type == "VarHandleOp":
                shape = tf.TensorShape(op.get_attr("shape"))
                tf.raw_ops.AssignVariableOp(
                    resource=op.outputs[0], value=tf.fill(shape, 0.1), name="init"
                )
            elif op.type == "Placeholder":
                feeds[op.outputs[0]] = np.full(op.outputs[0].shape, 0.5, np.float32)
        session.run([op for op in tf_graph.get_operations() if op.name.startswith("init")])
        before = session.run("fetch:0", feeds)
        assert np.isfinite(before)
        assert (session.run("fetch:0", feeds) != before) == training


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_have_about_the_size_asked_for_and_no_op_in_vain(seed):
    graph = workloads.synthetic(seed, 800)
    op_graph = graph.op_graph()
    assert 0.6 * 800 <= op_graph.num_ops <= 1.6 * 800
    assert grappler_go.simulate(graph).unknown_outputs == 0
    proto = tf.compat.v1.GraphDef.FromString(graph.graphdef)
    kept = tf.compat.v1.graph_util.extract_sub_graph(proto, ["fetch"])
    assert {node.name for node in proto.node} == {node.name for node in kept.node}


def test_random_graphs_are_the_same_for_the_same_seed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graphs = [workloads.synthetic(seed, 300) for seed in (1, 1, 2)]
    assert graphs[0] == graphs[1]
    assert graphs[0].op_graph().fingerprint != graphs[2].op_graph().fingerprint


@pytest.mark.parametrize("wrong", [{"num_ops": 3}, {"kind": "round"}, {"width": 7}])
def test_a_random_graph_that_cannot_be_is_an_error(wrong):
    with pytest.raises(ValueError, match="expected"):
        workloads.synthetic(**{"seed": 1, "num_ops": 100, **wrong})
