"""Writes a GO network as a policy folder: SavedModel, schema.json, card.json.

What is saved is all passes of decoding as one function of the arrays that the core feeds,
in ops that the plugin's loader allows (cc/policy/allowed_ops.cc); neither TF-GNN nor Keras
is needed to run it. What ops cost on a CPU that nobody has calibrated, the policy says by
the scorer's fitted table. That table can also be a policy of its own in the folder `costs`
(cc/policy/policy_with_costs.h), which decides where the network has nothing to add.
"""

import os
from collections.abc import Mapping

import tensorflow as tf

from grappler_go import _core
from grappler_go_training.go import inputs as go_inputs
from grappler_go_training.go import network as go_network
from grappler_go_training.go import sampling
from grappler_go_training.scorer import cost_table, fitted, policy_folder
from grappler_go_training.scorer import export as scorer_export

MAX_BYTES = 10_000_000
# The network has no term for it.
_UNREAD = "edge_features"
# As cc/policy/policy_with_costs.h has it.
COSTS = "costs"


def export_policy(
    network: go_network.GoNetwork,
    card: Mapping[str, object],
    out_dir: str,
    name: str = "go-1.0",
    *,
    with_costs: bool = False,
) -> None:
    """Writes the policy folder, replacing what was there, and loads it once.

    Args:
      network: made for this build's schema.
      card: goes into card.json: how the policy was made and how good it is.
      out_dir: the folder.
      name: of the policy, with its version.
      with_costs: on one device, and of fusion in all that is not simulated, the scorer
        decides; the network is loaded where there are several devices, and not before.

    Raises:
      ValueError: the folder is larger than MAX_BYTES, or this build's loader refuses it.
    """
    exported = _Exported(network)
    policy_folder.write(exported, exported.signature(), name, card, out_dir)
    if with_costs:
        costs = fitted.fit_shipped()
        card = scorer_export.card_of(costs)
        scorer_export.export_policy(costs.model, card, os.path.join(out_dir, COSTS))
    size = sum(
        os.path.getsize(os.path.join(root, file))
        for root, _dirs, files in os.walk(out_dir)
        for file in files
    )
    if size > MAX_BYTES:
        raise ValueError(
            f"{out_dir} has {size / 1e6:.1f} MB, above {MAX_BYTES / 1e6:.0f}: make width or "
            "ffn_width smaller"
        )
    _core.load_policy(out_dir)


class _Exported(tf.Module):
    """From arrays of the schema to logits of the schema."""

    def __init__(self, network: go_network.GoNetwork) -> None:
        super().__init__(name="go_policy")
        self._network = network
        self._costs = cost_table.CostTable(fitted.fit_shipped().model)

    @tf.function(autograph=False)
    def __call__(self, **arrays: tf.Tensor) -> Mapping[str, tf.Tensor]:
        given = go_inputs.GraphInputs(**{_UNREAD: None}, **arrays)
        _actions, heads = sampling.decode(self._network, given)
        op_micros, fused_micros = self._costs(given.op_type, given.op_features)
        return {
            **sampling.to_logits(heads, self._network.config),
            "op_micros": op_micros,
            "fused_micros": fused_micros,
        }

    def signature(self) -> tf.types.experimental.ConcreteFunction:
        """The concrete function that is saved as "serving_default"."""
        specs = go_inputs.inputs_spec(self._network.schema)._asdict()
        del specs[_UNREAD]
        named = {k: tf.TensorSpec(spec.shape, spec.dtype, k) for k, spec in specs.items()}
        return self.__call__.get_concrete_function(**named)
