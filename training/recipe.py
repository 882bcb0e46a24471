"""What a training run is: everything that decides what it computes, in one record; stored beside its checkpoints."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import RecipeError, UnknownNameError
from .augment import AugmentationRange
from .compat import COMPAT
from .loss_weights import LossWeights
from .network_size import SIZES, ModelName, NetworkSize

Trained = Literal["all", "encoder", "neck_and_heads", "heads"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run."""

    name: str
    about: str
    mixture: str
    """Name of a mixture of ehps, or path of a YAML file."""
    allow_missing: bool = False
    """Train although the converted tree lacks some members of the mixture."""
    compat: Literal["paper", "smplest-x", "smpler-x"] = "paper"
    """What the papers say, or the released code with its quirks (``compat.py``) and its strategy "balance"."""
    model: ModelName = "smplest-x"
    """The network; its numbers are ``network``."""
    network: NetworkSize = SIZES["h"]
    trains: Trained = "all"
    """Which modules learn: everything, or for finetuning the encoder, what lies behind it, or the heads alone."""
    vitpose: str | None = None
    """File of ViTPose weights for the encoder."""
    start_from: str | None = None
    """Checkpoint, released or ours, whose weights training starts from."""
    position_std: float = 0.02
    """Deviation of the position embedding's random start. ViTPose's 0.02 is a thirtieth of what the pictures bring in:
    without its weights a network sees for a long time what there is, but not where."""
    batch_size: int = 256
    """People a step, over all ranks and accumulated parts."""
    accumulate: int = 1
    """Parts that a batch is computed in."""
    steps: int = 1000
    lr: float = 1e-5
    min_lr: float = 1e-6
    warmup_steps: int = 0
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    """Factor of the learning rate from each block of the encoder to the one below; 1: the same for all."""
    clip: float | None = None
    """Largest norm of the gradient."""
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Of several ranks: each has the whole network, or a share of its weights and gradients (FSDP2)."""
    recompute_blocks: bool = False
    """Recompute the encoder's blocks in the backward pass: a third more time, a fraction of the memory."""
    ema: float | None = None
    """Decay of a running mean of the weights, which the predictor then uses."""
    augmentation: AugmentationRange = field(default_factory=AugmentationRange)
    weights: LossWeights = field(default_factory=LossWeights)
    seed: int = 2023
    cpu_threads: int | None = None
    """Threads of the arithmetic where a run is on the processor; None leaves the choice to torch."""
    workers: int = 4
    """Threads that read ahead, on each rank; 0 reads in the loop."""
    prefetch: int = 4
    """Batches read ahead."""
    log_every: int = 100
    save_every: int = 5000
    keep: int = 2
    """Checkpoints that stay on disk."""

    def __post_init__(self) -> None:
        positive = ("batch_size", "accumulate", "steps", "lr", "layer_decay", "log_every", "save_every", "keep")
        for name in positive:
            if getattr(self, name) <= 0:
                raise RecipeError(f"recipe {self.name}: {name} should be positive, found {getattr(self, name)}")
        if self.batch_size % self.accumulate:
            raise RecipeError(f"recipe {self.name}: accumulate={self.accumulate} does not divide batch_size")
        if self.compat not in COMPAT:
            raise UnknownNameError("compat mode", self.compat, COMPAT)
        if self.vitpose and self.start_from:
            raise RecipeError(f"recipe {self.name}: give vitpose or start_from, not both")


# These change how fast a run goes or what it leaves behind, not what it computes.
FREE_ON_RESUME = frozenset({"about", "workers", "prefetch", "log_every", "save_every", "keep", "compile", "parallel"})


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain data."""
    return dataclasses.asdict(recipe) | {"network": recipe.network._asdict()}


def recipe_from_dict(stored: Mapping[str, Any]) -> Recipe:
    """Return the recipe that ``recipe_to_dict`` wrote; fields that did not exist then have their defaults."""
    groups = {"network": NetworkSize, "augmentation": AugmentationRange, "weights": LossWeights}
    known = {f.name for f in dataclasses.fields(Recipe)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise UnknownNameError("recipe field", unknown[0], known)
    return Recipe(**{name: groups[name](**value) if name in groups else value for name, value in stored.items()})
