"""The GO policy: one network that decides device, fusion, schedule and recomputation of
every op of a graph at once ("Transferable Graph Optimizers for ML Compilers", Zhou et al.,
NeurIPS 2020; "the paper" below).

    inputs.graph_inputs(graph, machine)   what the network sees
    network.GoNetwork                     from that and the last actions to logits
    sampling.sample / decode              from logits to actions, in several passes
    export.export_policy                  the policy folder that the plugin loads

The graph part is TF-GNN's, which needs Keras 2 (package tf_keras): this package sets
TF_USE_LEGACY_KERAS, so import it before anything has used tf.keras.

Raises:
  ImportError: where tf.keras is Keras 3 already.
"""

import os
import sys


def _use_legacy_keras() -> None:
    """Makes tf.keras Keras 2, if it is not too late."""
    chosen = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
    if not chosen and "keras.src.backend" in sys.modules:
        raise ImportError(
            "grappler_go_training.go needs Keras 2 and Keras 3 is loaded already: import "
            "grappler_go_training.go before tensorflow, or set TF_USE_LEGACY_KERAS=1"
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"


_use_legacy_keras()
