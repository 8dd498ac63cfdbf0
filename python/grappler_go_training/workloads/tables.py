"""Recommenders and networks on graphs: lookups, segments, little arithmetic."""

import itertools

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import both
from grappler_go_training.workloads.workload import Made


@both("dlrm-small", "dlrm", tables=8, rows=10_000, width=16, batch=128)
@both("dlrm-large", "dlrm", tables=26, rows=100_000, width=64, batch=2048)
def dlrm(tables: int, rows: int, width: int, batch: int, training: bool) -> Made:
    """DLRM (Naumov et al. 2019): 13 numbers and a row of each table, their products, an
    MLP. Tables are sparse: only rows that were looked up are updated."""
    weights = layers.Weights()
    embeddings = [weights.normal(f"table{i}", rows, width, scale=0.01) for i in range(tables)]
    bottom = [
        layers.Dense(weights, f"bottom{i}", a, b)
        for i, (a, b) in enumerate(((13, 512), (512, 256), (256, width)))
    ]
    pairs = (tables + 1) * (tables + 1)
    top = [
        layers.Dense(weights, f"top{i}", a, b)
        for i, (a, b) in enumerate(((width + pairs, 512), (512, 256), (256, 1)))
    ]

    def logits(numbers: tf.Tensor, categories: tf.Tensor) -> tf.Tensor:
        x = numbers
        with tf.name_scope("bottom"):
            for dense in bottom:
                x = tf.nn.relu(dense(x))
        rows_found = [x]
        for number, table in enumerate(embeddings):
            with tf.name_scope(f"table{number}"):
                rows_found.append(tf.nn.embedding_lookup(table, categories[:, number]))
        with tf.name_scope("interaction"):
            stacked = tf.stack(rows_found, 1)
            products = tf.linalg.band_part(tf.matmul(stacked, stacked, transpose_b=True), -1, 0)
            x = tf.concat([x, tf.reshape(products, (batch, pairs))], 1)
        with tf.name_scope("top"):
            for dense in top[:-1]:
                x = tf.nn.relu(dense(x))
            return top[-1](x)

    def loss(numbers: tf.Tensor, categories: tf.Tensor, clicks: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(
                labels=clicks, logits=logits(numbers, categories)
            )
        )

    inputs = layers.normal(batch, 13), layers.tokens(rows, batch, tables, salt=2)
    if not training:
        return lambda *values: tf.sigmoid(logits(*values)), inputs
    clicks = tf.cast(layers.tokens(2, batch, 1, salt=3), tf.float32)
    return steps.training_step(loss, weights.all, "sgd"), (*inputs, clicks)


@both("two-tower-small", "two-tower", rows=10_000, width=64, batch=256)
@both("two-tower-large", "two-tower", rows=200_000, width=256, batch=1024)
def two_tower(rows: int, width: int, batch: int, training: bool) -> Made:
    """Retrieval (Yi et al. 2019): a tower for users, one for items, each user's item
    against the batch's others. A user is the mean of 20 items seen."""
    layer = tf.keras.layers
    history = tf.keras.Input((20,), batch_size=batch, dtype="int32")
    item = tf.keras.Input((1,), batch_size=batch, dtype="int32")

    def tower(x: tf.Tensor) -> tf.Tensor:
        for units in (2 * width, width):
            x = layer.Dense(units, activation="relu")(x)
        return layer.UnitNormalization()(x)

    user = tower(layer.GlobalAveragePooling1D()(layer.Embedding(rows, width)(history)))
    item_tower = tower(layer.Flatten()(layer.Embedding(rows, width)(item)))
    network = tf.keras.Model([history, item], layer.Dot(1)([user, item_tower]))
    towers = tf.keras.Model([history, item], [user, item_tower])

    def loss(labels: tf.Tensor, vectors: list[tf.Tensor]) -> tf.Tensor:
        return layers.cross_entropy(labels, 20.0 * tf.matmul(*vectors, transpose_b=True))

    inputs = layers.tokens(rows, batch, 20), layers.tokens(rows, batch, 1, salt=2)
    if not training:
        return steps.keras_step(network, inputs, training=False)
    return steps.keras_step(towers, inputs, tf.range(batch), training=True, loss_of=loss)


@both("gcn", "gnn", kind="gcn", nodes=2708, edges=10_556, depth=2, width=64)
@both("gcn-deep", "gnn", kind="gcn", nodes=20_000, edges=100_000, depth=8, width=128)
@both("gat", "gnn", kind="gat", nodes=2708, edges=10_556, depth=2, width=64)
def graph_network(
    kind: str, nodes: int, edges: int, depth: int, width: int, training: bool
) -> Made:
    """Nodes of one large graph are classified: a graph convolution (Kipf, Welling 2017) or
    graph attention with one head (Veličković et al. 2018). Sizes of Cora, and ten times
    them; messages along edges by gather and unsorted segment sums."""
    weights = layers.Weights()
    widths = [256, *[width] * (depth - 1), 7]
    denses = [
        layers.Dense(weights, f"layer{i}", a, b)
        for i, (a, b) in enumerate(itertools.pairwise(widths))
    ]
    scores = [
        [weights.normal(f"layer{i}/score{side}", units, 1) for side in range(2)]
        for i, units in enumerate(widths[1:])
        if kind == "gat"
    ]

    def logits(x: tf.Tensor, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        for number, dense in enumerate(denses):
            with tf.name_scope(f"layer{number}"):
                x = dense(layers.dropout(x, 0.5, training))
                sent = tf.gather(x, source)
                if kind == "gat":
                    start, end = (tf.matmul(x, score) for score in scores[number])
                    share = tf.exp(
                        tf.nn.leaky_relu(tf.gather(start, source) + tf.gather(end, target))
                    )
                else:
                    share = tf.ones((edges, 1))
                total = tf.math.unsorted_segment_sum(share, target, nodes) + 1e-6
                x = x + tf.math.unsorted_segment_sum(sent * share, target, nodes) / total
                x = tf.nn.elu(x) if number < depth - 1 else x
        return x

    def loss(*values: tf.Tensor) -> tf.Tensor:
        return layers.cross_entropy(values[-1], logits(*values[:-1]))

    inputs = (
        layers.normal(nodes, 256),
        layers.tokens(nodes, edges, salt=2),
        layers.tokens(nodes, edges, salt=3),
    )
    if not training:
        return logits, inputs
    labels = layers.tokens(7, nodes, salt=4)
    return steps.training_step(loss, weights.all, "adam"), (*inputs, labels)
