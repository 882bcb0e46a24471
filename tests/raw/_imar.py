"""A studio of IMAR's (Fit3D, CHI3D, HumanSC3D): several cameras, SMPL-X as rotation matrices in a world with z up."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ehps.body.cameras import Distortion, intrinsics, parameters_to_camera, project, rigid
from ehps.body.joints import SMPLX_INDEX
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.tests.raw._people import (
    Parameters,
    TruePerson,
    Truth,
    backdrop,
    batch,
    clothes,
    draw_people,
    place,
    random_parameters,
    rotation,
    standin,
)
from ehps.tests.raw._videos import numbered, write_video

CAMERAS = ("50591643", "58860488", "60457274", "65906101")
SIZE = (900, 900)
LABELLED = frozenset(
    ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose")
) | {"betas", "expression", "transl"}
# Where the owner's 25 joints lie on a SMPL-X body, about.
_JOINTS = [
    SMPLX_INDEX[name]
    for name in (
        *("pelvis left_hip left_knee left_ankle right_hip right_knee right_ankle spine_2 neck head nose".split()),
        *("left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist".split()),
        *("left_bigtoe left_heel right_bigtoe right_heel left_index left_thumb right_index right_thumb".split()),
    )
]
_BENT = Distortion("brown_conrady", (-0.145, 0.112, -0.0072, 0.0062, 0.0034))  # as a user prints one of Fit3D's files


class Studio:
    """Writes actions one by one and keeps the truth about them."""

    def __init__(
        self, root: Path, dataset: str, notes: str, *, seed: int, people: int = 1, pictures: str = "plain"
    ) -> None:
        self.folder, self._people, self._pictures = root / dataset / "train", people, pictures
        self._notes = notes  # the subject's file of what else the owner marked, which nobody reads
        self._rng = np.random.default_rng(seed)
        self._cameras = {name: _camera(self._rng, i) for i, name in enumerate(CAMERAS[:2])}
        self._truth, self._rejects = Truth(), Counter()

    def truth(self) -> Truth:
        """Return who can be found in the tree, and the counts."""
        frames = {key for _, key, _ in self._truth.people}
        counts = {"frames": len(frames), "people": len(self._truth.people), "rejects": dict(self._rejects)}
        self._truth.expected["train"] = counts
        return self._truth

    def act(self, subject: str, action: str, frames: int, *, more: int = 0, group: int = 12) -> Path:
        """Write an action of so many frames and return the subject's folder; videos go on for ``more`` frames."""
        folder = self.folder / subject
        people = [self._person(person, frames) for person in range(self._people)]
        _write(folder / "smplx" / f"{action}.json", _joined([_fits(rows) for rows in people]))
        joints = [standin().joints(batch(rows))[:, _JOINTS] for rows in people]
        _write(folder / "joints3d_25" / f"{action}.json", {"joints3d_25": _squeezed(joints)})
        _write(folder / f"{self._notes}.json", {action: {"fr_id": 1}})
        _write(folder / "gpp" / f"{action}.json", {"body_shape": _squeezed([np.zeros((frames, 16))] * self._people)})
        for name, (T, K) in self._cameras.items():
            _write(folder / "camera_parameters" / name / f"{action}.json", _calibration(T, K))
            for person, rows in enumerate(people):
                for number, parameters in enumerate(_seen(rows, T)):
                    true = TruePerson(parameters, LABELLED, K, SIZE, distortion=_BENT)
                    self._truth.people[
                        "train", f"{subject}/{action}/{name}/{number:05d}", f"person {person} frame {number}"
                    ] = true
            self.film(folder / "videos" / name / f"{action}.mp4", frames + more, people, T, K, group)
        return folder

    def film(
        self, path: Path, frames: int, people: list[list[Parameters]], T: np.ndarray, K: np.ndarray, group: int = 12
    ) -> None:
        """Write the video of a camera."""
        picture = backdrop(self._rng, SIZE, self._pictures)
        colors = [clothes(self._rng) for _ in people]

        def shown() -> Iterator[np.ndarray]:
            for number in range(frames):
                now = [_seen(rows[number : number + 1], T)[0] for rows in people if number < len(rows)]
                is_drawn = self._pictures == "rendered" and now
                yield numbered(_drawn(picture, now, K, colors) if is_drawn else picture, number)

        write_video(path, shown(), fps=50, group=group)

    def lose(
        self,
        action: str,
        reason: str,
        *,
        cameras: Iterable[str] = CAMERAS,
        frames: Iterable[int] = range(99),
        person: int | None = None,
    ) -> None:
        """Note that some people of an action (``s03/squat``) cannot be found, and why."""
        keys = {f"{action}/{camera}/{number:05d}" for camera in cameras for number in frames}
        for found in [key for key in self._truth.people if key[1] in keys]:
            if person is None or found[2].startswith(f"person {person} "):
                del self._truth.people[found]
                self._rejects[reason] += 1

    def _person(self, person: int, frames: int) -> list[Parameters]:
        """Return somebody in the world, frame by frame; everyone has a shape."""
        betas = np.clip(self._rng.normal(0, 1, 10), -2, 2)
        upright = rotation(x=np.pi / 2)
        rows = []
        for _ in range(frames):
            one = {**random_parameters(self._rng), "betas": betas}
            turn = rotation(z=self._rng.uniform(-3, 3)) @ upright @ axis_angle_to_matrix(one["global_orient"])
            eyes = {f"{side}eye_pose": self._rng.normal(0, 0.1, 3) for side in "lr"}
            rows.append({**one, **eyes, "global_orient": matrix_to_axis_angle(turn)})
        spots = np.stack([[0.7 * person, 0, 0.95] + self._rng.normal(0, 0.1, 3) for _ in range(frames)])
        return place(standin(), rows, spots)


