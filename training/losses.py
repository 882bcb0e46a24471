"""What a prediction is held against: the L1 losses of SMPLest-X, unreduced, and their masks.

``compute_losses`` returns one tensor per loss, weighted and masked but not averaged; ``mean_losses`` takes the mean of
each over **all** its elements, masked ones included, and the training loss is the sum of those means. A batch with few
valid labels therefore weighs less, which is how SMPLer-X and SMPLest-X are trained, and is kept in every mode.

Rotations are compared as matrices (nine numbers), joints in metres, projections in cells of the 12 x 16 grid. Facts:
public repository wqyin/SMPLest-X (losses, weights of its release configuration), re-implemented.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..body.joints import POSE_JOINTS, SMPLX_PARENTS, SUPERVISION_PARTS, SUPERVISION_PELVIS
from ..body.rotations import axis_angle_to_matrix
from .compat import PAPER, Quirks
from .loss_weights import LossWeights
from .outputs import Outputs

Mask = Float[Tensor, "batch *rest"] | Bool[Tensor, "batch *rest"]

HANDS = slice(SUPERVISION_PARTS["left_hand"].start, SUPERVISION_PARTS["right_hand"].stop)
WRISTS = (POSE_JOINTS.index("left_wrist"), POSE_JOINTS.index("right_wrist"))
# The wrist stands for the arm up to the root, and the thumb's base for the hand, as hand-only sources label no wrist;
# ``targets.labels_of`` sees to it that neither counts without the orientation that is compared.
THUMBS = (POSE_JOINTS.index("left_thumb_1"), POSE_JOINTS.index("right_thumb_1"))


class Targets(NamedTuple):
    """Labels of a batch. What is not labelled holds any finite number and is masked by ``Validity``."""

    pose: Float[Tensor, "batch 53 3"]
    """Axis-angle vectors in the order of ``body.joints.POSE_JOINTS``; hands as deviations from the mean hand."""
    betas: Float[Tensor, "batch 10"]
    expression: Float[Tensor, "batch 10"]
    joints_root: Float[Tensor, "batch 137 3"]
    joints_part: Float[Tensor, "batch 137 3"]
    joints_grid: Float[Tensor, "batch 137 2"]
    hand_orients: Float[Tensor, "batch 2 3"]
    """Left, then right hand in camera space (MANO's global orientation), of people with hand labels only."""
    depth: Float[Tensor, "batch 65"]
    """z of body and hands: 16 cells over two metres, the pelvis at 8. This and the boxes serve SMPLer-X alone."""
    box_centres: Float[Tensor, "batch 3 2"]
    """Left hand, right hand, face: cells of the 12 x 16 grid."""
    box_sizes: Float[Tensor, "batch 3 2"]


class Validity(NamedTuple):
    """Which labels of a batch are real."""

    pose: Mask
    """(batch, 53): this joint's rotation is labelled."""
    betas: Mask
    """(batch,)"""
    expression: Mask
    """(batch,)"""
    joints: Mask
    """(batch, 137): this joint is labelled in the picture and inside the crop (``compat.truncation_mask``)."""
    joints_3d: Mask
    """(batch, 137): this joint and the origin of its part are labelled in 3D, inside of the crop or not."""
    boxes: Mask
    """(batch, 3)"""


def compute_losses(
    outputs: Outputs,
    targets: Targets,
    validity: Validity,
    quirks: Quirks = PAPER,
    weights: LossWeights = LossWeights(),
) -> dict[str, Tensor]:
    """Return each loss, weighted and masked, as a tensor of (batch, ...) elements that ``mean_losses`` reduces.

    The shape is that of the compared values with trailing axes flattened for rotations: (batch, 9) for one rotation.
    """
    validity = Validity(*(mask.to(outputs.betas.dtype) for mask in validity))
    target_rotations = axis_angle_to_matrix(targets.pose)
    losses = _parameter_losses(outputs, targets, target_rotations, validity, weights)
    losses |= _joint_losses(outputs, targets, validity, quirks, weights)
    if outputs.hand_orients is not None:
        losses |= _hand_orient_losses(
            outputs.rotations, outputs.hand_orients, targets, target_rotations, validity, quirks, weights
        )
    return losses


def mean_losses(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean of each loss over all its elements, masked ones included; the training loss is their sum."""
    return {name: loss.mean() for name, loss in losses.items()}


def _parameter_losses(
    outputs: Outputs,
    targets: Targets,
    target_rotations: Float[Tensor, "batch 53 3 3"],
    validity: Validity,
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Return the losses on rotations, shape and expression."""
    pose = distance(outputs.rotations, target_rotations).flatten(2) * validity.pose[..., None]
    return {
        "orient": weights.orient * pose[:, 0],
        "pose": weights.pose * pose.flatten(1),
        **shape_losses(outputs, targets, validity, weights),
    }


def shape_losses(outputs: Outputs, targets: Targets, validity: Validity, weights: LossWeights) -> dict[str, Tensor]:
    """Return the losses on shape and expression."""
    return {
        "betas": weights.betas * distance(outputs.betas, targets.betas) * validity.betas[:, None],
        "expression": (
            weights.expression * distance(outputs.expression, targets.expression) * validity.expression[:, None]
        ),
    }


def _joint_losses(
    outputs: Outputs, targets: Targets, validity: Validity, quirks: Quirks, weights: LossWeights
) -> dict[str, Tensor]:
    """Return the losses on joints in 3D and in the picture."""
    seen = validity.joints
    seen_3d = seen * validity.joints_3d
    seen_from_root = seen_3d * seen_3d[:, SUPERVISION_PELVIS, None]
    seen_in_part = seen if quirks.part_joints_without_3d else seen_3d
    root = distance(outputs.joints_root, targets.joints_root) * seen_from_root[..., None]
    part = distance(outputs.joints_part, targets.joints_part) * seen_in_part[..., None]
    grid = distance(outputs.joints_grid, targets.joints_grid) * seen[..., None]
    losses = {
        "joints_root": weights.joints_root * root,
        "joints_part": weights.joints_part * part,
        "joints_grid": weights.joints_grid * grid,
    }
    if weights.hand_joints > 0:
        losses["hand_joints_root"] = weights.hand_joints * root[:, HANDS]
        losses["hand_joints_part"] = weights.hand_joints * part[:, HANDS]
    return losses


def _hand_orient_losses(
    rotations: Float[Tensor, "batch 53 3 3"],
    hand_orients: Float[Tensor, "batch 2 3 3"],
    targets: Targets,
    target_rotations: Float[Tensor, "batch 53 3 3"],
    validity: Validity,
    quirks: Quirks,
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Return the losses on the hands' camera-space orientation.

    People with a visible pelvis are compared with the orientation that their labelled body gives the wrist, the others
    with the orientation of their hand-only label. The gradient through the arm stops before the global orientation.
    """
    pelvis = validity.joints[:, SUPERVISION_PELVIS]
    from_body = _wrist_orients(target_rotations)
    from_hand = axis_angle_to_matrix(targets.hand_orients)
    valid_body, valid_hand = _of_hands(validity.pose, WRISTS), _of_hands(validity.pose, THUMBS)

    def against_labels(predicted: Float[Tensor, "batch 2 3 3"]) -> Tensor:
        body = (distance(predicted, from_body).flatten(2) * valid_body).sum(1)
        hand = (distance(predicted, from_hand).flatten(2) * valid_hand).sum(1)
        return weights.hand_orient * (_masked(body, pelvis, quirks) + _masked(hand, 1 - pelvis, quirks))

    losses = {"hand_orient": against_labels(hand_orients)}
    if weights.hand_orient_chain:
        held = torch.cat([rotations[:, :1].detach(), rotations[:, 1:]], dim=1)
        losses["hand_orient_chain"] = against_labels(_wrist_orients(held))
    return losses


def _masked(
    loss: Float[Tensor, "batch 9"], mask: Float[Tensor, " batch"], quirks: Quirks
) -> Float[Tensor, "batch 9"] | Float[Tensor, "batch batch 9"]:
    """Return the loss where the mask is on; under the quirk every person's loss times every person's mask."""
    return loss * mask[:, None, None] if quirks.batch_averaged_pelvis_mask else loss * mask[:, None]


def _of_hands(valid: Float[Tensor, "batch 53"], joints: tuple[int, int]) -> Float[Tensor, "batch 2 1"]:
    """Return the validity of one joint a hand; indexing with a tuple would copy it to the GPU at each step."""
    return torch.stack([valid[:, joint] for joint in joints], dim=1).unsqueeze(-1)


def _wrist_orients(rotations: Float[Tensor, "batch 53 3 3"]) -> Float[Tensor, "batch 2 3 3"]:
    """Return the camera-space orientation of the left and right wrist: the chain of local rotations from the root."""
    return torch.stack([_chained(rotations, wrist) for wrist in WRISTS], dim=1)


def _chained(rotations: Float[Tensor, "batch 53 3 3"], joint: int) -> Float[Tensor, "batch 3 3"]:
    """Return the product of the local rotations from the root down to a body joint."""
    chained = rotations[:, joint]
    while (joint := SMPLX_PARENTS[joint]) >= 0:
        chained = rotations[:, joint] @ chained
    return chained


def distance(
    predicted: Float[Tensor, "batch *rest"], target: Float[Tensor, "batch *rest"]
) -> Float[Tensor, "batch *rest"]:
    """Return the absolute difference."""
    return (predicted - target).abs()
