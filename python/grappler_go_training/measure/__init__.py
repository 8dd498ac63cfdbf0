"""Plans, run for real; and how far the simulator is from that.

    from grappler_go_training import baselines, measure

    graph = measure.capture_graph("mlp-train")
    plan = baselines.make_plan("priority_fusion", graph.op_graph(), machine)
    for one in measure.measure_plans("mlp-train", [plan], cache="measured"):
        print(one.error or f"{one.median_ms:.3g} ms, {one.ratio:.2f} of the time without it")

run          measure_plans(): many plans of a program, failures and the cache
session      the processes: one program kept warm; a cluster of two workers on loopback
worker       the process that runs the program; server: one worker of the cluster
measurement  what came of it, as a file
memory       how much of it a step took
candidates   plans to compare the simulator with; fidelity: the comparison; store: its files
op_times     where a step's time goes, measured and simulated
judge        TensorFlow's own cost model on the same placements
"""

from grappler_go.bench.process import WorkerError
from grappler_go_training.measure.measurement import Measurement
from grappler_go_training.measure.run import capture_graph, measure_plans
from grappler_go_training.measure.session import DEVICES, KINDS, Session

__all__ = [
    "DEVICES",
    "KINDS",
    "Measurement",
    "Session",
    "WorkerError",
    "capture_graph",
    "measure_plans",
]
