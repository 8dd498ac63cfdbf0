"""A genetic search over placements."""

from typing import TYPE_CHECKING

import numpy as np

from grappler_go_training.baselines.anneal import Groups
from grappler_go_training.baselines.budget import Budget, Judge
from grappler_go_training.baselines.expert import human_expert
from grappler_go_training.baselines.problem import Problem
from grappler_go_training.baselines.simple import one_device

if TYPE_CHECKING:
    from grappler_go import Plan

_POPULATION = 16
_ELITE = 4
_MUTANTS = 2
# An offspring takes each run of its genes from its better parent this often.
_INHERIT = 0.7
# Genes (groups in order) that are inherited together, as a share of all.
_RUN_SHARE = 1 / 16
_MUTATION = 0.02


def genetic(problem: Problem, budget: Budget, seed: int) -> "Plan":
    """A population of placements, bred with a bias to the better parent and judged by the
    simulator; returns the best plan seen.

    Source: Gonçalves and Resende, "Biased random-key genetic algorithms for combinatorial
    optimization" (J. Heuristics 2011), as REGAL (Paliwal et al., ICLR 2020) uses it for
    placing graphs. We differ in that a gene is the device itself and not a random key,
    that neighbouring genes are inherited in runs, that offspring mutate, and that the
    first population has TensorFlow's, the expert's and the one-device placement in it.
    """
    name = "genetic"
    judge = Judge(problem.graph, problem.machine, budget)
    if len(problem.movable) == 0 or judge.left == 0:
        return problem.plan(name)
    known = [human_expert(problem, budget, seed), one_device(problem, budget, seed)]
    search = Groups(problem, known[0])
    random = np.random.default_rng(seed)
    population = [search.home(), *(search.from_plan(plan) for plan in known)]
    while len(population) < _POPULATION:
        population.append(search.random(random))
    energies = judge.energies([search.plan(state, name) for state in population])
    if not energies:
        return problem.plan(name)
    population = population[: len(energies)]
    while judge.left > 0 and len(population) > _ELITE:
        order = np.argsort(energies, kind="stable")
        population = [population[k] for k in order]
        energies = [energies[k] for k in order]
        offspring = [search.random(random) for _ in range(_MUTANTS)]
        while len(offspring) < _POPULATION - _ELITE:
            better = population[int(random.integers(_ELITE))]
            other = population[int(random.integers(_ELITE, len(population)))]
            offspring.append(_cross(search, better, other, random))
        # What the budget no longer covers is not judged, and falls away.
        judged = judge.energies([search.plan(state, name) for state in reversed(offspring)])
        kept = list(reversed(offspring))[: len(judged)]
        population = population[:_ELITE] + kept
        energies = energies[:_ELITE] + judged
    return search.plan(population[int(np.argmin(energies))], name)


def _cross(
    search: Groups,
    better: np.ndarray,
    other: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    length = max(1, int(search.num_groups * _RUN_SHARE))
    runs = -(-search.num_groups // length)
    from_better = np.repeat(random.random(runs) < _INHERIT, length)[: search.num_groups]
    child = np.where(from_better, better, other)
    mutates = random.random(search.num_groups) < _MUTATION
    return np.where(mutates, search.random(random), child)
