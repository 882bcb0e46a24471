"""One take of DNA-Rendering: cameras, the SMPL-X fit, and keypoints, as ``<actor>_<take>_annots.smc`` holds them.

Cameras are written camera to world. Fits and 3D keypoints lie in the world, with hands as deviations from the mean. The
keypoints are COCO-WholeBody's in slots of HumanData; MMHuman3D, which the owner took for it, puts COCO's hips into the
slots of SMPL-X's. They are other points, so they are moved to slots of their own here.
Facts: DNA-Rendering ``SMCReader.py``, ``dataset_readers.py`` and issues 2, 4, 25; the owner's ``smc_visualization.py``;
MMHuman3D ``keypoints_mapping/coco_wholebody.py``.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...body.cameras import Distortion, invert_rigid
from ...body.hands import to_absolute
from ...body.joints import HUMAN_DATA_JOINTS
from ...errors import RawSchemaError
from ...shards.record import Camera, Gender
from ..pictures import need_pictures
from ..raw import Shape, are_intrinsics
from .keypoints import sound_points
from .smc import has_array, has_group, names_in, read_array, read_attribute
from .smplx_pose import cut_pose
from .world_body import are_rigid


@dataclass(frozen=True)
class Rig:
    """The cameras of one resolution."""

    group: str  # of their pictures
    cameras: range
    sides: tuple[int, int]  # longer and shorter side of the pictures in px


RIGS = {"5mp": Rig("Camera_5mp", range(48), (2448, 2048)), "12mp": Rig("Camera_12mp", range(48, 60), (4096, 3000))}
NUM_BETAS = 10
GENDERS: dict[str, Gender] = {"male": "male", "female": "female", "neutral": "neutral"}
CONVENTIONS = {131: "wholebody_131", 190: "human_data"}
_FACE = ("jaw_pose", "leye_pose", "reye_pose", "expression")
_STORED_HIPS = [HUMAN_DATA_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
_COCO_HIPS = [HUMAN_DATA_JOINTS.index(f"{side}_hip_extra") for side in ("left", "right")]


@dataclass(frozen=True)
class Take:
    """The two files of a take, and the cameras that are looked at; what is read of them is kept."""

    labels: Path
    pictures: Path
    rig: Rig

    def count(self) -> int:
        """Return how many people the pictures of the rig show: the labelled ones, or all where the labels are lost."""
        if self.labels.is_file():
            return len(self.cameras) * self.steps if self.is_fitted else 0
        group = self.rig.group
        cameras = names_in(self.pictures, group) if has_group(self.pictures, group) else []
        return sum(len(names_in(self.pictures, f"{group}/{name}/color")) for name in cameras)

    @property
    def is_fitted(self) -> bool:
        """Return whether there are fits; the later parts of the release came with cameras alone."""
        return has_group(self.labels, "SMPLx")

    @cached_property
    def cameras(self) -> list[int]:
        """Return the calibrated cameras of the rig; RawSchemaError when there are none."""
        found = [int(name) for name in names_in(self.labels, "Camera_Parameter")]
        cameras, rig = [number for number in found if number in self.rig.cameras], self.rig
        if not cameras:
            wanted = f"cameras among {rig.cameras.start} to {rig.cameras.stop - 1}"
            problem = f"no {rig.group.removeprefix('Camera_').upper()} cameras, only {found}"
            raise RawSchemaError(self.labels, "group 'Camera_Parameter'", wanted, problem)
        return cameras

    @cached_property
    def gender(self) -> Gender:
        """Return the actor's gender, which is that of the body model."""
        found = read_attribute(self.labels, "/", "gender")
        if found is None and self.pictures.is_file():
            found = read_attribute(self.pictures, "/", "gender")
        if found not in GENDERS:
            raise RawSchemaError(self.pictures, "attribute 'gender'", f"one of {', '.join(GENDERS)}", repr(found))
        return GENDERS[found]

    @property
    def steps(self) -> int:
        """Return the number of labelled time steps."""
        return len(self.fit["transl"])

    @cached_property
    def fit(self) -> dict[str, np.ndarray]:
        """Return the parameters in the world by name, one row a time step; a face that is not told is left out."""
        pose = read_array(self.labels, "SMPLx/fullpose", (None, 55, 3))
        steps = len(pose)
        betas = read_array(self.labels, "SMPLx/betas", (steps, NUM_BETAS), (1, NUM_BETAS))
        expression = read_array(self.labels, "SMPLx/expression", (None, 10))
        fit = cut_pose(pose.reshape(steps, 165)) | {"betas": np.repeat(betas, steps // len(betas), axis=0)}
        fit["transl"] = read_array(self.labels, "SMPLx/transl", (steps, 3))
        for side in ("left", "right"):
            fit[f"{side}_hand_pose"] = to_absolute(fit[f"{side}_hand_pose"], side)
        if len(expression) == steps:
            return fit | {"expression": expression}
        # Some takes have fewer expressions than time steps, and nothing says which belong to which.
        return {name: values for name, values in fit.items() if name not in _FACE}

    @cached_property
    def scale(self) -> float:
        """Return what the owner calls scale and does not use; 1 when it is not there."""
        name = "SMPLx/scale"
        return float(read_array(self.labels, name, (), (1,)).item()) if has_array(self.labels, name) else 1.0

    @cached_property
    def sides(self) -> tuple[int, int]:
        """Return the longer and the shorter side of the pictures, as their file tells where it is there."""
        if not need_pictures() and not self.pictures.is_file():
            return self.rig.sides
        found = read_attribute(self.pictures, self.rig.group, "resolution")
        if not isinstance(found, list) or len(found) != 2:
            where = f"attribute 'resolution' of group {self.rig.group!r}"
            raise RawSchemaError(self.pictures, where, "two numbers", repr(found))
        return max(found), min(found)

    def joints(self) -> Float[np.ndarray, "steps points 4"] | None:
        """Return the 3D keypoints in the world with their confidences; None unless there are some for every step."""
        points = self._points("Keypoints_3D/keypoints3d", (3, 4))
        if points is None:
            return None
        if points.shape[2] == 3:
            points = np.concatenate([points, points.any(axis=2, keepdims=True)], axis=2)
        points[:, _COCO_HIPS], points[:, _STORED_HIPS] = points[:, _STORED_HIPS], 0
        return sound_points(points)

    def seen(self, camera: int) -> Float[np.ndarray, "steps points 3"] | None:
        """Return the 2D keypoints of a camera with their confidences; None unless there are some for every step."""
        points = self._points(f"Keypoints_2D/{camera:02d}", (3,))
        return None if points is None else sound_points(points)

    def _points(self, name: str, widths: tuple[int, ...]) -> Float[np.ndarray, "steps points width"] | None:
        if not has_array(self.labels, name):
            return None
        shapes: list[Shape] = [(None, count, width) for count in CONVENTIONS for width in widths]
        points = read_array(self.labels, name, *shapes)
        return points if len(points) == self.steps else None

    def camera(self, number: int) -> Camera | None:
        """Return a camera by number, None when its calibration is unsound."""
        group = f"Camera_Parameter/{number:02d}"
        K, T_world_camera = (
            read_array(self.labels, f"{group}/K", (3, 3)),
            read_array(self.labels, f"{group}/RT", (4, 4)),
        )
        bending = read_array(self.labels, f"{group}/D", (5,), (1, 5), (5, 1)).ravel()
        if not are_rigid(T_world_camera[None]).all() or not are_intrinsics(K) or not np.isfinite(bending).all():
            return None
        distortion = Distortion("brown_conrady", tuple(bending.tolist()))
        return Camera(K=K, kind="measured", distortion=distortion, T_camera_world=invert_rigid(T_world_camera))
