"""What differs between two converted trees, person by person.

Units that both trees have are compared one at a time; those that only one has are compared together, split by split,
for a newer converter may cut a source into other units. People are told by the place in the owner's files that they
come from, within the same frame if possible, and by their key only where that is ambiguous.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from ..errors import UnknownNameError
from .distances import Distances, array_distance, column_distances
from .index import MEMBER_PLACES, member_places
from .picture import decode_rgb
from .record import ARRAY_FIELDS
from .sidecar import LIST_MEANINGS, REJECT_COLUMNS, TILE_COLUMNS, read_sidecar, schema_of, sidecar_columns
from .stored import StoredFrame, StoredPerson, TarFile
from .tree import REJECTS_FILE, ShardPlace, read_unit, unit_dirs, unit_shards

_UNITS = ("px", "m", "rad", "mm")
_OTHER_UNITS = {"keypoints_2d": "px", "keypoints_3d": "m", "joints_3d": "m", "vertices": "m"}
# Where something lies is no property of a person, nor is what follows from who else is in the frame.
_NOT_COMPARED = {"unit", "shard", "person", "num_people", *MEMBER_PLACES, *(column.name for column in TILE_COLUMNS)}
_COMPARED = [column for column in sidecar_columns() if column.name not in _NOT_COMPARED]
_MEMBER_ARRAYS = [name for name in ARRAY_FIELDS if name not in LIST_MEANINGS and name != "bbox_xyxy"]
_OF_CAMERA = ("camera.K", "camera.T_camera_world", "camera.distortion")
_IDENTITIES = (("key", "provenance_file", "provenance_row"), ("provenance_file", "provenance_row"), ("person_key",))


class Change(NamedTuple):
    """How a field differs between the people of two trees."""

    people: int
    largest: float | None  # of the differences that are numbers
    one_sided: int  # people whose value is on one side only, of another length, or no number
    example: str  # person_key in A of the largest difference

    def joined(self, other: "Change") -> "Change":
        """Return both changes as one."""
        known = [value for value in (self.largest, other.largest) if value is not None]
        largest = max(known, default=None)
        example = self.example if self.largest == largest else other.example
        return Change(self.people + other.people, largest, self.one_sided + other.one_sided, example)


@dataclass
class Difference:
    """What differs in one part of two trees, or in all of them."""

    where: str = ""
    people: int = 0  # that both trees have
    counts: Counter[str] = field(default_factory=Counter)  # what one side has alone, and pictures
    examples: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Change] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether anything differs; pictures of other bytes and the same pixels do not count."""
        return bool(self.fields) or any(n for name, n in self.counts.items() if name != SAME_PIXELS)

    def note(self, what: str, count: int, example: str) -> None:
        """Count something, and keep one example of it."""
        if count:
            self.counts[what] += count
            self.examples.setdefault(what, example)

    def add(self, other: "Difference") -> None:
        """Take in what differs in another part."""
        self.people += other.people
        self.counts.update(other.counts)
        self.examples = other.examples | self.examples
        for name, change in other.fields.items():
            self.fields[name] = self.fields[name].joined(change) if name in self.fields else change


SAME_PIXELS = "pictures of other bytes and the same pixels"
OTHER_PIXELS = "pictures of other pixels"
UNREAD_PIXELS = "pictures of other bytes"


def field_unit(name: str) -> str:
    """Return the unit of a field: px, m, rad, mm, or nothing."""
    meaning = next((column.meaning for column in _COMPARED if column.name == name), "")
    words = set(meaning.replace(";", ",").replace(" or ", ", ").split(", "))
    return _OTHER_UNITS.get(name) or next((unit for unit in _UNITS if unit in words), "")


def check_tolerances(tolerances: Mapping[str, float]) -> None:
    """Raise UnknownNameError for a tolerance that belongs to neither a unit nor a field."""
    known = {*_UNITS, *_MEMBER_ARRAYS, *_OF_CAMERA, *(column.name for column in _COMPARED)}
    for name in tolerances:
        if name not in known and not name.startswith("quality_"):
            raise UnknownNameError("unit or field", name, known)


