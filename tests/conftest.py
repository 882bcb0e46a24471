"""Fixtures that every room uses."""

import atexit
import os
from pathlib import Path

import pytest

from ehps.tests import type_checks

type_checks.install()  # before anything of ehps that it should check is imported
REPOSITORY = Path(__file__).resolve().parents[1]


@atexit.register
def _hush_leak_lists() -> None:
    """Keep nanobind from ending every run with the list of DuckDB types that beartype's caches still hold.

    Registered first, so it runs after every other exit handler; whatever those print is still seen.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@pytest.fixture(scope="session")
def standin_dir() -> Path:
    """The folder of the stand-in body models, built once into the user's cache."""
    from ehps.body.standin import standin_dir

    return standin_dir()


@pytest.fixture(autouse=True)
def body_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test poses the stand-in body, whatever models this machine has."""
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")


def _reference(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable, REPOSITORY.parent / "shared" / name))
    if not path.is_dir():
        pytest.skip(f"{path} is not there: set {variable} to the folder of {name} files to run this test")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Reference numbers of the released implementations; absent in a user's clone."""
    return _reference("EHPS_GOLDEN", "golden")


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """A few real samples; absent in a user's clone."""
    return _reference("EHPS_REAL", "real")
