"""A plan written into a SavedModel works where the pass is not."""

import json
import pathlib

import helpers
import numpy as np
import pytest
import tensorflow as tf

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")

SETTINGS = {
    "min_gain": 0.0,
    "advanced": {**helpers.FORCED["advanced"], "fuse_unknown_shapes": True},
}


class Network(tf.Module):
    """Convolution, dense layers, a table lookup, and two signatures."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.kernel = tf.Variable(random.normal(size=(3, 3, 1, 4)).astype(np.float32))
        self.dense = tf.Variable(random.normal(size=(4, 6)).astype(np.float32))
        self.bias = tf.Variable(random.normal(size=6).astype(np.float32))
        self.scale = tf.Variable(2.0, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], name="image")])
    def classify(self, image):
        x = tf.nn.relu(tf.nn.conv2d(image, self.kernel, 1, "SAME"))
        x = tf.reduce_mean(x, [1, 2])
        x = tf.nn.relu(tf.nn.bias_add(x @ self.dense, self.bias)) * self.scale
        return {"scores": tf.nn.softmax(x), "best": tf.argmax(x, 1)}

    @tf.function(input_signature=[tf.TensorSpec([], name="by")])
    def rescale(self, by):
        return {"scale": self.scale.assign(self.scale * by)}


@pytest.fixture
def model_folder(tmp_path):
    network = Network()
    folder = tmp_path / "model"
    signatures = {"serving_default": network.classify, "rescale": network.rescale}
    tf.saved_model.save(network, str(folder), signatures=signatures)
    return folder


def group(name, op):
    compilable = ("_FusedMatMul", "_FusedConv2D", "MatMul", "Conv2D", "Mean", "Mul", "Relu")
    return 0 if op in (*compilable, "BiasAdd", "Softmax") else None


# Loads both models as a session, like a server, with no trace of the pass.
SERVER = """
import json, sys
import numpy as np
import tensorflow as tf
tf1 = tf.compat.v1
image = np.random.default_rng(1).normal(size=(5, 8, 8, 1)).astype(np.float32)
out = {}
for key, folder in zip(("before", "after"), sys.argv[1:]):
    with tf1.Session(graph=tf.Graph()) as session:
        meta = tf1.saved_model.loader.load(session, ["serve"], folder)
        signature = meta.signature_def["serving_default"]
        fetches = {k: v.name for k, v in signature.outputs.items()}
        feeds = {signature.inputs["image"].name: image}
        options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
        metadata = tf1.RunMetadata()
        for _ in range(3):
            values = session.run(fetches, feeds, options=options, run_metadata=metadata)
        ops = [n.timeline_label for d in metadata.step_stats.dev_stats for n in d.node_stats]
        out[key] = {
            "values": {k: v.tolist() for k, v in values.items()},
            "xla_runs": sum("= _XlaRun(" in label for label in ops),
            "signatures": sorted(meta.signature_def),
        }
    loaded = tf.saved_model.load(folder)
    eager = loaded.signatures["serving_default"](image=tf.constant(image))
    out[key]["eager"] = {k: v.numpy().tolist() for k, v in eager.items()}
    scale = loaded.signatures["rescale"](by=tf.constant(3.0))["scale"]
    rescaled = loaded.signatures["serving_default"](image=tf.constant(image))
    out[key]["rescaled"] = rescaled["scores"].numpy().tolist()
