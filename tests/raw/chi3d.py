"""A CHI3D look-alike: two people in contact before two cameras."""

from pathlib import Path

import numpy as np

from ehps.tests.raw._imar import CAMERAS, Studio, change
from ehps.tests.raw._people import Truth

SPLITS = ("train",)
EXPECTED = {"train": {"frames": 14, "people": 26, "rejects": {"nan_pose": 2, "missing_image": 4}}}


def build(root: Path, *, bad: bool = True, times: int = 1, pictures: str = "plain", seed: int = 310) -> Truth:
    """Write the tree; ``times`` as many frames of each good action."""
    studio = Studio(root, "chi3d", "interaction_contact_signature", people=2, seed=seed, pictures=pictures)
    studio.act("s02", "Grab 4", 3 * times)
    studio.act("s04", "Hug 11", 1 * times, more=1)
    if bad:
        _add_bad_actions(studio)
    return studio.truth()


def _add_bad_actions(studio: Studio) -> None:
    """Add an action in which one person has NaN in one frame, and one of which a video is missing."""
    folder = studio.act("s03", "Push 2", 2)
    change(folder / "smplx" / "Push 2.json", _spoil)
    studio.lose("s03/Push 2", "nan_pose", frames=[1], person=1)
    folder = studio.act("s03", "Kick 9", 2)
    (folder / "videos" / CAMERAS[0] / "Kick 9.mp4").unlink()
    studio.lose("s03/Kick 9", "missing_image", cameras=CAMERAS[:1])


def _spoil(content: dict) -> None:
    content["transl"][1][1][2] = float(np.nan)
