"""A GTA-Human II look-alike: one npz a person and sequence, jpeg pictures, hands as PCA coefficients.

The last person of each sequence is one whose fit failed: the game's joints without any key of SMPL-X. The game's trunk
and head are off the body's joints, as in the real data.
"""

from itertools import product
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.joints import SMPLX_INDEX
from ehps.body.keypoints import CONVENTIONS
from ehps.body.models import read_hand_components
from ehps.body.posing import model_path
from ehps.body.standin import standin_dir
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    clothes,
    draw_people,
    joints,
    random_parameters,
    stand_in_a_row,
    standin,
    tight_box,
    vertices,
    write_picture,
)

SPLITS = ("train",)
EXPECTED = {"train": {"frames": 6, "people": 15, "rejects": {"nan_pose": 1, "missing_image": 3}}}
SIZE = (1920, 1080)
FOCAL = 540 / np.tan(np.radians(25))
K = intrinsics(FOCAL, FOCAL, 960.0, 540.0)
HANDS = frozenset({"left_hand_pose", "right_hand_pose"})
LABELLED = frozenset({"global_orient", "body_pose", "betas", "transl"}) | HANDS
COMPONENTS = 24
_SEQUENCE = 3  # pictures of a sequence


def build(
    root: Path,
    *,
    frames: int = 6,
    times: int = 1,
    pictures: str = "plain",
    seed: int = 70,
    bad: bool = True,
    with_hands: bool = True,
) -> Truth:
    """Write the tree with ``frames`` times ``times`` good pictures.

    ``with_hands=False`` is the truth for users without a model.
    """
    frames *= times
    truth = Truth(expected={"train": {"frames": 0, "people": 0, "rejects": {}}})
    base = root / "gta-human_v2_release"
    for first in range(0, frames, _SEQUENCE):
        rng = np.random.default_rng([seed, first])
        name, length = f"seq_{87011 + first:08d}", min(_SEQUENCE, frames - first)
        casts = _casts(rng, length, 2 + first // _SEQUENCE % 2)
        _write_pictures(base / "images" / name, casts, pictures, rng)
        for i, track in enumerate(f"{7 + 11 * number:06d}" for number in range(len(casts[0]))):
            has_fit = i < len(casts[0]) - 1
            columns = _columns(rng, [cast[i] for cast in casts], has_fit=has_fit)
            told = (LABELLED if with_hands else LABELLED - HANDS) if has_fit else frozenset()
            for number, cast in enumerate(casts):
                key = ("train", f"{name}/{number:08d}", f"{track}/{number}")
                truth.people[key] = TruePerson(cast[i], told, K, SIZE)
            _write_track(base / "annotations" / name / f"{track}.npz", columns, is_spoilt=bad and first == 0)
        truth.expected["train"]["frames"] += length
        truth.expected["train"]["people"] += length * len(casts[0])
    if bad:
        truth.expected["train"]["rejects"] = dict(EXPECTED["train"]["rejects"])
    return truth


def _casts(rng: np.random.Generator, length: int, count: int) -> list[list[Parameters]]:
    """Return the people of each picture of a sequence, hands made of the first components alone."""
    components = read_hand_components(model_path(standin_dir(), "smplx", "neutral"), 45)
    casts = []
    subjects = [random_parameters(rng)["betas"] for _ in range(count)]
    for _ in range(length):
        people = [{**random_parameters(rng, with_face=False), "betas": betas} for betas in subjects]
        for person, (side, basis) in product(people, components.items()):
            name = f"{side}_hand_pose"
            coefficients = person[name].reshape(45) @ basis.T  # the stand-in's basis is orthonormal
            person[name] = (coefficients[:COMPONENTS] @ basis[:COMPONENTS]).reshape(15, 3)
        casts.append(stand_in_a_row(rng, standin(), people, K, SIZE))
    return casts


def _columns(rng: np.random.Generator, people: list[Parameters], *, has_fit: bool) -> dict[str, np.ndarray]:
    """Return everything that the owner writes about a person in a sequence."""
    points = _bones(rng, joints(standin(), people))
    pixels, ones = project(points, K), np.ones((len(people), 100, 1))
    boxes = np.stack([tight_box(seen) for seen in pixels])
    columns = {
        "is_male": np.array(bool(rng.integers(2))),
        "fov": np.array(50.0),
        "ped_action": np.array("WORLD_HUMAN_STAND_MOBILE"),
        "weather": np.array("CLEAR"),
        "daytime": np.array((13, 25, 7)),
        "location_tag": np.array("beach"),
        "keypoints_2d": np.concatenate([pixels, ones], axis=2),
        "keypoints_3d": np.concatenate([points, ones], axis=2),
        "occ": rng.integers(0, 2, (len(people), 100)),
        "self_occ": rng.integers(0, 2, (len(people), 100)),
        "num_frames": np.array(len(people)),
        "bbox_xywh": np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1),
        "is_valid_smplx": np.array(has_fit),
    }
    return columns | (_fit(people) if has_fit else {})


def _fit(people: list[Parameters]) -> dict[str, np.ndarray]:
    """Return the keys of SMPL-X, which are there only for people whose fit is valid."""
    together = batch(people)
    fit = {name: together[name] for name in ("betas", "global_orient", "transl")}
    fit["body_pose"] = together["body_pose"].reshape(-1, 63)
    for side, basis in read_hand_components(model_path(standin_dir(), "smplx", "neutral"), COMPONENTS).items():
        fit[f"{side}_hand_pose"] = together[f"{side}_hand_pose"].reshape(-1, 45) @ basis.T
    return {name: value.astype(np.float32) for name, value in fit.items()}


def _bones(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """Return the game's 100 bones: limbs and fingers where SMPL-X has them, others near the joint of their name."""
    out = np.zeros((len(points), 100, 3))
    for bone, name in enumerate(CONVENTIONS["gta_100"]):
        plain = name.removesuffix("_gta")
        joint = points[:, SMPLX_INDEX.get(plain, SMPLX_INDEX["spine_3"])]
        out[:, bone] = joint if plain == name else joint + rng.normal(0, 0.05, 3)
    return out


def _write_track(path: Path, columns: dict[str, np.ndarray], *, is_spoilt: bool) -> None:
    """Write the npz of a person; a spoilt one has two rows more, without pictures, and NaN in the first fit of them."""
    if is_spoilt:
        rows = len(columns["bbox_xywh"])
        for name, value in columns.items():
            if value.shape[:1] == (rows,) and name != "daytime":
                columns[name] = np.concatenate([value, value[:1], value[:1]])
        columns["num_frames"] = np.array(rows + 2)
        if "transl" in columns:
            columns["transl"][rows, 0] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **columns)


def _write_pictures(folder: Path, casts: list[list[Parameters]], pictures: str, rng: np.random.Generator) -> None:
    """Write the pictures of a sequence, all of one place."""
    place = backdrop(rng, SIZE, pictures)
    worn = [clothes(rng) for _ in casts[0]] if pictures == "rendered" else []
    for number, cast in enumerate(casts):
        picture = place
        if worn:
            picture = draw_people(place, vertices(standin(), cast), [K] * len(cast), worn)
        write_picture(folder / f"{number:08d}.jpeg", picture)
