"""HumanData out: converted people as one npz that the released loaders of SMPLer-X and SMPLest-X read unchanged.

The loaders take one body model, one set of validity masks and one list of parameters for a whole file, so everything
that the file says must hold for everyone in it: a part that some people lack is left out of the file, or these people
are, as ``parts`` asks; either is counted. Boxes are 1.2 times the tight ones, hands deviations from the mean hand.
The loaders pose the neutral model for everyone and take ``betas_neutral`` before ``betas``: gendered people go with
both. What HumanData has no place for lies in an entry of its own (``ehps``), which they do not look at.
Facts: ``data/humandata.py`` of SMPLer-X, ``datasets/humandata.py`` of SMPLest-X, ``human_data.py`` of MMHuman3D.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32

from ..body.cameras import project
from ..body.hands import to_deviation
from ..body.keypoints import convention, convert_keypoints
from ..errors import ShardError, UnknownNameError
from ..shards.record import ARRAY_FIELDS
from ..shards.sidecar import read_sidecar
from ..shards.tree import ShardPlace, list_shards
from .boxes import scale_boxes
from .formats.humandata import BODIES, BODY_BOX_SCALE, BOXES, EXTRAS, PARTS, finite_rows
from .formats.npz_spool import Spool, write_npz
from .stored_chunks import StoredChunk, stored_chunks

CHUNK = 4096  # people held at once
LEVEL = 1  # of zlib: numbers in single precision hardly shrink, whatever the time
_COEFFICIENTS = ("betas", "expression")
NUM_COEFFICIENTS = 10  # of shape and of expression, as the loaders' body model takes them
NUM_JOINTS = 144
# Part that may be asked for -> what its people have to carry.
CHOSEN_PARTS = {
    "hands": ("left_hand_pose", "right_hand_pose"),
    "face": ("jaw_pose", "expression"),
    "transl": ("transl",),
}
_NEEDED = ("global_orient", "body_pose", "betas", "joints_3d", "bbox_xyxy")
_OPTIONAL = ("transl", "left_hand_pose", "right_hand_pose", "jaw_pose", "expression")
_EYES = ("leye_pose", "reye_pose")
_SHAPES = {"left_hand_pose": (15, 3), "right_hand_pose": (15, 3), "betas": (NUM_COEFFICIENTS,)}
_SHAPES |= {"expression": (NUM_COEFFICIENTS,)}
_NEUTRAL = "betas_neutral"
_CAMERA = ("fx", "fy", "cx", "cy")
_COLUMNS = (
    *("person_key", "key", "dataset", "split", "unit", "image_ext", "width", "height", "sequence"),
    *("body_model", "gender", "kid_weight", "transl_is_metric", "camera_kind", *_CAMERA),
    *("distortion_model", "is_undistorted", "keypoints_2d_convention", "keypoints_3d_convention"),
    *(f"label_{part}" for part in PARTS),
    *(f"has_{name}" for name in ARRAY_FIELDS),
)


@dataclass(frozen=True)
class Wishes:
    """What to write, and how."""

    body: Literal["smplx", "smpl", "smplh"] = "smplx"
    parts: tuple[str, ...] = ()  # of CHOSEN_PARTS: people who lack one are left out
    hands: Literal["deviation", "absolute"] = "deviation"  # absolute: for classes that subtract the mean themselves
    pictures: bool = True

    def __post_init__(self) -> None:
        for kind, value, known in (("body model", self.body, BODIES), ("hands", self.hands, ("deviation", "absolute"))):
            if value not in known:
                raise UnknownNameError(kind, value, known)
        for part in self.parts:
            if part not in CHOSEN_PARTS:
                raise UnknownNameError("part", part, CHOSEN_PARTS)


@dataclass
class Exported:
    """What became of everyone."""

    path: Path
    people: int = 0
    pictures: int = 0
    without_picture: int = 0  # people
    left_out: Counter[str] = field(default_factory=Counter)  # people by reason
    partly: dict[str, int] = field(default_factory=dict)  # what the file lacks because some lack it -> who has it
    points: int = 0  # of the 144 that everyone has
    cut: Counter[str] = field(default_factory=Counter)  # people with more coefficients than the loaders take


@dataclass
class _Choice:
    """Who goes into the file, shard by shard."""

    shards: list[tuple[ShardPlace, Bool[np.ndarray, " people"]]] = field(default_factory=list)
    conventions: dict[str, set[str]] = field(default_factory=lambda: {"keypoints_2d": set(), "keypoints_3d": set()})
    carriers: Counter[str] = field(default_factory=Counter)
    widest: Counter[str] = field(default_factory=Counter)
    people: int = 0
    gendered: int = 0
    neutral: int = 0  # people whose betas of the neutral model are known


def export(
    out: Path,
    path: Path,
    wishes: Wishes = Wishes(),
    *,
    dataset: str | None = None,
    split: str | None = None,
    wanted: Collection[int] | None = None,
) -> Exported:
    """Write people of a converted tree to an npz, with their pictures in a folder of its name beside it.

    ``wanted`` are numbers of people as the catalog counts them (``person_id``), None for all. ShardError when there is
    nobody to write; everyone who was not is counted by reason.
    """
    done = Exported(path)
    choice = _choose(out, wishes, done, dataset, split, wanted)
    if not choice.people:
        reasons = ", ".join(f"{reason} {count}" for reason, count in done.left_out.items()) or "nobody was chosen"
        raise ShardError(out, f"nobody can be exported ({reasons})", "see ehps export humandata --help")
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [name for name in _OPTIONAL if choice.carriers[name] == choice.people]
    done.partly |= {name: choice.carriers[name] for name in _OPTIONAL if 0 < choice.carriers[name] < choice.people}
    if choice.gendered and choice.neutral < choice.people:
        done.partly[_NEUTRAL] = choice.neutral
    elif choice.gendered:
        kept.append(_NEUTRAL)
    with Spool(path.parent) as spool:
        writer = _Writer(wishes, kept, choice, spool, done)
        for shard, chosen in choice.shards:
            writer.add_shard(out, shard, chosen)
        write_npz(path, writer.entries(), LEVEL)
    return done


def _choose(
    out: Path, wishes: Wishes, done: Exported, dataset: str | None, split: str | None, wanted: Collection[int] | None
) -> _Choice:
    """Return who goes into the file; everyone else is counted."""
    choice, first = _Choice(), 0
    ids = None if wanted is None else np.fromiter(wanted, np.int64, len(wanted))
    for shard in list_shards(out):
        rows = np.arange(first, first + shard.people)
        first += shard.people
        if dataset not in (None, shard.dataset) or split not in (None, shard.split):
            continue
        asked = np.ones(len(rows), bool) if ids is None else np.isin(rows, ids)
        if asked.any():
            choice.shards.append((shard, _choose_of_shard(out, shard, asked, wishes, choice, done)))
    return choice


def _choose_of_shard(
    out: Path, shard: ShardPlace, asked: Bool[np.ndarray, " people"], wishes: Wishes, choice: _Choice, done: Exported
) -> Bool[np.ndarray, " people"]:
    """Return who of a shard goes into the file, and add up what they carry."""
    names = ["body_model", "gender", "fx", *_COEFFICIENTS, "keypoints_2d_convention", "keypoints_3d_convention"]
    names += [f"has_{name}" for name in ARRAY_FIELDS]
    table = read_sidecar((out / shard.path).with_suffix(".parquet"), names)
    bodies = np.array([body or "none" for body in table["body_model"].to_pylist()], str)
    chosen = asked.copy()
    rules = [(f"body_model_{body}", bodies == body) for body in sorted(set(bodies.tolist()) - {wishes.body})]
    rules += [(f"no_{name}", ~table[f"has_{name}"].to_numpy()) for name in _NEEDED]
    rules += [("no_camera", table["fx"].is_null().to_numpy())]
    rules += [(f"no_{part}", ~_carry_all(table, CHOSEN_PARTS[part])) for part in wishes.parts]
    for reason, mask in rules:
        if count := int((chosen & mask).sum()):
            done.left_out[reason] += count
        chosen &= ~mask
    for name in ARRAY_FIELDS:
        choice.carriers[name] += int((chosen & table[f"has_{name}"].to_numpy()).sum())
    for name, orders in choice.conventions.items():
        found = table[f"{name}_convention"].to_pylist()
        orders |= {order for order, is_chosen in zip(found, chosen.tolist(), strict=True) if order and is_chosen}
    for name in _COEFFICIENTS:
        counts = table[name].combine_chunks().value_lengths().fill_null(0).to_numpy()[chosen]
        choice.widest[name] = max(choice.widest[name], int(counts.max(initial=0)))
        done.cut[name] += int((counts > NUM_COEFFICIENTS).sum())
    is_neutral = np.array([gender == "neutral" for gender in table["gender"].to_pylist()], bool)
    choice.gendered += int((chosen & ~is_neutral).sum())
    choice.neutral += int((chosen & (is_neutral | table[f"has_{_NEUTRAL}"].to_numpy())).sum())
    choice.people += int(chosen.sum())
    return chosen


def _carry_all(table: Any, names: tuple[str, ...]) -> Bool[np.ndarray, " people"]:
    """Return who carries all of some fields."""
    return np.logical_and.reduce([table[f"has_{name}"].to_numpy() for name in names])


class _Writer:
    """Turns chunks of stored people into the columns of the file."""

    def __init__(self, wishes: Wishes, kept: list[str], choice: _Choice, spool: Spool, done: Exported) -> None:
        self.wishes, self.kept, self.choice, self.spool, self.done = wishes, kept, choice, spool, done
        self.known = np.ones(NUM_JOINTS, bool)
        self.kids = False
        self.suffix = "smplx" if wishes.body == "smplx" else "smpl"
        self.texts: dict[str, list[str]] = {}

    def add_shard(self, out: Path, shard: ShardPlace, chosen: Bool[np.ndarray, " people"]) -> None:
        """Take in the chosen people of a shard."""
        for chunk in stored_chunks(out, shard, chosen, list(_COLUMNS), CHUNK):
            self._add_points(chunk)
            self._add_parameters(chunk)
            self._add_boxes(chunk)
            self._add_meta(chunk)
            self._add_extras(chunk)
            self._add_pictures(chunk)
            self.done.people += len(chunk)

    def _add_points(self, chunk: StoredChunk) -> None:
        """Add the joints of the body and where they are seen, with confidence 0 for those that are not known."""
        joints = chunk.filled("joints_3d", (NUM_JOINTS, 3), np.nan)
        K = np.zeros((len(chunk), 3, 3))
        K[:, [0, 1, 0, 1], [0, 1, 2, 2]] = np.stack([chunk.numbers(name) for name in _CAMERA], axis=1)
        K[:, 2, 2] = 1
        pixels = project(joints, K)
        for row, lens in chunk.lenses():
            pixels[row] = project(joints[row].astype(np.float64), K[row], lens)
        known = np.isfinite(joints[..., 0]) & np.isfinite(pixels[..., 0])
        self.known &= np.logical_and.reduce(known, axis=0)
        for name, points in (("keypoints2d", pixels), ("keypoints3d", joints)):
            self.spool.add(f"{name}_{self.suffix}", _with_known(points, known))
        for name in ("keypoints_2d", "keypoints_3d"):
            if self.choice.conventions[name]:
                self.spool.add(f"{name.replace('_', '')}_original", self._original(chunk, name))

    def _original(self, chunk: StoredChunk, name: str) -> Float32[np.ndarray, "people points values"]:
        """Return the source's own keypoints: in their order where all have the same, else in the 190 slots."""
        orders, width = self.choice.conventions[name], 3 if name == "keypoints_2d" else 4
        if len(orders) == 1:
            return np.nan_to_num(chunk.filled(name, (len(convention(next(iter(orders)))), width)))
        out, own = np.zeros((len(chunk), 190, width), np.float32), np.array(chunk.texts(f"{name}_convention"), str)
        for order in sorted(orders):
            rows = np.flatnonzero(own == order)
            points = chunk.filled(name, (len(convention(order)), width))[rows]
            out[rows] = convert_keypoints(np.nan_to_num(points), order, "human_data")
        return out

    def _add_parameters(self, chunk: StoredChunk) -> None:
        """Add the parameters of the body model."""
        joints = 23 if self.wishes.body == "smpl" else 21
        for name in ("global_orient", "body_pose", "betas", *_EYES, *self.kept):
            shape = (joints, 3) if name == "body_pose" else _SHAPES.get(name, (3,))
            values = _neutral_betas(chunk) if name == _NEUTRAL else chunk.filled(name, shape)
            side = name.removesuffix("_hand_pose")
            if side in ("left", "right") and self.wishes.hands == "deviation":
                values = to_deviation(values, side)
            self.spool.add(f"{self.wishes.body}.{name}", values)
        weights = chunk.numbers("kid_weight").astype(np.float32)
        self.kids |= bool(weights.any())
        self.spool.add(f"{self.wishes.body}.betas_extra", weights[:, None])

    def _add_boxes(self, chunk: StoredChunk) -> None:
        """Add the boxes; that of the person padded as the loaders expect."""
        for own, name in BOXES.items():
            corners = chunk.filled(own, (4,), np.nan).astype(np.float64)
            is_there = finite_rows(corners)
            corners = scale_boxes(corners, BODY_BOX_SCALE) if own == "bbox_xyxy" else corners
            sides = corners[:, 2:] - corners[:, :2]
            boxes = np.concatenate([corners[:, :2], sides, np.ones((len(chunk), 1))], axis=1)
            self.spool.add(name, np.where(is_there[:, None], boxes, 0).astype(np.float32))

    def _add_meta(self, chunk: StoredChunk) -> None:
        """Add what the file says about each row."""
        for name in ("height", "width"):
            self.spool.add(f"meta.{name}", chunk.numbers(name).astype(np.int64))
        for name, columns in (("focal_length", _CAMERA[:2]), ("principal_point", _CAMERA[2:])):
            self.spool.add(f"meta.{name}", np.stack([chunk.numbers(c) for c in columns], axis=1).astype(np.float64))
        for name, column in (("gender", "gender"), ("person_key", "person_key"), ("sequence_name", "sequence")):
            self.texts.setdefault(f"meta.{name}", []).extend(chunk.texts(column))

    def _add_extras(self, chunk: StoredChunk) -> None:
        """Add what only ehps reads."""
        bits = sum(chunk.has(name).astype(np.uint32) << np.uint32(bit) for bit, name in enumerate(ARRAY_FIELDS))
        self.spool.add(f"{EXTRAS}.carries", np.asarray(bits, np.uint32))
        self.spool.add(f"{EXTRAS}.transl_is_metric", chunk.numbers("transl_is_metric", True).astype(bool))
        for name in _COEFFICIENTS:
            whole = chunk.filled(name, (max(1, self.choice.widest[name]),), np.nan)
            self.spool.add(f"{EXTRAS}.num_{name}", np.isfinite(whole).sum(axis=1, dtype=np.int32))
            if self.choice.widest[name] > NUM_COEFFICIENTS:
                self.spool.add(f"{EXTRAS}.{name}", np.nan_to_num(whole))
        for name in ("camera_kind", *(f"label_{part}" for part in PARTS)):
            self.texts.setdefault(f"{EXTRAS}.{name}", []).extend(chunk.texts(name))

    def _add_pictures(self, chunk: StoredChunk) -> None:
        """Add the paths of the pictures and write those that are not there yet."""
        parts = [chunk.texts(name) for name in ("dataset", "split", "unit", "key", "image_ext")]
        paths = [
            f"{self.done.path.stem}/{dataset}/{split}/{unit}/{key}.{ext or 'jpg'}"
            for dataset, split, unit, key, ext in zip(*parts, strict=True)
        ]
        self.texts.setdefault("image_path", []).extend(paths)
        for start, stop in chunk.frames():
            if not parts[-1][start]:
                self.done.without_picture += stop - start
            elif self.wishes.pictures:
                self._write_picture(self.done.path.parent / paths[start], chunk, start)

    def _write_picture(self, path: Path, chunk: StoredChunk, row: int) -> None:
        data = chunk.picture(row)
        assert data is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.stat().st_size != len(data):
            path.write_bytes(data)
        self.done.pictures += 1

    def entries(self) -> dict[str, Any]:
        """Return the entries of the file."""
        body, self.done.points = self.wishes.body, int(self.known.sum())
        skipped = () if self.kids else ("betas_extra",)
        if not any(self.texts["meta.sequence_name"]):
            del self.texts["meta.sequence_name"]
        names = ("global_orient", "body_pose", "betas", *_EYES, *self.kept, "betas_extra")
        return {
            "__key_strict__": np.array(False),
            "__data_len__": np.array(self.done.people),
            "__keypoints_compressed__": np.array(False),
            "image_path": np.array(self.texts["image_path"]),
            **{name: self.spool.column(name) for name in BOXES.values()},
            **self._keypoints(),
            body: {name: self.spool.column(f"{body}.{name}").read() for name in names if name not in skipped},
            "meta": self._dictionary("meta"),
            "misc": {
                "bbox_body_scale": BODY_BOX_SCALE,
                "bbox_facehand_scale": 1.0,
                "bbox_source": "by_dataset",
                "cam_param_type": "perspective",
                "flat_hand_mean": self.wishes.hands == "absolute",
                "kps3d_root_aligned": False,
                f"{body}_source": "original",
            },
            EXTRAS: self._dictionary(EXTRAS),
        }

    def _keypoints(self) -> dict[str, Any]:
        """Return the sets of keypoints with masks and names of their orders."""
        out: dict[str, Any] = {}
        for dimension in ("2", "3"):
            name = f"keypoints{dimension}d_{self.suffix}"
            out[name], out[f"{name}_mask"] = self.spool.column(name), self.known.astype(np.uint8)
            out[f"{name}_convention"] = np.array("smplx")
            own, orders = f"keypoints{dimension}d_original", self.choice.conventions[f"keypoints_{dimension}d"]
            if own in self.spool:
                out[own] = self.spool.column(own)
                out[f"{own}_mask"] = np.ones(out[own].shape[1], np.uint8)
                out[f"{own}_convention"] = np.array(next(iter(orders)) if len(orders) == 1 else "human_data")
        return out

    def _dictionary(self, name: str) -> dict[str, np.ndarray]:
        """Return the columns of a dictionary."""
        held = {
            key.split(".", 1)[1]: self.spool.column(key).read()
            for key in self.spool.names
            if key.startswith(f"{name}.")
        }
        texts = {
            key.split(".", 1)[1]: np.array(value) for key, value in self.texts.items() if key.startswith(f"{name}.")
        }
        return held | texts


def _neutral_betas(chunk: StoredChunk) -> Float32[np.ndarray, "people 10"]:
    """Return everyone's betas of the neutral model: their own where they are neutral, else what a conversion found."""
    is_neutral = np.array(chunk.texts("gender"), str) == "neutral"
    own, found = (chunk.filled(name, (NUM_COEFFICIENTS,)) for name in ("betas", _NEUTRAL))
    return np.where(is_neutral[:, None], own, found)


def _with_known(
    points: np.ndarray, known: Bool[np.ndarray, "people points"]
) -> Float32[np.ndarray, "people points values"]:
    """Return points with a confidence behind, zero throughout where they are not known."""
    with_confidence = np.concatenate([points, known[..., None]], axis=2, dtype=np.float32, casting="unsafe")
    return np.where(known[..., None], with_confidence, np.float32(0))
