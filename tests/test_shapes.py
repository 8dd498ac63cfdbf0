"""The shapes that the core infers are those that TensorFlow infers."""

import models
import pytest
import tensorflow as tf

import grappler_go


def shapes_of_tensorflow(graphdef):
    """(op name, output) -> list of dimensions, for outputs of fully known shape."""
    proto = tf.compat.v1.GraphDef.FromString(graphdef)
    for node in proto.node:  # colocation may name what the optimizer has removed
        node.attr.pop("_class", None)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(proto, name="")
    return {
        (op.name, port): output.shape.as_list()
        for op in graph.get_operations()
        for port, output in enumerate(op.outputs)
        if output.shape.is_fully_defined()
    }


def compare(graphdef):
    """Shapes that TensorFlow knows, those of them that we know, and differences."""
    expected = shapes_of_tensorflow(graphdef)
    graph = grappler_go.OpGraph(graphdef)
    known, different = 0, []
    for (name, port), shape in expected.items():
        op = graph.find(name)
        if port >= graph.num_outputs(op):
            continue
        ours = graph.shape(op, port)
        if ours is None:
            continue
        known += None not in ours
        fits = len(ours) == len(shape) and all(
            a is None or a == b for a, b in zip(ours, shape, strict=True)
        )
        if not fits:
            different.append((name, graph.ops[op], port, ours, shape))
    return len(expected), known, different


@pytest.mark.parametrize("kind", ["infer", "train"])
@pytest.mark.parametrize("name", list(models.ALL))
def test_shapes_agree_with_tensorflow(pass_off, name, kind):
    model = models.ALL[name]()
    captured = grappler_go.capture(getattr(model, kind), *model.inputs)
    assert captured
    expected, known = 0, 0
    for graph in captured:
        of_graph, known_of_graph, different = compare(graph.graphdef)
        assert different == []
        expected += of_graph
        known += known_of_graph
    assert known >= 0.95 * expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"), [("MobileNetV2", 96), ("InceptionV3", 96), ("EfficientNetB0", 64)]
)
def test_shapes_of_keras_models_agree_with_tensorflow(pass_off, name, size):
    model = getattr(tf.keras.applications, name)(
        weights=None, classes=10, input_shape=(size, size, 3)
    )
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            losses = tf.keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    x = tf.random.stateless_normal((2, size, size, 3), (1, 2))
    captured = grappler_go.capture(step, x, tf.constant([1, 2]))
    expected, known, different = compare(captured[0].graphdef)
    assert different == []
    assert expected > 1000
    assert known >= 0.95 * expected
