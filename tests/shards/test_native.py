"""The compiled library is built by whatever compiler there is, and says what to do when it is not there."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ehps.shards.native import LIBRARY_PATH, Library, library

BACKEND = Path(__file__).resolve().parents[2] / "build_backend" / "native_build.py"


@pytest.fixture
def backend() -> ModuleType:
    pytest.importorskip("setuptools")
    spec = importlib.util.spec_from_file_location("native_build", BACKEND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bare(monkeypatch, tmp_path) -> Path:
    """A machine whose only programs lie in the returned folder."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # setuptools reads the project that it stands in
    return tmp_path


def program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_a_machine_without_a_compiler_gets_one_from_pypi(backend, bare):
    assert backend.get_requires_for_build_wheel() == ["ziglang==0.17.1"]
    assert backend.get_requires_for_build_editable() == ["ziglang==0.17.1"]
    assert backend.compiler()[1:] == ["-m", "ziglang", "cc", "-mcpu=baseline"]


def test_the_machines_own_compiler_is_preferred(backend, bare, monkeypatch):
    program(bare, "clang")
    assert backend.compiler() == ["clang"]
    assert backend.get_requires_for_build_wheel() == []
    program(bare, "cc")
    assert backend.compiler() == ["cc"]
    program(bare, "special")
    monkeypatch.setenv("CC", "special -m64")
    assert backend.compiler() == ["special", "-m64"]
    monkeypatch.setenv("CC", "absent")
    assert backend.compiler() == ["cc"]


def test_no_flag_ties_the_library_to_this_processor(backend):
    assert "-ffp-contract=off" in backend.FLAGS
    assert not [flag for flag in backend.FLAGS if "march" in flag or "fast" in flag]


def test_a_missing_library_says_how_to_build_it(tmp_path):
    with pytest.raises(ImportError, match=r"_native\.so: the compiled part .* pip install --no-deps --editable"):
        Library(tmp_path / "_native.so")


def test_a_library_older_than_its_sources_says_so():
    with pytest.raises(ImportError, match="ehps_of_tomorrow is not in it, so it is older than its sources"):
        _ = library.ehps_of_tomorrow
    assert not hasattr(library, "something_else")
    assert LIBRARY_PATH.samefile(library._name)
