"""A made-up source that the engine's tests convert."""

import hashlib
import importlib
from pathlib import Path

import pytest


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
