"""What a prediction leaves on disk: ``people.parquet`` and the same as ``people.npz``, meshes, overlays, facts.

One row a person and picture, pictures in the order in which they came, people in the order of their boxes. Everything
is written into a hidden folder beside the wanted one, which takes its name when it is complete: whatever interrupts the
work, the folder is there whole or not at all. docs/prediction.md has the columns.
"""

import json
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from ..body.posing import PARAMETER_SHAPES
from ..errors import RawFileError
from .mesh_files import MeshFormat, write_mesh
from .overlays import Overlays
from .prediction import PosedPerson, PosedShot

_POSES = ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose")
PARAMETERS = {name: PARAMETER_SHAPES[name] for name in _POSES}
PARAMETERS |= {"betas": (10,), "expression": (10,), "transl": (3,)}
_ARRAYS: dict[str, tuple[int, ...]] = {"bbox_xyxy": (4,), "K": (3, 3), **PARAMETERS}
_ARRAYS |= {"K_crop": (3, 3), "transl_crop": (3,)}
_DOUBLES = frozenset({"bbox_xyxy", "K", "K_crop"})
_SCALARS = {
    "picture": pa.string(),
    "frame": pa.int64(),
    "person": pa.int32(),
    "track": pa.int32(),
    "score": pa.float32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "camera": pa.string(),
    "residual_px": pa.float32(),
    "flat_hand_mean": pa.bool_(),  # files of both kinds are about, and look alike
}
_ABSENT = {"frame": -1, "track": -1, "score": np.nan}  # in the npz, which has no NULL
ROWS = 4096  # of a row group


def _schema() -> pa.Schema:
    """Return the columns of people.parquet; arrays are flat lists of a fixed length, in C order."""
    arrays = {
        name: pa.list_(pa.float64() if name in _DOUBLES else pa.float32(), int(np.prod(shape)))
        for name, shape in _ARRAYS.items()
    }
    return pa.schema([*_SCALARS.items(), *arrays.items()])


class PredictionFolder:
    """The folder of one prediction, as a context: complete at its end, nothing after an error."""

    def __init__(
        self,
        out: Path,
        faces: Int[np.ndarray, "faces 3"],
        *,
        meshes: MeshFormat | None = None,
        overlays: bool = False,
        threads: int = 1,
    ) -> None:
        """``faces`` are the triangles of the body model, ``threads`` draw overlays.

        RawFileError where the folder already holds something.
        """
        self.out, self.faces, self._draws = Path(out), faces, overlays
        self.meshes: MeshFormat | None = meshes
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise RawFileError(self.out, "is there already and not empty", "name a new folder, or delete this one")
        self._hidden = self.out.with_name(f".{self.out.name}.part")
        self._rows: list[dict[str, Any]] = []
        self._threads = threads
        self.counts = {"pictures": 0, "people": 0, "outside": 0}
        self.unreadable: dict[str, str] = {}

    def __enter__(self) -> "PredictionFolder":
        """Begin anew, whatever an earlier attempt has left."""
        shutil.rmtree(self._hidden, ignore_errors=True)
        self._hidden.mkdir(parents=True)
        self._overlays = Overlays(self._hidden / "overlays", self.faces, self._threads)
        self._parquet = pq.ParquetWriter(self._hidden / "people.parquet", _schema(), compression="zstd")
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Throw everything away unless ``finish`` was called."""
        self._overlays.close()
        self._parquet.close()
        shutil.rmtree(self._hidden, ignore_errors=True)

    def add(self, posed: PosedShot, fps: Fraction | None = None) -> None:
        """Write one picture's people; ``fps`` is given for the frames of a video, whose overlay is a video too."""
        name = posed.shot.source if posed.shot.frame is None else f"{posed.shot.source}, frame {posed.shot.frame}"
        if posed.picture is None:
            self.unreadable[name] = posed.problem
            return
        self.counts["pictures"] += 1
        self.counts["people"] += len(posed.people)
        self.counts["outside"] += posed.num_outside
        self._rows += [_row(posed, number, person) for number, person in enumerate(posed.people)]
        if len(self._rows) >= ROWS:
            self._flush()
        if self.meshes is not None:
            self._write_meshes(posed, self.meshes)
        if self._draws:
            self._overlays.add(posed, fps)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what is left, with facts about the prediction, and show the folder."""
        self._overlays.finish()
        self._flush()
        self._parquet.close()
        write_npz(self._hidden / "people.parquet", self._hidden / "people.npz")
        content = {**facts, "counts": self.counts, "unreadable": self.unreadable}
        (self._hidden / "prediction.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self._hidden.replace(self.out)

    def _flush(self) -> None:
        """Write the rows so far."""
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=_schema()))
            self._rows = []

    def _write_meshes(self, posed: PosedShot, form: MeshFormat) -> None:
        """Write everyone's mesh, in the camera of the picture."""
        folder = self._hidden / "meshes" / posed.shot.source
        for number, person in enumerate(posed.people):
            own = number if person.box.track is None else person.box.track
            name = f"{own:03d}" if posed.shot.frame is None else f"{posed.shot.frame:06d}_{own:03d}"
            write_mesh(folder / f"{name}.{form}", person.vertices, self.faces, form)


def _row(posed: PosedShot, number: int, person: PosedPerson) -> dict[str, Any]:
    """Return a person's row."""
    assert posed.picture is not None
    assert posed.camera is not None
    height, width = posed.picture.pixels.shape[:2]
    scalars = {
        "picture": posed.shot.source,
        "frame": posed.shot.frame,
        "person": number,
        "track": person.box.track,
        "score": person.box.score,
        "width": width,
        "height": height,
        "camera": posed.camera.kind,
        "residual_px": person.residual_px,
        "flat_hand_mean": True,
    }
    arrays = {"bbox_xyxy": person.box.bbox_xyxy, "K": person.K, **person.parameters}
    arrays |= {"K_crop": person.K_crop, "transl_crop": person.transl_crop}
    return scalars | {name: np.ravel(arrays[name]) for name in _ARRAYS}


def read_people(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a people.parquet as arrays with a leading people axis.

    What is absent is -1 (frame, track) or NaN (score).
    """
    table = pq.read_table(path, schema=_schema())
    out = {name: _scalars(name, table[name].combine_chunks()) for name in _SCALARS}
    for name, shape in _ARRAYS.items():
        out[name] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)
    return out


def _scalars(name: str, column: pa.Array) -> np.ndarray:
    """Return a column of single values."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), str)
    return (column.fill_null(_ABSENT[name]) if name in _ABSENT else column).to_numpy(zero_copy_only=False)


def write_npz(parquet: Path, npz: Path) -> None:
    """Write the columns of a people.parquet as an npz."""
    with npz.open("wb") as file:
        np.savez(file, allow_pickle=False, **read_people(parquet))
