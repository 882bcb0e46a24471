"""How much each loss counts; without torch, so that whoever reads recipes starts fast."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """The factor of each loss; those of the released SMPLest-X."""

    orient: float = 1.0
    """Global orientation, on its own: it is part of ``pose`` as well."""
    pose: float = 10.0
    """All 53 local rotations."""
    betas: float = 1.0
    expression: float = 1.0
    joints_root: float = 100.0
    """3D joints relative to the pelvis."""
    joints_part: float = 100.0
    """3D joints with hands relative to the wrist and the face relative to the neck."""
    joints_grid: float = 1.0
    """Projected joints."""
    hand_orient: float = 1.0
    """Camera-space orientation of the hands: from their own head, and through the arm (``hand_orient_chain``)."""
    hand_orient_chain: bool = True
    """Whether the orientation through the arm's chain of rotations is supervised too."""
    hand_joints: float = 0.0
    """The hands' 3D joints once more, relative to pelvis and to wrist; off in the release, and left out at 0."""
    joints_volume: float = 2.0
    """SMPLer-X only: joints of the heatmap volumes. Its code has the term twice, at 1, for its sources."""
    boxes: float = 1.0
    """SMPLer-X only: centre and size of the boxes of hands and face."""
