"""A HumanSC3D look-alike: people who touch themselves before two cameras."""

from pathlib import Path

import numpy as np

from ehps.tests.raw._imar import CAMERAS, Studio, change
from ehps.tests.raw._people import Truth

SPLITS = ("train",)
EXPECTED = {"train": {"frames": 18, "people": 18, "rejects": {"bad_rotation": 2, "nan_pose": 2, "damaged_image": 2}}}


def build(root: Path, *, bad: bool = True, times: int = 1, pictures: str = "plain", seed: int = 320) -> Truth:
    """Write the tree; ``times`` as many frames of each good action."""
    studio = Studio(root, "humansc3d", "self_contact_signature", seed=seed, pictures=pictures)
    studio.act("s01", "001", 4 * times)
    studio.act("s06", "117", 2 * times, more=1)
    if bad:
        _add_bad_actions(studio)
    return studio.truth()


def _add_bad_actions(studio: Studio) -> None:
    """Add an action with a mirror among its rotations and NaN, and one of which half a video was copied."""
    folder = studio.act("s01", "002", 4)
    change(folder / "smplx" / "002.json", _spoil)
    studio.lose("s01/002", "bad_rotation", frames=[1])
    studio.lose("s01/002", "nan_pose", frames=[3])
    video = studio.act("s02", "003", 2) / "videos" / CAMERAS[1] / "003.mp4"
    video.write_bytes(video.read_bytes()[:2000])
    studio.lose("s02/003", "damaged_image", cameras=CAMERAS[1:])


def _spoil(content: dict) -> None:
    content["left_hand_pose"][1][4] = (np.array(content["left_hand_pose"][1][4]) @ np.diag([1, 1, -1])).tolist()
    content["betas"][3][0] = float(np.nan)
