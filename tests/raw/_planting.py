"""Errors planted on purpose, and what the comparison with the truth makes of them."""

import importlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from ehps.tests.raw._people import Truth
from ehps.tests.raw._recovery import differences, worst

LOG = logging.getLogger(__name__)

Plant = Callable[[pytest.MonkeyPatch], None]


class Tree(NamedTuple):
    """A fake tree without bad records."""

    dataset: str
    root: Path
    truth: Truth
    splits: tuple[str, ...]


def planted_tree(dataset: str, root: Path, **settings: Any) -> Tree:
    """Write the fake tree of a source and return what a planted error is measured on."""
    fake = importlib.import_module(f"ehps.tests.raw.{dataset}")
    return Tree(dataset, root, fake.build(root, bad=False, **settings), fake.SPLITS)


def wrapped(owner: ModuleType | type, name: str, change: Callable[[Any], Any]) -> Plant:
    """Return a planted error: the function ``name`` of a module with its result changed."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: change(original(*args, **kwargs)))

    return plant


def replaced(owner: ModuleType | type, name: str, value: Any) -> Plant:
    """Return a planted error: an attribute of a module replaced."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


def reported(tree: Tree) -> tuple[float, float, float]:
    """Return the largest distances (mesh in mm, joints in px, keypoints in px) that the comparison reports."""
    return worst(differences(*tree))


def assert_reported(
    name: str, plant: Plant, tree: Tree, bounds: Sequence[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant an error; fail unless at least these distances (mesh in mm, joints in px, keypoints in px) are reported.

    Nobody is seen who stands behind the camera, so pixels that are not there satisfy any bound.
    """
    plant(monkeypatch)
    found = reported(tree)
    LOG.info("%s: mesh %.1f mm, joints %.1f px, keypoints %.1f px", name, *found)
    assert found[0] >= bounds[0]
    assert not found[1] < bounds[1]
    assert not found[2] < bounds[2]
