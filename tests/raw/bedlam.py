"""A BEDLAM look-alike: labels in the owner's folders, every kind of scene, AGORA's files in between.

Bodies are posed, seen by a pitched (and, for close-ups, rolled) camera and written with the owner's columns, the
translation split at random between ``trans_cam`` and the person's own ``cam_ext``. Pictures lie in the folders of
either release, as PNGs or videos.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
from ehps.tests.raw._videos import numbered, write_video

SPLITS = ("train", "val")
EXPECTED = {
    "train": {"frames": 14, "people": 35, "rejects": {"nan_pose": 1, "missing_image": 2, "damaged_image": 3}},
    "val": {"frames": 4, "people": 9, "rejects": {}},
}
NUM_BETAS = 11
LABELLED = frozenset({"global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "betas", "transl"})
ZOOM = "20221010_3-10_500_batch01hand_zoom_suburb_d_6fps"
CLOSEUP = "20221011_1_250_batch01hand_closeup_suburb_a_6fps"
UPRIGHT_CLOSEUP = "20221017_1_250_batch01hand_closeup_suburb_a_6fps"  # its name lies: the pictures are upright
VAL = "20221018_3-8_250_batch01hand_6fps"  # a scene of val with its labels among those of train
ELSEWHERE = "20221019_3-8_250_highbmihand_orbit_stadium_6fps"  # a scene of val with its labels in a folder of their own
HDRI = "20221010_3_1000_batch01hand_6fps"  # before a panorama, with a file of the hand release
ORBIT = "20221013_3_250_batch01hand_orbit_bigOffice_6fps"
PITCH = "20221018_3-8_250_batch01hand_pitchUp52_stadium_6fps"
DASH = "20221020-3-8_250_highbmihand_zoom_highSchoolGym_a_6fps"  # with the pictures of 30 fps, which have no dash
HAIR = "20221022_3_250_batch01handhair_static_bigOffice_30fps"
VIDEO = "20221019_1_250_highbmihand_closeup_suburb_b_6fps"  # a close-up with the videos of 30 fps, which are upright
ARCHVIZ = "20221018_3_250_batch01hand_orbit_archVizUI3_time15_6fps"
SUBURB = "20221018_1_250_batch01hand_zoom_suburb_b_6fps"


class _Scene(NamedTuple):
    """How a scene is stored."""

    share: float  # of the frames
    split: str = "train"
    labels: str = "all_npz_12_training"
    images: str = "training_images"  # what its own folder lies in
    folder: str | None = None  # its own folder, where that is not called like the labels
    is_portrait: bool = False
    is_video: bool = False
    bad: str = ""  # which bad records go with it


_SCENES = {
    ZOOM: _Scene(0.4, bad="files"),
    CLOSEUP: _Scene(0.2, is_portrait=True),
    UPRIGHT_CLOSEUP: _Scene(0.15),
    VAL: _Scene(0.125, "val"),
    ELSEWHERE: _Scene(0.125, "val", "all_npz_12_validation", "validation_images"),
    HDRI: _Scene(0.25),
    ORBIT: _Scene(0.1),
    PITCH: _Scene(0.1),
    DASH: _Scene(0.1, images="images", folder="20221020_3-8_250_highbmihand_zoom_highSchoolGym_a"),
    HAIR: _Scene(0.1, images="train_images"),
    VIDEO: _Scene(
        share=0.2,
        images=".",
        folder="20221019_1_250_highbmihand_closeup_suburb_b",
        is_portrait=True,
        is_video=True,
        bad="video",
    ),
    ARCHVIZ: _Scene(0.1, "val", "all_npz_12_validation", "val_images"),
    SUBURB: _Scene(0.1, "val", "all_npz_12_validation", "val_images"),
}
_RENDERED = (ZOOM, CLOSEUP, UPRIGHT_CLOSEUP, VAL, ELSEWHERE)  # the others would show nothing new
_SEQUENCE = 5  # frames of a sequence


def build(
    root: Path,
    *,
    frames: int = 8,
    times: int = 1,
    pictures: str = "plain",
    seed: int = 20,
    bad: bool = True,
    scenes: Sequence[str] | None = None,
    release: str = "6fps",
) -> Truth:
    """Write the tree with somewhat more than ``frames`` times ``times`` good frames.

    ``bad`` adds the records that must be rejected; ``release="30fps"`` is what the owner's script makes of them.
    """
    truth = Truth(expected={split: {"frames": 0, "people": 0, "rejects": {}} for split in SPLITS})
    wanted = scenes or (_RENDERED if pictures == "rendered" else tuple(_SCENES))
    for number, (name, scene) in enumerate(_SCENES.items()):
        rng = np.random.default_rng([seed, number])
        if name in wanted:
            count = max(1, round(frames * times * scene.share))
            _Writer(root, name, scene if bad else scene._replace(bad=""), release, pictures, truth).write(count, rng)
    _write_agora(root / "all_npz_12_training")
    return truth


class _Writer:
    """Writes one scene."""

    def __init__(self, root: Path, name: str, scene: _Scene, release: str, pictures: str, truth: Truth) -> None:
        base = name.removesuffix("_6fps").removesuffix("_30fps")
        self.scene, self.kind, self.truth = scene, pictures, truth
        self.size = (720, 1280) if scene.is_portrait else (1280, 720)
        self.turns = int(scene.is_portrait and not scene.is_video)
        self.name, labels, images, self.step = name, scene.labels, scene.images, 5  # pictures of 30 fps to the next one
        folder = scene.folder or name
        if release == "30fps":
            self.name, labels, images, folder, self.step = base, "processed_labels", "images", base, 1
        self.labels = root / labels / f"{self.name}.npz"
        self.hands = root / "all_npz_12_hands" / f"{self.name}-hands.npz"
        self.images = root / images / folder / ("mp4" if scene.is_video else "png")

    def write(self, frames: int, rng: np.random.Generator) -> None:
        """Write labels and pictures of so many frames, and note the people in the truth."""
        casts = [_cast(rng, self.size, count) for count in _counts(rng, frames, self.scene.is_portrait)]
        points = joints(standin(NUM_BETAS), [person for people, _ in casts for person in people])
        rows: list[dict] = []
        for i, (people, K) in enumerate(casts):
            imgname = f"seq_{i // _SEQUENCE:06d}/seq_{i // _SEQUENCE:06d}_{self.step * (i % _SEQUENCE):04d}.png"
            for person in people:
                key = (self.scene.split, f"{self.name}/{Path(imgname).stem}", str(len(rows)))
                self.truth.people[key] = TruePerson(person, LABELLED, K, self.size, NUM_BETAS, self.turns)
                rows.append(_row(rng, imgname, person, K, project(points[len(rows)], K), self.scene.is_portrait))
        expected = self.truth.expected[self.scene.split]
        expected["frames"] += len(casts)
        expected["people"] += len(rows)
        self._write_pictures(rows, casts, rng)
        self._add_bad_rows(rows, expected["rejects"])
        self.labels.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self.labels, **_columns(rows))
        if self.name == HDRI:
            self._write_hands(rows)

    def _write_pictures(
        self, rows: list[dict], casts: list[tuple[list[Parameters], np.ndarray]], rng: np.random.Generator
    ) -> None:
        """Write the pictures; those of one sequence show one place and the same clothes."""
        is_drawn = self.kind == "rendered"
        everyone = [person for people, _ in casts for person in people] if is_drawn else []
        meshes = vertices(standin(NUM_BETAS), everyone)
        first, place, worn = 0, None, []
        for i, (people, K) in enumerate(casts):
            if place is None or i % _SEQUENCE == 0 or not is_drawn:
                place = backdrop(rng, self.size, self.kind)
                worn = [clothes(rng) for _ in people] if is_drawn else []
            picture = place
            if is_drawn:
                picture = draw_people(place, meshes[first : first + len(people)], [K] * len(people), worn)
            if self.scene.is_video and i % _SEQUENCE == 0:
                self._write_video(i, min(len(casts) - i, _SEQUENCE), picture)
            elif not self.scene.is_video:
                # A quarter turn counter-clockwise: the person lies on the side.
                write_picture(self.images / rows[first]["imgname"], np.rot90(picture, self.turns))
            first += len(people)

    def _write_video(self, first: int, frames: int, picture: np.ndarray) -> None:
        """Write the video of a sequence; its frames bear their numbers."""
        path = self.images / f"seq_{first // _SEQUENCE:06d}.mp4"
        write_video(path, (numbered(picture, n) for n in range(self.step * (frames - 1) + 1)), fps=30)

    def _add_bad_rows(self, rows: list[dict], rejects: dict[str, int]) -> None:
        """Append rows that no converter may write: NaN in a pose, a picture missing, cut off or past the end."""
        if self.scene.bad == "video":
            rows.append({**rows[-1], "imgname": "seq_000000/seq_000000_0995.png"})
            rejects["damaged_image"] = rejects.get("damaged_image", 0) + 1
        if self.scene.bad == "files":
            good = rows[-1]
            rows.append({**good, "pose_cam": np.where(np.arange(165) == 80, np.nan, good["pose_cam"])})
            rows += [{**row, "imgname": "seq_000900/seq_000900_0000.png"} for row in rows[:2]]
            cut = "seq_000901/seq_000901_0005.png"
            rows += [{**row, "imgname": cut} for row in rows[:2]]
            (self.images / cut).parent.mkdir(parents=True)
            (self.images / cut).write_bytes((self.images / rows[0]["imgname"]).read_bytes()[:-20])
            rejects |= {"nan_pose": 1, "missing_image": 2, "damaged_image": rejects.get("damaged_image", 0) + 2}

    def _write_hands(self, rows: list[dict]) -> None:
        """Write the file of the hand release: the labels but for the first row, from the end, and what was found."""
        told = [
            {
                **row,
                "left_hand": int(i % 3 == 0),
                "right_hand": int(i % 3 == 1),
                "scale_hand": [0.2, 0.3],
                "center_hand": np.eye(2),
            }
            for i, row in enumerate(rows[:0:-1])
        ]
        self.hands.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self.hands, **_columns(told))


def _columns(rows: list[dict]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _counts(rng: np.random.Generator, frames: int, portrait: bool) -> list[int]:
    """Return the number of people in each picture: the same throughout a sequence, two in close-ups."""
    counts = [2 if portrait else int(rng.integers(2, 4)) for _ in range(0, frames, _SEQUENCE)]
    return [counts[i // _SEQUENCE] for i in range(frames)]


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
        "gtkps": np.column_stack([pixels[:127], np.ones(127)]),
        "gender": "m" if rng.random() < 0.5 else "f",
        "proj_verts": np.tile([*pixels.mean(axis=0), 1.0], (437, 1)),
        "sub": f"subject_{rng.integers(100):04d}",
    }


def _write_agora(folder: Path) -> None:
    """Write AGORA's rows as the owner ships them along: other columns, other pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("agora-bfh", "agora-body"):
        imgname = np.array(["ag_trainset_3dpeople_bfh_hdri_50mm_5_10_00000_1280x720.png"])
        np.savez(folder / f"{name}.npz", imgname=imgname, pose_cam=np.full((1, 165), 9.0))
