"""Writes a cost model as a policy: SavedModel, schema.json, card.json."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from grappler_go import _core
from grappler_go_training.calibrate import fit

POLICY_NAME = "scorer-1.3"

# An op slower than this in a cluster is left alone whatever surrounds it. Short of
# that, plan building decides: leaving one op out cuts its group in two, which can
# cost more than the op loses.
_SLOWER_FACTOR = 4.0
_SLOWER_MICROS = 100.0


class Scorer(tf.Module):
    """The policy: per op, what it costs alone and in a cluster, and what follows.

    Reads only `op_type` and `op_features`. Decides fusion and recomputation; it
    has no opinion on devices and schedules.
    """

    def __init__(self, model: fit.CostModel):
        super().__init__(name="scorer")
        vocabulary = _core.op_vocabulary()
        columns = {name: i for i, name in enumerate(_core.op_feature_names())}
        self._num_features = len(columns)
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
        by_op = np.zeros((len(vocabulary), 2, fit.NUM_TERMS), np.float32)
        has_own = np.zeros((len(vocabulary), 1, 1), np.float32)
        for op, table in model.by_op.items():
            by_op[vocabulary.index(op)] = table
            has_own[vocabulary.index(op)] = 1.0
        self._by_class, self._by_op, self._has_own = by_class, by_op, has_own

    @tf.function(autograph=False)
    def __call__(self, op_type: tf.Tensor, op_features: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Scores ops.

        Args:
          op_type: int32 [N], into the vocabulary.
          op_features: float32 [N, F].

        Returns:
          `fusion`, `recompute`, `op_micros`, `fused_micros`, float32 [N] each.
        """
        flops = _from_log2(op_features[:, self._flops])
        written = _from_log2(op_features[:, self._bytes_written])
        moved = _from_log2(op_features[:, self._bytes_read]) + written
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
        own = tf.gather(self._has_own, op_type)
        table = own * tf.gather(self._by_op, op_type) + (1.0 - own) * tf.tensordot(
            classes, self._by_class, 1
        )
        micros = tf.linalg.matvec(table, terms)
        op_micros, fused_micros = micros[:, 0], micros[:, 1]
        fusion = _SLOWER_FACTOR * op_micros + _SLOWER_MICROS - fused_micros
        # Bytes that need not be kept, per microsecond that making them anew takes.
        recompute = written / (1.0 + op_micros)
        return {
            "fusion": fusion,
            "recompute": recompute,
            "op_micros": op_micros,
            "fused_micros": fused_micros,
        }

    def signature(self) -> tf.types.experimental.ConcreteFunction:
        """The concrete function that is saved as "serving_default"."""
        return self.__call__.get_concrete_function(
            op_type=tf.TensorSpec([None], tf.int32, "op_type"),
            op_features=tf.TensorSpec([None, self._num_features], tf.float32, "op_features"),
        )


def export_policy(model: fit.CostModel, card: Mapping[str, object], out_dir: str) -> None:
    """Writes the policy folder, replacing what was there.

    Args:
      model: the fitted coefficients.
      card: goes into card.json: how the policy was made and how good it is.
      out_dir: the folder.
    """
    scorer = Scorer(model)
    shutil.rmtree(out_dir, ignore_errors=True)
    tf.saved_model.save(scorer, out_dir, signatures=scorer.signature())
    # Neither is read when the policy is loaded.
    for name in ("fingerprint.pb", "assets"):
        path = os.path.join(out_dir, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)
    schema = json.loads(_core.schema_json())
    schema["name"] = POLICY_NAME
    schema["inputs"] = ["op_type", "op_features"]
    schema["outputs"] = ["fusion", "recompute", "op_micros", "fused_micros"]
    schema["files"] = _checksums(out_dir)
    _write_json(os.path.join(out_dir, "schema.json"), schema)
    _write_json(os.path.join(out_dir, "card.json"), {"name": POLICY_NAME, **card})


def _from_log2(column: tf.Tensor) -> tf.Tensor:
    """Undoes log2(1 + x)."""
    return tf.pow(2.0, column) - 1.0


def _checksums(folder: str) -> dict[str, str]:
    """Path below `folder` -> SHA-256, for every file."""
    sums = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            sums[os.path.relpath(path, folder)] = digest
    return dict(sorted(sums.items()))


def _write_json(path: str, value: object) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
