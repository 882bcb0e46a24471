"""Reading shards: any person or frame by the offsets in the sidecars, without scanning a tar.

``ShardReader`` opens one tar. ``PeopleIndex`` holds where everyone of a converted tree lies, as one flat array whose
row numbers are the ``person_id`` of the catalog, so that an SQL query yields what to load. With the catalog it is saved
as ``OUT/people-<fingerprint>.npy``, which every worker process maps instead of reading.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int

from ..errors import ShardError
from .record import ARRAY_FIELDS
from .sidecar import read_sidecar, sidecar_facts
from .stored import StoredFrame, StoredPerson, TarFile
from .tree import ShardPlace, list_shards, shards_fingerprint, unit_dirs
from .ustar import Place

__all__ = ["PeopleIndex", "ShardReader", "StoredFrame", "StoredPerson", "iter_shards"]

MEMBERS = ("image", "json", "npy")
_PLACES = [f"{member}_{part}" for member in MEMBERS for part in ("offset", "size", "crc32")]
_BOX = ["bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"]
_HAS = [f"has_{name}" for name in ARRAY_FIELDS]
INDEX_DTYPE = np.dtype(
    [
        *((f"{member}_offset", "<u8") for member in MEMBERS),
        *((f"{member}_size", "<u4") for member in MEMBERS),
        *((f"{member}_crc32", "<u4") for member in MEMBERS),
        ("shard", "<u4"),  # row of PeopleIndex.shards
        ("valid", "<u4"),  # bit i: the person carries ARRAY_FIELDS[i]
        ("width", "<u4"),  # px
        ("height", "<u4"),
        ("bbox_xyxy", "<f4", (4,)),  # px; NaN where absent
        ("person", "<u4"),  # index in the frame
    ],
    align=True,
)


def iter_shards(out: Path, dataset: str | None = None, split: str | None = None) -> Iterator[Path]:
    """Yield the tars of a converted tree, sorted by dataset, split, unit and number."""
    for folder in unit_dirs(out, dataset, split):
        yield from sorted(folder.glob("*.tar"))


class ShardReader:
    """One tar and its sidecar; safe in threads and after a fork."""

    def __init__(self, tar_path: Path) -> None:
        self.path = Path(tar_path)
        self.sidecar_path = self.path.with_suffix(".parquet")
        self.facts = sidecar_facts(self.sidecar_path)
        self._tar = TarFile(self.path, int(self.facts["ehps_tar_size"]))

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the open tar; a later read opens it again."""
        self._tar.close()

    @cached_property
    def rows(self) -> pa.Table:
        """The sidecar: one row a person (columns: ``shards/sidecar.py``)."""
        return read_sidecar(self.sidecar_path)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {name: self.rows.column(name).to_numpy() for name in [*_PLACES, "person"]}

    @cached_property
    def _first_rows(self) -> dict[str, int]:
        keys = self.rows.column("key").to_pylist()
        return {keys[row]: int(row) for row in np.flatnonzero(self._columns["person"] == 0)}

    @property
    def keys(self) -> list[str]:
        """The keys of the frames in the order of the tar."""
        return list(self._first_rows)

    def __len__(self) -> int:
        return self.rows.num_rows

    def _frame(self, row: int) -> StoredFrame:
        return StoredFrame(self._tar, _places({name: column[row] for name, column in self._columns.items()}))

    def frame(self, key: str) -> StoredFrame:
        """Return the frame of a key; ShardError when this shard does not hold it."""
        if key not in self._first_rows:
            raise ShardError(self.path, f"holds no frame {key!r}", "look it up in the catalog's table frames")
        return self._frame(self._first_rows[key])

    def person(self, row: int) -> StoredPerson:
        """Return the person of a row of the sidecar."""
        return StoredPerson(self._frame(row), int(self._columns["person"][row]))

    def image_bytes(self, row: int) -> bytes:
        """Return the encoded picture of a row of the sidecar."""
        return self._frame(row).image_bytes

    def frames(self) -> Iterator[StoredFrame]:
        """Yield every frame in the order of the tar."""
        for row in self._first_rows.values():
            yield self._frame(row)

    def people(self) -> Iterator[StoredPerson]:
        """Yield everyone in the order of the sidecar; people of one frame share what is read."""
        for frame in self.frames():
            yield from frame.people


def read_people(out: Path, dataset: str | None = None, split: str | None = None) -> Iterator[StoredPerson]:
    """Yield everyone of a converted tree, or of one source or split of it."""
    for path in iter_shards(out, dataset, split):
        with ShardReader(path) as reader:
            yield from reader.people()


