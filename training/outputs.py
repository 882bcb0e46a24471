"""From what a network says to a posed person: rotations, joints, mesh and their place in the crop's camera.

Conventions: heads speak 6D (``body.rotations.sixd_to_matrix``) and everything here stays in rotation matrices; **hand
poses are deviations from the mean hand**, as the released weights have them, and the body layer adds the mean. Camera
space is that of the crop: x right, y down, z forward, metres, focal length 5000 pixels at 256 x 192. Facts: public
repository wqyin/SMPLest-X, re-implemented.
"""

import math
from functools import cache
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..body.joints import (
    POSE_PARTS,
    SUPERVISION_INDEX,
    SUPERVISION_LEFT_WRIST,
    SUPERVISION_NECK,
    SUPERVISION_PARTS,
    SUPERVISION_PELVIS,
    SUPERVISION_RIGHT_WRIST,
)
from ..body.rotations import matrix_to_axis_angle, sixd_to_matrix
from .compat import GRID_HEIGHT, GRID_WIDTH, INPUT_HEIGHT, INPUT_WIDTH

FOCAL = 5000.0  # pixels at 256 x 192
CAMERA_SPAN = 2.5  # metres across the crop when the depth gate is open
MAX_DEPTH = math.sqrt(FOCAL * FOCAL * CAMERA_SPAN * CAMERA_SPAN / (INPUT_HEIGHT * INPUT_WIDTH))  # 56.38 m


class Prediction(NamedTuple):
    """What the heads say, before any geometry. Rotations in 6D; hands are deviations from the mean hand."""

    global_orient: Float[Tensor, "batch 6"]
    body_pose: Float[Tensor, "batch 21 6"]
    betas: Float[Tensor, "batch 10"]
    camera: Float[Tensor, "batch 3"]
    left_hand_pose: Float[Tensor, "batch 15 6"]
    right_hand_pose: Float[Tensor, "batch 15 6"]
    expression: Float[Tensor, "batch 10"]
    jaw_pose: Float[Tensor, "batch 6"]
    hand_orients: Float[Tensor, "batch 2 6"] | None = None
    """Left, then right hand in camera space, as MANO has it; for the losses. SMPLer-X has none of these."""
    hand_cameras: Float[Tensor, "batch 2 3"] | None = None
    face_orient: Float[Tensor, "batch 6"] | None = None
    face_camera: Float[Tensor, "batch 3"] | None = None


@runtime_checkable
class BodyLayer(Protocol):
    """Anything that turns parameters into joints: the SMPL-X layers of this room, or a test's stand-in."""

    def __call__(
        self,
        *,
        betas: Float[Tensor, "batch 10"],
        expression: Float[Tensor, "batch 10"],
        global_orient: Float[Tensor, "batch 3 3"],
        body_pose: Float[Tensor, "batch 21 3 3"],
        left_hand_pose: Float[Tensor, "batch 15 3 3"],
        right_hand_pose: Float[Tensor, "batch 15 3 3"],
        jaw_pose: Float[Tensor, "batch 3 3"],
        transl: Float[Tensor, "batch 3"],
    ) -> tuple[Float[Tensor, "batch 144 3"], Float[Tensor, "batch vertices 3"] | None]:
        """Return joints and vertices (None where not asked for), metres, ``transl`` added; hands are deviations."""
        ...


class Outputs(NamedTuple):
    """A posed person. Camera space is the crop's; metres."""

    rotations: Float[Tensor, "batch 53 3 3"]
    """Local rotations in the order of ``body.joints.POSE_JOINTS``; hands are deviations from the mean hand."""
    hand_orients: Float[Tensor, "batch 2 3 3"] | None
    betas: Float[Tensor, "batch 10"]
    expression: Float[Tensor, "batch 10"]
    transl: Float[Tensor, "batch 3"]
    joints_smplx: Float[Tensor, "batch 144 3"]
    """All joints of SMPL-X in camera space."""
    joints_root: Float[Tensor, "batch 137 3"]
    """The supervised joints relative to the pelvis."""
    joints_part: Float[Tensor, "batch 137 3"]
    """The same, but hands relative to their wrist and the face to the neck."""
    joints_grid: Float[Tensor, "batch 137 2"]
    """The supervised joints projected, in cells of the 12 x 16 grid over the crop."""
    vertices: Float[Tensor, "batch vertices 3"] | None

    def pose(self) -> Float[Tensor, "batch 53 3"]:
        """Return the local rotations as axis-angle vectors, angle in [0, pi]."""
        return matrix_to_axis_angle(self.rotations)


