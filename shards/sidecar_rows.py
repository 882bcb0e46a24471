"""Collecting what a sidecar says about the people of one tar, while the tar is written.

Everything but the small numeric labels is among the JSON values of the frames, which are kept as they are until a row
group is full and then become Arrow columns all at once, so that a person costs a few microseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int

from .codec import person_key
from .jpeg import TileMap
from .picture import Picture
from .record import ARRAY_FIELDS, Cut, Kind, Labels, Numbers
from .sidecar import LIST_MEANINGS, MEMBER_COLUMNS, ROW_GROUP, TILE_COLUMNS, schema_of, sidecar_columns
from .ustar import Place

_SMALL = (*LIST_MEANINGS, "bbox_xyxy")  # the labels that are columns
_PARTS = [part.name for part in fields(Labels)]
_OF_FRAMES = (
    "key",
    "dataset",
    "split",
    "unit",
    "frame_key",
    "width",
    "height",
    "sequence",
    "frame_index",
    "camera_name",
)
_OF_PEOPLE = (
    *("track", "body_model", "gender", "template", "kid_weight", "transl_is_metric"),
    *("keypoints_2d_convention", "keypoints_3d_convention"),
)
_OF_CAMERAS = ("camera_kind", "fx", "fy", "cx", "cy", "distortion_model", "is_undistorted", "has_T_camera_world")
_OF_CUTS = [part.name for part in fields(Cut)]
_OF_MEMBERS = [column.name for column in MEMBER_COLUMNS if column not in TILE_COLUMNS]
_OF_TILES = ("mcu_width", "mcu_height", "restart_mcus", "header_size", "header_crc32")

Values = dict[str, list[Any] | pa.Array]


class _Frame(NamedTuple):
    """One frame of the tar, as far as the sidecar is concerned."""

    meta: Mapping[str, Any]
    members: Mapping[str, Any]
    tiles: TileMap | None


class SidecarRows:
    """The rows of the sidecar of one tar."""

    def __init__(self, shard: str) -> None:
        self.shard = shard
        self.people = self.frames = 0
        self._batches: list[pa.Table] = []
        self._start_batch()

    def _start_batch(self) -> None:
        self._frames: list[_Frame] = []
        self._numbers: list[Numbers] = []

    def add(
        self,
        meta: Mapping[str, Any],
        numbers: Sequence[Numbers],
        picture: Picture | None,
        phash: int | None,
        places: Sequence[Place],
    ) -> None:
        """Take in one frame: JSON values, numbers of its people, picture with its hash, places of its members."""
        members: dict[str, Any] = {"image_phash": phash}
        if picture is not None:
            members |= {"image_ext": picture.ext, "image_stored": picture.stored, "image_blake3": picture.blake3}
        for name, place in zip(("image", "json", "rows")[-len(places) :], places, strict=True):
            members[f"{name}_offset"], members[f"{name}_size"], members[f"{name}_crc32"] = place
        self._frames.append(_Frame(meta, members, None if picture is None else picture.tiles))
        self._numbers += [Numbers(kind, flat.take(_small(kind).words)) for kind, flat in numbers]
        self.frames, self.people = self.frames + 1, self.people + len(numbers)
        if len(self._numbers) >= ROW_GROUP:
            self._end_batch()

    def _end_batch(self) -> None:
        """Turn what was collected into Arrow columns."""
        if not self._frames:
            return
        counts = np.array([len(frame.meta["people"]) for frame in self._frames])
        repeat = pa.array(np.repeat(np.arange(len(counts)), counts))
        values: Values = _person_values(self._frames) | _number_values(self._numbers) | _tile_values(self._frames)
        values["shard"] = [self.shard] * len(self._numbers)
        shared = _frame_values(self._frames)
        schema = schema_of(sidecar_columns(name.removeprefix("quality_") for name in values if name[:8] == "quality_"))
        arrays = []
        for field in schema:
            if field.name in shared:
                arrays.append(pa.array(shared[field.name], field.type).take(repeat))
            else:
                arrays.append(_array(values.get(field.name), field.type, len(self._numbers)))
        self._batches.append(pa.Table.from_arrays(arrays, schema=schema))
        self._start_batch()

    def table(self) -> pa.Table:
        """Return everyone's row, in the order in which they came."""
        self._end_batch()
        names = [name for batch in self._batches for name in batch.column_names if name[:8] == "quality_"]
        schema = schema_of(sidecar_columns({name.removeprefix("quality_") for name in names}))
        if not self._batches:
            return schema.empty_table()
        return pa.concat_tables(self._batches, promote_options="default").select(schema.names).cast(schema)