def change(path: Path, alter) -> None:
    """Rewrite a JSON file: ``alter`` changes its content."""
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _squeezed(values: list[np.ndarray]) -> list:
    """Return arrays of several people as nested lists; those of one person without an axis of people."""
    return (np.stack(values) if len(values) > 1 else values[0]).tolist()


def _joined(people: list[dict[str, np.ndarray]]) -> dict[str, list]:
    return {name: _squeezed([person[name] for person in people]) for name in people[0]}


def _fits(rows: list[Parameters]) -> dict[str, np.ndarray]:
    """Return one person's file: matrices (frames, n, 3, 3) for rotations, vectors for the rest."""
    together = batch(rows)
    out = {name: together[name] for name in ("transl", "betas", "expression")}
    for name in sorted(LABELLED - set(out)):
        out[name] = axis_angle_to_matrix(together[name].reshape(len(rows), -1, 3))
    return out


def _camera(rng: np.random.Generator, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return T_camera_world and K of a camera that looks at the middle of the studio from one side."""
    angle = 0.4 + place * np.pi / 2
    centre = np.array([4.6 * np.cos(angle), 4.6 * np.sin(angle), 1.3])
    ahead = np.array([0.3, 0, 0.9]) - centre
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead])
    return rigid(turn, -turn @ centre), intrinsics(*rng.uniform(1035, 1095, 2), *rng.uniform(443, 477, 2))


def _calibration(T: np.ndarray, K: np.ndarray) -> dict:
    """Return a camera's file; the intrinsics without distortion are other numbers."""
    k1, k2, p1, p2, k3 = _BENT.coefficients
    centre = -T[:3, :3].T @ T[:3, 3]
    f, c = [[K[0, 0], K[1, 1]]], [[K[0, 2], K[1, 2]]]
    return {
        "extrinsics": {"R": T[:3, :3].tolist(), "T": [centre.tolist()]},
        "intrinsics_w_distortion": {"f": f, "c": c, "k": [[k1, k2, k3]], "p": [[p1, p2]]},
        "intrinsics_wo_distortion": {"f": (0.96 * np.array(f)).tolist(), "c": (np.array(c) + 3.5).tolist()},
    }


def _seen(rows: list[Parameters], T: np.ndarray) -> list[Parameters]:
    """Return people of the world in the space of a camera."""
    together = batch(rows)
    offsets = standin().pelvis_offset(together["betas"])
    orient, transl = parameters_to_camera(together["global_orient"], together["transl"], offsets, T)
    return [{**row, "global_orient": orient[i], "transl": transl[i]} for i, row in enumerate(rows)]


def _drawn(picture: np.ndarray, people: list[Parameters], K: np.ndarray, colors: list[np.ndarray]) -> np.ndarray:
    """Return the picture with people as the lens bends them: every vertex goes where its pixel is."""
    meshes = standin().vertices(batch(people))
    bent = project(meshes, K, _BENT)
    rays = np.concatenate([(bent - K[:2, 2]) / np.diag(K)[:2], np.ones((*bent.shape[:2], 1))], axis=-1)
    return draw_people(picture, (rays * meshes[..., 2:]).astype(np.float32), [K] * len(people), colors)
