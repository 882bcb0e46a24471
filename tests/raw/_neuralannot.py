"""Entries of fits in NeuralAnnot's layout, of bodies in camera space with absolute hands."""

import numpy as np

from ehps.body.hands import to_deviation
from ehps.tests.raw._people import Parameters

FLAGS = {"lhand_valid": "lefthand", "rhand_valid": "righthand", "face_valid": "face"}


def fit_entry(parameters: Parameters, K: np.ndarray, **more: object) -> dict[str, dict]:
    """Return the entry of a person in its own camera; ``more`` goes into ``smplx_param``."""
    numbers = {
        "root_pose": parameters["global_orient"],
        "body_pose": parameters["body_pose"],
        "shape": parameters["betas"],
        "trans": parameters["transl"],
        "lhand_pose": to_deviation(parameters["left_hand_pose"], "left"),
        "rhand_pose": to_deviation(parameters["right_hand_pose"], "right"),
        "jaw_pose": parameters["jaw_pose"],
        "expr": parameters["expression"],
    }
    smplx_param: dict = {name: value.ravel().tolist() for name, value in numbers.items()}
    camera = {"focal": [K[0, 0], K[1, 1]], "princpt": [K[0, 2], K[1, 2]]}
    return {"smplx_param": smplx_param | more, "cam_param": camera}
