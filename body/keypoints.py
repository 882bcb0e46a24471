"""Keypoint conventions of the sources and the translation between them, by joint name.

A record keeps keypoints as its source numbers them and says which convention that is; nothing is reordered at
conversion. Readers translate to the order that they need. Equal names are equal joints. Where a source marks a
neighbouring point (COCO annotates the outside of the hip, not the joint), the name differs and is only used when
the caller accepts an approximation.

Facts: COCO-WholeBody ``data_format.md``; OpenPose output documentation; MMHuman3D ``keypoints_mapping``.
"""

import numpy as np
from jaxtyping import Float

from ..errors import UnknownNameError
from .joints import HUMAN_DATA_JOINTS, SMPLX_JOINTS, finger_chain

_COCO_17 = (
    ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
    + ("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip_extra", "right_hip_extra")
    + ("left_knee", "right_knee", "left_ankle", "right_ankle")
)
_COCO_FEET = ("left_bigtoe", "left_smalltoe", "left_heel", "right_bigtoe", "right_smalltoe", "right_heel")
# The 68 iBUG points: the jaw line from the person's right ear to the left, then the 51 of the inner face.
_FACE_68 = SMPLX_JOINTS[127:144] + SMPLX_JOINTS[76:127]

_OPENPOSE_25 = (
    (
        "nose_openpose",
        "neck_openpose",
        "right_shoulder_openpose",
        "right_elbow_openpose",
        "right_wrist_openpose",
    )
    + ("left_shoulder_openpose", "left_elbow_openpose", "left_wrist_openpose", "pelvis_openpose")
    + ("right_hip_openpose", "right_knee_openpose", "right_ankle_openpose")
    + ("left_hip_openpose", "left_knee_openpose", "left_ankle_openpose")
    + ("right_eye_openpose", "left_eye_openpose", "right_ear_openpose", "left_ear_openpose")
    + ("left_bigtoe_openpose", "left_smalltoe_openpose", "left_heel_openpose")
    + ("right_bigtoe_openpose", "right_smalltoe_openpose", "right_heel_openpose")
)

# Bones of a game. Limbs and fingers have the names of SMPL-X's joints, which MMHuman3D gives them and SMPL-X was fitted
# to; bones of trunk and head lie elsewhere than the joints of the same name, and the others have numbers.
_GTA_100 = tuple(
    """
    headtop_gta head_gta neck_gta right_collar_gta right_shoulder right_elbow right_wrist left_collar_gta
    left_shoulder left_elbow left_wrist spine_0_gta spine_1_gta spine_2_gta pelvis_gta spine_4_gta right_hip
    right_knee right_ankle left_hip left_knee left_ankle root_gta bone_23_gta left_foot_gta bone_25_gta
    left_thumb_2 left_thumb_3 left_ring_2 left_ring_3 left_pinky_2 left_pinky_3 left_index_2 left_index_3
    left_middle_2 left_middle_3 bone_36_gta bone_37_gta bone_38_gta bone_39_gta bone_40_gta bone_41_gta
    bone_42_gta bone_43_gta bone_44_gta bone_45_gta bone_46_gta bone_47_gta bone_48_gta right_foot_gta
    bone_50_gta bone_51_gta bone_52_gta bone_53_gta left_eye_gta bone_55_gta left_index_1 left_middle_1
    left_ring_1 left_pinky_1 right_eye_gta bone_61_gta bone_62_gta bone_63_gta bone_64_gta bone_65_gta
    bone_66_gta bone_67_gta bone_68_gta bone_69_gta bone_70_gta bone_71_gta bone_72_gta bone_73_gta
    bone_74_gta bone_75_gta bone_76_gta bone_77_gta bone_78_gta bone_79_gta right_index_1 right_middle_1
    right_ring_1 right_pinky_1 bone_84_gta bone_85_gta bone_86_gta right_thumb_2 right_thumb_3 right_ring_2
    right_ring_3 right_pinky_2 right_pinky_3 right_index_2 right_index_3 right_middle_2 right_middle_3
    bone_97_gta bone_98_gta nose_gta
    """.split()
)


def _hand(side: str) -> tuple[str, ...]:
    """Return the 21 points of a detected hand: its root, then thumb to pinky, base to tip."""
    return (f"{side}_hand_root", *finger_chain(side))


def _interhand(side: str) -> tuple[str, ...]:
    """Return the 21 points of an InterHand2.6M hand: thumb to pinky, tip to base, then the wrist."""
    fingers = ("thumb", "index", "middle", "ring", "pinky")
    return (*(f"{side}_{f}{end}" for f in fingers for end in ("", "_3", "_2", "_1")), f"{side}_wrist")


_COCO_WHOLEBODY = _COCO_17 + _COCO_FEET + _FACE_68 + _hand("left") + _hand("right")

