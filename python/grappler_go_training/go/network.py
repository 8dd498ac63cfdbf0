"""The policy network: from a graph, a machine and the last actions to logits for four
tasks and a value.

    op and device features ─ GraphSAGE ─┬───────── superposition ─┐ multiplies
                                        │                         │
    last actions ── embeddings ─────────┴─ + ─ Transformer layers ┴─ fusion ─ placement ─
                                               over segments         scheduling ─ recomputation

What does not depend on actions (GraphSAGE and superposition) is computed once for all
passes: encode(), then decode() for each pass.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from grappler_go_training.go import config as go_config
from grappler_go_training.go import devices, layers
from grappler_go_training.go import inputs as go_inputs

# Columns of op_features that say where in the step an op is; as waves, so that neighbours
# in time or of one stage can be told from others. No positions in the paper's sense, as
# _time_columns() says.
_POSITIONS = ("relative_from_start", "relative_to_end", "relative_stage")


class Actions(NamedTuple):
    """A decision for each op, int32 [N] each; -1 in all: undecided.

    Attributes:
      device: number of a device.
      fusion: level of priority, 0: leave me alone.
      schedule: level of priority, higher runs earlier.
      recompute: 1: rebuild it for the backward pass.
    """

    device: Any
    fusion: Any
    schedule: Any
    recompute: Any


class Heads(NamedTuple):
    """What the network says, float32.

    Attributes:
      device: [N, D] logits; -1e9 where an op may not be; the same for all ops of a unit.
      fusion: [N, fusion_levels] logits.
      schedule: [N, schedule_levels] logits.
      recompute: [N, 2] logits.
      value: [] the reward that it expects.
    """

    device: tf.Tensor
    fusion: tf.Tensor
    schedule: tf.Tensor
    recompute: tf.Tensor
    value: tf.Tensor


class Encoded(NamedTuple):
    """What the network knows of a graph before any action.

    Attributes:
      h: [S, L, width] ops.
      multiplier: [S, L, width] the superposition; None without.
      devices: [D, width].
      segments: of the ops.
    """

    h: tf.Tensor
    multiplier: tf.Tensor | None
    devices: tf.Tensor
    segments: layers.Segments


def initial_actions(num_ops: Any, num_devices: Any, config: go_config.NetworkConfig) -> Actions:
    """Actions before the first pass: nothing is decided (the paper, section 2.1, leaves
    the first state open)."""
    del num_devices, config
    undecided = tf.fill([num_ops], -1)
    return Actions(undecided, undecided, undecided, undecided)


def actions_spec() -> Actions:
    """The TensorSpecs of actions for any number of ops."""
    return Actions(*(tf.TensorSpec([None], tf.int32) for _ in Actions._fields))


class GoNetwork(tf.Module):
    """The whole network. Any N, E and D in one tf.function without retracing; see
    inputs.inputs_spec() and actions_spec().

    Args:
      config: sizes and switches.
      schema: the policy schema that inputs follow, json of _core.schema_json().
    """

    def __init__(self, config: go_config.NetworkConfig, schema: Mapping[str, Any]) -> None:
        super().__init__(name="go")
        self.config = config
        self.schema = schema
        width = config.width
        rng = np.random.default_rng(config.seed)
        self._scales = _column_scales(schema["op_features"])
        self._written = schema["op_features"].index("log2_bytes_written")
        self._memory = schema["device_features"].index("log2_memory_bytes")
        names = schema["op_features"]
        self._positions = [names.index(name) for name in _POSITIONS]
        num_columns = len(self._scales) + 3 + devices.NUM_WAVES * (1 + len(_POSITIONS))
        self._op_type = layers.Embedding("op_type", rng, len(schema["vocabulary"]), width)
        self._features = layers.Dense("features", rng, num_columns, width)
        self._sage = [layers.Sage(f"sage_{i}", rng, width) for i in range(config.sage_layers)]
        self._sage_out = layers.Dense("sage_out", rng, width, width)
        self._device_encoder = devices.DeviceEncoder(
            "device_encoder",
            rng,
            width,
            schema["device_features"],
            len(schema["link_features"]),
        )
        if config.superposition:
            self._conditioning = layers.TransformerLayer("conditioning", rng, config)
            # Starts near 1, so that the trunk starts as one without superposition.
            self._multiplier = layers.Dense("multiplier", rng, width, width, 0.1)
        self._state = State("state", rng, config)
        self._machine = layers.Dense("machine", rng, width, width)
        self._trunk = [
            layers.TransformerLayer(f"trunk_{i}", rng, config) for i in range(config.trunk_layers)
        ]
        self._tasks = Tasks("tasks", rng, config)
        self._value_up = layers.Dense("value_up", rng, 2 * width + 1, width, math.sqrt(2.0))
        self._value_out = layers.Dense("value_out", rng, width, 1, 0.1)

    def take_over(self, before: "GoNetwork") -> None:
        """Sets all variables to those of a network of the same config for another schema, so
        that both say the same of a graph: columns that it did not have count for nothing, and
        types of ops that it did not know start as what it took them for.

        Raises:
          ValueError: columns or types that it had are no longer there, or devices and links
            are described otherwise.
        """
        for name in ("device_features", "link_features"):
            if before.schema[name] != self.schema[name]:
                raise ValueError(f"{name} of another schema")
        for mine, theirs in zip(self.variables, before.variables, strict=True):
            if mine.shape == theirs.shape:
                mine.assign(theirs)
        rows = _rows_of(before.schema["vocabulary"], self.schema["vocabulary"])
        # Row 0 is any other op.
        known = [max(row, 0) for row in rows]
        self._op_type.table.assign(before._op_type.table.numpy()[known])
        weights, names = before._features.weights.numpy(), self.schema["op_features"]
        rows = _rows_of(before.schema["op_features"], names)
        mine = np.zeros(self._features.weights.shape, np.float32)
        mine[: len(names)] = np.where(np.array(rows)[:, np.newaxis] >= 0, weights[rows], 0.0)
        mine[len(names) :] = weights[len(before.schema["op_features"]) :]
        self._features.weights.assign(mine)

    def num_parameters(self) -> int:
        """Of all layers together."""
        return sum(int(np.prod(v.shape)) for v in self.trainable_variables)

    def __call__(self, inputs: go_inputs.GraphInputs, actions: Actions) -> Heads:
        """One pass, of which gradients may be taken.

        Args:
          inputs: of the graph and machine.
          actions: those of the previous pass; initial_actions() for the first.
        """
        return self.decode(self.encode(inputs, learns=True), inputs, actions)

    def encode(self, inputs: go_inputs.GraphInputs, learns: bool = False) -> Encoded:
        """What is the same in all passes.

        Args:
          inputs: of the graph and machine.
          learns: gradients are going to be taken, which takes longer.
        """
        num_ops = tf.shape(inputs.op_type)[0]
        columns = tf.concat(
            [
                inputs.op_features * self._scales,
                _time_columns(inputs.op_device_micros),
                *(devices.waves(inputs.op_features[:, k]) for k in self._positions),
            ],
            1,
        )
        h = tf.nn.relu(self._op_type(inputs.op_type) + self._features(columns))
        graph = layers.graph_tensor(num_ops, inputs.edge_src, inputs.edge_dst)
        for layer in self._sage:
            h = layer(graph, h)
        segments = layers.Segments.of(num_ops, self.config.segment, self.config.recurrence, learns)
        h = segments.split(self._sage_out(h))
        multiplier = None
        if self.config.superposition:
            conditions = self._conditioning(h, segments)
            multiplier = 1.0 + self._multiplier(layers.normalize(conditions))
        return Encoded(h, multiplier, self._device_encoder(inputs), segments)

    def decode(self, encoded: Encoded, inputs: go_inputs.GraphInputs, actions: Actions) -> Heads:
        """One pass over what encode() returned."""
        segments = encoded.segments
        last = devices.placed(
            inputs,
            actions.device,
            inputs.op_features[:, self._written],
            inputs.device_features[:, self._memory],
        )
        machine = self._state.devices(encoded.devices, last.load)
        x = encoded.h + segments.split(self._state(actions, machine))
        x += self._machine(tf.reduce_mean(machine, 0, keepdims=True))
        for layer in self._trunk:
            if encoded.multiplier is not None:
                x *= encoded.multiplier
            x = layer(x, segments)
        value = self._value(x, machine, segments)
        return Heads(*self._tasks(x, segments, machine, inputs, last), value)

    def _value(self, x: tf.Tensor, machine: tf.Tensor, segments: layers.Segments) -> tf.Tensor:
        """The value network shares the trunk (section 3 does not say)."""
        num_ops = tf.cast(segments.num_ops, tf.float32)
        summed = tf.reduce_sum(layers.normalize(x) * segments.real, [0, 1])
        size = tf.math.log1p(num_ops)[tf.newaxis] * devices.LOG_SCALE
        pooled = [tf.math.divide_no_nan(summed, num_ops), tf.reduce_mean(machine, 0), size]
        hidden = tf.nn.relu(self._value_up(tf.concat(pooled, 0)[tf.newaxis]))
        return tf.reshape(self._value_out(hidden), [])


class State(tf.Module):
    """Last actions as embeddings that are added to those of ops: what Figure 3 draws as a
    concatenation, after the linear map that follows it."""

    def __init__(self, name: str, rng: np.random.Generator, config: go_config.NetworkConfig):
        super().__init__(name=name)
        width = config.width
        self._load = layers.Dense("load", rng, 4, width)
        self._undecided = layers.Embedding("undecided", rng, 1, width)
        self._device = layers.Dense("device", rng, width, width)
        # Row 0: undecided.
        self._fusion = layers.Embedding("fusion", rng, 1 + config.fusion_levels, width)
        self._schedule = layers.Embedding("schedule", rng, 1 + config.schedule_levels, width)
        self._recompute = layers.Embedding("recompute", rng, 1 + 2, width)

    def devices(self, embeddings: tf.Tensor, load: tf.Tensor) -> tf.Tensor:
        """[D, width] devices with what is on them now."""
        return embeddings + self._load(load)

    def __call__(self, actions: Actions, machine: tf.Tensor) -> tf.Tensor:
        """[N, width]; `machine` from devices()."""
        device = tf.concat([self._undecided.table, self._device(machine)], 0)
        return (
            tf.gather(device, actions.device + 1)
            + self._fusion(actions.fusion + 1)
            + self._schedule(actions.schedule + 1)
            + self._recompute(actions.recompute + 1)
        )


class Tasks(tf.Module):
    """Recurrent attention over the tasks fusion, placement, scheduling, recomputation (the
    paper's 2.5; the last is ours):

        H^t = LN(project_t [A^(t-1); H^(t-1)])       A^t = head_t(MultiHeadAttn(H^t))

    The attention is shared; the projection back to the network's width, which the paper
    leaves open, and the head are each task's own. A^(t-1) enters as the expected embedding
    of the last task's action under its logits: neither samples, which would make the tasks
    of a pass depend on a draw, nor bare logits, whose number would depend on the devices.
    """

    def __init__(self, name: str, rng: np.random.Generator, config: go_config.NetworkConfig):
        super().__init__(name=name)
        width = config.width
        self._attention = (
            layers.SegmentAttention("attention", rng, config) if config.attention else None
        )
        self._project = [
            layers.Dense(f"project_{i}", rng, width if i == 0 else 2 * width, width)
            for i in range(4)
        ]
        self._device = devices.DeviceHead("device", rng, width)
        levels = {"fusion": config.fusion_levels, "schedule": config.schedule_levels}
        levels["recompute"] = 2
        self._heads = {
            name: LevelHead(name, rng, width, n, is_last=name == "recompute")
            for name, n in levels.items()
        }

    def __call__(
        self,
        x: tf.Tensor,
        segments: layers.Segments,
        machine: tf.Tensor,
        inputs: go_inputs.GraphInputs,
        last: devices.Placed,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Logits of device, fusion, schedule and recompute.

        Args:
          x: [S, L, width] from the trunk.
          segments: of the ops.
          machine: [D, width] devices.
          inputs: of the graph.
          last: of the previous pass.
        """
        h = self._attend(0, x, segments)
        fusion, answer = self._heads["fusion"](segments.join(h))
        h = self._attend(1, tf.concat([segments.split(answer), h], -1), segments)
        device = self._device(segments.join(h), machine, inputs, last)
        answer = tf.matmul(tf.nn.softmax(device), machine)
        h = self._attend(2, tf.concat([segments.split(answer), h], -1), segments)
        schedule, answer = self._heads["schedule"](segments.join(h))
        h = self._attend(3, tf.concat([segments.split(answer), h], -1), segments)
        recompute, _ = self._heads["recompute"](segments.join(h))
        return device, fusion, schedule, recompute

    def _attend(self, task: int, x: tf.Tensor, segments: layers.Segments) -> tf.Tensor:
        h = layers.normalize(self._project[task](x))
        return h if self._attention is None else h + self._attention(h, segments)


class LevelHead(tf.Module):
    """A task whose actions are levels: affine, ReLU, affine.

    Args:
      is_last: no task comes after it that would hear its answer.
    """

    def __init__(
        self,
        name: str,
        rng: np.random.Generator,
        width: int,
        num_levels: int,
        is_last: bool = False,
    ) -> None:
        super().__init__(name=name)
        self._up = layers.Dense("up", rng, width, width, math.sqrt(2.0))
        # Small: the first policy is nearly uniform.
        self._out = layers.Dense("out", rng, width, num_levels, 0.1)
        self._levels = None if is_last else layers.Embedding("levels", rng, num_levels, width)

    def __call__(self, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[N, width] -> logits [N, levels], expected embedding [N, width] (h if last)."""
        logits = self._out(tf.nn.relu(self._up(h)))
        if self._levels is None:
            return logits, h
        return logits, tf.matmul(tf.nn.softmax(logits), self._levels.table)


def _rows_of(before: list[str], now: list[str]) -> list[int]:
    """Of each name of now, its number in before; -1 where it was not there.

    Raises:
      ValueError: one that was there is gone.
    """
    gone = sorted(set(before) - set(now))
    if gone:
        raise ValueError(f"{', '.join(gone)}: no longer part of the schema")
    return [before.index(name) if name in before else -1 for name in now]


def _column_scales(names: list[str]) -> np.ndarray:
    """[F] what brings each column of op_features to about 1."""
    scales = {"output_rank": 0.25, "dtype_size": 0.125}
    return np.array(
        [scales.get(n, devices.LOG_SCALE if n.startswith("log2_") else 1.0) for n in names],
        np.float32,
    )


def _time_columns(op_device_micros: tf.Tensor) -> tf.Tensor:
    """[N, D] -> [N, 3 + NUM_WAVES]: an op's time on the mean device, on the fastest and
    the slowest; and which share of all work comes before it in topological order.

    That share is no position in the paper's sense (2.3 drops these for the sake of
    transfer): it does not count ops, and is the same for a graph of any size.
    """
    micros = tf.exp(op_device_micros * math.log(2.0)) - 1.0
    mean = tf.reduce_mean(micros, 1)
    share = tf.math.divide_no_nan(tf.cumsum(mean), tf.reduce_sum(mean))
    times = [
        tf.reduce_mean(op_device_micros, 1),
        tf.reduce_min(op_device_micros, 1),
        tf.reduce_max(op_device_micros, 1),
    ]
    return tf.concat(
        [tf.stack(times, 1) * devices.LOG_SCALE, devices.waves(tf.minimum(share, 1.0))], 1
    )
