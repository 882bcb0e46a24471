"""Named switches between what the papers say and what the released code of SMPLest-X and SMPLer-X does.

Every switch reproduces one behaviour that no paper asks for of the code released with "SMPLest-X: Ultimate Scaling for
Expressive Human Pose and Shape Estimation" (repository wqyin/SMPLest-X, commit a7fd971) or with SMPLer-X (repository
caizhongang/SMPLer-X, commit d3e3c10). ``PAPER`` has them all off and is the default for training; each release has its
own on, which is what its weights expect of their input and reproduces its losses number by number. What a switch costs,
in millimetres, pixels or people, is measured in ``tests/training/test_compat.py`` and listed in ``docs/training.md``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from ..body.joints import RELEASED_TARGET_INDEX, SUPERVISION_INDEX
from ..errors import UnknownNameError

# A numpy array or a torch tensor; comparisons are all that is asked of it.
Array = TypeVar("Array", bound=Any)

# The 2D targets live on a grid of 12 x 16 cells over the crop, with depth cut into 16 cells over two metres.
GRID_WIDTH, GRID_HEIGHT, GRID_DEPTH = 12, 16, 16
INPUT_WIDTH, INPUT_HEIGHT = 192, 256


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """One switch per behaviour of the released code; True reproduces it, False is the corrected form."""

    nearest_halving: bool = False
    """Halve the 512 x 384 crop to 256 x 192 by keeping every second pixel, instead of averaging 2 x 2 pixels.
    Costs aliasing on fine structure (fingers, small faces): three quarters of the pixels are never looked at."""

    unnormalised_input: bool = False
    """Feed the network values in [0, 1] as they are, instead of subtracting ImageNet's mean and dividing by its
    deviation. Costs a poor start: ViTPose's weights were trained on normalised pictures. Released weights need it."""

    batch_averaged_pelvis_mask: bool = False
    """Let the pelvis mask of the hand-orientation losses broadcast to batch x batch x 9, instead of batch x 9.
    Costs the switch between full-body and hand-only labels: it acts by batch average, so a person without a visible
    pelvis is also compared with a full-body chain that its labels do not have."""

    truncation_in_pixels: bool = False
    """Test grid coordinates (12 x 16) against the crop's size in pixels (192 x 256) and depth against zero only, not
    against the grid. Costs truncation itself: joints beyond the right or bottom border count as visible."""

    swapped_eyes: bool = False
    """Read the targets of slots 67 and 68 (the eyes of the face block) as right, left, where the network has left,
    right. Costs both points: each is pulled to the other eye. Acts where targets are built (``target_joint_index``)."""

    part_joints_without_3d: bool = False
    """Supervise part-relative 3D joints of people that have no 3D labels, whose targets are zeros, instead of
    masking them. Costs hands and faces on 2D-only sources: they are pulled to a single point."""

    unflipped_hand_roots: bool = False
    """Leave the hand orientations of hand-only labels as they are when the picture is mirrored or turned, instead of
    mirroring, swapping and turning them too. Costs wrong labels in half of those samples. Acts where samples are
    augmented; nothing in the network or the losses reads it."""

    one_joint_mask: bool = False
    """Supervise a joint in the picture only where it counts in 3D too, for people who have any 3D joint, because the
    released loaders keep one mask. Costs 2D labels of what the 3D labels leave out, such as face points beside a mocap
    body."""

    root_without_pelvis: bool = False
    """Compare joints relative to the pelvis also where the pelvis is not labelled, in SMPLer-X's loss. Costs people of
    whom only a hand is labelled: their joints are pulled to places in camera space."""

    axis_angle_losses: bool = False
    """Compare rotations as axis-angle vectors, as SMPLer-X does, instead of as matrices. Costs a jump where a rotation
    passes half a turn, which for people seen from behind is where they stand."""

    positive_pixels_only: bool = False
    """Count a joint as seen only where its pixel in the whole picture lies right of and below zero, by the number that
    the joint had before a mirror exchanged sides. Costs nothing where pictures are not mirrored; in a mirrored one a
    left wrist beyond the picture's border hides the right one, and is itself supervised."""

    shared_hand_masks: bool = False
    """Give the joints of hands and wrists of everyone in a source the validity of its last person, because the released
    loader writes each person's flags into one array. Costs a whole source's hands where its last person has none, and
    elsewhere pulls hands without labels to zeros. Acts where samples are read, member by member of a mixture."""

    zeros_are_absent: bool = False
    """Take a body pose, a hand pose (as a deviation from the mean hand) or betas of zeros for not labelled. Costs
    labels that are rightly zero: rest poses, mean hands and mean shapes. Here what is absent is absent in the data."""

    jaw_needs_expression: bool = False
    """Leave the jaw out where no expression is labelled. Costs the jaws of sources that label pose alone."""

    first_quota_sampling: bool = False
    """Under the strategy "balance", give each source a quota of an epoch that a fixed part of it fills, the same in all
    epochs. Costs whatever a large source has beyond its quota: it is never seen. Acts where a mixture is ordered."""