CONVENTIONS: dict[str, tuple[str, ...]] = {
    "coco_17": _COCO_17,
    "coco_wholebody": _COCO_WHOLEBODY,
    # COCO-WholeBody in the order of HumanData, which has no roots of hands: what MMHuman3D keeps of such detections. It
    # calls their hips left_hip and right_hip, so they stand where HumanData has SMPL-X's, before all the others.
    "wholebody_131": _COCO_17[11:13]
    + tuple(name for name in HUMAN_DATA_JOINTS if name in _COCO_WHOLEBODY and name not in _COCO_17[11:13]),
    # 25 body, 21 left hand, 21 right hand, 70 face (68 and the two pupils)
    "openpose_137": _OPENPOSE_25
    + _hand("left")
    + _hand("right")
    + _FACE_68
    + ("right_pupil_openpose", "left_pupil_openpose"),
    "openpose_25": _OPENPOSE_25,
    # The 18 of OpenPose's COCO model: no pelvis, no feet.
    "openpose_18": _OPENPOSE_25[:8] + _OPENPOSE_25[9:19],
    "smpl_24": (*SMPLX_JOINTS[:22], "left_hand", "right_hand"),
    "gta_100": _GTA_100,
    # The right hand comes first.
    "interhand_42": _interhand("right") + _interhand("left"),
    # One right hand, thumb to pinky, base to tip, as FreiHAND and many hand sets after it write it; MANO's own order
    # (index, middle, pinky, ring, thumb, tips last) is another.
    "right_hand_21": ("right_wrist", *finger_chain("right")),
    # Human3.6M as its users parse it: the right leg comes first (other tools number the left leg first).
    "h36m_17": ("pelvis_extra", "right_hip_extra", "right_knee", "right_ankle")
    + ("left_hip_extra", "left_knee", "left_ankle", "spine_extra", "neck_extra", "head_extra", "headtop")
    + ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
    # IMAR's studios (Fit3D, CHI3D, HumanSC3D): Human3.6M's points, but the left leg first, then two for each foot and
    # hand, whose names the owner does not give; PosePile calls them foot and toe, thumb and finger.
    "imar_25": ("pelvis_extra", "left_hip_extra", "left_knee", "left_ankle")
    + ("right_hip_extra", "right_knee", "right_ankle", "spine_extra", "neck_extra", "head_extra", "headtop")
    + ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist")
    + tuple(f"{side}_{end}_{n}" for end in ("foot", "hand") for side in ("left", "right") for n in (1, 2)),
    # The 24 points of SPIN and EFT: LSP's 14, then points of MPII, Human3.6M and COCO.
    "spin_24": ("right_ankle", "right_knee", "right_hip_extra", "left_hip_extra", "left_knee", "left_ankle")
    + ("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist")
    + ("neck_extra", "headtop", "pelvis_extra", "thorax_extra", "spine_extra", "jaw_extra", "head_extra")
    + ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    "smplx_127": SMPLX_JOINTS[:127],
    "smplx_144": SMPLX_JOINTS,
    "human_data": HUMAN_DATA_JOINTS,
}

# Stand-ins that are accepted with approximate=True: wanted joint, then the names that may serve, best first.
APPROXIMATIONS: dict[str, tuple[str, ...]] = {
    **{
        f"{side}_{part}": (f"{side}_{part}_extra", f"{side}_{part}_openpose")
        for side in ("left", "right")
        for part in (
            ("hip", "knee", "ankle", "shoulder", "elbow", "wrist", "eye", "ear") + ("bigtoe", "smalltoe", "heel")
        )
    },
    "left_wrist": ("left_wrist_openpose", "left_hand_root"),
    "right_wrist": ("right_wrist_openpose", "right_hand_root"),
    "pelvis": ("pelvis_extra", "pelvis_openpose"),
    "neck": ("neck_extra", "neck_openpose"),
    "nose": ("nose_openpose",),
    "jaw": ("jaw_extra",),
}


def convention(name: str) -> tuple[str, ...]:
    """Return the joint names of a convention; an unknown one raises UnknownNameError."""
    if name not in CONVENTIONS:
        raise UnknownNameError("keypoint convention", name, CONVENTIONS)
    return CONVENTIONS[name]


def mapping(source: str, target: tuple[str, ...], *, approximate: bool = False) -> list[tuple[int, int]]:
    """Return (target position, source position) for every joint of ``target`` that ``source`` marks."""
    index = {name: i for i, name in enumerate(convention(source))}
    pairs = []
    for position, name in enumerate(target):
        names = (name, *APPROXIMATIONS.get(name, ())) if approximate else (name,)
        found = next((index[n] for n in names if n in index), None)
        if found is not None:
            pairs.append((position, found))
    return pairs


def convert_keypoints(
    keypoints: Float[np.ndarray, "*people joints_in values"],
    source: str,
    target: str | tuple[str, ...],
    *,
    approximate: bool = False,
) -> Float[np.ndarray, "*people joints_out values"]:
    """Return keypoints in the target's order; the last value is the confidence, zero where the source has no point."""
    names = convention(target) if isinstance(target, str) else target
    out = np.zeros((*keypoints.shape[:-2], len(names), keypoints.shape[-1]), keypoints.dtype)
    for to, origin in mapping(source, names, approximate=approximate):
        out[..., to, :] = keypoints[..., origin, :]
    return out
