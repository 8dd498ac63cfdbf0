"""The shape of the network, with a switch for each of its parts."""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """What a GoNetwork is built from. The paper's main text gives the width (128) and no
    other of these numbers; ours are chosen for 80,000 ops in two seconds on two cores.

    Attributes:
      width: of the embeddings of ops and devices. A multiple of `heads`.
      sage_layers: GraphSAGE layers: how many edges away an op sees what surrounds it.
      trunk_layers: segment-recurrent Transformer layers.
      heads: of each attention.
      ffn_width: hidden width of the feed-forward part of Transformer layers.
      segment: ops in a segment, which attend to each other and to the previous segment.
      iterations: passes of decoding (T), each of which sees all actions of the last. 1 for
        the ablation.
      fusion_levels: levels of fusion priority; level 0 is "leave me alone".
      schedule_levels: levels of scheduling priority.
      superposition: features of the graph multiply those of every trunk layer.
      recurrence: segments attend to the previous segment, too.
      attention: Transformer layers attend at all. Off, each op is on its own after the
        GraphSAGE layers (the paper's "GS + MLP").
      seed: of the initial weights.

    Raises:
      ValueError: a number that is not positive, or a width that heads do not divide.
    """

    width: int = 64
    sage_layers: int = 3
    trunk_layers: int = 2
    heads: int = 1
    ffn_width: int = 128
    segment: int = 64
    iterations: int = 2
    fusion_levels: int = 8
    schedule_levels: int = 8
    superposition: bool = True
    recurrence: bool = True
    attention: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (
                isinstance(value, int)
                and not isinstance(value, bool)
                and field.name != "seed"
                and value < 1
            ):
                raise ValueError(f"{field.name} is {value}, expected 1 or more")
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width} is not divisible by {self.heads} heads")
        if self.fusion_levels < 2:
            raise ValueError("fusion_levels needs 2 or more: level 0 is not to fuse")


def parse(settings: Sequence[str]) -> NetworkConfig:
    """A NetworkConfig from texts like "width=128" and "recurrence=false".

    Raises:
      ValueError: a field that does not exist or a value that it does not take.
    """
    fields = {f.name: f.default for f in dataclasses.fields(NetworkConfig)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in fields:
            raise ValueError(f"no field {name!r}: there are {', '.join(fields)}")
        if isinstance(fields[name], bool):
            if text not in ("true", "false"):
                raise ValueError(f"{setting}: expected true or false")
            values[name] = text == "true"
        else:
            if not text.isdigit():
                raise ValueError(f"{setting}: expected a number")
            values[name] = int(text)
    return NetworkConfig(**values)
