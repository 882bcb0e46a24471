"""Write a converted tree of any size without its tars: sidecars, rejects and ``unit.json`` of forty invented sources.

    python tests/speed/make_sidecars.py 10000000 OUT

Sizes of the sources follow a power law, a shard holds about 5,000 people, and each source labels what its kind would:
body only, body and hands, or everything. Numbers are random, so they compress worse than real ones; texts are as
regular as real ones. The same arguments write the same bytes. Ten million people take a few minutes and about 10 GB.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ehps.shards.codec import FORMAT_VERSION
from ehps.shards.digest import digest, file_digest
from ehps.shards.record import Provenance, Reject
from ehps.shards.sidecar import quality_columns, sidecar_columns, write_rejects, write_table
from ehps.shards.tree import REJECTS_FILE, UNIT_FILE, sealed_text, unit_dir

SOURCES, SHARD_PEOPLE, UNIT_SHARDS = 40, 5_000, 8
_SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
_KINDS = ("body", "body", "hands", "all")  # what the sources label, in turn
_LENGTHS = {"global_orient": 3, "body_pose": 63, "left_hand_pose": 45, "right_hand_pose": 45, "jaw_pose": 3}
_LENGTHS |= {"betas": 10, "expression": 10, "transl": 3, "left_hand_bbox_xyxy": 4, "right_hand_bbox_xyxy": 4}
_PARTS = {
    "body": ("global_orient", "body_pose", "betas", "transl"),
    "hands": ("left_hand_pose", "right_hand_pose", "left_hand_bbox_xyxy", "right_hand_bbox_xyxy"),
    "all": ("jaw_pose", "expression"),
}


@dataclass(frozen=True)
class Source:
    """One invented source and split."""

    dataset: str
    split: str
    number: int
    people: int

    @property
    def fields(self) -> tuple[str, ...]:
        """The arrays that its people carry."""
        kind = _KINDS[self.number % len(_KINDS)]
        chosen = _PARTS["body"] + (_PARTS["hands"] if kind != "body" else ())
        return chosen + (_PARTS["all"] if kind == "all" else ())


def sources(people: int, count: int = SOURCES) -> list[Source]:
    """Return the sources with their sizes; every third has a test split with a twentieth of its people."""
    weights = 1 / np.arange(1, count + 1) ** 0.9
    sizes = np.maximum((weights / weights.sum() * people).astype(int), 20)
    sizes[0] += people - sizes.sum()
    found = []
    for number, size in enumerate(sizes.tolist()):
        test = size // 20 if number % 3 == 0 else 0
        found.append(Source(f"source_{number:02d}", "train", number, size - test))
        found += [Source(f"source_{number:02d}", "test", number, test)] if test else []
    return found


def make_tree(out: Path, people: int, count: int = SOURCES, jobs: int = 2) -> None:
    """Write the whole tree."""
    tasks = [(out, source, unit) for source in sources(people, count) for unit in range(_units(source))]
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(make_unit, *zip(*tasks, strict=True)))


def make_source(out: Path, source: Source) -> None:
    """Write one source."""
    for unit in range(_units(source)):
        make_unit(out, source, unit)


def _units(source: Source) -> int:
    return -(-source.people // (SHARD_PEOPLE * UNIT_SHARDS))


def make_unit(out: Path, source: Source, unit: int) -> None:
    """Write the files of one unit."""
    name = f"part_{unit:04d}"
    folder = unit_dir(out, source.dataset, source.split, name)
    folder.mkdir(parents=True)
    where = {"dataset": source.dataset, "split": source.split, "unit": name}
    first, shards = unit * SHARD_PEOPLE * UNIT_SHARDS, []
    for start in range(first, min(first + SHARD_PEOPLE * UNIT_SHARDS, source.people), SHARD_PEOPLE):
        size = min(SHARD_PEOPLE, source.people - start)
        shards.append(_make_shard(folder, source, where, len(shards), start, size))
    place = Provenance(file=f"labels/{name}.json", row="7")
    rejects = [Reject(key=f"{name}/{i}", reason=r, detail=f"{r} in row {i}", provenance=place, people=i + 1)
               for i, r in enumerate(("missing_image", "nan_pose", "empty_box"))]  # fmt: skip
    write_rejects(folder / REJECTS_FILE, rejects, **where)
    summary: dict[str, Any] = {"format": FORMAT_VERSION, "ehps_version": "0", **where, "shards": shards}
    summary |= {name: sum(shard[name] for shard in shards) for name in ("frames", "people")}
    summary |= {"rejected_people": 6, "rejects": {reject.reason: reject.people for reject in rejects}}
    summary |= {"rejects_blake3": file_digest(folder / REJECTS_FILE)}
    summary |= {"conversion": {"converter_version": 1}, "checks": {"median_reprojection_px": 1.5 + unit}}
    (folder / UNIT_FILE).write_text(sealed_text(summary), encoding="utf-8")


def _make_shard(
    folder: Path, source: Source, where: dict[str, str], number: int, start: int, size: int
) -> dict[str, Any]:
    """Write one sidecar and return what ``unit.json`` says about its shard."""
    name = f"{source.dataset}-{source.split}-{where['unit']}-{number:05d}"
    rng = np.random.default_rng([source.number, len(source.split), start])
    values = _columns(source, where | {"shard": f"{name}.tar"}, start, size, rng)
    table = pa.table(
        {c.name: values[c.name] if c.name in values else pa.nulls(size, c.type) for c in sidecar_columns()}
    )
    blake3, tar_size = digest(name.encode()), 1 << 30
    write_table(folder / f"{name}.parquet", table, {"ehps_tar_blake3": blake3, "ehps_tar_size": str(tar_size)})
    sidecar = file_digest(folder / f"{name}.parquet")
    shard = {"file": f"{name}.tar", "size": tar_size, "blake3": blake3, "sidecar_blake3": sidecar, "people": size}
    return shard | {"frames": int((values["person"].to_numpy() == 0).sum())}


def _columns(
    source: Source, where: dict[str, str], start: int, size: int, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Return the columns that are not null."""
    person, count, frame = _people_of_frames(source, size, rng)
    first = person == 0
    values = {name: _constant(text, size) for name, text in where.items()}
    values |= _identity(source, start, size, person, count, frame)
    width, height = list(_SIZES.values())[source.number % len(_SIZES)]
    values |= _boxes(width, height, size, rng)
    values |= _labels(source, size, rng)
    values |= _members(first, frame, rng)
    return values | _tiles(width, height, first, rng)