def _array(values: list[Any] | pa.Array | None, kind: pa.DataType, count: int) -> pa.Array:
    """Return a column; one without values is null throughout."""
    if values is None:
        return pa.nulls(count, kind)
    return pa.array(values, kind) if isinstance(values, list) else values.cast(kind)


def _frame_values(frames: Sequence[_Frame]) -> dict[str, list[Any]]:
    """Return the columns that everyone in a frame shares, one value a frame."""
    values = {name: [frame.meta.get(name) for frame in frames] for name in _OF_FRAMES}
    values["num_people"] = [len(frame.meta["people"]) for frame in frames]
    cuts = [frame.meta.get("cut", {}) for frame in frames]
    values |= {f"cut_{name}": [cut.get(name) for cut in cuts] for name in _OF_CUTS}
    return values | {name: [frame.members.get(name) for frame in frames] for name in _OF_MEMBERS}


def _person_values(frames: Sequence[_Frame]) -> Values:
    """Return the columns that hold scalars of a person."""
    metas = [frame.meta for frame in frames]
    people = [person for meta in metas for person in meta["people"]]
    values: Values = {name: [person.get(name) for person in people] for name in _OF_PEOPLE}
    values["person"] = [index for meta in metas for index in range(len(meta["people"]))]
    values["person_key"] = [person_key(meta["key"], index) for meta in metas for index in range(len(meta["people"]))]
    values["has_own_camera"] = ["camera" in person for person in people]
    shared = [camera for meta in metas for camera in [_camera_values(meta["camera"])] * len(meta["people"])]
    cameras = [_camera_values(p["camera"]) if "camera" in p else own for p, own in zip(people, shared, strict=True)]
    values |= {name: [camera[place] for camera in cameras] for place, name in enumerate(_OF_CAMERAS)}
    values |= {f"provenance_{name}": [person["provenance"][name] for person in people] for name in ("file", "row")}
    values |= {f"label_{part}": [person["labels"].get(part) for person in people] for part in _PARTS}
    measures = set().union(*[person["quality"] for person in people])
    return values | {f"quality_{name}": [person["quality"].get(name) for person in people] for name in measures}


