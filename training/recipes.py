"""Recipes by name: functions that return a training run complete.

``get_recipe("demo")`` gives a recipe, ``get_recipe("demo", ["batch_size=16", "network.depth=4"])`` a changed one. The
published ones carry the values of the release configurations of SMPLer-X (public repository SMPLCap/SMPLer-X) and
SMPLest-X (wqyin/SMPLest-X): batch size, learning rates, epochs, and people an epoch, which the mixtures tell.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from ..errors import UnknownNameError
from .augment import AugmentationRange
from .mixture_spec import PAPER_MIXTURES, load_mixture
from .network_size import SIZES, ModelName, NetworkSize
from .overrides import overridden
from .recipe import Recipe

SPECIALISTS = ("agora", "pw3d", "ubody", "egobody", "arctic", "dna_rendering")


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


class Family(NamedTuple):
    """What the published runs of a network have in common."""

    model: ModelName
    title: str
    epochs: int
    mixes: tuple[int, ...]
    batch_sizes: dict[str, int]


SMPLER_X = Family("smpler-x", "SMPLer-X", 10, (5, 10, 20, 32), {"s": 512, "b": 512, "l": 512, "h": 256})
# Only H was released; the smaller ones take its values.
SMPLEST_X = Family("smplest-x", "SMPLest-X", 20, (5, 10, 20, 32, 40), dict.fromkeys("sblh", 256))


def generalist(family: Family, size: str, num_sources: int) -> Recipe:
    """Return the published training of a size on a mixture of 5, 10, 20, 32 or 40 sources.

    Give the encoder's weights: ``vitpose=vitpose_huge.pth``.
    """
    mixture, batch_size = PAPER_MIXTURES[num_sources], family.batch_sizes[size]
    return Recipe(
        name=f"{family.model.replace('-', '')}_{size}{num_sources}",
        about=f"{family.title}-{size.upper()} on {num_sources} sources, with the values of the release.",
        mixture=mixture,
        model=family.model,
        network=SIZES[size],
        batch_size=batch_size,
        steps=_steps(mixture, family.epochs, batch_size),
        lr=1e-5,
        min_lr=1e-6,
    )


def specialist(target: str) -> Recipe:
    """Return SMPLer-X's finetuning for one benchmark: five epochs on the target and the four sources nearest to it.

    Start it from a generalist: ``ehps train finetune_agora --from CHECKPOINT``, whose network it takes.
    """
    mixture = f"finetune_{target}"
    return Recipe(
        name=mixture,
        about=f"Makes a generalist a specialist for {target}, as SMPLer-X was finetuned.",
        mixture=mixture,
        model="smpler-x",
        batch_size=256,
        steps=_steps(mixture, 5, 256),
        lr=1e-5,
        min_lr=5e-7,
    )


def _steps(mixture: str, epochs: int, batch_size: int) -> int:
    """Return the steps of some epochs of a mixture that says how long one is."""
    people = load_mixture(mixture).epoch_length
    assert people is not None, f"the mixture {mixture} does not say how long an epoch is"
    return epochs * -(-people // batch_size)


def _book() -> dict[str, Callable[[], Recipe]]:
    """Return every recipe by name."""
    book: dict[str, Callable[[], Recipe]] = {"demo": demo}
    for family in (SMPLER_X, SMPLEST_X):
        for size in SIZES:
            for count in family.mixes:
                make = partial(generalist, family, size, count)
                book[f"{family.model.replace('-', '')}_{size}{count}"] = make
    return book | {f"finetune_{target}": partial(specialist, target) for target in SPECIALISTS}


RECIPES = _book()


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with ehps."""
    return sorted(RECIPES)


def get_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """Return a recipe by name, changed by ``key=value`` pairs; an unknown name raises UnknownNameError."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return overridden(RECIPES[name](), overrides)
