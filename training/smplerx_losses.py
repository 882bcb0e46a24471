"""What SMPLer-X is held against besides the posed person: joints in volumes, boxes, and hands seen in their boxes.

As in ``losses``, every loss comes unreduced, weighted and masked. Cells are those of the 12 x 16 grid over the crop for
the body and the face; a hand's are the 16 x 16 of the box in which the network saw it, so that a small hand counts as
much as a large one. Projected hands and faces are first moved by the mean offset to their labels: these terms teach
articulation, not place. Facts: public repository caizhongang/SMPLer-X, re-implemented.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..body.joints import SUPERVISION_PARTS, SUPERVISION_PELVIS
from ..body.rotations import axis_angle_to_matrix
from .compat import PAPER, Quirks
from .loss_weights import LossWeights
from .losses import Targets, Validity, distance, shape_losses
from .outputs import Outputs
from .part_boxes import PARTS
from .smplerx import HAND_CELLS, PIXELS_PER_CELL, PartPrediction
from .targets import NUM_VOLUME_JOINTS


class SeenJoints(NamedTuple):
    """Labelled joints as the heatmaps have them: hands in their boxes; and which of them lie inside."""

    cells: Float[Tensor, "batch 137 2"]
    seen: Float[Tensor, "batch 137"]


def compute_smplerx_losses(
    outputs: Outputs,
    said: PartPrediction,
    targets: Targets,
    validity: Validity,
    quirks: Quirks = PAPER,
    weights: LossWeights = LossWeights(),
) -> dict[str, Tensor]:
    """Return each loss as ``losses.compute_losses`` does."""
    validity = Validity(*(mask.float() for mask in validity))
    seen = in_hand_boxes(targets.joints_grid, validity.joints, said.boxes)
    losses = _parameter_losses(outputs, targets, validity, quirks, weights)
    losses |= _joint_losses(outputs, targets, validity, quirks, weights)
    projected = projected_like_labels(outputs.joints_grid, seen, said.boxes)
    losses["joints_grid"] = weights.joints_grid * distance(projected, seen.cells) * seen.seen[..., None]
    volume = volume_loss(said, seen, targets.depth, _from_root(validity, quirks)[:, :NUM_VOLUME_JOINTS])
    losses["joints_volume"] = weights.joints_volume * volume
    valid = validity.boxes[..., None]
    boxes = distance(said.box_centres, targets.box_centres) + distance(said.box_sizes, targets.box_sizes)
    losses |= {f"{part}_box": weights.boxes * (boxes * valid)[:, i] for i, part in enumerate(PARTS)}
    return losses


def _parameter_losses(
    outputs: Outputs, targets: Targets, validity: Validity, quirks: Quirks, weights: LossWeights
) -> dict[str, Tensor]:
    """Return the losses on rotations, shape and expression."""
    if quirks.axis_angle_losses:
        pose = distance(outputs.pose(), targets.pose)
    else:
        pose = distance(outputs.rotations, axis_angle_to_matrix(targets.pose)).flatten(2)
    return {
        "pose": weights.pose * (pose * validity.pose[..., None]).flatten(1),
        **shape_losses(outputs, targets, validity, weights),
    }


def _joint_losses(
    outputs: Outputs, targets: Targets, validity: Validity, quirks: Quirks, weights: LossWeights
) -> dict[str, Tensor]:
    """Return the losses on 3D joints, which count outside of the crop as well.

    Under ``part_joints_without_3d`` people without any 3D joint are pulled to zeros where they have 2D joints.
    """
    in_3d = validity.joints_3d
    has_none = 1 - in_3d.amax(dim=1, keepdim=True)
    in_part = in_3d + has_none * validity.joints if quirks.part_joints_without_3d else in_3d
    root = distance(outputs.joints_root, targets.joints_root) * _from_root(validity, quirks)[..., None]
    part = distance(outputs.joints_part, targets.joints_part) * in_part[..., None]
    return {"joints_root": weights.joints_root * root, "joints_part": weights.joints_part * part}


def _from_root(validity: Validity, quirks: Quirks) -> Float[Tensor, "batch 137"]:
    """Return of which joints the place relative to the pelvis is labelled."""
    in_3d = validity.joints_3d
    return in_3d if quirks.root_without_pelvis else in_3d * in_3d[:, SUPERVISION_PELVIS, None]


def in_hand_boxes(
    cells: Float[Tensor, "batch 137 2"], seen: Float[Tensor, "batch 137"], boxes: Float[Tensor, "batch 3 4"]
) -> SeenJoints:
    """Return labelled joints with each hand in its box; what lies outside of the box is not seen."""
    moved = _hands_moved(cells, boxes)
    inside = ((moved >= 0) & (moved < HAND_CELLS)).all(dim=-1)
    hands = torch.zeros_like(inside)
    for part in PARTS[:2]:
        hands[:, SUPERVISION_PARTS[part]] = True
    return SeenJoints(moved, seen * (inside | ~hands))


def _hands_moved(
    cells: Float[Tensor, "batch 137 2"], boxes: Float[Tensor, "batch 3 4"]
) -> Float[Tensor, "batch 137 2"]:
    """Return joints in cells of the grid with those of each hand in cells of its box."""
    in_cells = boxes / PIXELS_PER_CELL
    parts = [cells[:, SUPERVISION_PARTS["body"]]]
    for i, part in enumerate(PARTS[:2]):
        corner, size = in_cells[:, i, None, :2], in_cells[:, i, None, 2:] - in_cells[:, i, None, :2]
        parts.append((cells[:, SUPERVISION_PARTS[part]] - corner) * (HAND_CELLS / size))
    return torch.cat([*parts, cells[:, SUPERVISION_PARTS["face"]]], dim=1)


def projected_like_labels(
    projected: Float[Tensor, "batch 137 2"], seen: SeenJoints, boxes: Float[Tensor, "batch 3 4"]
) -> Float[Tensor, "batch 137 2"]:
    """Return projected joints with hands in their boxes, hands and face moved by their mean offset to the labels."""
    moved = _hands_moved(projected, boxes)
    parts = [moved[:, SUPERVISION_PARTS["body"]]]
    for part in PARTS:
        where = SUPERVISION_PARTS[part]
        mask = seen.seen[:, where, None]
        offsets = (seen.cells[:, where] - moved[:, where]) * mask
        parts.append(moved[:, where] + offsets.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1))
    return torch.cat(parts, dim=1)


def volume_loss(
    said: PartPrediction,
    seen: SeenJoints,
    depth: Float[Tensor, "batch 65"],
    has_depth: Float[Tensor, "batch 65"],
) -> Float[Tensor, "batch 65 3"]:
    """Return the loss on the joints that the position nets found, in their cells."""
    predicted = torch.cat([said.body_cells, said.hand_cells.flatten(1, 2)], dim=1)
    target = torch.cat([seen.cells[:, :NUM_VOLUME_JOINTS], depth[..., None]], dim=-1)
    mask = seen.seen[:, :NUM_VOLUME_JOINTS, None]
    return distance(predicted, target) * torch.cat([mask, mask, mask * has_depth[..., None]], dim=-1)