def camera_translation(camera: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    """Return the body's translation in camera space (m): x and y as predicted, depth gated into (0, 56.38)."""
    return torch.cat([camera[:, :2], MAX_DEPTH * torch.sigmoid(camera[:, 2:])], dim=-1)


def project_to_grid(points: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch points 2"]:
    """Return camera-space points in cells of the 12 x 16 grid over the crop."""
    x, y, z = points.unbind(-1)
    # The released code guards the division with 1e-4 m rather than by clipping.
    pixels_x = x / (z + 1e-4) * FOCAL + INPUT_WIDTH / 2
    pixels_y = y / (z + 1e-4) * FOCAL + INPUT_HEIGHT / 2
    return torch.stack([pixels_x * (GRID_WIDTH / INPUT_WIDTH), pixels_y * (GRID_HEIGHT / INPUT_HEIGHT)], dim=-1)


def picture_intrinsics(box_xywh: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Return K, in pixels of the picture, under which ``Outputs`` in the crop's camera space project onto the person.

    ``box_xywh`` is the box that was cut: widened to the crop's aspect and enlarged.
    """
    x, y, width, height = box_xywh.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [
        torch.stack([FOCAL / INPUT_WIDTH * width, zero, x + width / 2], dim=-1),
        torch.stack([zero, FOCAL / INPUT_HEIGHT * height, y + height / 2], dim=-1),
        torch.stack([zero, zero, one], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


@cache
def _supervision_index(device: torch.device) -> Tensor:
    """Return which of the 144 joints are supervised, once a device: a copy at each step would stall the GPU."""
    with torch.inference_mode(False):
        return torch.tensor(SUPERVISION_INDEX, device=device)


def part_relative(joints: Float[Tensor, "batch 137 3"]) -> Float[Tensor, "batch 137 3"]:
    """Return the joints with each hand relative to its wrist and the face relative to the neck."""
    origins = {
        "left_hand": SUPERVISION_LEFT_WRIST,
        "right_hand": SUPERVISION_RIGHT_WRIST,
        "face": SUPERVISION_NECK,
    }
    parts = [joints[:, SUPERVISION_PARTS["body"]]]
    parts += [joints[:, SUPERVISION_PARTS[name]] - joints[:, origin, None] for name, origin in origins.items()]
    return torch.cat(parts, dim=1)


def body_outputs(prediction: Prediction, body: BodyLayer) -> Outputs:
    """Return the posed person of a prediction; always in float32, since half precision costs centimetres."""
    with torch.autocast(prediction.betas.device.type, enabled=False):
        in_float = {name: x.float() for name, x in prediction._asdict().items() if x is not None}
        return pose_body(Prediction(**in_float), body)


def pose_body(p: Prediction, body: BodyLayer) -> Outputs:
    """Return the posed person of a prediction in its own precision."""
    sixd = [p.global_orient[:, None], p.body_pose, p.left_hand_pose, p.right_hand_pose, p.jaw_pose[:, None]]
    rotations = sixd_to_matrix(torch.cat(sixd, dim=1))
    transl = camera_translation(p.camera)
    joints_smplx, vertices = body(
        betas=p.betas,
        expression=p.expression,
        global_orient=rotations[:, 0],
        body_pose=rotations[:, 1 : POSE_PARTS["body"].stop],
        left_hand_pose=rotations[:, POSE_PARTS["left_hand"]],
        right_hand_pose=rotations[:, POSE_PARTS["right_hand"]],
        jaw_pose=rotations[:, POSE_PARTS["face"]].squeeze(1),
        transl=transl,
    )
    joints = joints_smplx.index_select(1, _supervision_index(joints_smplx.device))
    joints_root = joints - joints[:, SUPERVISION_PELVIS, None]
    return Outputs(
        rotations=rotations,
        hand_orients=None if p.hand_orients is None else sixd_to_matrix(p.hand_orients),
        betas=p.betas,
        expression=p.expression,
        transl=transl,
        joints_smplx=joints_smplx,
        joints_root=joints_root,
        joints_part=part_relative(joints_root),
        joints_grid=project_to_grid(joints),
        vertices=vertices,
    )