PAPER = Quirks()
SMPLESTX_RELEASED = Quirks(
    nearest_halving=True,
    unnormalised_input=True,
    batch_averaged_pelvis_mask=True,
    truncation_in_pixels=True,
    swapped_eyes=True,
    part_joints_without_3d=True,
    unflipped_hand_roots=True,
    one_joint_mask=True,
    shared_hand_masks=True,
    zeros_are_absent=True,
    jaw_needs_expression=True,
    first_quota_sampling=True,
)

SMPLERX_RELEASED = Quirks(
    nearest_halving=True,
    unnormalised_input=True,
    swapped_eyes=True,
    part_joints_without_3d=True,
    one_joint_mask=True,
    root_without_pelvis=True,
    axis_angle_losses=True,
    positive_pixels_only=True,
    zeros_are_absent=True,
    jaw_needs_expression=True,
    first_quota_sampling=True,
)
"""What the code released with SMPLer-X (repository caizhongang/SMPLer-X, commit d3e3c10) does."""

COMPAT: Mapping[str, Quirks] = MappingProxyType(
    {"paper": PAPER, "smplest-x": SMPLESTX_RELEASED, "smpler-x": SMPLERX_RELEASED}
)


def quirks_named(compat: str) -> Quirks:
    """Return the switches that a recipe calls ``compat`` (a key of ``COMPAT``)."""
    if compat not in COMPAT:
        raise UnknownNameError("compat mode", compat, COMPAT)
    return COMPAT[compat]


def quirks_to_dict(quirks: Quirks) -> dict[str, bool]:
    """Return the switches as plain data, for a checkpoint or a log."""
    return asdict(quirks)


def quirks_from_dict(stored: Mapping[str, bool]) -> Quirks:
    """Return the switches written by ``quirks_to_dict``; a switch that did not exist then is off."""
    unknown = sorted(set(stored) - set(asdict(PAPER)))
    if unknown:
        raise UnknownNameError("quirk", unknown[0], asdict(PAPER))
    return Quirks(**stored)


def truncation_mask(joints_grid: Array, quirks: Quirks = PAPER) -> Array:
    """Return which joints (..., 3) lie inside the crop, as a bool array without the last axis.

    Coordinates are in grid cells: x of 12 across, y of 16 down, z of 16 over two metres with the pelvis at 8.
    """
    x, y, z = joints_grid[..., 0], joints_grid[..., 1], joints_grid[..., 2]
    if quirks.truncation_in_pixels:
        return (x >= 0) & (x < INPUT_WIDTH) & (y >= 0) & (y < INPUT_HEIGHT) & (z >= 0)
    inside = (x >= 0) & (x < GRID_WIDTH) & (y >= 0) & (y < GRID_HEIGHT)
    return inside & (z >= 0) & (z < GRID_DEPTH)


def target_joint_index(quirks: Quirks = PAPER) -> tuple[int, ...]:
    """Return which of the 144 SMPL-X joints each of the 137 supervision targets is read from."""
    return RELEASED_TARGET_INDEX if quirks.swapped_eyes else SUPERVISION_INDEX
