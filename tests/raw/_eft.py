"""EFT's fits for fake raw trees: SMPL bodies in the virtual camera of their box, and the items of an EFT file."""

from pathlib import Path
from typing import Any

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.body.rotations import axis_angle_to_matrix
from ehps.tests.raw._people import TruePerson, body_model, face_camera, points_2d, random_parameters

LABELLED = frozenset({"global_orient", "body_pose", "betas", "transl"})
_SIZE = 224  # px of the crop, in which the focal length is 5000


def random_eft(rng: np.random.Generator, centre: np.ndarray, side: float, size: tuple[int, int]) -> TruePerson:
    """Return a SMPL body that fills a square box of a picture, all in the box's virtual camera."""
    person = face_camera(random_parameters(rng, with_face=False), rng.uniform(-1, 1), rng.uniform(-0.1, 0.2))
    body = np.concatenate([person["body_pose"], rng.normal(0, 0.2, (2, 3))])
    own = {"global_orient": person["global_orient"], "body_pose": body, "betas": person["betas"]}
    scale, (x, y) = rng.uniform(0.75, 0.9), rng.normal(0, 0.05, 2)
    rest = body_model("smpl", "neutral", 10).pelvis_offset(own["betas"][None])[0]
    own["transl"] = np.array([x - rest[0], y - rest[1], 2 * 5000 / (_SIZE * scale)])
    focal = 5000 * side / _SIZE
    return TruePerson(own, LABELLED, intrinsics(focal, focal, *map(float, centre)), size, body_model="smpl")


def eft_item(true: TruePerson, image: str, annotation: int = 0, *, points: np.ndarray | None = None) -> dict[str, Any]:
    """Return the item of a file; ``points`` are the 24 that the fit was made to (px, confidence), else its own."""
    one, K = true.parameters, true.K
    scale = 2 * 5000 / (_SIZE * one["transl"][2])
    pose = np.concatenate([one["global_orient"][None], one["body_pose"]])
    if points is None:
        found = points_2d(project(true.joints(), K), "spin_24")
        points = np.column_stack([np.nan_to_num(found), np.isfinite(found[:, 0])])
    return {
        "parm_pose": axis_angle_to_matrix(pose).astype(np.float32).tolist(),  # a network's digits
        "parm_shape": one["betas"].tolist(),
        "parm_cam": [scale, *(scale * one["transl"][:2]).tolist()],
        "bbox_scale": K[0, 0] * _SIZE / 5000 / 200,
        "bbox_center": K[:2, 2].tolist(),
        "gt_keypoint_2d": np.concatenate([np.zeros((25, 3)), points]).tolist(),
        "joint_validity_openpose18": [1.0] * 18,
        "smpltype": "smpl",
        "annotId": annotation,
        "imageName": Path(image).name,
    }


def eft_file(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the content of a file of fits."""
    return {"ver": 1.0, "data": items, "meta": {"dbname": name, "rawname": name}}
