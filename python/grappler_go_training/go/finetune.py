"""A policy for one graph: a trained one that learns on for some steps (fine-tuning), or a
new one from scratch (the paper's GO-one)."""

import dataclasses
import os
from collections.abc import Callable

from grappler_go_training.go.environment import Case
from grappler_go_training.go.network import GoNetwork
from grappler_go_training.go.searched import DEFAULT_PLANS, refined
from grappler_go_training.go.train import OnProgress, Result, train
from grappler_go_training.go.train_config import TrainConfig

# "Less than 50 steps" in the paper.
STEPS = 50


def finetune_config(config: TrainConfig, *, from_scratch: bool = False) -> TrainConfig:
    """The settings with which a policy of `config` learns on, on one graph: STEPS of PPO
    without imitation, one rollout a step. From scratch imitation comes first, as for any
    policy.

    Of the graph's memory: the network's gradient is what takes most, and it does not depend
    on the number of samples.
    """
    return dataclasses.replace(
        config,
        workloads=(),
        recorded=(),
        synthetic=0,
        imitation_steps=config.imitation_steps if from_scratch else 0,
        steps=STEPS,
        graphs_per_step=1,
        num_minibatches=1,
        max_ops=max(config.max_ops, 1_000_000),
    )


def finetune(
    case: Case,
    config: TrainConfig,
    folder: str | os.PathLike[str],
    start_from: GoNetwork | None = None,
    on_progress: OnProgress = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
    search_plans: int = DEFAULT_PLANS,
) -> Result:
    """Learns on one case; a run like any other, which goes on where it was stopped. In the end
    a search goes on from the best plan that was seen.

    Args:
      case: any; of evaluation families, too: what is learned is for this graph alone.
      config: of finetune_config().
      folder: of this run alone.
      start_from: the network to go on with; None: from scratch.
      search_plans: that the search simulates; 0: no search.

    Returns:
      As train(); `best` has the best plan of both.

    Raises:
      As train().
    """
    result = train(
        config,
        folder,
        cases=[case],
        start_from=start_from,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    best = {
        name: refined(case, one, search_plans, config.seed) for name, one in result.best.items()
    }
    return dataclasses.replace(result, best=best)
