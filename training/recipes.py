"""Recipes: everything that decides what a training run computes, as functions that return it complete.

``get_recipe("demo")`` gives a recipe, ``overridden(recipe, ["batch_size=16", "network.depth=4"])`` changes it by typed
``key=value`` pairs. The resolved recipe is stored beside the checkpoints. Values of ``smplestx_h`` are those of the
release configuration of SMPLest-X (public repository wqyin/SMPLest-X).
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import RecipeError, UnknownNameError
from .augment import AugmentationRange
from .compat import COMPAT
from .losses import LossWeights
from .networks import ModelName
from .smplestx import SIZES, NetworkSize


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
    clip: float | None = None
    """Largest norm of the gradient."""
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
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
        positive = ("batch_size", "accumulate", "steps", "lr", "log_every", "save_every", "keep")
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
FREE_ON_RESUME = frozenset({"about", "workers", "prefetch", "log_every", "save_every", "keep", "compile"})


def demo() -> Recipe:
    """Return a network that learns a few hundred rendered people in about a minute and a half on two cores."""
    return Recipe(
        name="demo",
        about="A small network that learns the demo's rendered people on a laptop.",
        mixture="demo",
        network=NetworkSize(96, 3, 3, drop_path_rate=0.0, dim_out=32, decoder_depth=2, decoder_heads=2),
        position_std=0.5,
        batch_size=16,
        steps=240,
        lr=1e-3,
        min_lr=2e-5,
        warmup_steps=20,
        clip=20.0,
        augmentation=AugmentationRange(scale=0.1, rotation=10.0, colour=0.1),
        cpu_threads=1,  # the other core decodes pictures; two threads would wait for each other
        workers=2,
        log_every=20,
        save_every=120,
        seed=1,
    )


def smplestx_h() -> Recipe:
    """Return SMPLest-X-H as released: 20 epochs of 7.5 million people at 256 a step.

    The paper mixes forty sources, which are not listed in public; this begins with its five. Give the encoder's
    weights: ``vitpose=vitpose_huge.pth``.
    """
    return Recipe(
        name="smplestx_h",
        about="SMPLest-X-H with the values of its release configuration.",
        mixture="five",
        network=SIZES["h"],
        batch_size=256,
        steps=20 * 29_297,
        lr=1e-5,
        min_lr=1e-6,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"demo": demo, "smplestx_h": smplestx_h}


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with ehps."""
    return sorted(RECIPES)


def get_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe by name, changed by ``key=value`` pairs; an unknown name raises UnknownNameError."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return overridden(RECIPES[name](), overrides)


def overridden(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Return a recipe changed by ``key=value`` pairs; dots reach inside (``augmentation.rotation=0``).

    ``network`` also takes a size's letter. Unknown keys raise UnknownNameError, unfit values RecipeError.
    """
    changes: dict[str, Any] = {}
    for pair in overrides:
        key, equals, text = pair.partition("=")
        if not equals:
            raise RecipeError(f"an override reads key=value, found {pair!r}")
        name, _, inner = key.partition(".")
        changes[name] = _value(changes.get(name, getattr(recipe, name, None)), name, inner, text)
    return dataclasses.replace(recipe, **changes)


def _value(current: Any, name: str, inner: str, text: str) -> Any:
    """Return the new value of a field, or of the part of it that ``inner`` names."""
    hints = typing.get_type_hints(Recipe)
    if name not in hints:
        raise UnknownNameError("recipe field", name, hints)
    if not inner:
        return _parsed(name, hints[name], text)
    parts = typing.get_type_hints(hints[name]) if _is_group(hints[name]) else {}
    if inner not in parts:
        raise UnknownNameError(f"part of the recipe field {name}", inner, parts)
    change = {inner: _parsed(f"{name}.{inner}", parts[inner], text)}
    return current._replace(**change) if hints[name] is NetworkSize else dataclasses.replace(current, **change)


def _is_group(hint: Any) -> bool:
    """Return whether a type has named parts."""
    return hint is NetworkSize or dataclasses.is_dataclass(hint)


def _parsed(name: str, hint: Any, text: str) -> Any:
    """Return text as a value of a type."""
    if isinstance(hint, types.UnionType):
        if text.lower() in ("none", "null"):
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is Literal:
        if text not in typing.get_args(hint):
            raise UnknownNameError(f"value of {name}", text, typing.get_args(hint))
        return text
    readers: dict[Any, Callable[[str], Any]] = {int: _whole, float: float, bool: _truth, str: str, NetworkSize: _size}
    if hint not in readers:
        raise RecipeError(f"{name} is changed part by part, as in {name}.{next(iter(typing.get_type_hints(hint)))}=...")
    try:
        return readers[hint](text)
    except ValueError as error:
        raise RecipeError(f"{name} should be of type {hint.__name__}, found {text!r}") from error


def _whole(text: str) -> int:
    """Return a whole number, also when written as 1e6."""
    value = float(text.replace("_", ""))
    if value != int(value):
        raise ValueError(text)
    return int(value)


def _truth(text: str) -> bool:
    """Return true or false."""
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _size(text: str) -> NetworkSize:
    """Return a network size by its letter."""
    if text.lower() not in SIZES:
        raise UnknownNameError("network size", text, SIZES)
    return SIZES[text.lower()]


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
