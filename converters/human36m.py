"""Human3.6M: one person in a studio with four cameras (Ionescu et al., TPAMI 2014), SMPL-X by NeuralAnnot (Moon 2022).

Read from Moon's parsed release, which the SMPL-X literature trains on. 3D joints are motion capture; bodies are fits to
them, made for the frames that the protocols use. Both lie in the world of their subject. The change of space needs the
rest pelvis of each shape, so fits need the user's SMPL-X model.
Facts: OSX ``data/Human36M/Human36M.py``; NeuralAnnot_RELEASE ``Human3.6M/demo_smplx.py``; 3DMPPE_POSENET_RELEASE
``tool/Human36M/h36m2coco.py``, which wrote the release, and issue 58; TCMR_RELEASE issues 14, 38.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..body.cameras import parameters_to_camera, project, transform_points
from ..body.models import require_model_dir
from ..body.posing import PosingModel
from ..errors import UnknownNameError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .boxes import inside
from .formats.coco_json import clipped_box, corners
from .formats.h36m_json import Annotation, Image, joints_of, read_cameras, read_fits, read_joints, read_pictures
from .formats.mano_json import joint_fields
from .formats.neuralannot_json import BODY_LENGTHS, body_fields, parameter_problem
from .pictures import assemble, picture_dir
from .raw import first_file
from .source import Source, slug

VERSION = 2

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
EVERY = {"train": 5, "test": 64}  # the pictures of the protocols, and those that are fitted
FILES = {"labels": "data", "cameras": "camera", "joints": "joint_3d"}
# Subject, action and sub-action whose labels are said to lie beside the person.
SHIFTED = {(9, 5, 2), (9, 10, 2), (9, 13, 1)}
_HINT = "ehps card human36m shows the tree; option fit=none converts joints without fits"
_OTHER_T = "in files of before June 2020 t is where the camera stands, and x = R (X - t): get those of today"
_JOINTS = Labels(keypoints_2d="measured")
_FITTED = Labels(body="pseudo", shape="pseudo", keypoints_2d="measured")


def sources(root: Path, split: str, *, fit: str = "neuralannot", every: str = "auto") -> list[Source]:
    """Return what each camera saw of each sub-action of the subjects of a split.

    ``fit`` is ``neuralannot``, or ``none`` for joints alone. Of the pictures, each ``every``-th is converted; ``auto``
    is as the protocols have it, 5 in train and 64 in test.
    """
    if fit not in ("neuralannot", "none"):
        raise UnknownNameError("file of fits", fit, ("neuralannot", "none"))
    step = EVERY[split] if every == "auto" else int(every) if every.isdecimal() else 0
    if step < 1:
        raise UnknownNameError("step of pictures", every, ("auto", "1", "5", "64"))
    shared = {"images": picture_dir(root, "images")}
    if fit == "neuralannot":  # workers on other machines are told where it lies
        shared["body_models"] = require_model_dir()
    units = []
    for subject in SUBJECTS[split]:
        files = dict(FILES) if fit == "none" else {**FILES, "fits": "SMPLX_NeuralAnnot"}
        paths = {
            role: first_file(root / "annotations", f"Human36M_subject{subject}_{name}.json", hint=_HINT)
            for role, name in files.items()
        }
        for sequence in read_pictures(paths["labels"], step):
            options = {"sequence": sequence, "every": str(step)}
            units.append(Source(slug(sequence), root, split, {**shared, **paths}, options))
    return units


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a unit with its person, or why it is left out."""
    cameras = read_cameras(source.files["cameras"])
    file = source.relative(source.files["labels"])
    for image, annotations in _entries(source):
        camera = cameras.get(str(image.camera))
        yield from assemble(
            Path(image.name).stem,
            source.files["images"] / image.name,
            [_person(source, image, camera, annotation) for annotation in annotations],
            Provenance(file=file, row=f"image {image.identity}"),
            expected_size=(image.width, image.height),
            camera=camera or Camera(),
            sequence=image.sequence,
            frame_index=image.frame,
            camera_name=str(image.camera),
        )


def count_people(source: Source) -> int:
    """Return the number of annotations of a unit."""
    return sum(len(annotations) for _, annotations in _entries(source))


def _entries(source: Source) -> list[tuple[Image, list[Annotation]]]:
    return read_pictures(source.files["labels"], int(source.options["every"]))[source.options["sequence"]]


def _person(source: Source, image: Image, camera: Camera | None, annotation: Annotation) -> Person | Reject:
    """Return the person of a picture in camera space, or why the labels cannot be used."""
    joints = joints_of(image.of_frame(read_joints(source.files["joints"])))
    fit = image.of_frame(read_fits(source.files["fits"])) if "fits" in source.files else None
    files = [source.files["labels"], source.files["joints"], *([source.files["fits"]] if fit is not None else [])]
    provenance = Provenance(file=";".join(map(source.relative, files)), row=str(annotation.identity))
    if camera is None:
        reason, detail = "bad_camera", f"no sound camera {image.camera}"
    elif annotation.box is None or clipped_box(annotation.box, image.width, image.height) is None:
        reason, detail = "empty_box", f"nothing of bbox {annotation.box} lies inside the picture"
    elif joints is None:
        reason, detail = "bad_joints", "joint_3d holds no 17 finite points for the frame"
    elif not _is_seen_in(corners(annotation.box), joints, camera):
        reason, detail = "bad_camera", f"camera {image.camera} sees none of the joints in their own box; {_OTHER_T}"
    elif fit is not None and (problem := parameter_problem(fit, BODY_LENGTHS)):
        reason, detail = "bad_fit", problem
    else:
        T, K = camera.T_camera_world, camera.K
        assert T is not None
        assert K is not None
        known = np.ones(len(joints), bool)
        subaction = (image.subject, image.action, image.subaction)
        return Person(
            provenance=provenance,
            labels=_JOINTS if fit is None else _FITTED,
            bbox_xyxy=corners(annotation.box),
            track=image.sequence.split("_ca_")[0],
            quality={"reported_shift": float(subaction in SHIFTED)},
            **joint_fields(transform_points(T, joints), K, "h36m_17", known, known),
            **({} if fit is None else _in_camera(source, fit, T)),
        )
    detail = f"{image.name}: {detail}"
    key = f"{Path(image.name).stem}/{annotation.identity}"
    return Reject(key=key, reason=reason, detail=detail, provenance=provenance)


def _is_seen_in(box: np.ndarray, joints: np.ndarray, camera: Camera) -> bool:
    """Return whether a camera sees any joint (m, world) in a box that was made from the pixels of all of them."""
    assert camera.T_camera_world is not None
    assert camera.K is not None
    pixels = project(transform_points(camera.T_camera_world, joints), camera.K)
    return bool(inside(pixels[None], box[None].astype(np.float64)).any())


def _in_camera(source: Source, fit: dict[str, Any], T_camera_world: np.ndarray) -> dict[str, Any]:
    """Return the Person fields of a sound fit in camera space."""
    fields = body_fields(fit)
    model = PosingModel.load(source.files["body_models"], "smplx", "neutral", BODY_LENGTHS["shape"])
    rest = model.pelvis_offset(fit["shape"][None])[0]
    orient, transl = parameters_to_camera(fit["root_pose"], fit["trans"], rest, T_camera_world)
    return fields | {"global_orient": orient.astype(np.float32), "transl": transl.astype(np.float32)}
