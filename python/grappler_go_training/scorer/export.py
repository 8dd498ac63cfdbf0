"""Writes a cost model as a policy: SavedModel, schema.json, card.json."""

import os
import platform
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from grappler_go import _core
from grappler_go_training.calibrate import fit
from grappler_go_training.scorer import cost_table, policy_folder
from grappler_go_training.scorer.fitted import Fitted

POLICY_NAME = "scorer-1.7"

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
        self._costs = cost_table.CostTable(model)

    @tf.function(autograph=False)
    def __call__(self, op_type: tf.Tensor, op_features: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Scores ops.

        Args:
          op_type: int32 [N], into the vocabulary.
          op_features: float32 [N, F].

        Returns:
          `fusion`, `recompute`, `op_micros`, `fused_micros`, float32 [N] each.
        """
        op_micros, fused_micros = self._costs(op_type, op_features)
        return {
            "fusion": _SLOWER_FACTOR * op_micros + _SLOWER_MICROS - fused_micros,
            # Bytes that need not be kept, per microsecond that making them anew takes.
            "recompute": self._costs.bytes_written(op_features) / (1.0 + op_micros),
            "op_micros": op_micros,
            "fused_micros": fused_micros,
        }

    def signature(self) -> tf.types.experimental.ConcreteFunction:
        """The concrete function that is saved as "serving_default"."""
        return self.__call__.get_concrete_function(
            op_type=tf.TensorSpec([None], tf.int32, "op_type"),
            op_features=tf.TensorSpec(
                [None, len(_core.op_feature_names())], tf.float32, "op_features"
            ),
        )


def export_policy(model: fit.CostModel, card: Mapping[str, object], out_dir: str) -> None:
    """Writes the policy folder, replacing what was there.

    Args:
      model: the fitted coefficients.
      card: goes into card.json: how the policy was made and how good it is.
      out_dir: the folder.
    """
    scorer = Scorer(model)
    policy_folder.write(scorer, scorer.signature(), POLICY_NAME, card, out_dir)


def card_of(fitted: Fitted) -> dict[str, object]:
    """The card of a model that was fitted to timings."""
    errors = fit.relative_errors(fitted.model, fitted.cases, fitted.samples)
    return {
        "what": "non-negative linear cost per op type, executor and XLA cluster",
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "machines_timed": len(fitted.files),
        "tensorflow": tf.__version__,
        "timed_cases": len(fitted.cases),
        "median_relative_error": {
            "op_micros": round(float(np.nanmedian(errors[:, 0])), 3),
            "fused_micros": round(float(np.nanmedian(errors[:, 1])), 3),
        },
        "commands": [
            *(f"python -m grappler_go_training.scorer measure --samples={n}" for n in fitted.files),
            "python -m grappler_go_training.scorer export "
            f"--samples={','.join(fitted.files)} --out=DIR",
        ],
    }
