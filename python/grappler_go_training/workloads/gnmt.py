"""GNMT: translation by stacked LSTM layers with attention, unrolled."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made

UNITS, UNROLL, BATCH, VOCABULARY = 1024, 110, 64, 32_000


@workload("gnmt-2", "gnmt", training=True, num_devices=2, depth=2)
@workload("gnmt-4", "gnmt", training=True, num_devices=4, depth=4)
@workload("gnmt-8", "gnmt", training=True, num_devices=8, depth=8)
@workload("gnmt-short-2", "gnmt", training=True, num_devices=2, depth=2, unroll=12)
@workload("gnmt-short-4", "gnmt", training=True, num_devices=4, depth=4, unroll=9)
def gnmt(depth: int, unroll: int = UNROLL) -> Made:
    """One training step of GNMT (Wu et al. 2016).

    The paper says: 2, 4 and 8 layers on as many GPUs, over 80,000 ops for 8 layers, and
    no sizes. From Mirhoseini et al. 2017 and 2018: LSTM width 1024, batch 64. From
    GNMT: the first encoder layer is bidirectional, residual connections from the
    third layer up, additive attention of the first decoder layer's output whose context
    goes to every decoder layer, dropout 0.2, vocabulary 32,000.

    The paper's op counts are of graphs as TensorFlow 1 built them, where more than half
    of the ops are constants, shapes and the like that Grappler folds before the pass
    sees them. Mirhoseini et al. unroll 40 steps; 110 here, on both sides: with that the
    pass is shown 84,000 ops for 8 layers, and theirs had 83,712. The short ones are not of
    the paper: the same model with sentences of a length that training has time for.
    """
    return translation(depth, UNITS, unroll, BATCH, VOCABULARY)


def translation(depth: int, units: int, unroll: int, batch: int, vocabulary: int) -> Made:
    """The step of a model of any size: source, target and labels [batch, unroll]."""
    weights = layers.Weights()
    encoder = _Encoder(weights, depth, units, vocabulary)
    decoder = _Decoder(weights, depth, units, vocabulary)

    def loss(source: tf.Tensor, target: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        memory = encoder(source)
        outputs = decoder(target, memory)
        with tf.name_scope("softmax"):
            flat = tf.reshape(tf.stack(outputs, 1), (-1, units))
            return layers.cross_entropy(tf.reshape(labels, (-1,)), decoder.softmax(flat))

    step = steps.training_step(loss, weights.all, "adam", clip=5.0)
    args = tuple(layers.tokens(vocabulary, batch, unroll, salt=salt) for salt in (1, 2, 3))
    return step, args


class _Encoder:
    def __init__(self, weights: layers.Weights, depth: int, units: int, vocabulary: int) -> None:
        self.embedding = weights.normal("encoder/embedding", vocabulary, units, scale=0.1)
        self.forward = layers.LSTMCell(weights, "encoder/forward", units, units)
        self.backward = layers.LSTMCell(weights, "encoder/backward", units, units)
        self.cells = [
            layers.LSTMCell(weights, f"encoder/lstm{i}", 2 * units if i == 1 else units, units)
            for i in range(1, depth)
        ]

    def __call__(self, source: tf.Tensor) -> list[tf.Tensor]:
        """[batch, time] -> [batch, units] for each step."""
        with tf.name_scope("encoder"), tf.name_scope("embedding"):
            columns = tf.unstack(tf.nn.embedding_lookup(self.embedding, source), axis=1)
        with tf.name_scope("encoder"), tf.name_scope("lstm0"):
            ahead = _unrolled(self.forward, columns)
            back = _unrolled(self.backward, columns[::-1])[::-1]
            columns = [tf.concat(pair, 1) for pair in zip(ahead, back, strict=True)]
        for number, cell in enumerate(self.cells, 1):
            with tf.name_scope("encoder"), tf.name_scope(f"lstm{number}"):
                outputs = _unrolled(cell, columns)
                residual = number >= 2
                columns = (
                    [o + c for o, c in zip(outputs, columns, strict=True)] if residual else outputs
                )
        return columns


class _Decoder:
    def __init__(self, weights: layers.Weights, depth: int, units: int, vocabulary: int) -> None:
        self.embedding = weights.normal("decoder/embedding", vocabulary, units, scale=0.1)
        self.cells = [
            layers.LSTMCell(weights, f"decoder/lstm{i}", 2 * units, units) for i in range(depth)
        ]
        self.query = layers.Dense(weights, "attention/query", units, units, bias=False)
        self.key = layers.Dense(weights, "attention/key", units, units, bias=False)
        self.score = weights.normal("attention/score", units, scale=units**-0.5)
        self.softmax = layers.Dense(weights, "softmax", units, vocabulary)

    def __call__(self, target: tf.Tensor, memory: list[tf.Tensor]) -> list[tf.Tensor]:
        """[batch, time] and the encoder's outputs -> [batch, units] for each step."""
        batch, units = memory[0].shape
        with tf.name_scope("decoder"), tf.name_scope("embedding"):
            columns = tf.unstack(tf.nn.embedding_lookup(self.embedding, target), axis=1)
        with tf.name_scope("attention"):
            values = tf.stack(memory, 1)
            keys = self.key(values)
        state, context, firsts, contexts = (
            self.cells[0].start(batch),
            tf.zeros((batch, units)),
            [],
            [],
        )
        for column in columns:
            with tf.name_scope("decoder"), tf.name_scope("lstm0"):
                x = layers.dropout(tf.concat([column, context], 1), 0.2, training=True)
                output, state = self.cells[0](x, state)
            with tf.name_scope("attention"):
                context = self._attend(output, keys, values)
            firsts.append(output)
            contexts.append(context)
        columns = firsts
        for number, cell in enumerate(self.cells[1:], 1):
            with tf.name_scope("decoder"), tf.name_scope(f"lstm{number}"):
                inputs = [tf.concat(pair, 1) for pair in zip(columns, contexts, strict=True)]
                outputs = _unrolled(cell, inputs)
                residual = number >= 2
                columns = (
                    [o + c for o, c in zip(outputs, columns, strict=True)] if residual else outputs
                )
        return columns

    def _attend(self, query: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """[batch, units], [batch, time, units] twice -> the context, [batch, units]"""
        hidden = tf.tanh(keys + tf.expand_dims(self.query(query), 1))
        weights = tf.nn.softmax(tf.reduce_sum(hidden * self.score, 2))
        return tf.reduce_sum(tf.expand_dims(weights, 2) * values, 1)


def _unrolled(cell: layers.LSTMCell, columns: list[tf.Tensor]) -> list[tf.Tensor]:
    state, outputs = cell.start(columns[0].shape[0]), []
    for column in columns:
        output, state = cell(layers.dropout(column, 0.2, training=True), state)
        outputs.append(output)
    return outputs
