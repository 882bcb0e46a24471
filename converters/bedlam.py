"""BEDLAM: synthetic people in simulated clothing with SMPL-X labels (Black et al., CVPR 2023), the 6 fps release.

One npz a rendered scene, one row per visible person per image. ``pose_cam`` and ``trans_cam`` are in camera space, but
for an offset that lies in ``cam_ext`` and differs between the people of one image: it is no shared extrinsic. Betas are
11 components of the neutral model, hands are absolute, faces are at rest because nothing of them is labelled. The
column ``gender`` is the subject's, not the model's.
Facts: BEDLAM ``data_processing/df_full_body.py``, ``train/dataset/dataset.py``, ``train/core/config.py``.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import RawFileError, UnknownNameError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.smplx_pose import cut_pose
from .pictures import assemble, need_pictures
from .raw import are_intrinsics, broken_rows, group_rows, list_files, load_columns, same_intrinsics, with_confidence
from .source import Source, slug

VERSION = 1

LABELS = {"train": ("all_npz_12_training",), "val": ("all_npz_12_training", "all_npz_12_validation")}
# The owner's loader has training_images for every scene; other releases and tools use the other names.
IMAGES = ("training_images", "train_images", "validation_images", "val_images")
# Scenes that the owner keeps for validation, wherever their labels lie.
VALIDATION = frozenset(
    {
        "20221018_1_250_batch01hand_zoom_suburb_b_6fps",
        "20221018_3-8_250_batch01hand_6fps",
        "20221018_3_250_batch01hand_orbit_archVizUI3_time15_6fps",
        "20221019_3-8_250_highbmihand_orbit_stadium_6fps",
    }
)
# AGORA's rows, which the owner ships along.
FOREIGN = frozenset({"agora-bfh", "agora-body"})

# Shape of one row of each column.
COLUMNS = {
    "imgname": (),
    "pose_cam": (165,),
    "shape": (11,),
    "trans_cam": (3,),
    "cam_int": (3, 3),
    "cam_ext": (4, 4),
    "gtkps": (127, 2),
}
_BETAS_HINT = (
    "11 betas belong to the neutral model of the 6 fps release; 10 (gendered) or 16 (locked head) to other body models"
)
_MADE = "synthetic"
_LABELS = Labels(body=_MADE, left_hand=_MADE, right_hand=_MADE, shape=_MADE, keypoints_2d=_MADE)
_ARRAYS = ("pose_cam", "shape", "trans_cam", "cam_int", "cam_ext")


def sources(root: Path, split: str, *, scenes: str = "all") -> list[Source]:
    """Return the scenes of a split; ``scenes="present"`` takes only those whose pictures are unpacked."""
    if scenes not in ("all", "present"):
        raise UnknownNameError("choice of scenes", scenes, ("all", "present"))
    pictures = {path: _picture_dir(root, path.stem) for path in _label_files(root, split)}
    absent = [path.stem for path, folder in pictures.items() if folder is None]
    if absent and scenes == "all":
        hint = "unpack their archives of pictures, or convert what is there with the option scenes=present"
        raise RawFileError(root / IMAGES[0], f"has no pictures of {', '.join(absent)}", hint)
    return [
        Source(slug(path.stem), root, split, {"labels": path, "images": folder})
        for path, folder in pictures.items()
        if folder is not None
    ]


def _label_files(root: Path, split: str) -> list[Path]:
    """Return the labels of the scenes of a split; the same scene in both folders raises RawFileError."""
    folders = [root / name for name in LABELS[split] if (root / name).is_dir()] or [root / LABELS[split][0]]
    paths = [path for folder in folders for path in list_files(folder, "*.npz") if path.stem not in FOREIGN]
    paths = [path for path in paths if split == _split_of(path)]
    twice = [scene for scene, rows in group_rows(path.stem for path in paths).items() if len(rows) > 1]
    if twice:
        raise RawFileError(root, f"holds the labels of {', '.join(twice)} in two folders", "keep one copy of each")
    return paths


def _split_of(labels: Path) -> str:
    return "val" if labels.stem in VALIDATION or labels.parent.name == "all_npz_12_validation" else "train"


def _picture_dir(root: Path, scene: str) -> Path | None:
    """Return the folder in which a scene's ``imgname`` lies."""
    folders = [root / name / scene / "png" for name in IMAGES]
    return next((folder for folder in folders if folder.is_dir()), None if need_pictures() else folders[0])


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a scene with all its people, or the reason why it is left out."""
    path, folder = source.files["labels"], source.files["images"]
    scene, file = _Scene(path), source.relative(path)
    for imgname, rows in scene.pictures.items():
        place = PurePosixPath(imgname)
        key, number = f"{path.stem}/{place.stem}", place.stem.rsplit("_", 1)[-1]
        K = next((scene.K[row] for row in rows if scene.is_camera[row]), np.zeros((3, 3)))
        turned = bool(K[0, 2] < K[1, 2])  # close-ups are stored lying on their side; K is that of the upright picture
        yield from assemble(
            key,
            folder / imgname,
            [_person(scene, row, K, f"{key}/{row}", Provenance(file=file, row=str(row))) for row in rows],
            Provenance(file=file, row=f"imgname {imgname}"),
            expected_size=(round(2 * K[0, 2]), round(2 * K[1, 2])),
            quarter_turns=int(turned),
            camera=Camera(K=K, kind="measured"),
            sequence=f"{path.stem}/{place.parent}",
            frame_index=int(number) if number.isdigit() else None,
        )


class _Scene:
    """The labels of a scene in camera space, all rows at once."""

    def __init__(self, path: Path) -> None:
        columns = load_columns(path, COLUMNS, hint=_BETAS_HINT)
        self.broken = broken_rows(columns, _ARRAYS)
        self.K = columns["cam_int"].astype(np.float64)
        self.is_camera = are_intrinsics(self.K)
        self.pictures = group_rows(columns["imgname"].tolist())
        pose = cut_pose(columns["pose_cam"])
        self.arrays = {
            **{name: pose[name] for name in ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose")},
            "betas": columns["shape"].astype(np.float32),
            "transl": (columns["trans_cam"] + columns["cam_ext"][:, :3, 3]).astype(np.float32),
            "keypoints_2d": with_confidence(columns["gtkps"]),
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
        **{name: values[row] for name, values in scene.arrays.items()},
    )
