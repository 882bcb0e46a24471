"""The files that predictions come in, as tables of columns: npz, pickle, Parquet, FreiHAND's JSON, a pickle a person.

Pickles are read without running code.
"""

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..body.unpickling import load_pickle
from ..errors import ProtocolError, RawDataError
from ..shards.digest import file_digest, new_digest

_PER_PERSON = re.compile(r"(?P<image>.+)_personId_(?P<person>\d+)$")


def predictions_digest(path: Path) -> str:
    """Return a checksum of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return file_digest(path)
    state = new_digest()
    for file in sorted(path.rglob("*.pkl")):
        state.update(f"{file.relative_to(path)} {file_digest(file)}\n".encode())
    return state.hexdigest()


def read_table(path: Path) -> dict[str, Any]:
    """Return the columns of a file; ProtocolError when it cannot be read."""
    readers = {".npz": _npz, ".pkl": read_pickle, ".pickle": read_pickle, ".parquet": _parquet, ".json": _freihand_json}
    if path.suffix not in readers:
        raise ProtocolError(path, "is no predictions file", "give npz, pkl, parquet, json, a zip or a folder of pkl")
    if not path.is_file():
        raise ProtocolError(path, "is not there", "give the file that holds the predictions")
    return readers[path.suffix](path)


def _npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ProtocolError(path, f"cannot be read ({error})", "save plain arrays with numpy.savez") from error


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary of a pickle; ProtocolError when it holds something else or wants to run code."""
    try:
        content = load_pickle(path)
    except RawDataError as error:
        raise ProtocolError(path, f"cannot be read ({error})", "save plain arrays") from error
    if not isinstance(content, dict):
        raise ProtocolError(path, f"should hold a dictionary of arrays, found {type(content).__name__}")
    return {str(name): value for name, value in content.items()}


def _parquet(path: Path) -> dict[str, Any]:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ProtocolError(path, f"cannot be read ({error})") from error
    # Lists of lists come back as arrays of arrays, which only a list makes whole again.
    return {name: np.array([_nested(value) for value in table[name]]) for name in map(str, table.columns)}


def _nested(value: Any) -> Any:
    return [_nested(item) for item in value] if isinstance(value, np.ndarray | list) else value


def _freihand_json(path: Path) -> dict[str, Any]:
    """Return the two lists of FreiHAND's submissions: joints and vertices, in the order of the pictures."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, list) or len(content) != 2 or len(content[0]) != len(content[1]):
        raise ProtocolError(path, "should hold two lists of one length, joints and vertices, as FreiHAND's pred.json")
    names = np.array([f"{number:08d}" for number in range(len(content[0]))])
    table = {"picture": names, "joints": np.array(content[0]), "joints_convention": "right_hand_21"}
    return table | ({"vertices": np.array(content[1])} if any(map(len, content[1])) else {})


def read_per_person(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the picture and content of every file a person of AGORA's format, in the order of their names."""
    with unpacked(path, ".pkl") as files:
        return _read_people(path, sorted((own for _, own in files), key=lambda file: file.name))


@contextmanager
def unpacked(path: Path, suffix: str) -> Iterator[list[tuple[str, Path]]]:
    """Give (name, file) of what a folder or a zip holds of a kind, sorted by name; a lone file is itself."""
    if path.is_dir():
        yield [(own.relative_to(path).as_posix(), own) for own in sorted(path.rglob(f"*{suffix}"))]
    elif path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as folder, _open_zip(path) as archive:
            files = []
            for number, name in enumerate(sorted(n for n in archive.namelist() if n.endswith(suffix))):
                # A folder of its own for each: a name in an archive may lead anywhere.
                target = Path(folder) / str(number) / Path(name).name
                target.parent.mkdir()
                target.write_bytes(archive.read(name))
                files.append((name, target))
            yield files
    else:
        yield [(path.name, path)]


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ProtocolError(path, f"cannot be read ({error})") from error


def _read_people(path: Path, files: Sequence[Path]) -> tuple[list[str], list[dict[str, Any]]]:
    pictures, contents = [], []
    for file in files:
        found = _PER_PERSON.match(file.stem)
        if found is None:
            raise ProtocolError(path, f"holds {file.name}, expected <image>_personId_<number>.pkl")
        pictures.append(found["image"])
        contents.append(read_pickle(file))
    if not files:
        raise ProtocolError(path, "holds no file <image>_personId_<number>.pkl")
    return pictures, contents
