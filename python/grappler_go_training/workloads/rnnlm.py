"""RNNLM: a language model of stacked LSTM layers, unrolled."""

import tensorflow as tf

from grappler_go_training.workloads import layers, steps
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made

UNITS, UNROLL, BATCH, VOCABULARY = 2048, 40, 64, 10_000


@workload("rnnlm-2", "rnnlm", training=True, num_devices=2, depth=2)
@workload("rnnlm-4", "rnnlm", training=True, num_devices=4, depth=4)
@workload("rnnlm-8", "rnnlm", training=True, num_devices=8, depth=8)
def rnnlm(depth: int) -> Made:
    """One training step of an LSTM language model.

    The paper names "LSTM RNNLM" of 2, 4 and 8 layers on as many GPUs (Table 2) and no
    sizes. From Mirhoseini et al. 2017, whose RNNLM its expert is taken from: LSTM width
    2048, batch 64, unrolled 40 steps. Left open by both: the vocabulary (Penn
    Treebank's 10,000 here, dense softmax), the optimizer (plain descent with the norm of
    gradients clipped, as in TensorFlow's PTB tutorial), dropout (none).
    """
    return language_model(depth, UNITS, UNROLL, BATCH, VOCABULARY)


def language_model(depth: int, units: int, unroll: int, batch: int, vocabulary: int) -> Made:
    """The step of a model of any size: tokens [batch, unroll], labels alike."""
    weights = layers.Weights()
    embedding = weights.normal("embedding", vocabulary, units, scale=0.1)
    cells = [layers.LSTMCell(weights, f"lstm{i}", units, units) for i in range(depth)]
    softmax = layers.Dense(weights, "softmax", units, vocabulary)

    def loss(words: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.name_scope("embedding"):
            columns = tf.unstack(tf.nn.embedding_lookup(embedding, words), axis=1)
        for number, cell in enumerate(cells):
            with tf.name_scope(f"lstm{number}"):
                state, outputs = cell.start(batch), []
                for column in columns:
                    output, state = cell(column, state)
                    outputs.append(output)
                columns = outputs
        with tf.name_scope("softmax"):
            flat = tf.reshape(tf.stack(columns, 1), (-1, units))
            return layers.cross_entropy(tf.reshape(labels, (-1,)), softmax(flat))

    step = steps.training_step(loss, weights.all, "sgd", clip=5.0)
    words, labels = (layers.tokens(vocabulary, batch, unroll, salt=salt) for salt in (1, 2))
    return step, (words, labels)
