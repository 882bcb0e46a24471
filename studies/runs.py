"""From a declaration to its runs: what each of them trains, or which checkpoint it takes as it is.

A run is a recipe of ``training`` and nothing else; whatever decides its numbers is in there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import StudyError, UnknownNameError
from ..training.network_size import SIZES as NETWORK_SIZES
from ..training.network_size import NetworkSize
from ..training.recipe import Recipe
from ..training.recipes import get_recipe, recipe_names
from ..training.run_record import checkpoint_of
from .declaration import DatasetsStudy, FinetuneStudy, ScalingStudy, Study

FAMILIES = ("smplestx", "smplerx")
GENERALIST = "generalist"  # the run of a finetuning that trains nothing
_SIZE = re.compile(r"(\d+)x(\d+)x(\d+)")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row of a study: a network, the model that its results name, and how it comes about."""

    name: str  # of its folder, and what is different about it
    model: str
    revision: str
    recipe: Recipe | None = None  # None: nothing is trained, the checkpoint is scored as it is
    checkpoint: Path | None = None


def runs_of(study: Study) -> list[Run]:
    """Return the runs of a study in its order; an unknown recipe, size, member or setting raises an EhpsError."""
    listed = _LISTS[study.kind](study)
    runs = list(listed)
    names = [run.name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise StudyError(f"study {study.name}: {min(twice)} is listed twice")
    return runs


def _trained(study: Study, name: str, recipe: Recipe) -> Run:
    """Return the run of a recipe, which takes the run's name."""
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", name)
    model = f"{study.name}-{name}"
    return Run(name=name, model=model, revision=f"step-{recipe.steps}", recipe=replace(recipe, name=model))


def _one_by_one(study: DatasetsStudy) -> Iterator[Run]:
    """Yield a run for each data set alone."""
    for dataset in study.datasets:
        yield _trained(
            study, dataset, get_recipe(study.recipe, [*study.settings, f"mixture={study.mixture}/{dataset}"])
        )


def _sizes_by_data(study: ScalingStudy) -> Iterator[Run]:
    """Yield a run for each size of network on each mixture, the cheapest first."""
    for mixture in study.mixtures:
        for size in study.sizes:
            settings = [setting.replace("{size}", size) for setting in study.settings]
            yield _trained(study, f"{size}-{Path(mixture).stem}", _sized(study.recipe, size, mixture, settings))


def _sized(recipe: str, size: str, mixture: str, settings: list[str]) -> Recipe:
    """Return the recipe of a family for a size and a number of sources, or any recipe with both put in."""
    if recipe in FAMILIES:
        name = f"{recipe}_{size}{mixture}"
        if name not in recipe_names():
            raise UnknownNameError("recipe", name, recipe_names())
        return get_recipe(name, settings)
    changed = get_recipe(recipe, [*settings, f"mixture={mixture}"])
    return replace(changed, network=network_of_size(size, changed.network))


def network_of_size(text: str, like: NetworkSize) -> NetworkSize:
    """Return a network by letter, or WIDTHxDEPTHxHEADS of an encoder with the other numbers of ``like``."""
    if text in NETWORK_SIZES:
        return NETWORK_SIZES[text]
    found = _SIZE.fullmatch(text)
    if found is None:
        raise StudyError(f"a size should be {', '.join(NETWORK_SIZES)} or look like 96x3x3, found {text!r}")
    width, depth, heads = map(int, found.groups())
    return like._replace(embed_dim=width, depth=depth, num_heads=heads)


def _specialists(study: FinetuneStudy) -> Iterator[Run]:
    """Yield the generalist as it is, then a finetuned network for each target."""
    from ..training.checkpoint import load_checkpoint
    from ..training.predictor import model_and_revision
    from ..training.start import started_from

    path = checkpoint_of(study.checkpoint)
    model, revision = model_and_revision(load_checkpoint(path), path)
    yield Run(name=GENERALIST, model=model, revision=revision, checkpoint=path)
    for target in study.targets:
        settings = [setting.replace("{target}", target) for setting in study.settings]
        recipe = get_recipe(study.recipe.replace("{target}", target), settings)
        yield _trained(study, target, started_from(recipe, path))


_LISTS = {"datasets": _one_by_one, "scaling": _sizes_by_data, "finetune": _specialists}
