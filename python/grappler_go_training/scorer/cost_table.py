"""A fitted cost model as TensorFlow ops: what each op takes alone and in a cluster."""

import numpy as np
import tensorflow as tf

from grappler_go import _core
from grappler_go_training.calibrate import fit


class CostTable(tf.Module):
    """Microseconds by op type and op features, for policies to have in their SavedModel.

    Args:
      model: the fitted coefficients.
    """

    def __init__(self, model: fit.CostModel):
        super().__init__(name="cost_table")
        vocabulary = _core.op_vocabulary()
        columns = {name: i for i, name in enumerate(_core.op_feature_names())}
        self._flops = columns["log2_flops"]
        self._bytes_read = columns["log2_bytes_read"]
        self._bytes_written = columns["log2_bytes_written"]
        classes = {
            name.removeprefix("class_"): i
            for name, i in columns.items()
            if name.startswith("class_")
        }
        self._class_columns = sorted(classes.values())
        by_class = np.zeros((len(classes), 2, fit.NUM_TERMS), np.float32)
        for name, table in model.by_class.items():
            by_class[self._class_columns.index(classes[name])] = table
        kinds = [name.removeprefix("kind_") for name in columns if name.startswith("kind_")]
        self._kind_columns = [columns[f"kind_{kind}"] for kind in kinds]
        # A row for each op type as it is, then one for each type of each kind.
        self._num_ops = len(vocabulary)
        keys = [*vocabulary, *(f"{op}:{kind}" for kind in kinds for op in vocabulary)]
        by_op = np.zeros((len(keys), 2, fit.NUM_TERMS), np.float32)
        has_own = np.zeros((len(keys), 1, 1), np.float32)
        for row, key in enumerate(keys):
            own = model.own(key)
            if own is not None:
                by_op[row] = own
                has_own[row] = 1.0
        self._by_class, self._by_op, self._has_own = by_class, by_op, has_own

    def bytes_written(self, op_features: tf.Tensor) -> tf.Tensor:
        """[N] from op_features, float32 [N, F]."""
        return _from_log2(op_features[:, self._bytes_written])

    def __call__(self, op_type: tf.Tensor, op_features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(op_micros, fused_micros), float32 [N] each, as logits of these names.

        Args:
          op_type: int32 [N], into the vocabulary.
          op_features: float32 [N, F].
        """
        flops = _from_log2(op_features[:, self._flops])
        moved = _from_log2(op_features[:, self._bytes_read]) + self.bytes_written(op_features)
        terms = tf.stack(
            [
                tf.ones_like(flops),
                flops / 1e6,
                moved / 1e6,
                tf.nn.relu(moved - fit.CACHE_BYTES) / 1e6,
            ],
            axis=1,
        )
        classes = tf.gather(op_features, self._class_columns, axis=1)
        kinds = tf.gather(op_features, self._kind_columns, axis=1)
        numbers = tf.range(1, 1 + len(self._kind_columns), dtype=tf.float32)
        kind = tf.cast(tf.linalg.matvec(kinds, numbers), op_type.dtype)
        row = op_type + self._num_ops * kind
        own = tf.gather(self._has_own, row)
        table = own * tf.gather(self._by_op, row) + (1.0 - own) * tf.tensordot(
            classes, self._by_class, 1
        )
        micros = tf.linalg.matvec(table, terms)
        return micros[:, 0], micros[:, 1]


def _from_log2(column: tf.Tensor) -> tf.Tensor:
    """Undoes log2(1 + x)."""
    return tf.pow(2.0, column) - 1.0