def _people_of_frames(source: Source, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each person, the index in the frame, the people of the frame and the number of the frame."""
    counts = 1 + rng.poisson(source.number % 4, size)
    ends = np.cumsum(counts)
    frame = np.searchsorted(ends, np.arange(size), side="right")
    counts[frame[-1]] -= max(ends[frame[-1]] - size, 0)
    return np.arange(size) - (ends - np.diff(ends, prepend=0))[frame], counts[frame], frame


def _identity(
    source: Source, start: int, size: int, person: np.ndarray, count: np.ndarray, frame: np.ndarray
) -> dict[str, pa.Array]:
    """Return names and numbers of people and frames."""
    sequence = _numbered("seq_", start // 1000 + frame // 300, 6)
    index = start + frame
    within = pc.binary_join_element_wise(sequence, _numbered("cam_", frame % 8, 2), _numbered("", index, 8), "/")
    slug = pc.replace_substring(within, "/", "-")
    key = pc.binary_join_element_wise(f"{source.dataset}-{source.split}-", slug, "")
    return {
        "person_key": pc.binary_join_element_wise(key, _numbered("", person, 1), "#"),
        "key": key,
        "frame_key": within,
        "person": pa.array(person, pa.int32()),
        "num_people": pa.array(count, pa.int32()),
        "sequence": sequence,
        "frame_index": pa.array(index, pa.int64()),
        "camera_name": _numbered("cam_", frame % 8, 2),
        "provenance_file": pc.binary_join_element_wise("labels/", sequence, ".json", ""),
        "provenance_row": _numbered("", start + np.arange(size), 1),
        "track": _numbered("track_", person + 10 * (start // 1000), 5),
    }


def _boxes(width: int, height: int, size: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return boxes, camera and quality measures."""
    box_height = np.minimum(rng.gamma(4, height / 16, size), height).astype("f4")
    box_width = box_height * rng.uniform(0.3, 0.8, size).astype("f4")
    x0, y0 = rng.uniform(0, 0.8 * width, size).astype("f4"), rng.uniform(0, 0.3 * height, size).astype("f4")
    values = {"bbox_x0": x0, "bbox_y0": y0, "bbox_x1": x0 + box_width, "bbox_y1": y0 + box_height}
    values |= {"box_height_px": box_height, "fx": rng.normal(1500, 200, size // 8 + 1).astype("f4").repeat(8)[:size]}
    values |= {"fy": values["fx"], "cx": np.full(size, width / 2, "f4"), "cy": np.full(size, height / 2, "f4")}
    measures = {c.name: rng.gamma(2, 1.5, size).astype("f4") for c in quality_columns() if "rarity" not in c.name}
    measures |= {"quality_truncation": rng.beta(1, 5, size).astype("f4")}
    arrays = {name: pa.array(array) for name, array in (values | measures).items()}
    arrays["quality_joint_error_mm"] = pc.if_else(
        pa.array(rng.random(size) < 0.5), arrays["quality_joint_error_mm"], None
    )
    sides = {"width": pa.array(np.full(size, width, "i4")), "height": pa.array(np.full(size, height, "i4"))}
    return arrays | sides


def _labels(source: Source, size: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return what is labelled, how, and the numbers."""
    kind = ("fitted", "pseudo", "synthetic", "measured")[source.number % 4]
    values: dict[str, pa.Array] = {}
    for name in sidecar_columns():
        if name.name.startswith("has_"):
            values[name.name] = pa.array(np.zeros(size, bool))
    present = {name: rng.random(size) < 0.97 for name in source.fields}
    for name, mask in present.items():
        values |= {name: _lists(_LENGTHS[name], mask, rng), f"has_{name}": pa.array(mask)}
    values |= {"has_bbox_xyxy": pa.array(np.ones(size, bool)), "has_keypoints_2d": pa.array(np.ones(size, bool))}
    labelled = {"body": "body_pose", "left_hand": "left_hand_pose", "right_hand": "right_hand_pose"}
    for part, name in (labelled | {"face": "expression", "shape": "betas", "keypoints_2d": "global_orient"}).items():
        if name in present:
            values[f"label_{part}"] = pc.if_else(pa.array(present[name]), kind, pa.scalar(None, pa.string()))
    texts = {"camera_kind": "measured", "body_model": "smplx", "gender": "neutral", "keypoints_2d_convention": "coco"}
    values |= {name: _constant(text, size) for name, text in texts.items()}
    values["num_betas"] = pc.if_else(values["has_betas"], pa.scalar(10, pa.int32()), None)
    flags = {"is_undistorted": True, "transl_is_metric": source.number % 2 == 0, "has_own_camera": False}
    return values | {
        name: pa.array(np.full(size, flag)) for name, flag in (flags | {"has_T_camera_world": True}).items()
    }


def _lists(length: int, mask: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Return lists of random numbers of one length; null where the mask is false."""
    ends = np.concatenate([[0], np.cumsum(mask * length)]).astype("i4")
    numbers = rng.standard_normal(int(ends[-1]), np.float32) * np.float32(0.3)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(numbers), mask=pa.array(~mask))


def _members(first: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return where the members of the frames lie."""
    frames = int(first.sum())
    sizes = {"image": rng.integers(60_000, 600_000, frames), "json": rng.integers(500, 900, frames)}
    sizes["rows"] = rng.integers(2_000, 6_000, frames)
    lengths = np.stack([512 + size + -size % 512 for size in sizes.values()])
    starts = np.cumsum(lengths.sum(0)) - lengths.sum(0)
    values: dict[str, pa.Array] = {}
    for member, (name, size) in enumerate(sizes.items()):
        offset = starts + lengths[:member].sum(0) + 512
        values |= {f"{name}_offset": pa.array(offset[frame]), f"{name}_size": pa.array(size[frame].astype("i4"))}
        values[f"{name}_crc32"] = pa.array(rng.integers(0, 1 << 32, frames).astype("u4")[frame])
    digits = np.frombuffer(b"0123456789abcdef", "u1")[rng.integers(0, 16, (frames, 64))]
    blake3 = _fixed(digits)
    values |= {"image_ext": _constant("jpg", len(frame)), "image_stored": _constant("tiled", len(frame))}
    values |= {"image_blake3": blake3.take(pa.array(frame))}
    return values | {"image_phash": pa.array(rng.integers(0, 1 << 63, frames).astype("u8")[frame])}


def _tiles(width: int, height: int, first: np.ndarray, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return where the rows of tiles lie, on the first row of each frame."""
    frames, rows = int(first.sum()), -(-height // 16)
    facts = {"tile_mcu_width": (16, "i4"), "tile_mcu_height": (16, "i4"), "tile_restart_mcus": (8, "i4")}
    facts |= {"tile_header_size": (623, "i4")}
    absent = pa.array(~first)
    values = {n: pa.Array.from_pandas(np.full(len(first), v, t), mask=~first) for n, (v, t) in facts.items()}
    crc = np.zeros(len(first), "u4")
    crc[first] = rng.integers(0, 1 << 32, frames)
    values["tile_header_crc32"] = pa.Array.from_pandas(crc, mask=~first)
    offsets = 623 + np.cumsum(rng.integers(500, 9_000, (frames, rows + 1)), axis=1)
    for name, numbers in (("row_offsets", offsets), ("row_crc32", rng.integers(0, 1 << 32, (frames, rows)))):
        ends = np.concatenate([[0], np.cumsum(first * numbers.shape[1])]).astype("i4")
        flat = pa.array(numbers.astype("u4").ravel())
        values[f"tile_{name}"] = pa.ListArray.from_arrays(pa.array(ends), flat, mask=absent)
    return values


def _numbered(prefix: str, numbers: np.ndarray, digits: int) -> pa.Array:
    """Return a prefix and zero-filled numbers."""
    text = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), digits, "0")
    return pc.binary_join_element_wise(prefix, text, "") if prefix else text


def _constant(text: str, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), size)


def _fixed(characters: np.ndarray) -> pa.StringArray:
    """Return rows of characters as texts."""
    ends = np.arange(len(characters) + 1, dtype="i4") * characters.shape[1]
    return pa.StringArray.from_buffers(len(characters), pa.py_buffer(ends), pa.py_buffer(characters.tobytes()))


if __name__ == "__main__":
    make_tree(Path(sys.argv[2]), int(sys.argv[1]))
