"""Fake raw trees, each built once a session, and a made-up source that the engine's tests convert."""

import hashlib
import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Callable[..., Any]:
    """``built(fake, root, ...)`` is ``fake.build(root, ...)``, but copies a tree that this session built before.

    The truth that it returns is everyone's: tests only read it.
    """
    known: dict[str, tuple[Path, Any]] = {}

    def build(fake: ModuleType, root: Path, **options: Any) -> Any:
        key = f"{fake.__name__} {sorted(options.items())}"
        if key not in known:
            pristine = tmp_path_factory.mktemp("pristine")
            known[key] = pristine, fake.build(pristine, **options)
        shutil.copytree(known[key][0], root, dirs_exist_ok=True)
        return known[key][1]

    return build


@pytest.fixture(scope="module")
def root(request, built, tmp_path_factory) -> Path:
    """A tree of the source that the module calls ``fake``, without bad records; its tests only read it."""
    root = tmp_path_factory.mktemp("root")
    built(request.module.fake, root, bad=False)
    return root


@pytest.fixture
def small(request, built, tmp_path) -> Path:
    """The same as a tree that a test may spoil."""
    built(request.module.fake, tmp_path, bad=False)
    return tmp_path


@pytest.fixture
def toy(monkeypatch):
    """The module toy_converter, known to the engine as the source ``toy``; also in processes that it spawns."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    module = importlib.import_module("toy_converter")
    module.register(monkeypatch.setattr, max_reject=0.2)
    return module


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def tree():
    """A function from a folder to the checksum of every file in it, without log, catalog and what is being written."""

    def files(root: Path) -> dict[str, str]:
        paths = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
        return {
            str(p): _digest(root / p) for p in paths if p.parts[0] not in (".log", ".tmp", "catalog", "catalog.duckdb")
        }

    return files


@pytest.fixture
def raw(toy, tmp_path):
    return toy.build(tmp_path / "raw", units=2, frames=3)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(toy, raw, out):
    """Convert the toy into ``out``; returns the reports of its splits, without a catalog."""
    from ehps.converters.engine import convert

    def run(split="train", **options):
        return convert("toy", raw, out, split, **{"catalog": False, **options})

    return run
