"""Each kind of decision, proven by what TensorFlow executed."""

import json

import helpers
import numpy as np
import pytest
import tensorflow as tf
from helpers import FORCED, count, executed, fuse

import grappler_go

pytestmark = pytest.mark.usefixtures("pass_off")

LAYER = ("_FusedMatMul", "MatMul", "BiasAdd", "Relu")


def layers(n):
    """Dense layers that TensorFlow fuses into one _FusedMatMul each."""
    random = np.random.default_rng(1)
    weights = [tf.constant(random.normal(size=(16, 16)).astype(np.float32)) for _ in range(n)]
    bias = tf.constant(random.normal(size=16).astype(np.float32))
    kernels = [tf.Variable(w) for w in weights]
    offset = tf.Variable(bias)

    @tf.function
    def function(x):
        for i, kernel in enumerate(kernels):
            with tf.name_scope(f"layer{i}"):
                x = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernel), offset))
        return x

    return function


X = np.random.default_rng(2).normal(size=(4, 16)).astype(np.float32)


def test_a_group_runs_as_one_compiled_cluster():
    function = layers(3)
    expected = function(X)
    with grappler_go.scope(fuse(lambda name, op: 0 if op in LAYER else None), **FORCED):
        got, nodes = executed(function, X)
    assert count(nodes, "_XlaRun") == 1, helpers.outcomes()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_without_the_pass_nothing_is_compiled():
    function = layers(3)
    _, nodes = executed(function, X)
    assert count(nodes, "_XlaRun") == 0
    assert count(nodes, "_FusedMatMul") == 3


def test_neighbouring_groups_are_not_merged():
    def group(name, op):
        if op not in LAYER:
            return None
        return 0 if "layer0" in name or "layer1" in name else 1

    function = layers(4)
    expected = function(X)
    with grappler_go.scope(fuse(group), **FORCED):
        got, nodes = executed(function, X)
    assert count(nodes, "_XlaRun") == 2, helpers.outcomes()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_fused_op_is_taken_apart_inside_a_group_and_left_fused_outside():
    function = layers(3)
    expected = function(X)
    inside = fuse(lambda name, op: 0 if op in LAYER and "layer2" not in name else None)
    with grappler_go.scope(inside, **FORCED):
        got, nodes = executed(function, X)
    # Had the two inside not been taken apart, XLA could not compile them, and
    # they would be executed as they are.
    assert count(nodes, "_XlaRun") == 1, helpers.outcomes()
    assert count(nodes, "_FusedMatMul") == 1
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_fused_convolutions_and_batch_normalisation_compile_too():
    kernel = tf.Variable(tf.random.stateless_normal((3, 3, 3, 8), (1, 2)))
    ones, zeros = tf.Variable(tf.ones(8)), tf.Variable(tf.zeros(8))
    image = tf.random.stateless_normal((2, 8, 8, 3), (3, 4))

    @tf.function
    def function(x):
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), ones))
        x, _, _ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=ones, offset=zeros, mean=zeros, variance=ones, is_training=False
        )[:3]
        return tf.tanh(tf.sqrt(tf.abs(tf.nn.relu(x))))

    expected, before = executed(function, image)
    assert any(node.op.startswith("_Fused") for node in before)

    def group(name, op):
        return None if op in ("_Arg", "_Retval", "Const", "NoOp", "ReadVariableOp") else 0

    with grappler_go.scope(fuse(group), **FORCED):
        got, nodes = executed(function, image)
    assert count(nodes, "_XlaRun") == 1, helpers.outcomes()
    assert not [node.op for node in nodes if node.op.startswith("_Fused")]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_variable_reads_and_writes_go_inside_a_group():
    def make():
        kernel = tf.Variable(np.eye(16, dtype=np.float32))
        momentum = tf.Variable(np.zeros((16, 16), np.float32))

        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(tf.tanh(x @ kernel) - 1.0))
            gradient = tape.gradient(loss, kernel)
            momentum.assign(0.9 * momentum + gradient)
            kernel.assign_sub(0.1 * momentum)
            return loss

        return step, kernel

    step, kernel = make()
    expected = [float(step(X)) for _ in range(4)]
    expected_kernel = kernel.numpy()

    def group(name, op):
        return None if op in ("_Arg", "_Retval", "NoOp") else 0

    step, kernel = make()
    with grappler_go.scope(fuse(group), **FORCED):
        first, nodes = executed(step, X)
        got = [float(first)] + [float(step(X)) for _ in range(3)]
    assert count(nodes, "_XlaRun") >= 1, helpers.outcomes()
    outside = [n.op for n in nodes if n.op in ("ReadVariableOp", "AssignSubVariableOp")]
    assert outside == []
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    np.testing.assert_allclose(kernel.numpy(), expected_kernel, rtol=1e-4, atol=1e-6)


