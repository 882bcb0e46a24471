"""An EHF look-alike: posed meshes moved into the capture space, binary and ascii PLY, OpenPose's keypoints."""

import json
import shutil
from pathlib import Path

import numpy as np

from ehps.body.cameras import invert_rigid, project, transform_points
from ehps.converters.ehf import SIZE, T_CAMERA_WORLD, K
from ehps.tests.raw._people import (
    TruePerson,
    Truth,
    backdrop,
    clothes,
    draw_people,
    face_camera,
    joints,
    place,
    points_2d,
    random_parameters,
    standin,
    vertices,
    write_picture,
)

SPLITS = ("test",)
EXPECTED = {
    "test": {
        "frames": 3,
        "people": 3,
        "rejects": {"wrong_topology": 1, "unreadable_labels": 1, "missing_image": 1},
    }
}
_BODIES = 100  # as many as the owner's; a larger tree shows them again
_HEAD = "ply\nformat {}\nelement vertex {}\nproperty {} x\nproperty {} y\nproperty {} z\nelement face 1\n"
_TAIL = "property list uchar int vertex_indices\nend_header\n"


def build(
    root: Path, *, frames: int = 3, pictures: str = "plain", seed: int = 40, bad: bool = True, times: int = 1
) -> Truth:
    """Write the flat folder with ``frames`` times ``times`` good pictures; the last of few is called 100, not 03."""
    frames *= times
    rng = np.random.default_rng(seed)
    numbers, bodies = [*range(1, frames), 100 if frames < 100 else frames], min(frames, _BODIES)
    subject = random_parameters(rng)["betas"]  # one person throughout
    drawn = (random_parameters(rng) | {"betas": subject} for _ in range(bodies))
    people = [face_camera(person, rng.uniform(-0.8, 0.8), 0.15) for person in drawn]
    people = place(standin(), people, np.array([0.0, 0.0, 2.9]) + rng.normal(0, 0.08, (bodies, 3)))
    meshes, points = vertices(standin(), people), joints(standin(), people)
    truth = Truth(expected={"test": {"frames": frames, "people": frames, "rejects": {}}})
    studio, worn = backdrop(rng, SIZE, pictures), clothes(rng) if pictures == "rendered" else None
    images: list[Path] = []
    for i, number in enumerate(numbers):
        name, body = f"{number:02d}", i % bodies
        images.append(root / f"{name}_img.{'jpg' if body == 1 else 'png'}")
        if i < bodies:
            picture = studio if pictures == "rendered" else backdrop(rng, SIZE, pictures)
            if pictures == "rendered":
                picture = draw_people(picture, meshes[i : i + 1], [K], [worn])
            write_picture(images[i], picture)
        else:
            shutil.copyfile(images[body], images[i])
        in_world = transform_points(invert_rigid(T_CAMERA_WORLD), meshes[body].astype(np.float64))
        write_ply(root / f"{name}_align.ply", in_world, binary=body != 1)
        keypoints = points_2d(project(points[body], K), "openpose_137")
        write_openpose(root / f"{name}_2Djnt.json", keypoints, rng.uniform(0.3, 0.99, 137))
        truth.people["test", name, name] = TruePerson(people[body], frozenset({"vertices"}), K, SIZE)
    if bad:
        _add_bad_records(root, rng)
        truth.expected["test"]["rejects"] = dict(EXPECTED["test"]["rejects"])
    return truth


def write_ply(path: Path, points: np.ndarray, *, binary: bool = True) -> None:
    """Write vertices and one face, as float32 binary or as ascii."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "float" if binary else "double"
    encoding = "binary_little_endian 1.0" if binary else "ascii 1.0"
    header = (_HEAD + _TAIL).format(encoding, len(points), kind, kind, kind).encode()
    if binary:
        path.write_bytes(header + points.astype("<f4").tobytes() + b"\x03" + np.arange(3, dtype="<i4").tobytes())
        return
    rows = "\n".join(" ".join(f"{value:.7f}" for value in row) for row in points)
    path.write_bytes(header + rows.encode() + b"\n3 0 1 2\n")


def write_openpose(path: Path, points: np.ndarray, confidence: np.ndarray) -> None:
    """Write one person of OpenPose's; a point of confidence 0 lies at the origin, as OpenPose writes it."""
    rows = np.column_stack([np.where(confidence[:, None] > 0, points, 0), confidence])
    parts = {
        "pose_keypoints_2d": rows[:25],
        "hand_left_keypoints_2d": rows[25:46],
        "hand_right_keypoints_2d": rows[46:67],
        "face_keypoints_2d": rows[67:],
    }
    person = {name: part.ravel().tolist() for name, part in parts.items()}
    path.write_text(json.dumps({"version": 1.1, "people": [person]}), encoding="utf-8")


def _add_bad_records(root: Path, rng: np.random.Generator) -> None:
    """Write a mesh of SMPL's size, keypoints that are cut short, and labels without a picture."""
    mesh, confidence = rng.normal(0, 0.3, (10475, 3)), np.full(137, 0.5)
    for name, size in (("201", 6890), ("202", 10475), ("203", 10475)):
        write_ply(root / f"{name}_align.ply", mesh[:size])
        write_openpose(root / f"{name}_2Djnt.json", rng.uniform(0, 1000, (137, 2)), confidence)
        if name != "203":
            write_picture(root / f"{name}_img.png", backdrop(rng, SIZE, "plain"))
    (root / "202_2Djnt.json").write_text('{"people": [{"pose_keypoints_2d": [1.0, 2.0]}]}', encoding="utf-8")
