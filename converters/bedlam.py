"""BEDLAM: synthetic people in simulated clothing with SMPL-X labels (Black et al., CVPR 2023), the 6 fps release.

One npz a rendered scene, one row per visible person per image. ``pose_cam`` and ``trans_cam`` are in camera space, but
for an offset that lies in ``cam_ext`` and differs between the people of one image: it is no shared extrinsic. Betas are
11 components of the neutral model, hands are absolute, faces are at rest because nothing of them is labelled. The
column ``gender`` is the subject's, not the model's.
Facts: BEDLAM ``data_processing/df_full_body.py``, ``train/dataset/dataset.py``, ``train/core/config.py``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..errors import RawFileError, UnknownNameError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.smplx_pose import cut_pose
from .pictures import assemble
from .raw import group_rows, list_files, load_columns
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
# Rows of another source that the owner ships along: the agora converter reads them from AGORA's own files.
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
    is_validation = labels.stem in VALIDATION or labels.parent.name == "all_npz_12_validation"
    return "val" if is_validation else "train"


def _picture_dir(root: Path, scene: str) -> Path | None:
    """Return the folder in which a scene's ``imgname`` lies."""
    candidates = (root / name / scene / "png" for name in IMAGES)
    return next((folder for folder in candidates if folder.is_dir()), None)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a scene with all its people, or the reason why it is left out."""
    path, folder = source.files["labels"], source.files["images"]
    columns = load_columns(path, COLUMNS, hint=_BETAS_HINT)
    file = source.relative(path)
    for imgname, rows in group_rows(columns["imgname"].tolist()).items():
        key, number = f"{path.stem}/{Path(imgname).stem}", Path(imgname).stem.rsplit("_", 1)[-1]
        cameras = columns["cam_int"][rows].astype(np.float64)
        K = next((K for K in cameras if _is_camera(K)), np.zeros((3, 3)))
        turned = bool(K[0, 2] < K[1, 2])  # close-ups are stored lying on their side; K is that of the upright picture
        yield from assemble(
            key,
            folder / imgname,
            [_person(columns, row, K, f"{key}/{row}", Provenance(file=file, row=str(row))) for row in rows],
            Provenance(file=file, row=f"imgname {imgname}"),
            expected_size=(round(2 * K[0, 2]), round(2 * K[1, 2])),
            quarter_turns=int(turned),
            camera=Camera(K=K, kind="measured"),
            sequence=f"{path.stem}/{Path(imgname).parent.as_posix()}",
            frame_index=int(number) if number.isdigit() else None,
        )


def _is_camera(K: np.ndarray) -> bool:
    return bool(np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0)


def _person(
    columns: Mapping[str, np.ndarray], row: int, K: np.ndarray, key: str, provenance: Provenance
) -> Person | Reject:
    """Return the person of a row in camera space, or why the row cannot be used."""
    broken = [name for name in _ARRAYS if not np.isfinite(columns[name][row]).all()]
    if broken:
        return Reject(key=key, reason="nan_pose", detail=f"NaN in {', '.join(broken)}", provenance=provenance)
    own_K = columns["cam_int"][row].astype(np.float64)
    if not _is_camera(own_K):
        detail = f"cam_int is not a camera: {own_K.tolist()}"
        return Reject(key=key, reason="bad_camera", detail=detail, provenance=provenance)
    pose = cut_pose(columns["pose_cam"][row])
    points = columns["gtkps"][row].astype(np.float32)
    known = np.isfinite(points).all(axis=1, keepdims=True)
    return Person(
        provenance=provenance,
        labels=Labels(body=_MADE, left_hand=_MADE, right_hand=_MADE, shape=_MADE, keypoints_2d=_MADE),
        body_model="smplx",
        gender="neutral",
        global_orient=pose["global_orient"],
        body_pose=pose["body_pose"],
        left_hand_pose=pose["left_hand_pose"],
        right_hand_pose=pose["right_hand_pose"],
        betas=columns["shape"][row].astype(np.float32),
        transl=(columns["trans_cam"][row] + columns["cam_ext"][row, :3, 3]).astype(np.float32),
        keypoints_2d=np.concatenate([np.where(known, points, 0), known], axis=1, dtype=np.float32),
        keypoints_2d_convention="smplx_127",
        camera=None if np.allclose(own_K, K, rtol=1e-6) else Camera(K=own_K, kind="measured"),
    )
