"""The programs that `grappler-go bench` measures: for judging, never for training."""

from grappler_go.bench import models
from grappler_go_training.workloads.registry import workload
from grappler_go_training.workloads.workload import Made


@workload("bench-transformer-train", "transformer", training=True, program="transformer-train")
@workload("bench-transformer-infer", "transformer", training=False, program="transformer-infer")
@workload("bench-chargpt-train", "gpt", training=True, program="chargpt-train")
@workload("bench-chargpt-dropout-train", "gpt", training=True, program="chargpt-dropout-train")
@workload("bench-wavenet-train", "wavenet", training=True, program="wavenet-train")
@workload("bench-wavenet-infer", "wavenet", training=False, program="wavenet-infer")
@workload("bench-lstm-train", "lstm", training=True, program="lstm-train")
@workload("bench-lstm-infer", "lstm", training=False, program="lstm-infer")
@workload("bench-black-scholes", "black-scholes", training=False, program="black-scholes")
@workload("bench-mlp-train", "mlp", training=True, program="mlp-train")
@workload("bench-dlrm-train", "dlrm", training=True, program="dlrm-train")
def bench(program: str) -> Made:
    """A program of grappler_go.bench.models."""
    made = models.build(program)
    return made.step, made.args
