"""All workloads by name, and the one place where families are split."""

import difflib
import functools
import importlib
from collections.abc import Callable
from typing import Any

from grappler_go_training.workloads.workload import SPLITS, Made, Workload

# Held out by family, once and for all: results on "test" are about architectures that no
# training has seen. What `grappler-go bench` runs is judged by, so no family of its is
# in "train" (keras.applications among them). Changing a line here makes results before
# and after it incomparable.
SPLIT_OF: dict[str, str] = {
    # The paper's six.
    "rnnlm": "test",
    "gnmt": "train",
    "transformer-xl": "train",
    "inception-v3": "test",
    "amoebanet": "train",
    "wavenet": "test",
    # Transformers.
    "bert": "train",
    "vit": "train",
    "t5": "validation",
    "gpt": "test",
    "transformer": "test",
    # Images.
    "squeezenet": "train",
    "shufflenet": "train",
    "darknet": "train",
    "unet": "train",
    "mlp-mixer": "train",
    "densenet": "validation",
    "efficientnet": "validation",
    "resnet": "test",
    "nasnet": "test",
    "mobilenet": "test",
    "convnext": "test",
    # What makes images.
    "vae": "train",
    "diffusion": "train",
    "gan": "validation",
    # Sequences, tables, graphs.
    "speech": "train",
    "lstm": "test",
    "mlp": "test",
    "two-tower": "train",
    "dlrm": "test",
    "gnn": "train",
    # Numerics.
    "pde": "train",
    "linear-solver": "train",
    "n-body": "train",
    "filter": "train",
    "clustering": "validation",
    "black-scholes": "test",
}

# The rows of the paper's Table 2, in its order.
PAPER = (
    *("rnnlm-2", "rnnlm-4", "rnnlm-8"),
    *("gnmt-2", "gnmt-4", "gnmt-8"),
    *("transformer-xl-2", "transformer-xl-4", "transformer-xl-8"),
    *("inception-v3-b32", "inception-v3-b64"),
    "amoebanet",
    *("wavenet-2x18", "wavenet-4x36"),
)

# The modules that register workloads.
_MODULES = (
    *("rnnlm", "gnmt", "transformer_xl", "amoebanet", "wavenet"),
    *("applications", "images", "transformers", "generative", "sequences", "tables"),
    *("numerics", "programs"),
)

_WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str, family: str, *, training: bool, num_devices: int = 1, **settings: Any
) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Registers what makes a workload, called with `settings`. May be repeated.

    Raises:
      KeyError: a family without a split.
      ValueError: a name that is taken.
    """

    def register(make: Callable[..., Made]) -> Callable[..., Made]:
        if name in _WORKLOADS:
            raise ValueError(f"two workloads {name!r}")
        _WORKLOADS[name] = Workload(
            name,
            family,
            training,
            num_devices,
            SPLIT_OF[family],
            functools.partial(make, **settings),
        )
        return make

    return register


def both(
    name: str, family: str, **settings: Any
) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Registers NAME-train and NAME-infer, which are made with training=True and False."""

    def register(make: Callable[..., Made]) -> Callable[..., Made]:
        for suffix, training in (("train", True), ("infer", False)):
            settings_and_kind = {**settings, "training": training}
            full = f"{name}-{suffix}"
            if full in _WORKLOADS:
                raise ValueError(f"two workloads {full!r}")
            _WORKLOADS[full] = Workload(
                full,
                family,
                training,
                1,
                SPLIT_OF[family],
                functools.partial(make, **settings_and_kind),
            )
        return make

    return register


@functools.cache
def _all() -> dict[str, Workload]:
    """Every workload: the paper's first, then by family. Imports TensorFlow."""
    for module in _MODULES:
        importlib.import_module(f"grappler_go_training.workloads.{module}")
    rank = {name: number for number, name in enumerate(PAPER)}
    order = sorted(_WORKLOADS.values(), key=lambda w: (rank.get(w.name, len(PAPER)), w.family))
    return {w.name: w for w in order}


def names(
    family: str | None = None, split: str | None = None, paper: bool | None = None
) -> list[str]:
    """Names of workloads, those of the paper first, in an order that stays.

    Args:
      family: only of this one.
      split: only "train", "validation" or "test".
      paper: True: only the rows of the paper's Table 2; False: only others.

    Raises:
      ValueError: a family or a split that there is not.
    """
    if family is not None and family not in SPLIT_OF:
        raise ValueError(_unknown("family", family, SPLIT_OF))
    if split is not None and split not in SPLITS:
        raise ValueError(_unknown("split", split, SPLITS))
    return [
        w.name
        for w in _all().values()
        if family in (None, w.family)
        and split in (None, w.split)
        and paper in (None, w.name in PAPER)
    ]


def get(name: str) -> Workload:
    """The workload of that name.

    Raises:
      ValueError: there is none; the message has the nearest name.
    """
    if name not in _all():
        raise ValueError(_unknown("workload", name, _all()))
    return _all()[name]


def markdown_table() -> str:
    """The split as docs/workloads.md has it: a line for each family."""
    lines = ["| split | family | workloads |", "|---|---|---|"]
    for split in SPLITS:
        for family, side in SPLIT_OF.items():
            if side == split:
                lines.append(f"| {split} | {family} | {', '.join(names(family=family))} |")
    return "\n".join(lines) + "\n"


def _unknown(what: str, name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"no {what} {name!r}; the nearest is {near[0]!r}"