def _camera_values(camera: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the columns of a camera in the order of ``_OF_CAMERAS``."""
    lens, K = camera.get("distortion", {}).get("model"), camera.get("K")
    pinhole = (None,) * 4 if K is None else (K[0][0], K[1][1], K[0][2], K[1][2])
    return camera["kind"], *pinhole, lens, camera["is_undistorted"], "T_camera_world" in camera


class _Small(NamedTuple):
    """Where the labels that are columns lie among the numbers of a kind of person."""

    words: Int[np.ndarray, " words"]  # of all numbers
    places: Mapping[str, slice]  # among those words


@lru_cache(maxsize=4096)
def _small(kind: Kind) -> _Small:
    """Return where the small labels of a kind of person lie."""
    words, places, end = [np.zeros(0, np.int64)], {}, 0
    for name in _SMALL:
        if place := kind.places.get(name):
            words.append(np.arange(place.start, place.stop))
            places[name] = slice(end, end := end + place.stop - place.start)
    return _Small(np.concatenate(words), places)


class _Crowd:
    """The small labels of many people, grouped by what they carry."""

    def __init__(self, people: Sequence[Numbers]) -> None:
        self.kinds = list(dict.fromkeys([numbers.kind for numbers in people]))
        order = {kind: number for number, kind in enumerate(self.kinds)}
        self._kind_of: Int[np.ndarray, " people"] = np.array([order[numbers.kind] for numbers in people])
        self._rows = [np.flatnonzero(self._kind_of == number) for number in range(len(self.kinds))]
        self._tables = [np.stack([people[row].flat for row in rows.tolist()]) for rows in self._rows]

    def each(self, of_kinds: Sequence[Any]) -> np.ndarray:
        """Return a value for each person, given one for each kind."""
        return np.array(of_kinds)[self._kind_of]

    def carries(self, name: str) -> Bool[np.ndarray, " people"]:
        """Return who carries a label."""
        return self.each([name in kind.shapes for kind in self.kinds])

    def numbers(self, name: str) -> tuple[Int[np.ndarray, " people_and_end"], Float32[np.ndarray, " numbers"]]:
        """Return a label of everyone, one after the other, and where each person's begins; nothing where absent."""
        places = [_small(kind).places.get(name, slice(0, 0)) for kind in self.kinds]
        ends = np.cumsum([0, *self.each([place.stop - place.start for place in places])])
        flat = np.zeros(ends[-1], np.float32)
        for place, rows, table in zip(places, self._rows, self._tables, strict=True):
            values = table[:, place]
            flat[ends[rows, None] + np.arange(values.shape[1])] = values
        return ends, flat


def _number_values(people: Sequence[Numbers]) -> Values:
    """Return the columns of the small labels, of the box, and of what each person carries."""
    crowd = _Crowd(people)
    values: Values = {f"has_{name}": pa.array(crowd.carries(name)) for name in ARRAY_FIELDS}
    for name in LIST_MEANINGS:
        ends, flat = crowd.numbers(name)
        values[name] = _lists(ends, flat, crowd.carries(name))
    betas = crowd.each([kind.shapes.get("betas", (0,))[0] for kind in crowd.kinds])
    values["num_betas"] = pa.array(betas, mask=~crowd.carries("betas"))
    return values | _box_values(crowd)


def _box_values(crowd: _Crowd) -> Values:
    """Return the columns of the tight box."""
    has_box = crowd.carries("bbox_xyxy")
    boxes = np.zeros((len(has_box), 4), np.float32)
    boxes[has_box] = crowd.numbers("bbox_xyxy")[1].reshape(-1, 4)
    edges = {f"bbox_{edge}": boxes[:, i] for i, edge in enumerate(("x0", "y0", "x1", "y1"))}
    columns = edges | {"box_height_px": boxes[:, 3] - boxes[:, 1]}
    return {name: pa.array(column, mask=~has_box) for name, column in columns.items()}


def _lists(ends: np.ndarray, flat: np.ndarray, is_there: Bool[np.ndarray, " people"]) -> pa.Array:
    """Return lists that lie one after the other as an Arrow array; null where absent."""
    mask = None if is_there.all() else pa.array(~is_there)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat), mask=mask)


def _tile_values(frames: Sequence[_Frame]) -> Values:
    """Return the columns of the tiles, which the first person of a frame has for all."""
    first: list[TileMap | None] = []
    for frame in frames:
        first += [frame.tiles, *[None] * (len(frame.meta["people"]) - 1)]
    if not any(first):
        return {}
    values: Values = {f"tile_{name}": [tiles and getattr(tiles, name) for tiles in first] for name in _OF_TILES}
    is_there = np.array([tiles is not None for tiles in first])
    for name in ("row_offsets", "row_crc32"):
        parts = [np.zeros(0, np.uint32) if tiles is None else getattr(tiles, name) for tiles in first]
        ends = np.cumsum([0, *map(len, parts)])
        values[f"tile_{name}"] = _lists(ends, np.concatenate(parts), is_there)
    return values
