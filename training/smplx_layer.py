"""SMPL-X as the networks use it: rotation matrices in, the 144 joints of ``smplx`` out, with or without the mesh.

``JointLayer`` serves training: the losses look at joints only, and those are the 55 kinematic ones and the few hundred
vertices that carry picked points, face landmarks and the face contour, so only these are shaped, posed and skinned.
``SmplxLayer`` does the same for all 10,475 vertices and returns them. Both agree with the ``smplx`` package's own
layer, which the tests compare with, and take the place of ``outputs.BodyLayer``.

**Hand poses are deviations from the mean hand**, as the networks predict them (``flat_hand_mean=False`` in ``smplx``).
The mean is defined as a sum of axis-angle vectors, so hands alone pass through that form; all other rotations stay
matrices. Eyes look straight ahead. The model is the user's own file, read by ``body.posing``. Facts: Pavlakos et al.,
"Expressive Body Capture", CVPR 2019; the ``smplx`` package for the order of the joints and the contour's table.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..body.hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ..body.models import require_model_dir
from ..body.posing import NECK, PosingModel, contour_rows
from ..body.rotations import axis_angle_to_matrix, matrix_to_axis_angle


class _PosedPoints(nn.Module):
    """Some vertices of SMPL-X and all its joints, as buffers that no checkpoint stores."""

    joint_template: Float[Tensor, "joints 3"]
    joint_directions: Float[Tensor, "components joints*3"]
    template: Float[Tensor, "points 3"]
    shape_directions: Float[Tensor, "components points*3"]
    pose_directions: Float[Tensor, "features points*3"]
    skinning: Float[Tensor, "points joints"]
    picks: Int[Tensor, " picked"]
    landmark_corners: Int[Tensor, " 51*3"]
    landmark_weights: Float[Tensor, "51 3"]
    contour_corners: Int[Tensor, "79 17*3"]
    contour_weights: Float[Tensor, "79 17 3"]
    hand_means: Float[Tensor, "30 3"]
    parents: Int[Tensor, " joints"]
    level_order: Int[Tensor, " joints"]
    level_order_inverse: Int[Tensor, " joints"]
    parent_places: Int[Tensor, " joints"]

    def __init__(self, model: PosingModel, vertex_ids: np.ndarray) -> None:
        super().__init__()
        self._keep_shape(model, vertex_ids)
        self._keep_landmarks(model, vertex_ids)
        self._keep_chain(model.parents)
        self._keep("hand_means", np.concatenate([LEFT_HAND_MEAN, RIGHT_HAND_MEAN]))

    def _keep(self, name: str, values: np.ndarray) -> None:
        """Register an array as a buffer: whole numbers as indices, others in float32."""
        dtype = torch.int64 if np.issubdtype(values.dtype, np.integer) else torch.float32
        self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)

    def _keep_shape(self, model: PosingModel, vertex_ids: np.ndarray) -> None:
        """Keep template, blend shapes and skinning of the chosen vertices, and the joints they would regress."""
        joints, directions = model.joint_basis()
        num_components = directions.shape[-1]
        self._keep("joint_template", joints)
        self._keep("joint_directions", directions.reshape(-1, num_components).T)
        self._keep("template", model.template[vertex_ids])
        self._keep("shape_directions", model.shape_directions[vertex_ids].reshape(-1, num_components).T)
        pose_directions = model.pose_directions[vertex_ids]
        self._keep("pose_directions", pose_directions.reshape(-1, pose_directions.shape[-1]).T)
        self._keep("skinning", model.skinning[vertex_ids])

    def _keep_landmarks(self, model: PosingModel, vertex_ids: np.ndarray) -> None:
        """Keep where picked vertices and landmarks lie among the chosen vertices."""
        tables = model.landmarks
        if tables is None:
            raise ValueError(f"the networks need SMPL-X with its face contour, found {model.kind}")
        position = np.full(len(model.template), -1)
        position[vertex_ids] = np.arange(len(vertex_ids))
        self._keep("picks", position[model.picks])
        self._keep("landmark_corners", position[tables.faces].ravel())
        self._keep("landmark_weights", tables.weights)
        self._keep("contour_corners", position[tables.contour_faces].reshape(len(tables.contour_faces), -1))
        self._keep("contour_weights", tables.contour_weights)

    def _keep_chain(self, parents: tuple[int, ...]) -> None:
        """Keep the kinematic tree level by level: joints of one depth are computed at once."""
        depth = np.zeros(len(parents), int)
        for joint, parent in enumerate(parents):
            depth[joint] = depth[parent] + 1 if parent >= 0 else 0
        order = np.argsort(depth, kind="stable")
        place_in_level = np.zeros(len(parents), int)
        for level in range(depth.max() + 1):
            place_in_level[depth == level] = np.arange((depth == level).sum())
        self.level_sizes = np.bincount(depth).tolist()
        safe_parents = np.maximum(parents, 0)
        self._keep("level_order", order)
        self._keep("level_order_inverse", np.argsort(order))
        self._keep("parents", safe_parents)
        self._keep("parent_places", place_in_level[safe_parents[order]])

    def posed(
        self,
        betas: Float[Tensor, "batch 10"],
        expression: Float[Tensor, "batch 10"],
        rotations: Float[Tensor, "batch 55 3 3"],
        transl: Float[Tensor, "batch 3"],
    ) -> tuple[Float[Tensor, "batch 144 3"], Float[Tensor, "batch points 3"]]:
        """Return the joints and the chosen vertices, metres."""
        shape = torch.cat([betas, expression], dim=1)
        rest = self.joint_template + (shape @ self.joint_directions).unflatten(1, (-1, 3))
        world_rotations, world_joints = self._chain(rotations, rest)
        points = self._skinned(shape, rotations, rest, world_rotations, world_joints)
        joints = [world_joints, points[:, self.picks], self._landmarks(points)]
        joints.append(self._contour(points, world_rotations[:, NECK]))
        shift = transl[:, None]
        return torch.cat(joints, dim=1) + shift, points + shift

    def _chain(
        self, rotations: Float[Tensor, "batch joints 3 3"], rest: Float[Tensor, "batch joints 3"]
    ) -> tuple[Float[Tensor, "batch joints 3 3"], Float[Tensor, "batch joints 3"]]:
        """Return world rotations and positions of all joints, from the root outwards."""
        bones = torch.cat([rest[:, :1], (rest - rest[:, self.parents])[:, 1:]], dim=1)
        local = rotations[:, self.level_order].split(self.level_sizes, dim=1)
        steps = bones[:, self.level_order].unsqueeze(-1).split(self.level_sizes, dim=1)
        places = self.parent_places.split(self.level_sizes)
        levels_R, levels_t = [local[0]], [steps[0]]
        for rotation, step, place in zip(local[1:], steps[1:], places[1:], strict=True):
            parent_R = levels_R[-1][:, place]
            levels_t.append(levels_t[-1][:, place] + parent_R @ step)
            levels_R.append(parent_R @ rotation)
        back = self.level_order_inverse
        return torch.cat(levels_R, dim=1)[:, back], torch.cat(levels_t, dim=1)[:, back].squeeze(-1)

    def _skinned(
        self,
        shape: Float[Tensor, "batch components"],
        rotations: Float[Tensor, "batch joints 3 3"],
        rest: Float[Tensor, "batch joints 3"],
        world_rotations: Float[Tensor, "batch joints 3 3"],
        world_joints: Float[Tensor, "batch joints 3"],
    ) -> Float[Tensor, "batch points 3"]:
        """Return the chosen vertices, shaped, corrected for the pose and carried along by the joints."""
        features = (rotations[:, 1:] - torch.eye(3, device=rotations.device)).flatten(1)
        moved = (shape @ self.shape_directions + features @ self.pose_directions).unflatten(1, (-1, 3))
        offsets = world_joints - (world_rotations @ rest.unsqueeze(-1)).squeeze(-1)
        transforms = torch.cat([world_rotations, offsets.unsqueeze(-1)], dim=-1).flatten(2)
        blended = (self.skinning @ transforms).unflatten(-1, (3, 4))
        return (blended[..., :3] @ (self.template + moved).unsqueeze(-1)).squeeze(-1) + blended[..., 3]

    def _landmarks(self, points: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch 51 3"]:
        """Return the face landmarks that keep their place on the face."""
        corners = points[:, self.landmark_corners].unflatten(1, (-1, 3))
        return (self.landmark_weights.unsqueeze(-1) * corners).sum(2)

    def _contour(
        self, points: Float[Tensor, "batch points 3"], neck: Float[Tensor, "batch 3 3"]
    ) -> Float[Tensor, "batch 17 3"]:
        """Return the face's outline as seen by the camera: the table's row for the neck's yaw in whole degrees."""
        rows = contour_rows(neck.detach())
        where = self.contour_corners[rows].unsqueeze(-1).expand(-1, -1, 3)
        corners = points.gather(1, where).unflatten(1, (-1, 3))
        return (self.contour_weights[rows].unsqueeze(-1) * corners).sum(2)

    def all_rotations(
        self,
        global_orient: Float[Tensor, "batch 3 3"],
        body_pose: Float[Tensor, "batch 21 3 3"],
        left_hand_pose: Float[Tensor, "batch 15 3 3"],
        right_hand_pose: Float[Tensor, "batch 15 3 3"],
        jaw_pose: Float[Tensor, "batch 3 3"],
    ) -> Float[Tensor, "batch 55 3 3"]:
        """Return one rotation a joint in SMPL-X's order, eyes at rest, the mean added to the hands."""
        deviations = matrix_to_axis_angle(torch.cat([left_hand_pose, right_hand_pose], dim=1))
        hands = axis_angle_to_matrix(deviations + self.hand_means)
        eyes = torch.eye(3, device=jaw_pose.device).expand(len(jaw_pose), 2, 3, 3)
        return torch.cat([global_orient[:, None], body_pose, jaw_pose[:, None], eyes, hands], dim=1)


