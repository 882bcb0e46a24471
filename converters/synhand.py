"""SynHand: people rendered close up, their hands in the middle, SMPL-X by construction (Yin et al., SMPLest-X, 2025).

The only form that is known outside is HumanData. Cameras stand anywhere, so parts of a body may lie behind them: the
files hold mirrored pixels for such points and boxes around those pixels, both of which are left out here.
Facts: MMHuman3D ``synhand.py`` (branch convertors); SMPLest-X ``datasets/SynHand.py`` and ``humandata.py``.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..body.joints import LEFT_HAND_21, RIGHT_HAND_21, SMPLX_INDEX
from ..shards.record import Frame, Person, Reject
from . import humandata
from .formats.humandata import split_of
from .source import Source

VERSION = 1

# Box -> the joints that it was drawn around.
_AROUND = {
    "bbox_xyxy": list(range(144)),
    "face_bbox_xyxy": [SMPLX_INDEX["head"], SMPLX_INDEX["jaw"], *range(55, 60), *range(76, 144)],
    "left_hand_bbox_xyxy": list(LEFT_HAND_21),
    "right_hand_bbox_xyxy": list(RIGHT_HAND_21),
}


def sources(root: Path, split: str) -> list[Source]:
    """Return the files of a split, which are told by their names: synhand_20240927_…, synhand_20241018_test_…."""
    told = {"body": "smplx", "hands": "absolute", "camera": "measured", "origin": "synthetic"}
    units = humandata.sources(root, split, files="**/synhand_*.npz", **told)
    return [unit for unit in units if split_of(unit.files["labels"]) == split]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a file, without what the file tells of points behind the camera."""
    for record in humandata.frames(source):
        if isinstance(record, Frame):
            yield replace(record, people=tuple(map(_before_camera, record.people)))
        else:
            yield record


def count_people(source: Source) -> int:
    """Return the number of rows of a file."""
    return humandata.count_people(source)


def _before_camera(person: Person) -> Person:
    """Return a person without keypoints behind the camera, and without boxes that were drawn around such points."""
    if person.keypoints_3d is None or person.keypoints_2d is None:
        return person
    is_behind = (person.keypoints_3d[:, 3] > 0) & (person.keypoints_3d[:, 2] <= 0)
    if not is_behind.any():
        return person
    points = person.keypoints_2d * ~is_behind[:, None]
    lost = {name: None for name, joints in _AROUND.items() if is_behind[joints].any()}
    return replace(person, keypoints_2d=points, **lost)
