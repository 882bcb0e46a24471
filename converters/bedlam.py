"""BEDLAM: synthetic people in simulated clothing with SMPL-X labels (Black et al., CVPR 2023), at 6 or 30 fps.

One npz a rendered scene, one row per visible person per image. ``pose_cam`` and ``trans_cam`` are in camera space, but
for an offset that lies in ``cam_ext`` and differs between the people of one image: it is no shared extrinsic. Betas are
11 components of the neutral model, hands are absolute, faces are at rest because nothing of them is labelled. The
column ``gender`` is the subject's, not the model's. Which hands a detector found lies in a file beside the labels.
Facts: BEDLAM ``data_processing/df_full_body.py``, ``train/dataset``, ``train/core/config.py``.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.bedlam_rows import COLUMNS, HINT, NEEDED, OPTIONAL, found_hands, projected_joints, tracks
from .formats.bedlam_tree import VIDEOS, frame_number, picture_of, scene_files
from .formats.smplx_pose import cut_pose
from .pictures import assemble
from .raw import are_intrinsics, broken_rows, group_rows, load_columns, same_intrinsics
from .source import Source, slug

VERSION = 2

_MADE = "synthetic"
_LABELS = Labels(body=_MADE, left_hand=_MADE, right_hand=_MADE, shape=_MADE, keypoints_2d=_MADE)


def sources(root: Path, split: str, *, scenes: str = "all", release: str = "6fps") -> list[Source]:
    """Return the scenes of a split, of the labels at 6 or 30 fps; ``scenes="present"`` takes those with pictures."""
    found = scene_files(root, split, release, scenes)
    return [Source(slug(files["labels"].stem), root, split, files) for files in found]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a scene in the order of time with all its people, or the reason why it is left out."""
    path, folder = source.files["labels"], source.files["images"]
    scene, file = _Scene(source), source.relative(path)
    for imgname, rows in sorted(scene.pictures.items()):
        place, key = PurePosixPath(imgname), f"{path.stem}/{PurePosixPath(imgname).stem}"
        K = next((scene.K[row] for row in rows if scene.is_camera[row]), np.zeros((3, 3)))
        is_upright = folder.name == VIDEOS or K[0, 2] >= K[1, 2]  # K is that of the upright picture in any case
        yield from assemble(
            key,
            picture_of(folder, imgname),
            [_person(scene, row, K, f"{key}/{row}", Provenance(file=file, row=str(row))) for row in rows],
            Provenance(file=file, row=f"imgname {imgname}"),
            expected_size=(round(2 * K[0, 2]), round(2 * K[1, 2])),
            quarter_turns=int(not is_upright),
            camera=Camera(K=K, kind="measured"),
            sequence=f"{path.stem}/{place.parent}",
            frame_index=frame_number(imgname),
        )


def count_people(source: Source) -> int:
    """Return the number of rows of a scene."""
    return len(load_columns(source.files["labels"], {"imgname": ()})["imgname"])


class _Scene:
    """The labels of a scene in camera space, all rows at once."""

    def __init__(self, source: Source) -> None:
        columns = load_columns(source.files["labels"], COLUMNS, optional=OPTIONAL, hint=HINT)
        self.broken = broken_rows(columns, NEEDED)
        self.K = columns["cam_int"].astype(np.float64)
        self.is_camera = are_intrinsics(self.K)
        self.pictures = group_rows(columns["imgname"].tolist())
        self.tracks = tracks(source.files["labels"].stem, columns)
        self.hands = found_hands(source.files.get("hands"), columns)
        pose = cut_pose(columns["pose_cam"])
        self.arrays = {
            **{name: pose[name] for name in ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose")},
            "betas": columns["shape"].astype(np.float32),
            "transl": (columns["trans_cam"] + columns["cam_ext"][:, :3, 3]).astype(np.float32),
            "keypoints_2d": projected_joints(source.files["labels"], columns["gtkps"]),
        }


def _person(scene: _Scene, row: int, K: np.ndarray, key: str, provenance: Provenance) -> Person | Reject:
    """Return the person of a row in camera space, or why the row cannot be used."""
    if row in scene.broken:
        detail = f"NaN in {', '.join(scene.broken[row])}"
        return Reject(key=key, reason="nan_pose", detail=detail, provenance=provenance)
    if not scene.is_camera[row]:
        detail = f"cam_int is not a camera: {scene.K[row].tolist()}"
        return Reject(key=key, reason="bad_camera", detail=detail, provenance=provenance)
    return Person(
        provenance=provenance,
        labels=_LABELS,
        body_model="smplx",
        gender="neutral",
        keypoints_2d_convention="smplx_127",
        camera=None if same_intrinsics(scene.K[row], K) else Camera(K=scene.K[row], kind="measured"),
        track=scene.tracks[row],
        quality=scene.hands[row],
        **{name: values[row] for name, values in scene.arrays.items()},
    )