class SmplxLayer(_PosedPoints):
    """SMPL-X with its whole mesh: the body layer of evaluation and pictures."""

    def __init__(self, model: PosingModel) -> None:
        super().__init__(model, np.arange(len(model.template)))

    def forward(
        self,
        *,
        betas: Float[Tensor, "batch 10"],
        expression: Float[Tensor, "batch 10"],
        transl: Float[Tensor, "batch 3"],
        **rotations: Float[Tensor, "batch ... 3 3"],
    ) -> tuple[Float[Tensor, "batch 144 3"], Float[Tensor, "batch 10475 3"]]:
        """Return joints and vertices, metres; the arguments are those of ``outputs.BodyLayer``."""
        return self.posed(betas, expression, self.all_rotations(**rotations), transl)


class JointLayer(_PosedPoints):
    """SMPL-X without the mesh: the body layer of training."""

    def __init__(self, model: PosingModel) -> None:
        super().__init__(model, model.landmark_vertices())

    def forward(
        self,
        *,
        betas: Float[Tensor, "batch 10"],
        expression: Float[Tensor, "batch 10"],
        transl: Float[Tensor, "batch 3"],
        **rotations: Float[Tensor, "batch ... 3 3"],
    ) -> tuple[Float[Tensor, "batch 144 3"], None]:
        """Return joints, metres, and no vertices; the arguments are those of ``outputs.BodyLayer``."""
        return self.posed(betas, expression, self.all_rotations(**rotations), transl)[0], None


def load_body_layer(*, mesh: bool, directory: Path | None = None, gender: str = "neutral") -> SmplxLayer | JointLayer:
    """Return the body layer of the user's own SMPL-X file (``EHPS_BODY_MODELS`` unless a folder is given)."""
    model = PosingModel.load(directory or require_model_dir(), "smplx", gender)
    return SmplxLayer(model) if mesh else JointLayer(model)