def compare_trees(
    a: Path,
    b: Path,
    dataset: str | None = None,
    split: str | None = None,
    *,
    tolerances: Mapping[str, float] | None = None,
    pixels: bool = True,
) -> Iterator[Difference]:
    """Yield what differs in each unit that both trees have, then in the other units of each split.

    ``tolerances`` are by field or unit (``{"m": 1e-5}``): smaller differences are none. Pictures of other bytes are
    decoded and compared, unless ``pixels`` is off.
    """
    check_tolerances(tolerances or {})
    units_a, units_b = (_units(Path(tree), dataset, split) for tree in (a, b))
    compare = _Comparison(Path(a), Path(b), tolerances or {}, pixels)
    for unit in sorted(units_a.keys() & units_b.keys()):
        yield compare.parts("/".join(unit), [units_a[unit]], [units_b[unit]])
    only = units_a.keys() ^ units_b.keys()
    for where in sorted({unit[:2] for unit in only}):
        chosen = [unit for unit in sorted(only) if unit[:2] == where]
        only_a, only_b = ([units[unit] for unit in chosen if unit in units] for units in (units_a, units_b))
        found = compare.parts("/".join(where), only_a, only_b)
        found.note("units only in A", len(only_a), only_a[0]["unit"] if only_a else "")
        found.note("units only in B", len(only_b), only_b[0]["unit"] if only_b else "")
        yield found