assert "grappler_go" not in sys.modules
print(json.dumps(out))
"""


def test_the_plan_is_executed_without_the_pass(model_folder, tmp_path):
    out = tmp_path / "out"
    report = grappler_go.optimize_saved_model(
        model_folder, out, policy=helpers.fuse(group), **SETTINGS
    )
    assert report.applied, report
    done = helpers.run_python(SERVER, str(model_folder), str(out))
    result = json.loads(done.stdout.splitlines()[-1])
    before, after = result["before"], result["after"]
    assert before["xla_runs"] == 0
    assert after["xla_runs"] == 1
    assert before["signatures"] == after["signatures"]
    for kind in ("values", "eager"):
        np.testing.assert_allclose(
            after[kind]["scores"], before[kind]["scores"], rtol=1e-4, atol=1e-6
        )
        assert after[kind]["best"] == before[kind]["best"]
    # Both signatures still share the variables.
    np.testing.assert_allclose(after["rescaled"], before["rescaled"], rtol=1e-4, atol=1e-6)
    assert not np.allclose(after["rescaled"], after["eager"]["scores"], rtol=1e-3)


def _predicts(policy_input):
    n = len(policy_input.op_type)
    alone, fused = np.full(n, 100, np.float32), np.ones(n, np.float32)
    return {"fusion": fused, "op_micros": alone, "fused_micros": fused}


@pytest.mark.parametrize("batch", [None, 2])
def test_open_dimensions_are_told_of_where_something_is_predicted(tmp_path, batch):
    network = Network()
    spec = tf.TensorSpec([batch, 8, 8, 1], name="image")
    network.made = tf.function(network.classify.python_function, input_signature=[spec])
    signatures = {"serving_default": network.made}
    tf.saved_model.save(network, str(tmp_path / "in"), signatures=signatures)
    report = grappler_go.optimize_saved_model(
        tmp_path / "in", tmp_path / "out", policy=_predicts, **SETTINGS
    )
    assert report.applied, report
    assert report.micros_before > 0
    assert ("leaves dimensions open" in str(report)) == (batch is None)
    kept = grappler_go.optimize_saved_model(
        tmp_path / "in", tmp_path / "left", policy=lambda _: None, **SETTINGS
    )
    assert not kept.notes


def test_a_model_that_is_left_alone_is_not_written(model_folder, tmp_path):
    report = grappler_go.optimize_saved_model(
        model_folder, tmp_path / "out", policy=lambda _: None, **SETTINGS
    )
    assert not report.applied
    assert report.outcome
    assert not (tmp_path / "out").exists()


def test_wrong_arguments(model_folder, tmp_path):
    optimize = grappler_go.optimize_saved_model
    with pytest.raises(ValueError, match="rescale, serving_default"):
        optimize(model_folder, tmp_path / "out", signature="train")
    with pytest.raises(FileExistsError):
        optimize(model_folder, model_folder)
    with pytest.raises(ValueError, match="expected \\['image'\\]"):
        optimize(model_folder, tmp_path / "out", example_inputs={"x": 1.0})
    with pytest.raises(ValueError, match="'image' does not fit"):
        optimize(model_folder, tmp_path / "out", example_inputs={"image": [1.0]})
    with pytest.raises(OSError, match="nowhere"):
        optimize(tmp_path / "nowhere", tmp_path / "out")
    assert not pathlib.Path(tmp_path / "out").exists()


def test_example_inputs_are_what_outputs_are_compared_on(model_folder, tmp_path):
    image = np.ones((2, 8, 8, 1), np.float32)
    report = grappler_go.optimize_saved_model(
        model_folder,
        tmp_path / "out",
        policy=helpers.fuse(group),
        example_inputs={"image": image},
        **SETTINGS,
    )
    assert report.applied, report


def test_a_signature_that_writes_variables_leaves_them_as_they_were(model_folder, tmp_path):
    def fill(plan, graph):
        plan.fusion_group = np.array([0 if op == "Mul" else -1 for op in graph.ops], np.int32)

    report = grappler_go.optimize_saved_model(
        model_folder,
        tmp_path / "out",
        signature="rescale",
        policy=helpers.planned(fill),
        example_inputs={"by": 5.0},
        **SETTINGS,
    )
    assert report.applied, report
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    assert float(loaded.scale) == 2.0
    assert float(loaded.signatures["rescale"](by=tf.constant(3.0))["scale"]) == 6.0
    assert float(loaded.scale) == 6.0
