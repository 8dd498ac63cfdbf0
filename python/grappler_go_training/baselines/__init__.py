"""What a policy has to beat: algorithms that make plans, and HDP, which learns from each
graph anew.

    from grappler_go_training import baselines

    graph = grappler_go.capture(step, x)[0].op_graph()
    machine = grappler_go.load_machine("p100x4")
    plan = baselines.make_plan("m_etf", graph, machine)
    for row in baselines.run_baselines(graph, machine, budget=baselines.Budget(plans=500)):
        print(row.name, row.step_ms, row.out_of_memory)

Every baseline is (problem, budget, seed) -> Plan, in a table by name (BASELINES); its
docstring names its source and where it differs. All obey what a plan may do: what TensorFlow
colocates stays together, and arguments, variables and their users stay where they are. With
free_state=True the program is taken to be yet to be placed on the machine, variables and all:
what papers on placement simulate. The pass refuses such plans.

METIS, KaHIP and Mt-KaHyPar come with pip install grappler-go[baselines].
"""

from grappler_go_training.baselines.budget import Budget, Judge, energy
from grappler_go_training.baselines.partition import MissingPackage
from grappler_go_training.baselines.problem import Problem
from grappler_go_training.baselines.registry import BASELINES, Baseline, make_plan
from grappler_go_training.baselines.run import Row, run_baselines
from grappler_go_training.baselines.sweep import Cell, sweep

__all__ = [
    "BASELINES",
    "Baseline",
    "Budget",
    "Cell",
    "Judge",
    "MissingPackage",
    "Problem",
    "Row",
    "energy",
    "make_plan",
    "run_baselines",
    "sweep",
]
