"""Joint tables: who is who in every vector of joints that ehps stores, trains on or scores.

Four orders exist, all derived from the first:

- ``SMPLX_JOINTS``: the 144 joints that ``smplx`` returns with ``use_face_contour=True`` (55 kinematic, 21 picked
  vertices, 51 face landmarks, 17 contour points);
- ``POSE_JOINTS``: the 53 joints with a rotation in SMPL-X training (22 body, 15 + 15 hand, jaw; no eyes);
- ``SUPERVISION_JOINTS``: the 137 joints that SMPLer-X and SMPLest-X supervise;
- ``HUMAN_DATA_JOINTS``: the 190 slots of MMHuman3D's HumanData, whose first 144 are ``SMPLX_JOINTS``.

Facts: the joint list of the ``smplx`` package; MMHuman3D ``keypoints_mapping/human_data.py``; SMPLest-X
``human_models``. That code swaps the two eyes (slots 67 and 68) between target and prediction; these tables use one
order for both, and ``RELEASED_TARGET_INDEX`` names the swapped one for comparisons with released numbers.
"""

SMPLX_JOINTS: tuple[str, ...] = tuple(
    """
    pelvis left_hip right_hip spine_1 left_knee right_knee spine_2 left_ankle right_ankle spine_3
    left_foot right_foot neck left_collar right_collar head left_shoulder right_shoulder left_elbow
    right_elbow left_wrist right_wrist jaw left_eyeball right_eyeball left_index_1 left_index_2
    left_index_3 left_middle_1 left_middle_2 left_middle_3 left_pinky_1 left_pinky_2 left_pinky_3
    left_ring_1 left_ring_2 left_ring_3 left_thumb_1 left_thumb_2 left_thumb_3 right_index_1
    right_index_2 right_index_3 right_middle_1 right_middle_2 right_middle_3 right_pinky_1 right_pinky_2
    right_pinky_3 right_ring_1 right_ring_2 right_ring_3 right_thumb_1 right_thumb_2 right_thumb_3 nose
    right_eye left_eye right_ear left_ear left_bigtoe left_smalltoe left_heel right_bigtoe
    right_smalltoe right_heel left_thumb left_index left_middle left_ring left_pinky right_thumb
    right_index right_middle right_ring right_pinky right_eyebrow_1 right_eyebrow_2 right_eyebrow_3
    right_eyebrow_4 right_eyebrow_5 left_eyebrow_5 left_eyebrow_4 left_eyebrow_3 left_eyebrow_2
    left_eyebrow_1 nosebridge_1 nosebridge_2 nosebridge_3 nosebridge_4 right_nose_2 right_nose_1
    nose_middle left_nose_1 left_nose_2 right_eye_1 right_eye_2 right_eye_3 right_eye_4 right_eye_5
    right_eye_6 left_eye_4 left_eye_3 left_eye_2 left_eye_1 left_eye_6 left_eye_5 right_mouth_1
    right_mouth_2 right_mouth_3 mouth_top left_mouth_3 left_mouth_2 left_mouth_1 left_mouth_5
    left_mouth_4 mouth_bottom right_mouth_4 right_mouth_5 right_lip_1 right_lip_2 lip_top left_lip_2
    left_lip_1 left_lip_3 lip_bottom right_lip_3 right_contour_1 right_contour_2 right_contour_3
    right_contour_4 right_contour_5 right_contour_6 right_contour_7 right_contour_8 contour_middle
    left_contour_8 left_contour_7 left_contour_6 left_contour_5 left_contour_4 left_contour_3
    left_contour_2 left_contour_1
    """.split()
)

HUMAN_DATA_JOINTS: tuple[str, ...] = SMPLX_JOINTS + tuple(
    """
    right_hip_extra left_hip_extra neck_extra headtop pelvis_extra thorax_extra spine_extra jaw_extra
    head_extra nose_openpose neck_openpose right_shoulder_openpose right_elbow_openpose
    right_wrist_openpose left_shoulder_openpose left_elbow_openpose left_wrist_openpose pelvis_openpose
    right_hip_openpose right_knee_openpose right_ankle_openpose left_hip_openpose left_knee_openpose
    left_ankle_openpose right_eye_openpose left_eye_openpose right_ear_openpose left_ear_openpose
    left_bigtoe_openpose left_smalltoe_openpose left_heel_openpose right_bigtoe_openpose
    right_smalltoe_openpose right_heel_openpose spine_4_3dhp left_clavicle_3dhp right_clavicle_3dhp
    left_hand_3dhp right_hand_3dhp left_toe_3dhp right_toe_3dhp head_h36m headtop_h36m head_bottom_pt
    left_hand right_hand
    """.split()
)

