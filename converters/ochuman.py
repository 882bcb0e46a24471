"""OCHuman: heavily occluded people in photographs, 17 keypoints each (Zhang et al., Pose2Seg, CVPR 2019), SMPL by EFT.

Read from the owner's COCO-format files, which hold the people with keypoints and mask, boxes already as x, y, width,
height. EFT's fits (Joo et al., 3DV 2021) name the picture but not the person, so a fit goes to the person whose
keypoints it was made to. The native ``ochuman.json`` (19 keypoints, other visibility codes) is not read.
Facts: OCHumanApi ``README.md`` and ``ochumanApi/ochuman.py``; eft ``README.md`` and ``db_processing/ochuman.py``.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..body.keypoints import convert_keypoints
from ..errors import RawFileError, UnknownNameError
from ..shards.record import Frame, Person, Reject
from .formats import eft_json
from .formats.coco_json import Annotation, CocoImage, coco_frames, coco_sources
from .formats.keeping import keeps_last
from .pictures import picture_dir
from .raw import first_file
from .source import Source

VERSION = 2

# EFT calls its halves train and test; which of the owner's pictures they are is not told, so both are asked.
FITS = {"eft_train": "OCHuman_train_ver10.json", "eft_test": "OCHuman_test_ver10.json"}
FOLDERS = ("eft_fit", "annotations", ".")
MIN_POINTS = 6  # that a fit was made to
MAX_DISTANCE_PX = 3.0
_READERS = {name: keeps_last(eft_json.read_eft) for name in FITS}  # each keeps its last


def sources(root: Path, split: str, *, fit: str = "auto") -> list[Source]:
    """Return blocks of images of a split's annotation file.

    ``fit`` is ``eft``, ``none`` for keypoints alone, or ``auto`` for the fits that are there.
    """
    if fit not in ("auto", "eft", "none"):
        raise UnknownNameError("file of fits", fit, ("auto", "eft", "none"))
    name = f"ochuman_coco_format_{split}_range_0.00_1.00.json"
    files = {"annotations": first_file(root, name, f"annotations/{name}"), "images": picture_dir(root, "images")}
    places = {role: [root / folder / name for folder in FOLDERS] for role, name in FITS.items() if fit != "none"}
    fits = {role: next(filter(Path.is_file, paths), None) for role, paths in places.items()}
    files |= {role: path for role, path in fits.items() if path is not None}
    if fit == "eft" and not any(fits.values()):
        raise RawFileError(root / "eft_fit", f"holds none of the files {', '.join(FITS.values())}", "take fit=none")
    return coco_sources(root, split, files)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every image of a block with all its people, fitted where a fit exists."""

    def finish(person: Person, _: Annotation, image: CocoImage) -> Person | Reject:
        return _with_fit(source, person, image)

    yield from coco_frames(source, finish)


def _with_fit(source: Source, person: Person, image: CocoImage) -> Person | Reject:
    """Return the person with the parameters of the fit that was made to its keypoints, if there is one."""
    assert person.keypoints_2d is not None
    nearest, distance, path = None, MAX_DISTANCE_PX, None
    for name in (role for role in FITS if role in source.files):
        for fit in _READERS[name](source.files[name]).get(image.file_name, ()):
            found = _distance_px(person.keypoints_2d, fit["points"])
            if found < distance:
                nearest, distance, path = fit, found, source.files[name]
    if nearest is None or path is None:
        return person
    return eft_json.fitted(person, nearest, image.file_name, source.relative(path))


def _distance_px(keypoints: Float[np.ndarray, "17 3"], points: Float[np.ndarray, "24 3"] | None) -> float:
    """Return the mean distance of a person's keypoints from those of a fit; infinity where they share too few."""
    if points is None:
        return np.inf
    marked = convert_keypoints(points, eft_json.POINTS, "coco_17")
    both = (marked[:, 2] > 0) & (keypoints[:, 2] > 0)
    if both.sum() < MIN_POINTS:
        return np.inf
    return float(np.linalg.norm(marked[both, :2] - keypoints[both, :2], axis=1).mean())
