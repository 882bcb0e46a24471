"""A Fit3D look-alike: exercises of two subjects before two cameras."""

from pathlib import Path

from ehps.tests.raw._imar import CAMERAS, Studio, change
from ehps.tests.raw._people import Truth

SPLITS = ("train",)
EXPECTED = {"train": {"frames": 25, "people": 25, "rejects": {"bad_camera": 3, "damaged_image": 2}}}


def build(root: Path, *, bad: bool = True, times: int = 1, pictures: str = "plain", seed: int = 300) -> Truth:
    """Write the tree; ``times`` as many frames of each good exercise."""
    studio = Studio(root, "fit3d", "rep_ann", seed=seed, pictures=pictures)
    studio.act("s03", "squat", 6 * times, more=2)
    studio.act("s11", "dumbbell_biceps_curls", 3 * times)
    if bad:
        _add_bad_exercises(studio)
    return studio.truth()


def _add_bad_exercises(studio: Studio) -> None:
    """Add an exercise with a camera that lacks its calibration, and one whose video ends too early."""
    folder = studio.act("s03", "lunge", 3)
    calibration = folder / "camera_parameters" / CAMERAS[1] / "lunge.json"
    change(calibration, lambda content: content.pop("intrinsics_w_distortion"))
    studio.lose("s03/lunge", "bad_camera", cameras=CAMERAS[1:2])
    studio.act("s11", "deadlift", 3, more=-1)
    studio.lose("s11/deadlift", "damaged_image", frames=[2])
