"""Where the labels and pictures of BEDLAM's scenes lie: releases differ in folders, suffixes and a dash.

The 6 fps release names everything after ``<scene>_6fps`` (three scenes with hair: ``_30fps``) and keeps the scenes of
val in a folder of their own. The 30 fps release has pictures alone, as PNGs or videos in ``<scene>``; its labels are
what the owner's script makes of the raw ground truth, ``<scene>.npz``. Pictures are numbered alike in both, so that
those of 30 fps serve for the labels of 6 fps. One scene has a dash behind its date in one of them.
Facts: BEDLAM ``fetch_training_data.sh``, ``train/core/config.py``, ``data_processing/df_full_body.py``,
``data_processing/bedlam_scene_names.csv``; bedlam_render ``tools/post_render_pipeline``.
"""

import re
from pathlib import Path, PurePosixPath

from ...errors import RawFileError, UnknownNameError
from ..pictures import need_pictures
from ..raw import group_rows, list_files
from .video import VideoFrame

_VALIDATION_FOLDER = "all_npz_12_validation"
# The owner's training code reads labels in the second folder; his present download script unpacks into the third.
_LABEL_BASES = ("", "training_labels/", "bedlam_labels/")
LABELS = {
    "6fps": (
        tuple(f"{base}all_npz_12_training" for base in _LABEL_BASES),
        tuple(f"{base}{_VALIDATION_FOLDER}" for base in _LABEL_BASES),
    ),
    "30fps": (("processed_labels", "bedlam_labels_30fps"),),
}
# The owner's loader has training_images for every scene; other releases and tools use the other names.
IMAGES = ("training_images", "train_images", "validation_images", "val_images", "images", ".")
# Scenes that the owner keeps for validation, wherever their labels lie.
VALIDATION = frozenset(
    {
        "20221018_1_250_batch01hand_zoom_suburb_b",
        "20221018_3-8_250_batch01hand",
        "20221018_3_250_batch01hand_orbit_archVizUI3_time15",
        "20221019_3-8_250_highbmihand_orbit_stadium",
    }
)
# AGORA's rows, which the owner ships along.
FOREIGN = frozenset({"agora-bfh", "agora-body"})
VIDEOS = "mp4"  # upright throughout, whereas the PNGs of close-ups lie on their side


def scene_of(name: str) -> str:
    """Return the scene that a file or folder is named after: no frame rate, an underscore behind the date."""
    return re.sub(r"_(6|30)fps$", "", re.sub(r"^(\d{8})-", r"\1_", name))


def scene_files(root: Path, split: str, release: str, scenes: str) -> list[dict[str, Path]]:
    """Return the files of each scene of a split by their role: labels, images and, where there are any, hands.

    A scene without pictures raises RawFileError, or is left out with ``scenes="present"``.
    """
    for what, name, known in (("choice of scenes", scenes, ("all", "present")), ("release", release, LABELS)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    pictures = {path: scene_pictures(root, path, release) for path in label_files(root, split, release)}
    absent = [path.stem for path, folder in pictures.items() if folder is None]
    if absent and scenes == "all":
        hint = "unpack their archives of pictures, or convert what is there with the option scenes=present"
        raise RawFileError(root / IMAGES[0], f"has no pictures of {', '.join(absent)}", hint)
    return [
        {"labels": path, "images": folder, **_hand_file(path)}
        for path, folder in pictures.items()
        if folder is not None
    ]


def _hand_file(labels: Path) -> dict[str, Path]:
    """Return the file that says which hands were found, by its role; none when the user has not got it."""
    path = labels.parents[1] / "all_npz_12_hands" / f"{labels.stem}-hands.npz"
    return {"hands": path} if path.is_file() else {}


def label_files(root: Path, split: str, release: str) -> list[Path]:
    """Return the labels of the scenes of a split; RawFileError when there are none, or a scene has two files."""
    found = [[root / name for name in names if (root / name).is_dir()] for names in LABELS[release]]
    folders = [some[0] for some in found if some] or [root / LABELS[release][0][0]]
    paths = [path for folder in folders for path in list_files(folder, "*.npz") if path.stem not in FOREIGN]
    paths = [path for path in paths if split == _split_of(path)]
    twice = [scene for scene, rows in group_rows(scene_of(path.stem) for path in paths).items() if len(rows) > 1]
    if twice:
        raise RawFileError(root, f"holds the labels of {', '.join(twice)} in two files", "keep one copy of each")
    return paths


def _split_of(labels: Path) -> str:
    is_val = scene_of(labels.stem) in VALIDATION or labels.parent.name == _VALIDATION_FOLDER
    return "val" if is_val else "train"


def scene_pictures(root: Path, labels: Path, release: str) -> Path | None:
    """Return the folder, ``png`` or ``mp4``, with the pictures of a scene; None when they are needed and not there."""
    folders = [
        folder
        for name in IMAGES
        for folder in sorted((root / name).glob("2*"), key=lambda folder: (folder.name != labels.stem, folder.name))
        if scene_of(folder.name) == scene_of(labels.stem)
        if release == "6fps" or not folder.name.endswith("_6fps")  # lacks four pictures of five
    ]
    found = [folder / kind for kind in ("png", VIDEOS) for folder in folders if (folder / kind).is_dir()]
    return found[0] if found else None if need_pictures() else root / IMAGES[0] / labels.stem / "png"


def picture_of(folder: Path, imgname: str) -> Path | VideoFrame:
    """Return the picture that a row names, ``seq_000000/seq_000000_0005.png``: a file, or that frame of the video."""
    number = frame_number(imgname)
    if folder.name != VIDEOS or number is None:
        return folder / imgname
    return VideoFrame(folder / f"{PurePosixPath(imgname).parent}.mp4", number)


def frame_number(imgname: str) -> int | None:
    """Return the number of a picture in its sequence at 30 fps, from 0; None when the name has none."""
    number = PurePosixPath(imgname).stem.rsplit("_", 1)[-1]
    return int(number) if number.isdigit() else None
