"""A 3DPW look-alike: pickles of Python 2, gendered SMPL in the world, a camera that moves from picture to picture."""

from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, invert_rigid, project, rigid, transform_points
from ehps.body.draw import render_mesh
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_vertex_colors
from ehps.tests.raw._owner_pickles import write_python2_pickle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    body_model,
    place,
    points_2d,
    random_parameters,
    rotation,
    vertices,
    write_picture,
)

SPLITS = ("train", "val", "test")
EXPECTED = {
    "train": {
        "frames": 4,
        "people": 7,
        "rejects": {"bad_camera": 2, "nan_pose": 1, "missing_image": 2, "damaged_image": 2},
    },
    "val": {"frames": 1, "people": 2, "rejects": {}},
    "test": {"frames": 1, "people": 1, "rejects": {}},
}
LABELLED = frozenset({"global_orient", "body_pose", "betas", "transl"})
# Split -> folder, sequence, genders, size of the pictures, share of the pictures.
_SEQUENCES = {
    "train": ("train", "courtyard_fake_00", "mf", (1080, 1920), 0.6),
    "val": ("validation", "outdoors_fake_01", "fm", (1920, 1080), 0.2),
    "test": ("test", "downtown_fake_00", "f", (1080, 1920), 0.2),
}
_NAMES = {"m": "male", "f": "female"}


def build(
    root: Path, *, frames: int = 5, pictures: str = "plain", seed: int = 90, bad: bool = True, times: int = 1
) -> Truth:
    """Write the tree with about ``frames`` times ``times`` good pictures, one sequence a split."""
    frames *= times
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    for number, (split, (folder, name, genders, size, share)) in enumerate(_SEQUENCES.items()):
        rng = np.random.default_rng([seed, number])
        length = max(1, round(frames * share))
        sequence = _sequence(rng, name, genders, size, length, truth, split)
        for i in range(length):
            people = [true for key, true in truth.people.items() if key[:2] == (split, f"{name}/{i:05d}")]
            _write_picture(root / "imageFiles" / name / f"image_{i:05d}.jpg", rng, people, size, pictures)
        if bad and split == "train":
            _add_bad_pictures(root / "imageFiles" / name, sequence, length, truth)
        write_python2_pickle(root / "sequenceFiles" / folder / f"{name}.pkl", sequence)
    return truth


def _sequence(
    rng: np.random.Generator, name: str, genders: str, size: tuple[int, int], length: int, truth: Truth, split: str
) -> dict:
    """Return the content of a pickle, and note its people; the second actor of train has a frame without OpenPose."""
    focal = 1961.0 if size[0] < size[1] else 1969.0
    K = intrinsics(focal, focal, size[0] / 2, size[1] / 2)
    cameras = [_camera(rng) for _ in range(length)]
    subjects = [rng.normal(0, 1, 10) for _ in genders]
    actors: list[list[dict]] = [[] for _ in genders]
    for number, T in enumerate(cameras):
        for actor, gender in enumerate(genders):
            model = body_model("smpl", _NAMES[gender], 10)
            across = (actor - (len(genders) - 1) / 2) * 0.9
            person = _actor(rng, model, subjects[actor], np.array([across, rng.normal(0, 0.1), 5.0 + rng.random()]))
            true = TruePerson(person, LABELLED, K, size, body_model="smpl", gender=_NAMES[gender])
            truth.people[split, f"{name}/{number:05d}", f"actor {actor} frame {number}"] = true
            is_seen = (actor, number) != (1, 1)
            actors[actor].append(_columns(rng, model, true, T, is_seen=is_seen))
    truth.expected[split]["frames"] += length
    truth.expected[split]["people"] += length * len(genders)
    lists = {column: [np.stack([row[column] for row in rows]) for rows in actors] for column in actors[0][0]}
    sixty = [rng.normal(0, 1, (2 * length + 1, 72)) for _ in genders]
    return {
        **lists,
        "sequence": name,
        "genders": list(genders),
        "betas": [np.concatenate([betas, rng.normal(0, 0.1, 2 * actor)]) for actor, betas in enumerate(subjects)],
        "betas_clothed": [rng.normal(0, 1, 10) for _ in genders],
        "v_template_clothed": [rng.normal(0, 1, (6890, 3)) for _ in genders],
        "texture_maps": [],
        "img_frame_ids": np.arange(0, 2 * length, 2),
        "poses_60Hz": sixty,
        "trans_60Hz": [poses[:, :3] for poses in sixty],
        "cam_poses": np.stack(cameras),
        "cam_intrinsics": K,
    }


