"""SPEC-SYN: renderings by tilted cameras with SMPL bodies (Kocabas et al., ICCV 2021). SMPL alone: no hands, no face.

One npz a split, one row a person. Poses are in a world whose axes are those of a level camera of the same heading;
``cam_rotmat`` turns them into camera space. The files do not tell plainly where a body stands, so transl is absent,
unless it is asked to be solved. Little of this source is documented: the card lists what nobody could verify.
Facts: SPEC ``spec/dataset/cam_dataset.py``, ``spec/utils/compute_error.py``.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from ..body.models import require_model_dir
from ..body.posing import PosingModel
from ..body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ..errors import UnknownNameError
from ..shards.record import Frame, Labels, Person, Provenance, Reject
from .formats.keeping import keeps_last
from .formats.keypoints import sound_points
from .formats.placing import solve_transl
from .formats.tilted_camera import CAMERA_COLUMNS, Cameras, first_column
from .pictures import assemble
from .raw import broken_rows, first_file, group_rows, load_columns
from .source import Source

VERSION = 1

SIZE = (1920, 1080)
PICTURES_PER_UNIT = 1000
COLUMNS = {"imgname": (), "shape": (10,), "center": (2,), "scale": ()}
# Of the poses, and of the keypoints, the first that is there is read.
POSES = {"pose_0yaw_inverseyz": (72,), "pose": (72,)}
KEYPOINTS = {"openpose_gt": (25, 3), "openpose": (25, 3)}
_MADE = "synthetic"


def sources(root: Path, split: str, *, transl: str = "absent") -> list[Source]:
    """Return blocks of pictures of the npz of a split; ``transl`` is absent, or solved with the user's SMPL model."""
    if transl not in ("absent", "solved"):
        raise UnknownNameError("kind of translation", transl, ("absent", "solved"))
    base = root / "spec-syn" if (root / "spec-syn").is_dir() else root
    labels = first_file(base, f"annotations/{split}.npz", f"annotations/{split}_raw.npz")
    count = len(group_rows(load_columns(labels, {"imgname": ()})["imgname"].tolist()))
    files = {"labels": labels, "images": base}
    if transl == "solved":
        files["body_models"] = require_model_dir()
    return [
        Source(f"pictures-{i:07d}", root, split, files, {"block": f"{i}:{i + PICTURES_PER_UNIT}"})
        for i in range(0, count, PICTURES_PER_UNIT)
    ]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield the pictures of a block with all their people, or why somebody is left out."""
    file, table = source.relative(source.files["labels"]), _table(source)
    for imgname, rows in _block(source):
        key = PurePosixPath(imgname).with_suffix("").as_posix()
        # The camera of the picture is that of its first sound row.
        lead = next((row for row in rows if table.cameras.is_sound[row]), rows[0])
        yield from assemble(
            key,
            source.files["images"] / imgname,
            [table.person(key, row, lead, Provenance(file=file, row=str(row))) for row in rows],
            Provenance(file=file, row=f"imgname {imgname}"),
            expected_size=SIZE,
            camera=table.cameras.camera(lead),
        )


def count_people(source: Source) -> int:
    """Return the number of rows that belong to the pictures of a block."""
    return sum(len(rows) for _, rows in _block(source))


def _block(source: Source) -> list[tuple[str, list[int]]]:
    """Return the pictures of a unit with their rows."""
    first, stop = (int(bound) for bound in source.options["block"].split(":"))
    return list(_table(source).pictures.items())[first:stop]


def _table(source: Source) -> "_Table":
    return read_table(source.files["labels"], source.files.get("body_models"))


class _Table:
    """The rows of a split in camera space."""

    def __init__(self, path: Path, body_models: Path | None = None) -> None:
        columns = load_columns(path, COLUMNS, optional={**POSES, **KEYPOINTS, **CAMERA_COLUMNS})
        pose = columns[first_column(path, columns, POSES)].astype(np.float64)
        self.pictures = group_rows(columns["imgname"].tolist())
        self.cameras = Cameras(path, columns, SIZE)
        self.broken = broken_rows({"pose": pose, "shape": columns["shape"]}, ("pose", "shape"))
        in_world = axis_angle_to_matrix(np.nan_to_num(pose[:, :3]))
        self.arrays = {
            "global_orient": matrix_to_axis_angle(np.nan_to_num(self.cameras.R) @ in_world).astype(np.float32),
            "body_pose": pose[:, 3:].reshape(-1, 23, 3).astype(np.float32),
            "betas": columns["shape"].astype(np.float32),
        }
        name = next((name for name in KEYPOINTS if name in columns), None)
        self.keypoints = np.zeros((len(pose), 25, 3)) if name is None else sound_points(columns[name])
        self.transl = np.full((len(pose), 3), np.nan) if body_models is None else self._solve(body_models)
        half = 100 * columns["scale"][:, None]  # scale is the side of the square in units of 200 pixels
        self.squares = np.concatenate([columns["center"] - half, columns["center"] + half], axis=1).astype(np.float32)

    def _solve(self, body_models: Path) -> Float[np.ndarray, "rows 3"]:
        """Return where everyone stands by the keypoints, NaN where these do not tell."""
        sound = self.cameras.is_sound & ~np.isin(np.arange(len(self.keypoints)), list(self.broken))
        out = np.full((len(sound), 3), np.nan)
        model = PosingModel.load(body_models, "smpl", "neutral", 10)
        posed = model.joints({name: values[sound] for name, values in self.arrays.items()})
        out[sound] = solve_transl(posed, self.keypoints[sound], "openpose_25", self.cameras.K[sound])
        return out.astype(np.float32)

    def person(self, key: str, row: int, lead: int, provenance: Provenance) -> Person | Reject:
        """Return the person of a row, or why it cannot be used; the picture has the camera of row ``lead``."""
        if row in self.broken:
            detail = f"row {row}: NaN in {', '.join(self.broken[row])}"
            return Reject(key=f"{key}/{row}", reason="nan_pose", detail=detail, provenance=provenance)
        if not self.cameras.is_sound[row]:
            detail = f"row {row}: the intrinsics or the rotation are not a camera's"
            return Reject(key=f"{key}/{row}", reason="bad_camera", detail=detail, provenance=provenance)
        points = self.keypoints[row]
        is_placed = bool(np.isfinite(self.transl[row]).all())
        is_marked = bool((points[:, 2] > 0).any())
        return Person(
            provenance=provenance,
            labels=Labels(body=_MADE, shape=_MADE, keypoints_2d=_MADE if is_marked else None),
            body_model="smpl",
            gender="neutral",
            keypoints_2d=points if is_marked else None,
            keypoints_2d_convention="openpose_25" if is_marked else None,
            bbox_xyxy=None if is_marked else self.squares[row],
            transl=self.transl[row] if is_placed else None,
            transl_is_metric=not is_placed,  # the body's true size is not known
            camera=None if self.cameras.is_same(row, lead) else self.cameras.camera(row),
            **{name: values[row] for name, values in self.arrays.items()},
        )


@keeps_last
def read_table(path: Path, body_models: Path | None) -> _Table:
    """Return the rows of a split; the last one is kept, because its blocks are converted one by one."""
    return _Table(path, body_models)
