"""``ehps score``, ``protocol``, ``submit`` and ``table``: what they print, write and refuse."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ehps.benchmark.people import benchmark_people
from ehps.benchmark.protocol import load_protocol, protocols
from ehps.cli.main import app
from ehps.converters.engine import convert
from ehps.errors import EhpsError, ProtocolError
from ehps.tests.raw import ehf


def ehps(*arguments, fails: bool = False) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.exit_code != 0) == fails, result.output
    return result.output


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ehf")
    ehf.build(folder / "raw", bad=False, frames=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        convert("ehf", folder / "raw", folder / "out", "test")
    return folder / "out"


@pytest.fixture
def predictions(tree, tmp_path):
    """Two of three people, 10 % too large."""
    people = list(benchmark_people(tree, load_protocol("ehf")))[:2]
    path = tmp_path / "pred.npz"
    vertices = np.stack([person.vertices for person in people]) * 1.1
    np.savez(path, person_key=[person.person_key for person in people], vertices=vertices)
    return path


def test_a_file_becomes_a_result_with_its_provenance(tree, predictions, tmp_path):
    where = tmp_path / "results"
    arguments = (
        "--predictions",
        predictions,
        "--protocol",
        "ehf",
        "--catalog",
        tree,
        "--model",
        "mine",
        "--out",
        where,
    )
    shown = ehps("score", *arguments, "--trained-on", "bedlam", "--trained-on", "ehf")
    assert "mine" in shown
    (path,) = where.glob("mine/*/ehf.json")
    assert path.parent.name.startswith("file-")
    result = json.loads(path.read_text())
    assert (result["asked"], result["answered"], result["missing"]) == (3, 2, 1)
    assert result["trained_on"] == ["bedlam", "ehf"]
    assert result["notes"] == ["1 of 3 people have no prediction"]
    assert result["command"].startswith("ehps score --predictions pred.npz")
    assert result["measures"]["PA-PVE"]["mean"] < 0.01 < result["measures"]["PVE"]["mean"]
    rows = pd.read_parquet(path.with_suffix(".parquet"))
    assert rows["person_key"].tolist()[:2] == list(np.load(predictions)["person_key"])

    csv = ehps("table", "--results", where, "--format", "csv", "--png", tmp_path / "matrix.png")
    assert csv.startswith("model,ehf/PVE,")
    assert (tmp_path / "matrix.png").stat().st_size > 1000
    assert "tell both the network's size" in ehps("table", "--results", where, "--scaling", "ehf")
    told = ehps("table", "--results", where, "--scaling", "freihand_eval", "--measure", "F@5")
    assert told == "scaling is told of measures in mm; F@5 has none\n"


def test_the_errors_join_with_the_catalog_by_key(tree, predictions, tmp_path):
    where = tmp_path / "results"
    ehps("score", "--predictions", predictions, "-p", "ehf", "-c", tree, "--model", "mine", "-o", where)
    (path,) = where.glob("mine/*/ehf.parquet")
    rows = pd.read_parquet(path)
    shown = ehps("sql", "--catalog", tree, "select key || '#' || person as person_key from people", "--json")
    keys = {json.loads(line)["person_key"] for line in shown.splitlines()}
    assert set(rows["person_key"]) == keys


def test_a_data_set_without_a_converter_is_told(tree, predictions):
    with pytest.raises(ProtocolError, match="asks about emdb, of which there is no converter yet"):
        ehps("score", "--predictions", predictions, "-p", "emdb1", "-c", tree, "--model", "mine")
    assert "There is no converter of emdb yet" in ehps("protocol", "show", "emdb1")


def test_protocols_are_listed_and_told():
    listed = [json.loads(line) for line in ehps("protocol", "list", "--json").splitlines()]
    assert [row["protocol"] for row in listed] == sorted(protocols())
    assert "14 of its 17 joints" in ehps("protocol", "show", "pw3d_h36m14")
    with pytest.raises(EhpsError, match="there is no protocol called 'pw3d_h36m'; did you mean pw3d_h36m14"):
        ehps("protocol", "show", "pw3d_h36m")


def test_a_submission_is_checked_or_written(tmp_path):
    shapes = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 10475, 3))
    names = [f"test/00{row}_a_b/Photos_Lab/1.png" for row in range(2)]
    np.savez(tmp_path / "sent.npz", image_name=names, v_shaped=shapes)
    problems = ehps("submit", "shapy", "--check", tmp_path / "sent.npz", fails=True)
    assert "it should name 1631 pictures, each once, found 2" in problems
    assert "give --predictions and --out" in ehps("submit", "shapy", fails=True)