def _camera(rng: np.random.Generator) -> np.ndarray:
    """Return where a walking person holds the phone: world (y up) to camera."""
    return rigid(rotation(x=np.pi + rng.normal(0, 0.15)) @ rotation(y=rng.uniform(-3, 3)), rng.normal(0, 2, 3))


def _actor(rng: np.random.Generator, model, betas: np.ndarray, pelvis: np.ndarray) -> Parameters:
    """Return an upright SMPL body in camera space."""
    person = random_parameters(rng, with_face=False)
    turned = rotation(x=np.pi) @ rotation(y=rng.uniform(-1, 1)) @ axis_angle_to_matrix(person["global_orient"])
    body = np.concatenate([person["body_pose"], rng.normal(0, 0.2, (2, 3))])
    own = {"global_orient": matrix_to_axis_angle(turned), "body_pose": body, "betas": betas}
    return place(model, [own], pelvis[None])[0]


def _columns(rng: np.random.Generator, model, true: TruePerson, T: np.ndarray, *, is_seen: bool) -> dict:
    """Return what the lists of an actor hold of one picture, in the world."""
    person, T_world_camera = true.parameters, invert_rigid(T)
    own = {name: value[None] for name, value in person.items()}
    rest = model.pelvis_offset(own["betas"])[0]
    joints = transform_points(T_world_camera, model.joints(own)[0, :24])
    orient = matrix_to_axis_angle(T_world_camera[:3, :3] @ axis_angle_to_matrix(person["global_orient"]))
    confidence = rng.uniform(0.2, 0.95, 18) * (rng.random(18) < 0.9)
    points = points_2d(project(true.joints(), true.K), "openpose_18") * (confidence > 0)[:, None]
    return {
        "poses": np.concatenate([orient, person["body_pose"].ravel()]),
        "trans": joints[0] - rest,
        "jointPositions": joints.ravel(),
        "poses2d": np.column_stack([points, confidence]).T * is_seen,
        "campose_valid": True,
    }


def _write_picture(
    path: Path, rng: np.random.Generator, people: list[TruePerson], size: tuple[int, int], pictures: str
) -> None:
    """Write a picture, with the people in it when it is to be rendered."""
    picture = backdrop(rng, size, pictures)
    if pictures == "rendered":
        meshes = np.concatenate([vertices(true.model, [true.parameters]) for true in people])
        colors = np.stack([standin_vertex_colors("smpl", rng) for _ in people])
        picture = render_mesh(picture, meshes, people[0].model.triangles, people[0].K, color=colors)
    write_picture(path, picture)


def _add_bad_pictures(folder: Path, sequence: dict, length: int, truth: Truth) -> None:
    """Append four pictures with labels: no valid camera, NaN, no file, half a file; and spoil one actor's camera."""
    for name in ("poses", "trans", "jointPositions", "poses2d", "campose_valid"):
        sequence[name] = [np.concatenate([values, values[:1].repeat(4, axis=0)]) for values in sequence[name]]
    sequence["cam_poses"] = np.concatenate([sequence["cam_poses"], sequence["cam_poses"][:1].repeat(4, axis=0)])
    picture = (folder / "image_00000.jpg").read_bytes()
    for i in (0, 1):
        (folder / f"image_{length + i:05d}.jpg").write_bytes(picture)
    (folder / f"image_{length + 3:05d}.jpg").write_bytes(picture[:-20])
    sequence["campose_valid"][1][[length, length + 1]] = False
    sequence["poses"][0][length + 1, 5] = np.nan
    sequence["img_frame_ids"] = np.arange(0, 2 * (length + 4), 2)
    truth.expected["train"]["frames"] += 1
    truth.expected["train"]["people"] += 1
    truth.expected["train"]["rejects"] = dict(EXPECTED["train"]["rejects"])