def _units(out: Path, dataset: str | None, split: str | None) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the summaries of the units of a tree."""
    units = (read_unit(folder) or {} for folder in unit_dirs(out, dataset, split))
    return {(unit["dataset"], unit["split"], unit["unit"]): unit for unit in units}


class _Side:
    """The people of some units of one tree: their sidecars as one table, and their frames on demand."""

    def __init__(self, out: Path, units: list[dict[str, Any]]) -> None:
        self.out, self.units = out, units
        self._places = [shard for unit in units for shard in unit_shards(unit)]
        tables = [read_sidecar(self._sidecar(shard)) for shard in self._places]
        self.table = pa.concat_tables([schema_of(sidecar_columns()).empty_table(), *tables], promote_options="default")
        self._shard = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
        self._tars = [TarFile(out / shard.path, shard.size) for shard in self._places]
        self.first_row = np.arange(self.table.num_rows) - self.numbers("person")  # of the frame
        self.frame = lru_cache(maxsize=8)(self._frame)

    def _sidecar(self, shard: ShardPlace) -> Path:
        return (self.out / shard.path).with_suffix(".parquet")

    def _frame(self, first_row: int) -> StoredFrame:
        places = {name: self.table.column(name)[first_row].as_py() or 0 for name in MEMBER_PLACES}
        return StoredFrame(self._tars[self._shard[first_row]], member_places(places))

    def person(self, row: int) -> StoredPerson:
        """Return the person of a row; people of one frame share what is read."""
        return StoredPerson(self.frame(int(self.first_row[row])), int(row - self.first_row[row]))

    def numbers(self, name: str) -> Int64[np.ndarray, " people"]:
        """Return a column of whole numbers, -1 where it is null."""
        return self.table.column(name).cast(pa.int64()).fill_null(-1).to_numpy()

    def rejects(self) -> Counter[tuple[Any, ...]]:
        """Return what the units left out."""
        names = [column.name for column in REJECT_COLUMNS if column.name != "unit"]
        found = Counter[tuple[Any, ...]]()
        for unit in self.units:
            path = self.out / unit["dataset"] / unit["split"] / unit["unit"] / REJECTS_FILE
            found.update(tuple(row[name] for name in names) for row in read_sidecar(path, names).to_pylist())
        return found


@dataclass(frozen=True)
class _Comparison:
    """Two trees and how closely they are looked at."""

    a: Path
    b: Path
    tolerances: Mapping[str, float]
    pixels: bool

    def parts(self, where: str, units_a: list[dict[str, Any]], units_b: list[dict[str, Any]]) -> Difference:
        """Return what differs between units of A and units of B."""
        a, b = _Side(self.a, units_a), _Side(self.b, units_b)
        rows_a, rows_b = matched_people(a.table, b.table)
        found = Difference(where, people=len(rows_a))
        _note_unmatched(found, a.table, rows_a, "A")
        _note_unmatched(found, b.table, rows_b, "B")
        _note_rejects(found, a.rejects(), b.rejects())
        keys = a.table.column("person_key").take(pa.array(rows_a))
        for name, apart in self._all_distances(a, b, rows_a, rows_b):
            self._note_field(found, name, apart, keys)
        self._note_pictures(found, a, b, rows_a, rows_b)
        return found

    def _all_distances(
        self, a: _Side, b: _Side, rows_a: Int64[np.ndarray, " pairs"], rows_b: Int64[np.ndarray, " pairs"]
    ) -> Iterator[tuple[str, Distances]]:
        """Yield every field with how far it lies apart."""
        take_a, take_b = pa.array(rows_a), pa.array(rows_b)
        measures = {name for side in (a, b) for name in side.table.column_names if name.startswith("quality_")}
        for name in dict.fromkeys([column.name for column in _COMPARED] + sorted(measures)):
            yield name, column_distances(_column(a.table, name, take_a), _column(b.table, name, take_b))
        yield from _member_distances(a, b, rows_a, rows_b)

    def _note_field(self, found: Difference, name: str, apart: Distances, keys: pa.ChunkedArray) -> None:
        """Note a field whose distance passes its tolerance for somebody."""
        allowed = self.tolerances.get(name, self.tolerances.get(field_unit(name), 0.0))
        rows = np.flatnonzero(apart > allowed)
        if not len(rows):
            return
        finite = rows[np.isfinite(apart[rows])]
        worst = finite[np.argmax(apart[finite])] if len(finite) else rows[0]
        largest = float(apart[worst]) if len(finite) else None
        found.fields[name] = Change(len(rows), largest, len(rows) - len(finite), keys[int(worst)].as_py())

    def _note_pictures(
        self,
        found: Difference,
        a: _Side,
        b: _Side,
        rows_a: Int64[np.ndarray, " pairs"],
        rows_b: Int64[np.ndarray, " pairs"],
    ) -> None:
        """Note the frames whose pictures differ, each once."""
        differs = _member_differs(a, b, rows_a, rows_b, "image")
        frames = np.stack([a.first_row[rows_a[differs]], b.first_row[rows_b[differs]]], axis=1)
        for row_a, row_b in np.unique(frames, axis=0).tolist():
            found.note(self._picture_change(a, b, row_a, row_b), 1, a.table.column("key")[row_a].as_py())

    def _picture_change(self, a: _Side, b: _Side, row_a: int, row_b: int) -> str:
        """Return in which way the pictures of two frames differ."""
        has_a, has_b = (side.table.column("image_size")[row].is_valid for side, row in ((a, row_a), (b, row_b)))
        if has_a != has_b:
            return "pictures only in A" if has_a else "pictures only in B"
        if not self.pixels:
            return UNREAD_PIXELS
        first, second = (decode_rgb(frame.image_bytes, name=frame.key) for frame in (a.frame(row_a), b.frame(row_b)))
        return SAME_PIXELS if np.array_equal(first, second) else OTHER_PIXELS


def _column(table: pa.Table, name: str, rows: pa.Array) -> pa.Array:
    """Return a column of chosen rows; nulls when the table has no such measure."""
    if name not in table.column_names:
        return pa.nulls(len(rows), pa.float32())
    return table.column(name).take(rows).combine_chunks()


def matched_people(a: pa.Table, b: pa.Table) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Return the rows of the people whom two sidecars both hold, in the order of the first."""
    free_a, free_b = np.arange(a.num_rows), np.arange(b.num_rows)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for names in _IDENTITIES:
        in_a, in_b = _same_rows(a, b, names, free_a, free_b)
        pairs.append((free_a[in_a], free_b[in_b]))
        free_a, free_b = np.delete(free_a, in_a), np.delete(free_b, in_b)
    rows_a, rows_b = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    order = np.argsort(rows_a)
    return rows_a[order], rows_b[order]


