"""A BEDLAM look-alike: the owner's two folders of labels, upright and sideways scenes, AGORA's files in between.

Bodies are posed, seen by a pitched (and, for close-ups, rolled) camera and written with the owner's columns, the
translation split at random between ``trans_cam`` and the person's own ``cam_ext``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.converters.formats.smplx_pose import join_pose
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    clothes,
    draw_people,
    joints,
    random_parameters,
    rotation,
    stand_in_a_row,
    standin,
    vertices,
    write_picture,
)

SPLITS = ("train", "val")
EXPECTED = {
    "train": {"frames": 6, "people": 16, "rejects": {"nan_pose": 1, "missing_image": 2, "damaged_image": 2}},
    "val": {"frames": 2, "people": 4, "rejects": {}},
}
NUM_BETAS = 11
LABELLED = frozenset({"global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "betas", "transl"})
ZOOM = "20221010_3-10_500_batch01hand_zoom_suburb_d_6fps"
CLOSEUP = "20221011_1_250_batch01hand_closeup_suburb_a_6fps"
UPRIGHT_CLOSEUP = "20221017_1_250_batch01hand_closeup_suburb_a_6fps"  # its name lies: the pictures are upright
VAL = "20221018_3-8_250_batch01hand_6fps"  # a scene of val with its labels among those of train
ELSEWHERE = "20221019_3-8_250_highbmihand_orbit_stadium_6fps"  # a scene of val with its labels in a folder of their own
# Scene -> (split, folder of labels, folder of pictures, share of the frames, portrait)
_SCENES = {
    ZOOM: ("train", "all_npz_12_training", "training_images", 0.4, False),
    CLOSEUP: ("train", "all_npz_12_training", "training_images", 0.2, True),
    UPRIGHT_CLOSEUP: ("train", "all_npz_12_training", "training_images", 0.15, False),
    VAL: ("val", "all_npz_12_training", "training_images", 0.125, False),
    ELSEWHERE: ("val", "all_npz_12_validation", "validation_images", 0.125, False),
}
_SEQUENCE = 5  # frames of a sequence


def build(
    root: Path,
    *,
    frames: int = 8,
    pictures: str = "plain",
    seed: int = 20,
    bad: bool = True,
    scenes: Sequence[str] = tuple(_SCENES),
) -> Truth:
    """Write the tree with about ``frames`` good frames; ``bad`` adds the records that must be rejected."""
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, (scene, (_, _, _, share, _)) in enumerate(_SCENES.items()):
        rng = np.random.default_rng([seed, number])
        if scene in scenes:
            _write_scene(root, scene, max(1, round(frames * share)), pictures, rng, truth, bad=bad and scene == ZOOM)
    _write_agora(root / "all_npz_12_training")
    return truth


def _write_scene(
    root: Path, scene: str, frames: int, pictures: str, rng: np.random.Generator, truth: Truth, *, bad: bool
) -> None:
    """Write the labels and pictures of a scene and note its people in ``truth``."""
    split, labels, images, _, portrait = _SCENES[scene]
    size = (720, 1280) if portrait else (1280, 720)
    folder = root / images / scene / "png"
    casts = [_cast(rng, size, count) for count in _counts(rng, frames, portrait)]
    everyone = [person for people, _ in casts for person in people]
    points = joints(standin(NUM_BETAS), everyone)
    rows: list[dict] = []
    for i, (people, K) in enumerate(casts):
        imgname = f"seq_{i // _SEQUENCE:06d}/seq_{i // _SEQUENCE:06d}_{5 * (i % _SEQUENCE):04d}.png"
        for person in people:
            key = (split, f"{scene}/{Path(imgname).stem}", str(len(rows)))
            truth.people[key] = TruePerson(person, LABELLED, K, size, NUM_BETAS, int(portrait))
            rows.append(_row(rng, imgname, person, K, project(points[len(rows)], K), portrait))
    expected = truth.expected[split]
    expected["frames"] += len(casts)
    expected["people"] += len(rows)
    _write_pictures(folder, rows, casts, size, pictures, rng)
    if bad:
        _add_bad_rows(folder, rows)
        expected["rejects"] = {"nan_pose": 1, "missing_image": 2, "damaged_image": 2}
    (root / labels).mkdir(parents=True, exist_ok=True)
    np.savez(root / labels / f"{scene}.npz", **{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _counts(rng: np.random.Generator, frames: int, portrait: bool) -> list[int]:
    """Return the number of people in each picture: the same throughout a sequence, two in close-ups."""
    counts = [2 if portrait else int(rng.integers(2, 4)) for _ in range(0, frames, _SEQUENCE)]
    return [counts[i // _SEQUENCE] for i in range(frames)]


def _write_pictures(
    folder: Path,
    rows: list[dict],
    casts: list[tuple[list[Parameters], np.ndarray]],
    size: tuple[int, int],
    pictures: str,
    rng: np.random.Generator,
) -> None:
    """Write the pictures of a scene; those of one sequence show one place and the same clothes."""
    is_drawn = pictures == "rendered"
    meshes = vertices(standin(NUM_BETAS), [person for people, _ in casts for person in people] if is_drawn else [])
    first, place, worn = 0, None, []
    for i, (people, K) in enumerate(casts):
        if place is None or i % _SEQUENCE == 0 or not is_drawn:
            place = backdrop(rng, size, pictures)
            worn = [clothes(rng) for _ in people] if is_drawn else []
        picture = place
        if is_drawn:
            picture = draw_people(place, meshes[first : first + len(people)], [K] * len(people), worn)
        if size[0] < size[1]:
            picture = np.rot90(picture)  # a quarter turn counter-clockwise: the person lies on the side
        write_picture(folder / rows[first]["imgname"], picture)
        first += len(people)


def _cast(rng: np.random.Generator, size: tuple[int, int], count: int) -> tuple[list[Parameters], np.ndarray]:
    """Return people in camera space and K of the upright picture."""
    focal = rng.uniform(900, 1500)  # zoom scenes change it from frame to frame
    K = intrinsics(focal, focal, size[0] / 2, size[1] / 2)
    people = [random_parameters(rng, NUM_BETAS, with_face=False) for _ in range(count)]
    share = 0.6 if size[0] < size[1] else 0.7
    return stand_in_a_row(rng, standin(NUM_BETAS), people, K, size, height_share=share), K


def _row(
    rng: np.random.Generator, imgname: str, person: Parameters, K: np.ndarray, pixels: np.ndarray, portrait: bool
) -> dict:
    """Return one row of every column that the owner writes."""
    R = rotation(z=np.pi / 2 if portrait else 0.0) @ rotation(x=0.1)
    camera_offset = rng.normal(0, 2, 3)
    cam_ext = np.eye(4)
    cam_ext[:3, :3], cam_ext[:3, 3] = R, camera_offset
    trans_cam = person["transl"] - camera_offset
    pelvis = standin(NUM_BETAS).pelvis_offset(person["betas"][None])[0]
    in_world = matrix_to_axis_angle(R.T @ axis_angle_to_matrix(person["global_orient"]))
    low, high = np.clip(pixels[:22].min(axis=0), 0, None), pixels[:22].max(axis=0)
    return {
        "imgname": imgname,
        "center": (low + high) / 2,
        "scale": (high - low).max() * 1.2 / 200,
        "pose_cam": join_pose(person),
        "pose_world": join_pose({**person, "global_orient": in_world}),
        "shape": person["betas"],
        "trans_cam": trans_cam,
        "trans_world": R.T @ (trans_cam + pelvis) - pelvis,
        "cam_int": K,
        "cam_ext": cam_ext,
        "gtkps": pixels[:127],
        "gender": "m" if rng.random() < 0.5 else "f",
        "proj_verts": np.tile(pixels.mean(axis=0), (437, 1)),
        "sub": f"subject_{rng.integers(100):04d}",
    }


def _add_bad_rows(folder: Path, rows: list[dict]) -> None:
    """Append rows that no converter may write: NaN in a pose, a picture that is missing, one that is cut off."""
    good = rows[-1]
    rows.append({**good, "pose_cam": np.where(np.arange(165) == 80, np.nan, good["pose_cam"])})
    rows += [{**row, "imgname": "seq_000900/seq_000900_0000.png"} for row in rows[:2]]
    cut = "seq_000901/seq_000901_0005.png"
    rows += [{**row, "imgname": cut} for row in rows[:2]]
    (folder / cut).parent.mkdir(parents=True)
    (folder / cut).write_bytes((folder / rows[0]["imgname"]).read_bytes()[:-20])


def _write_agora(folder: Path) -> None:
    """Write AGORA's rows as the owner ships them along: other columns, other pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("agora-bfh", "agora-body"):
        imgname = np.array(["ag_trainset_3dpeople_bfh_hdri_50mm_5_10_00000_1280x720.png"])
        np.savez(folder / f"{name}.npz", imgname=imgname, pose_cam=np.full((1, 165), 9.0))