SMPLX_INDEX: dict[str, int] = {name: i for i, name in enumerate(SMPLX_JOINTS)}

NUM_KINEMATIC_JOINTS = 55
NUM_BODY_JOINTS = 22  # with the pelvis

# Parent of each kinematic joint (-1: root). Fingers hang on the wrists 20 and 21.
SMPLX_PARENTS: tuple[int, ...] = (
    (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15)
    + (20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38)
    + (21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53)
)

FINGERS: tuple[str, ...] = (
    "index",
    "middle",
    "pinky",
    "ring",
    "thumb",
)  # the order of every 15-joint hand pose

POSE_JOINTS: tuple[str, ...] = SMPLX_JOINTS[:22] + SMPLX_JOINTS[25:55] + ("jaw",)
POSE_PARTS: dict[str, slice] = {
    "body": slice(0, 22),
    "left_hand": slice(22, 37),
    "right_hand": slice(37, 52),
    "face": slice(52, 53),
}


def mirrored_name(name: str) -> str:
    """Return the name of the joint on the other side of the body, or the name itself on the midline."""
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


def flip_pairs(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return the index pairs that change places when a picture is mirrored."""
    index = {name: i for i, name in enumerate(names)}
    pairs = [(i, index[mirrored_name(name)]) for i, name in enumerate(names)]
    return tuple((left, right) for left, right in pairs if left < right)


POSE_FLIP_PAIRS = flip_pairs(POSE_JOINTS)


def finger_chain(side: str) -> tuple[str, ...]:
    """Return one hand in supervision order: thumb to pinky, base to tip."""
    fingers = ("thumb", "index", "middle", "ring", "pinky")
    return tuple(f"{side}_{f}{end}" for f in fingers for end in ("_1", "_2", "_3", ""))


SUPERVISION_JOINTS: tuple[str, ...] = (
    ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "neck")
    + ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
    + ("left_bigtoe", "left_smalltoe", "left_heel", "right_bigtoe", "right_smalltoe", "right_heel")
    + ("left_ear", "right_ear", "left_eye", "right_eye", "nose")
    + finger_chain("left")
    + finger_chain("right")
    + ("jaw", "head", "left_eye", "right_eye")
    + SMPLX_JOINTS[76:144]
)
SUPERVISION_INDEX: tuple[int, ...] = tuple(SMPLX_INDEX[name] for name in SUPERVISION_JOINTS)
SUPERVISION_PARTS: dict[str, slice] = {
    "body": slice(0, 25),
    "left_hand": slice(25, 45),
    "right_hand": slice(45, 65),
    "face": slice(65, 137),
}
SUPERVISION_PELVIS, SUPERVISION_NECK = 0, 7
SUPERVISION_LEFT_WRIST, SUPERVISION_RIGHT_WRIST = 12, 13

# Eyes stand twice in the 137 (body 22, 23 and face 67, 68), so pairs are taken part by part.
SUPERVISION_FLIP_PAIRS: tuple[tuple[int, int], ...] = flip_pairs(SUPERVISION_JOINTS[:65]) + tuple(
    (a + 65, b + 65) for a, b in flip_pairs(SUPERVISION_JOINTS[65:])
)

# The released data loader reads (right eye, left eye) where the network's own order is (left eye, right eye).
RELEASED_TARGET_INDEX: tuple[int, ...] = (
    SUPERVISION_INDEX[:67] + (SMPLX_INDEX["right_eye"], SMPLX_INDEX["left_eye"]) + SUPERVISION_INDEX[69:]
)

# Joints of a mesh from which the wrist-rooted hand of 21 points is read: wrist, then the finger chain.
LEFT_HAND_21: tuple[int, ...] = tuple(SMPLX_INDEX[n] for n in ("left_wrist", *finger_chain("left")))
RIGHT_HAND_21: tuple[int, ...] = tuple(SMPLX_INDEX[n] for n in ("right_wrist", *finger_chain("right")))
