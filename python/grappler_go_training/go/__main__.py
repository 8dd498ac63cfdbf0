"""Writes the policy folder of a GO network that nothing has trained: what inference costs
does not depend on the weights.

Examples:
  # How long the policy of this shape takes on this machine, and how much memory.
  python -m grappler_go_training.go --out=untrained
  grappler-go bench overhead --policy=untrained
  # Another shape.
  python -m grappler_go_training.go --out=untrained --set=width=128 --set=iterations=1
"""

import dataclasses
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# pylint: disable=g-import-not-at-top,wrong-import-position
from absl import app, flags

from grappler_go import native
from grappler_go_training.go import config, export, network

_OUT = flags.DEFINE_string("out", None, "Policy folder to write.", required=True)
_SET = flags.DEFINE_multi_string("set", [], "FIELD=VALUE of go.config.NetworkConfig.")


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        print(__doc__)
        return 2
    try:
        chosen = config.parse(_SET.value)
    except ValueError as error:
        print(error)
        return 2
    policy = network.GoNetwork(chosen, json.loads(native.core().schema_json()))
    card = {"what": "untrained", "network": dataclasses.asdict(chosen)}
    export.export_policy(policy, card, _OUT.value, "go-untrained")
    print(f"wrote {_OUT.value}: {policy.num_parameters():,} parameters")
    return 0


if __name__ == "__main__":
    app.run(main)
