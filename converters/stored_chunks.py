"""Many stored people at once: the scalars of a piece of a shard from its sidecar, the arrays from its numeric members.

Members are read where the sidecar says and checked; people whose records have the same layout are looked at together,
so that a person costs some tens of microseconds.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int

from ..body.cameras import Distortion
from ..shards.codec import decode_camera, decode_meta, decode_people
from ..shards.index import member_places
from ..shards.record import ARRAY_FIELDS
from ..shards.sidecar import read_sidecar
from ..shards.stored import TarFile
from ..shards.tree import ShardPlace

MEMBER_COLUMNS = [f"{member}_{what}" for member in ("image", "json", "rows") for what in ("offset", "size", "crc32")]


class StoredChunk:
    """Some consecutive people of a shard."""

    def __init__(self, tar: TarFile, table: pa.Table) -> None:
        self._tar, self.table = tar, table

    def __len__(self) -> int:
        return self.table.num_rows

    def texts(self, name: str) -> list[str]:
        """Return a column of texts, empty where it is null."""
        return [text or "" for text in self.table[name].to_pylist()]

    def numbers(self, name: str, absent: float = 0) -> np.ndarray:
        """Return a column of numbers or flags, ``absent`` where it is null."""
        return self.table[name].fill_null(absent).to_numpy()

    def has(self, name: str) -> np.ndarray:
        """Return who carries a field of ``ARRAY_FIELDS``."""
        return self.table[f"has_{name}"].to_numpy()

    @cached_property
    def _places(self) -> list[dict]:
        columns = {name: self.numbers(name).tolist() for name in MEMBER_COLUMNS}
        return [member_places({name: column[row] for name, column in columns.items()}) for row in range(len(self))]

    def frames(self) -> Iterator[tuple[int, int]]:
        """Yield the first row and the one after the last of each frame."""
        for _, group in groupby(range(len(self)), key=lambda row: self._places[row]["rows"]):
            rows = list(group)
            yield rows[0], rows[-1] + 1

    @cached_property
    def _records(self) -> list[tuple[Int[np.ndarray, " members"], np.ndarray]]:
        """The numeric records, those of one layout together, and the rows that they belong to."""
        persons, found = self.numbers("person").tolist(), {}
        for start, stop in self.frames():
            people = decode_people(self._tar.read(self._places[start]["rows"]))
            rows, data = found.setdefault(people.dtype, ([], []))
            rows += range(start, stop)
            data.append(people[persons[start:stop]].tobytes())
        return [(np.array(rows), np.frombuffer(b"".join(data), dtype)) for dtype, (rows, data) in found.items()]

    def filled(self, name: str, shape: tuple[int, ...], fill: float = 0.0) -> Float32[np.ndarray, "people ..."]:
        """Return a label of everyone; what a person lacks, or has fewer entries of than ``shape``, is ``fill``.

        More entries than ``shape`` has are left out.
        """
        out = np.full((len(self), *shape), fill, np.float32)
        bit = np.uint32(1 << ARRAY_FIELDS.index(name))
        for rows, records in self._records:
            if name not in (records.dtype.names or ()):
                continue
            values, carried = records[name][:, : shape[0]], (records["valid"] & bit) != 0
            counts = f"{name}_count"
            if counts in (records.dtype.names or ()):  # shorter ones end in NaN
                is_own = np.arange(values.shape[1]) < records[counts][:, None]
                values = np.where(is_own.reshape(*is_own.shape, *(1,) * (values.ndim - 2)), values, np.float32(fill))
            out[rows[carried], : values.shape[1]] = values[carried]
        return out

    def lenses(self) -> list[tuple[int, Distortion]]:
        """Return who is seen through a lens that bends the stored picture, and the lens."""
        bent = (self.table["distortion_model"].is_valid().to_numpy()) & ~self.numbers("is_undistorted", False)
        persons, out = self.numbers("person"), []
        for row in np.flatnonzero(bent).tolist():
            meta = decode_meta(self._tar.read(self._places[row]["json"]))
            lens = decode_camera(meta["people"][persons[row]].get("camera", meta["camera"])).distortion
            assert lens is not None
            out.append((row, lens))
        return out

    def picture(self, row: int) -> bytes | None:
        """Return the encoded picture of a row; None where only labels were converted."""
        place = self._places[row].get("image")
        return None if place is None else self._tar.read(place)


def stored_chunks(
    out: Path, shard: ShardPlace, chosen: np.ndarray, columns: list[str], size: int
) -> Iterator[StoredChunk]:
    """Yield the people of a shard that a mask chooses, at most ``size`` at a time."""
    path = out / shard.path
    table = read_sidecar(path.with_suffix(".parquet"), [*columns, *MEMBER_COLUMNS, "person"])
    tar = TarFile(path, shard.size)
    for start in range(0, table.num_rows, size):
        mask = chosen[start : start + size]
        if mask.any():
            yield StoredChunk(tar, table.slice(start, size).filter(pa.array(mask)))
    tar.close()
