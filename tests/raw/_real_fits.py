"""Fits in NeuralAnnot's layout for real photographs: the forward model's bodies, put where the keypoints show people.

Poses are made up; each body is turned and placed so that its limbs come as near to the keypoints as it can, in the
virtual camera of the person's box, as the fits are defined.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from ehps.body.cameras import intrinsics, project
from ehps.converters.formats.coco_json import CocoImage, clipped_box, keypoints, read_coco
from ehps.converters.formats.placing import solve_transl
from ehps.converters.mscoco import FITS
from ehps.tests.raw._neuralannot import FLAGS, fit_entry
from ehps.tests.raw._people import TruePerson, face_camera, joints, random_parameters, standin

_BODY = {"keypoints": 17}
_LIMBS, _LIMBS_OF_COCO = [16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8], [*range(5, 17)]
_POSES = 12  # that are tried for a person, each turned to all sides
_YAWS = np.linspace(-np.pi, np.pi, 12, endpoint=False)


def fit_photographs(real: Path, root: Path, *, seed: int = 7) -> dict[tuple[str, str], TruePerson]:
    """Write the photographs as a train split with fits; returns the people by picture and annotation id."""
    (root / "annotations").mkdir(parents=True)
    labels = root / "annotations" / "coco_wholebody_train_v1.0.json"
    shutil.copy(real / "annotations" / "coco_wholebody_val_v1.0.json", labels)
    shutil.copytree(real / "images" / "val2017", root / "images" / "train2017")
    coco, rng = read_coco(labels), np.random.default_rng(seed)
    fits, people = {}, {}
    for image_id, annotations in sorted(coco.annotations.items()):
        image = coco.images[image_id]
        for annotation in annotations:
            true = _placed(rng, annotation, image)
            if true is not None:
                people[Path(image.file_name).stem, str(annotation["id"])] = true
                flags = dict.fromkeys(FLAGS, True)
                fits[str(annotation["id"])] = fit_entry(true.parameters, true.K, **flags)
    (root / "annotations" / FITS["neuralannot"]).write_text(json.dumps(fits), encoding="utf-8")
    return people


def _placed(rng: np.random.Generator, annotation: dict, image: CocoImage) -> TruePerson | None:
    """Return the body that comes nearest to a person's keypoints; None for somebody with too few of them."""
    box = clipped_box(annotation["bbox"], image.width, image.height)
    points = keypoints(annotation, _BODY).astype(np.float64)
    if box is None or not points[:, 2].any():
        return None
    left, top, width, height = box.tolist()
    focal = 5000 * 1.25 / 256 * max(width, height)
    K = intrinsics(focal, focal, left + width / 2, top + height / 2)
    bodies = [{**random_parameters(rng), "transl": np.zeros(3)} for _ in range(_POSES)]
    turned = [face_camera(body, yaw, 0.0) for body in bodies for yaw in _YAWS]
    posed = joints(standin(), turned)
    count = len(turned)
    places = solve_transl(posed, np.repeat(points[None], count, axis=0), "coco_17", np.repeat(K[None], count, axis=0))
    if not np.isfinite(places).any():
        return None
    offsets = [_distance_px(found + place, points, K) for found, place in zip(posed, places, strict=True)]
    best = int(np.nanargmin(offsets))
    return TruePerson({**turned[best], "transl": places[best]}, frozenset(), K, (image.width, image.height))


def _distance_px(points: np.ndarray, marked: np.ndarray, K: np.ndarray) -> float:
    """Return how far the limbs of a body are from the marked ones; infinity where it has no place."""
    if not np.isfinite(points).all():
        return np.inf
    seen = marked[_LIMBS_OF_COCO, 2] > 0
    offsets = project(points[_LIMBS], K) - marked[_LIMBS_OF_COCO, :2]
    return float(np.linalg.norm(offsets, axis=1)[seen].mean())