class PeopleIndex:
    """Where everyone lies: ``rows`` is a flat array (``INDEX_DTYPE``), row i is ``person_id`` i of the catalog."""

    def __init__(self, out: Path, shards: Sequence[ShardPlace], rows: np.ndarray, mapped: Path | None = None) -> None:
        self.out, self.shards, self.rows, self._mapped = Path(out), list(shards), rows, mapped
        self._tars = [TarFile(self.out / shard.path, shard.size) for shard in self.shards]

    @classmethod
    def open(cls, out: Path) -> "PeopleIndex":
        """Return the index of a converted tree: mapped when its catalog is up to date, else read from the sidecars."""
        shards = list_shards(out)
        path = index_path(out, shards)
        return cls(out, shards, _mapped_rows(path), path) if path.is_file() else cls.from_places(out, shards)

    @classmethod
    def from_shards(cls, out: Path, tar_paths: Iterable[Path] | None = None) -> "PeopleIndex":
        """Return the index of some tars of a converted tree; None: of the whole tree, like ``open``."""
        if tar_paths is None:
            return cls.open(out)
        places = {shard.path: shard for shard in list_shards(out)}
        wanted = [Path(path).relative_to(out).as_posix() for path in tar_paths]
        if missing := [path for path in wanted if path not in places]:
            raise ShardError(Path(out) / missing[0], "this tar belongs to no committed unit", "convert the unit again")
        return cls.from_places(out, [places[path] for path in wanted])

    @classmethod
    def from_places(cls, out: Path, shards: Sequence[ShardPlace]) -> "PeopleIndex":
        """Return the index of the given shards, read from their sidecars."""
        parts = [_read_rows(Path(out) / shard.path, number) for number, shard in enumerate(shards)]
        return cls(out, shards, np.concatenate([np.zeros(0, INDEX_DTYPE), *parts]))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._mapped is not None:
            return _reopen, (self.out, self.shards, self._mapped)
        return PeopleIndex, (self.out, self.shards, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def bbox_xyxy(self) -> Float32[np.ndarray, "people 4"]:
        """Tight boxes in pixels; NaN where absent."""
        return self.rows["bbox_xyxy"]

    def has(self, name: str) -> Bool[np.ndarray, " people"]:
        """Return who carries a field of ``ARRAY_FIELDS``."""
        return (self.rows["valid"] >> np.uint32(ARRAY_FIELDS.index(name)) & np.uint32(1)).astype(bool)

    def ids(self, dataset: str | None = None, split: str | None = None) -> Int[np.ndarray, " some"]:
        """Return the row numbers of a source or split."""
        wanted = [dataset in (None, shard.dataset) and split in (None, shard.split) for shard in self.shards]
        return np.flatnonzero(np.array(wanted, bool)[self.rows["shard"]])

    def load(self, person_id: int) -> StoredPerson:
        """Return one person; its members are read when they are asked for."""
        row = self.rows[person_id]
        return StoredPerson(StoredFrame(self._tars[row["shard"]], _places(row)), int(row["person"]))


def _places(row: Any) -> dict[str, Place]:
    """Return the places of the members of one row of an index."""
    return {m: Place(int(row[f"{m}_offset"]), int(row[f"{m}_size"]), int(row[f"{m}_crc32"])) for m in MEMBERS}


def _read_rows(tar_path: Path, number: int) -> np.ndarray:
    """Return the rows of the index of one shard."""
    same = [*_PLACES, "person", "width", "height"]
    table = read_sidecar(tar_path.with_suffix(".parquet"), [*same, *_BOX, *_HAS])
    rows = np.zeros(table.num_rows, INDEX_DTYPE)
    for name in same:
        rows[name] = table.column(name).to_numpy()
    for edge, name in enumerate(_BOX):
        rows["bbox_xyxy"][:, edge] = table.column(name).to_numpy()
    for bit, name in enumerate(_HAS):
        rows["valid"] |= table.column(name).to_numpy().astype(np.uint32) << np.uint32(bit)
    rows["shard"] = number
    return rows


def index_path(out: Path, shards: Sequence[ShardPlace]) -> Path:
    """Return where the index of these shards is saved."""
    return Path(out) / f"people-{shards_fingerprint(shards)[:16]}.npy"


def _mapped_rows(path: Path) -> np.ndarray:
    """Return the rows of a saved index without reading them."""
    rows = np.load(path, mmap_mode="r")
    if rows.dtype != INDEX_DTYPE:
        raise ShardError(path, "the index was written by another version of ehps", "rebuild it with ehps catalog")
    return rows.view(np.ndarray)


def _reopen(out: Path, shards: Sequence[ShardPlace], path: Path) -> PeopleIndex:
    """Return a mapped index in another process."""
    return PeopleIndex(out, shards, _mapped_rows(path), path)
