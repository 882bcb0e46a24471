"""Statistics of a converted source: what is in it, counted, as ``OUT/<dataset>/stats.json`` and beside its card.

Everything is counted or is an exact quantile, over all people of the sidecars, and no date and no path goes in: the
same shards give the same file. Shares are of the people, unless the name says frames.
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int64

from ..body.rotations import axis_angle_to_matrix
from ..errors import ShardError
from .poses import poses_of
from .sidecar import QUALITY_MEANINGS, read_sidecar
from .statistics_file import LAYOUT, PARTS, Betas, Orientation, Part, Quantiles, Statistics
from .tree import list_shards, read_unit, shards_fingerprint, unit_dirs

YAW_BINS, TILT_BINS = 12, 6  # of 30 degrees each
_LISTED_SIZES = 20  # picture sizes that are listed; the rest is one entry
_LEVELS = {"min": 0.0, "p01": 0.01, "p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
_LEVELS["max"] = 1.0
_SHARES = {
    "body": "has_body_pose",
    "both_hands": "has_left_hand_pose AND has_right_hand_pose",
    "any_hand": "has_left_hand_pose OR has_right_hand_pose",
    "face": "has_expression OR has_jaw_pose",
    "shape": "has_betas",
    "translation": "has_transl",
    "keypoints_2d": "has_keypoints_2d",
    "keypoints_3d": "has_keypoints_3d",
    "box": "has_bbox_xyxy",
}
_COUNTED = {
    "people_per_frame": ("num_people", "person = 0"),
    "picture_sizes": ("concat(width, 'x', height)", "person = 0"),
    "picture_formats": ("coalesce(image_ext, 'none')", "person = 0"),
    "pictures_stored": ("coalesce(image_stored, 'none')", "person = 0"),
    "cameras": ("camera_kind", "true"),
    "body_models": ("coalesce(body_model, 'none')", "true"),
    "genders": ("coalesce(gender, 'none')", "true"),
    "num_betas": ("num_betas", "num_betas IS NOT NULL"),
    **{f"label_{part}": (f"coalesce(label_{part}, 'none')", "true") for part in PARTS},
}


def source_statistics(out: Path, dataset: str) -> Statistics:
    """Return the statistics of a converted source; ShardError when the tree holds nothing of it."""
    out = Path(out)
    units = [unit for folder in unit_dirs(out, dataset) if (unit := read_unit(folder)) is not None]
    if not units:
        raise ShardError(out, f"holds no converted unit of {dataset}", "run ehps convert first")
    shards = list_shards(out, dataset)
    sidecars = {shard.path: (out / shard.path).with_suffix(".parquet") for shard in shards}
    splits = sorted({unit["split"] for unit in units})
    counts = _people_counts(list(sidecars.values()))
    shapes = {split: _Shapes() for split in splits}
    for shard in shards:
        shapes[shard.split].add(read_sidecar(sidecars[shard.path], ["global_orient", "betas"]))
    parts = {
        split: _part(
            _unit_counts(units, split) | counts.get(split, {}), [shapes[s] for s in splits if split in (s, None)]
        )
        for split in (None, *splits)
    }
    total = parts.pop(None)
    splits_found = {split: part for split, part in parts.items() if split is not None}
    return Statistics(
        dataset=dataset, layout=LAYOUT, fingerprint=shards_fingerprint(shards), total=total, splits=splits_found
    )


def _part(counts: dict[str, Any], shapes: Sequence["_Shapes"]) -> Part:
    """Return a split from its counts and the sums over its shards."""
    labels = {part: counts.pop(f"label_{part}", {}) for part in PARTS}
    sizes = sorted(counts["picture_sizes"].items(), key=lambda size: (-size[1], size[0]))
    listed, other = dict(sizes[:_LISTED_SIZES]), sum(count for _, count in sizes[_LISTED_SIZES:])
    counts["picture_sizes"] = listed | ({"other": other} if other else {})
    return Part(labels=labels, orientation=_orientation(shapes), betas=_betas(shapes), **counts)


def _unit_counts(units: Iterable[Mapping[str, Any]], split: str | None) -> dict[str, Any]:
    """Return what the summaries of the units say, and zero or nothing for what only sidecars know."""
    chosen = [unit for unit in units if split in (None, unit["split"])]
    rejects = Counter[str]()
    for unit in chosen:
        rejects.update(unit["rejects"])
    people = sum(unit["people"] for unit in chosen)
    shards = [shard for unit in chosen for shard in unit["shards"]]
    return {
        **{name: {} for name in _COUNTED},
        "frames": sum(unit["frames"] for unit in chosen),
        "people": people,
        "units": len(chosen),
        "shards": len(shards),
        "bytes": sum(shard["size"] for shard in shards),
        "rejected_people": rejects.total(),
        "reject_share": _short(rejects.total() / max(people + rejects.total(), 1)),
        "rejects": dict(rejects),
        "sequences": 0,
        "shares": dict.fromkeys(_SHARES, 0.0),
        "measures": {},
    }


def _people_counts(sidecars: Sequence[Path]) -> dict[str | None, dict[str, Any]]:
    """Return what the sidecars say, by split; None is all of them."""
    if not sidecars:
        return {}
    spill = f"{tempfile.gettempdir()}/ehps-duckdb-{os.getpid()}"  # by default it would be the working directory
    with duckdb.connect(config={"temp_directory": spill}) as connection:
        names = [re.sub(r"[*?\[]", r"[\g<0>]", str(path)) for path in sidecars]
        connection.read_parquet(names, union_by_name=True).create_view("people")
        found = _scalars(connection)
        for name, (value, where) in _COUNTED.items():
            sql = f"SELECT split, {value}, count(*) FROM people WHERE {where} GROUP BY GROUPING SETS ((1, 2), (2))"
            for split, entry, count in connection.execute(sql).fetchall():
                found[split].setdefault(name, {})[str(entry)] = count
    return found


def _scalars(connection: duckdb.DuckDBPyConnection) -> dict[str | None, dict[str, Any]]:
    """Return the number of sequences, the shares and the quantiles, by split."""
    known = {row[0] for row in connection.execute("DESCRIBE people").fetchall()}
    measures = {"box_height_px": "box_height_px", "focal_px": "fx"}
    measures |= {name: f"quality_{name}" for name in QUALITY_MEANINGS if f"quality_{name}" in known}
    levels = list(_LEVELS.values())
    selected = ["count(DISTINCT sequence)", "count(*)"]
    selected += [f"count(*) FILTER ({test})" for test in _SHARES.values()]
    for column in measures.values():
        selected += [f"count({column})", f"quantile_disc({column}, {levels})"]
    sql = f"SELECT split, {', '.join(selected)} FROM people GROUP BY GROUPING SETS ((split), ())"
    found = {}
    for split, sequences, people, *values in connection.execute(sql).fetchall():
        shares = {name: _short(count / max(people, 1)) for name, count in zip(_SHARES, values, strict=False)}
        numbers = values[len(_SHARES) :]
        quantiles = {
            name: Quantiles(count=count, **dict(zip(_LEVELS, map(_short, levels_found), strict=True)))
            for name, count, levels_found in zip(measures, numbers[::2], numbers[1::2], strict=True)
            if count
        }
        found[split] = {"sequences": sequences, "shares": shares, "measures": quantiles}
    return found


def _short(value: float) -> float:
    """Return a number with the six digits that a float32 has."""
    return float(f"{value:.6g}")


class _Shapes:
    """Orientations and shapes of a split, added up shard by shard."""

    def __init__(self) -> None:
        self.yaw: Int64[np.ndarray, " bins"] = np.zeros(YAW_BINS, np.int64)
        self.tilt: Int64[np.ndarray, " bins"] = np.zeros(TILT_BINS, np.int64)
        self.betas: dict[int, tuple[int, np.ndarray]] = {}  # by number: people, and least and largest values

    def add(self, table: pa.Table) -> None:
        """Take the people of a shard."""
        yaw, tilt = facing_degrees(poses_of(table.column("global_orient"), 3).numbers.astype(np.float64))
        self.yaw += np.histogram(yaw, YAW_BINS, (-180, 180))[0]
        self.tilt += np.histogram(tilt, TILT_BINS, (0, 180))[0]
        betas = table.column("betas").combine_chunks()
        lengths = betas.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        for length in sorted(set(lengths.tolist()) - {0}):
            numbers = poses_of(betas.filter(pa.array(lengths == length)), length).numbers
            people, extremes = self.betas.get(length, (0, numbers[:1].repeat(2, 0)))
            every = np.concatenate([extremes, numbers])
            self.betas[length] = people + len(numbers), np.stack([every.min(0), every.max(0)])


def facing_degrees(
    global_orient: Float[np.ndarray, "people 3"],
) -> tuple[Float[np.ndarray, " people"], Float[np.ndarray, " people"]]:
    """Return which way people face and how far they lean, degrees, from the rotation of the pelvis in camera space.

    Yaw 0 faces the camera, 90 the right edge of the picture. Tilt is the angle between the body's up and the picture's.
    """
    matrix = np.asarray(axis_angle_to_matrix(global_orient))
    forward, up = matrix[:, :, 2], matrix[:, :, 1]  # at rest the body looks along z and its head is along y
    yaw = np.degrees(np.arctan2(forward[:, 0], -forward[:, 2]))
    return yaw, np.degrees(np.arccos(np.clip(-up[:, 1], -1, 1)))


def _orientation(shapes: Sequence[_Shapes]) -> Orientation:
    """Return the sums of the histograms."""
    yaw, tilt = sum(s.yaw for s in shapes), sum(s.tilt for s in shapes)
    return Orientation(yaw=tuple(np.asarray(yaw).tolist()), tilt=tuple(np.asarray(tilt).tolist()))


def _betas(shapes: Sequence[_Shapes]) -> Betas | None:
    """Return the range of the betas of the number that most people have; None when nobody has any."""
    people = Counter[int]()
    for shape in shapes:
        people.update({length: count for length, (count, _) in shape.betas.items()})
    if not people:
        return None
    length = max(people, key=lambda size: (people[size], -size))
    extremes = np.stack([shape.betas[length][1] for shape in shapes if length in shape.betas])
    low, high = extremes[:, 0].min(0), extremes[:, 1].max(0)
    return Betas(min=tuple(map(_short, low.tolist())), max=tuple(map(_short, high.tolist())))