def _same_rows(
    a: pa.Table,
    b: pa.Table,
    names: tuple[str, ...],
    free_a: Int64[np.ndarray, " a"],
    free_b: Int64[np.ndarray, " b"],
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Return where these columns hold the same values, which nobody else of either side has."""
    texts = []
    for table, free in ((a, free_a), (b, free_b)):
        columns = [table.column(name).take(pa.array(free)).combine_chunks() for name in names]
        texts.append(pc.call_function("binary_join_element_wise", [*columns, pa.scalar("\0")]))
    texts = [_once(values) for values in texts]
    options = pc.SetLookupOptions(value_set=texts[1], skip_nulls=True)
    found = pc.call_function("index_in", [texts[0]], options).fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(found >= 0)
    return rows, found[rows].astype(np.int64)


def _once(values: pa.Array) -> pa.Array:
    """Return texts, null where another one is the same."""
    counts = values.value_counts()
    repeated = counts.field("values").filter(pa.array(counts.field("counts").to_numpy(zero_copy_only=False) > 1))
    is_repeated = pc.call_function("is_in", [values], pc.SetLookupOptions(value_set=repeated))
    return pc.call_function("if_else", [is_repeated, pa.scalar(None, values.type), values])


def _note_unmatched(found: Difference, table: pa.Table, rows: Int64[np.ndarray, " pairs"], side: str) -> None:
    """Note the people of a table who are not among the rows, and frames of which nobody is."""
    is_alone = np.ones(table.num_rows, bool)
    is_alone[rows] = False
    keys = table.column("key").combine_chunks()
    alone = keys.filter(pa.array(is_alone))
    if len(alone):
        names = table.column("person_key").filter(pa.array(is_alone))
        found.note(f"people only in {side}", len(alone), names[0].as_py())
    kept = pc.SetLookupOptions(value_set=keys.filter(pa.array(~is_alone)))
    frames = alone.unique()
    lonely = frames.filter(pc.call_function("invert", [pc.call_function("is_in", [frames], kept)]))
    found.note(f"frames only in {side}", len(lonely), lonely[0].as_py() if len(lonely) else "")


def _note_rejects(found: Difference, a: Counter[tuple[Any, ...]], b: Counter[tuple[Any, ...]]) -> None:
    """Note what only one side left out, by reason."""
    names = [column.name for column in REJECT_COLUMNS if column.name != "unit"]
    reason, key = names.index("reason"), names.index("key")
    for side, rejects in (("A", a - b), ("B", b - a)):
        for row, count in sorted(rejects.items(), key=str):
            found.note(f"rejects only in {side}: {row[reason]}", count, row[key])


def _member_differs(
    a: _Side, b: _Side, rows_a: Int64[np.ndarray, " pairs"], rows_b: Int64[np.ndarray, " pairs"], member: str
) -> Bool[np.ndarray, " pairs"]:
    """Return for whom the bytes of a member of the frame differ."""
    columns = [f"{member}_size", f"{member}_crc32"]
    return np.any([a.numbers(name)[rows_a] != b.numbers(name)[rows_b] for name in columns], axis=0)


def _member_distances(
    a: _Side, b: _Side, rows_a: Int64[np.ndarray, " pairs"], rows_b: Int64[np.ndarray, " pairs"]
) -> Iterator[tuple[str, Distances]]:
    """Yield what only the members hold: large arrays, and all of the cameras."""
    apart = {name: np.zeros(len(rows_a)) for name in (*_MEMBER_ARRAYS, *_OF_CAMERA)}
    for member, read in (("rows", _large_arrays), ("json", _camera_arrays)):
        for pair in np.flatnonzero(_member_differs(a, b, rows_a, rows_b, member)):
            arrays_a, arrays_b = read(a.person(int(rows_a[pair]))), read(b.person(int(rows_b[pair])))
            for name, value in arrays_a.items():
                apart[name][pair] = array_distance(value, arrays_b[name])
    yield from apart.items()


def _large_arrays(person: StoredPerson) -> dict[str, np.ndarray | None]:
    return {name: getattr(person, name) for name in _MEMBER_ARRAYS}


def _camera_arrays(person: StoredPerson) -> dict[str, np.ndarray | None]:
    camera = person.camera
    lens = None if camera.distortion is None else np.asarray(camera.distortion.coefficients, np.float64)
    return dict(zip(_OF_CAMERA, (camera.K, camera.T_camera_world, lens), strict=True))
