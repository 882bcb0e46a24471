"""Reading shards: any person or frame by the offsets in the sidecars, without scanning a tar.

``ShardReader`` opens one tar; ``index.PeopleIndex`` knows where everyone of a converted tree lies.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..errors import ShardError
from .index import MEMBER_PLACES, PeopleIndex, member_places
from .jpeg import TileMap
from .picture import Picture
from .sidecar import TILE_COLUMNS, read_sidecar, sidecar_facts
from .stored import StoredFrame, StoredPerson, TarFile
from .tree import unit_dirs

__all__ = ["PeopleIndex", "ShardReader", "StoredFrame", "StoredPerson", "iter_shards"]

_OF_PICTURE = ["image_ext", "image_stored", "image_blake3", "image_phash"]
_TILES = [column.name for column in TILE_COLUMNS]


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
        return {name: _whole_numbers(self.rows, name) for name in [*MEMBER_PLACES, "person"]}

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
        places = member_places({name: column[row] for name, column in self._columns.items()})
        first = row - int(self._columns["person"][row])
        return StoredFrame(self._tar, places, lambda: tile_map(self.rows, first))

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

    def picture(self, row: int) -> tuple[Picture, int | None]:
        """Return the picture of a row of the sidecar as a writer takes it, and its perceptual hash."""
        values = self.rows.slice(row, 1).select([*_OF_PICTURE, "width", "height"]).to_pylist()[0]
        frame = self._frame(row)
        stored = Picture(
            frame.image_bytes,
            values["image_ext"],
            values["width"],
            values["height"],
            values["image_stored"],
            values["image_blake3"],
            frame.tiles,
        )
        return stored, values["image_phash"]

    def first_rows(self) -> Iterator[tuple[int, StoredFrame]]:
        """Yield every frame in the order of the tar, with the row of its first person."""
        for row in self._first_rows.values():
            yield row, self._frame(row)

    def frames(self) -> Iterator[StoredFrame]:
        """Yield every frame in the order of the tar."""
        for _, frame in self.first_rows():
            yield frame

    def people(self) -> Iterator[StoredPerson]:
        """Yield everyone in the order of the sidecar; people of one frame share what is read."""
        for frame in self.frames():
            yield from frame.people


def read_people(out: Path, dataset: str | None = None, split: str | None = None) -> Iterator[StoredPerson]:
    """Yield everyone of a converted tree, or of one source or split of it."""
    for path in iter_shards(out, dataset, split):
        with ShardReader(path) as reader:
            yield from reader.people()


def _whole_numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of whole numbers, 0 where it is null."""
    return table.column(name).fill_null(0).to_numpy()


def tile_map(table: pa.Table, row: int) -> TileMap | None:
    """Return the tiles that a row of a sidecar, of the first person of a frame, tells of; None where it has none."""
    values = table.slice(row, 1).select([*_TILES, "width", "height"]).to_pylist()[0]
    if values["tile_row_offsets"] is None:
        return None
    for name in ("tile_row_offsets", "tile_row_crc32"):
        values[name] = np.array(values[name], np.uint32)
    return TileMap(**{name.removeprefix("tile_"): value for name, value in values.items()})