TWO_CPUS = """
import json, sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import grappler_go, helpers
w = tf.Variable(np.ones((8, 8), np.float32))
@tf.function
def f(x):
    return tf.reduce_sum(tf.nn.relu(tf.matmul(x, w)) * 2.0)
x = tf.constant(np.arange(64, dtype=np.float32).reshape(8, 8))
expected = float(f(x))
second = "/job:localhost/replica:0/task:0/device:CPU:1"
grappler_go.enable(helpers.move(second, ("MatMul", "_FusedMatMul")), devices="all",
                   **helpers.FORCED)
result, nodes = helpers.executed(f, x)
print(json.dumps({
    "expected": expected, "got": float(result),
    "on_second": sorted({n.op for n in nodes if n.device.endswith("CPU:1")}),
    "outcomes": helpers.outcomes(),
}))
"""


def test_an_op_runs_on_the_other_device_of_the_process():
    out = json.loads(helpers.run_python(TWO_CPUS).stdout.splitlines()[-1])
    assert {"_FusedMatMul", "MatMul"} & set(out["on_second"]), out["outcomes"]
    assert {"_Send", "_Recv"} & set(out["on_second"])
    assert out["got"] == pytest.approx(out["expected"], rel=1e-5)


# One training step of a deep network with wide activations: prints the peak of
# resident memory above what it was before the step, and the loss.
MLP_STEP = """
import json, sys
import numpy as np
import tensorflow as tf
import grappler_go, helpers
from grappler_go.bench.worker import memory_mb

BATCH, WIDTH, LAYERS = 4096, 256, 16
random = np.random.default_rng(0)
kernels = [tf.Variable((random.normal(size=(WIDTH, WIDTH)) / 16).astype(np.float32))
           for _ in range(LAYERS)]
x = tf.constant(random.normal(size=(BATCH, WIDTH)).astype(np.float32))

@tf.function
def step(x):
    with tf.GradientTape() as tape:
        y = x
        for kernel in kernels:
            y = y @ kernel
            y = tf.tanh(y) * tf.sigmoid(y) + tf.tanh(0.5 * y)
        loss = tf.reduce_mean(tf.square(y))
    for kernel, gradient in zip(kernels, tape.gradient(loss, kernels)):
        kernel.assign_sub(0.1 * gradient)
    return loss

def cheap_forward_ops(plan, graph):
    backward = graph.flag_names()["backward"]
    cheap = {"Mul", "AddV2", "Tanh", "Sigmoid"}
    plan.recompute = np.array(
        [op in cheap and not flags & backward for op, flags in zip(graph.ops, graph.flags)],
        np.uint8)

if sys.argv[1] == "on":
    grappler_go.enable(helpers.planned(cheap_forward_ops), **helpers.FORCED)
before = memory_mb("VmHWM")  # not ru_maxrss, which the parent hands down
losses = []
loss, nodes = helpers.executed(step, x)
losses = [float(loss)] + [float(step(x)) for _ in range(2)]
peak = memory_mb("VmHWM") - before
report = [r for r in grappler_go.reports() if r.applied] if sys.argv[1] == "on" else []
print(json.dumps({
    "peak_mb": peak, "losses": losses, "tanh": helpers.count(nodes, "Tanh"),
    "recomputed": report[0].recomputed if report else 0,
    "outcomes": helpers.outcomes() if sys.argv[1] == "on" else "",
}))
"""


@pytest.mark.slow
def test_recomputed_ops_are_executed_and_save_memory():
    off, on = (
        json.loads(helpers.run_python(MLP_STEP, mode).stdout.splitlines()[-1])
        for mode in ("off", "on")
    )
    assert on["recomputed"] > 0, on["outcomes"]
    assert on["tanh"] > off["tanh"]  # the clones are there
    np.testing.assert_allclose(on["losses"], off["losses"], rtol=1e-4)
    assert on["peak_mb"] < 0.85 * off["peak_mb"], (on, off)


def test_an_order_between_ops_is_kept_by_a_control_edge():
    @tf.function
    def function(x):
        a = tf.matmul(x, x, name="first")
        b = tf.matmul(x + 1.0, x, name="second")
        return tf.reduce_sum(a) + tf.reduce_sum(tf.tanh(b))

    def fill(plan, graph):
        first, second = graph.find("first"), graph.find("second")
        if first >= 0 and second >= 0:
            plan.order = [(second, first)]

    x = tf.ones((4, 4))
    expected = function(x)
    with grappler_go.scope(helpers.planned(fill), **FORCED):
        got, nodes = executed(function, x)
    by_name = {node.name: node for node in nodes}
    assert "^second" in by_name["first"].input, helpers.outcomes()
    assert float(got) == pytest.approx(float(expected))
