"""Pickles are read as data; what wants to run code is refused by name."""

import pickle
import sys
import types
from collections import OrderedDict
from datetime import date

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from ehps.body.unpickling import load_pickle
from ehps.errors import RawFileError, UnsafePickleError
from ehps.tests.raw._owner_pickles import write_table


def written(path, value, protocol=2):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_plain_data_comes_back(tmp_path, protocol):
    value = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": [1, "x", None, b"raw"],
        "c": OrderedDict(k=(1, 2)),
        "d": np.float32(2),
    }
    back = load_pickle(written(tmp_path / "x.pkl", value, protocol))
    np.testing.assert_array_equal(back["a"], value["a"])
    assert back["b"] == [1, "x", None, b"raw"]
    assert back["c"] == value["c"]
    assert back["d"] == 2


def test_sparse_matrices_and_frames_come_back(tmp_path):
    sparse = scipy.sparse.csc_matrix(np.eye(3))
    frame = pd.DataFrame({"gender": ["male", "female"], "age": [1, 2]})
    back = load_pickle(written(tmp_path / "x.pkl", {"s": sparse, "f": frame}, 4))
    np.testing.assert_array_equal(back["s"].todense(), np.eye(3))
    pd.testing.assert_frame_equal(back["f"], frame)


@pytest.mark.parametrize("rows", [None, [7, 3]])
def test_tables_of_pandas_1_come_back(tmp_path, rows):
    columns = {"name": ["a.png", "b.png"], "X": [[1.5, 2.5], []], "joints": [[np.eye(2)], [np.float64(3)]]}
    write_table(tmp_path / "x.pkl", columns, rows=rows)
    assert b"numpy.core.multiarray" in (tmp_path / "x.pkl").read_bytes()
    back = load_pickle(tmp_path / "x.pkl")
    assert list(back.index) == (rows or [0, 1])
    assert back["X"].tolist() == columns["X"]
    np.testing.assert_array_equal(back["joints"].tolist()[0][0], np.eye(2))


class Evil:
    def __reduce__(self):
        return (print, ("owned",))


@pytest.mark.parametrize("value", [Evil(), {"deep": [Evil()]}, types.SimpleNamespace(a=1), date])
def test_anything_else_is_refused_by_name(tmp_path, capsys, value):
    with pytest.raises(UnsafePickleError, match=r"x\.pkl: the pickle refers to"):
        load_pickle(written(tmp_path / "x.pkl", value)) if value is not date else load_pickle(
            written(tmp_path / "x.pkl", np.load)
        )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name", ["os\nsystem", "builtins\neval", "builtins\ngetattr", "numpy\nload", "pandas\nread_pickle"]
)
def test_a_hand_written_attack_is_refused(tmp_path, name):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"c" + name.encode() + b"\n(S'x'\ntR.")
    with pytest.raises(UnsafePickleError):
        load_pickle(path)


def test_a_chumpy_array_becomes_a_plain_one(tmp_path, monkeypatch):
    module = types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.__dict__["x"] = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    path = written(tmp_path / "x.pkl", {"betas": Ch(np.arange(10.0)), "list": [Ch(np.ones(2))]})
    back = load_pickle(path)
    np.testing.assert_array_equal(back["betas"], np.arange(10.0))
    np.testing.assert_array_equal(back["list"][0], np.ones(2))


def test_a_file_that_is_no_pickle_says_so(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"PK\x03\x04 not a pickle")
    with pytest.raises(RawFileError, match="not a readable pickle"):
        load_pickle(tmp_path / "x.pkl")
    with pytest.raises(RawFileError, match="no such file"):
        load_pickle(tmp_path / "gone.pkl")


def test_what_the_caller_does_without_becomes_none_and_is_never_called(tmp_path, capsys):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"pose": np.arange(3.0), "losses": [Evil(), {"hand": Evil()}]}))
    value = load_pickle(path, dropped=frozenset({"builtins.print"}))
    assert value["losses"] == [None, {"hand": None}]
    np.testing.assert_array_equal(value["pose"], [0, 1, 2])
    assert capsys.readouterr().out == ""
