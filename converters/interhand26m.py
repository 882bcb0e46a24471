"""InterHand2.6M: one or two hands of one person in a dome of cameras (Moon et al., ECCV 2020).

Joints come from annotators and detectors in several views, MANO parameters from NeuralAnnot's fits; both lie in the
world of their capture. What belongs to a picture is found by the capture, frame and camera that the list of pictures
gives. A picture is one person, whichever hands it shows.
Facts: InterHand2.6M ``README.md``, ``data/InterHand2.6M/dataset.py``, ``tool/MANO_world_to_camera/convert.py``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..body.cameras import transform_points
from ..errors import RawSchemaError, UnknownNameError
from ..shards.record import Camera, Frame, Person, Provenance, Reject
from .formats.coco_json import corners
from .formats.interhand_json import (
    Annotation,
    Entry,
    Image,
    camera_of,
    hands_of,
    joints_of,
    read_cameras,
    read_fits,
    read_joints,
    read_labels,
)
from .formats.mano_json import hand_fields, joint_fields
from .pictures import assemble, picture_dir
from .raw import first_dir, first_file, natural_key
from .source import Source, slug

VERSION = 1

FILES = {"labels": "data", "cameras": "camera", "joints": "joint_3d", "fits": "MANO_NeuralAnnot"}
_HINT = "ehps card interhand26m shows the tree; option fit=none converts joints without fits"


def sources(root: Path, split: str, *, fit: str = "neuralannot") -> list[Source]:
    """Return the captures of a split; ``fit`` is ``neuralannot``, or ``none`` for joints alone."""
    if fit not in ("neuralannot", "none"):
        raise UnknownNameError("file of fits", fit, ("neuralannot", "none"))
    folder = first_dir(root, f"annotations/{split}", f"annotations5fps/{split}")
    files = {
        role: first_file(folder, f"InterHand2.6M_{split}_{name}.json", hint=_HINT)
        for role, name in FILES.items()
        if role != "fits" or fit != "none"
    }
    files["images"] = picture_dir(root, f"images/{split}", f"images5fps/{split}")
    captures = sorted(read_cameras(files["cameras"]), key=natural_key)
    return [Source(slug(f"capture{name}"), root, split, files, {"capture": name}) for name in captures]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a capture with its person, or why it is left out."""
    cameras = read_cameras(source.files["cameras"])[source.options["capture"]]
    for image, annotations in _entries(source):
        key = Path(image.name).with_suffix("").as_posix()
        camera = camera_of(cameras, image.camera)
        yield from assemble(
            key,
            source.files["images"] / image.name,
            [_person(source, key, image, camera, annotation) for annotation in annotations],
            Provenance(file=source.relative(source.files["labels"]), row=f"image {image.identity}"),
            expected_size=(image.width, image.height),
            camera=camera or Camera(),
            sequence=f"Capture{image.capture}/{image.sequence}",
            frame_index=image.frame,
            camera_name=image.camera,
        )


def count_people(source: Source) -> int:
    """Return the number of annotations of a capture."""
    return sum(len(annotations) for _, annotations in _entries(source))


def _entries(source: Source) -> list[Entry]:
    """Return the pictures of a capture; RawSchemaError when the file names captures that would be in no unit."""
    path, cameras = source.files["labels"], source.files["cameras"]
    captures = read_labels(path)
    if lost := sorted(set(captures) - set(read_cameras(cameras))):
        found = f"also {', '.join(lost)}"
        raise RawSchemaError(path, "captures", f"those of {cameras.name}", found, "unpack one release of all files")
    return captures.get(source.options["capture"], [])


def _of_frame(source: Source, role: str, image: Image) -> Any:
    """Return what a file tells of the frame of a picture, None when it tells nothing."""
    if role not in source.files:
        return None
    read = {"joints": read_joints, "fits": read_fits}[role]
    return read(source.files[role]).get(image.capture, {}).get(str(image.frame))


def _person(source: Source, key: str, image: Image, camera: Camera | None, annotation: Annotation) -> Person | Reject:
    """Return the hands of a picture in camera space, or why the labels cannot be used."""
    measured, fit = _of_frame(source, "joints", image), _of_frame(source, "fits", image)
    joints, hands = joints_of(measured or {}), hands_of(fit or {})
    files = [source.files["labels"], *([source.files["fits"]] if hands else [])]
    provenance = Provenance(file=";".join(map(source.relative, files)), row=str(annotation.identity))
    sequence = f"Capture{image.capture}/{image.sequence}"
    if camera is None:
        reason, detail = "bad_camera", f"no sound camera {image.camera}"
    elif measured is None:
        reason, detail = "missing_joints", "joint_3d does not hold the frame"
    elif joints is None or annotation.seen is None:
        reason, detail = "bad_joints", "expected 42 finite world_coord, and 42 joint_valid in both files"
    elif not (joints[1] & annotation.seen).any():
        reason, detail = "no_joints", "not one joint is annotated and inside the picture"
    elif hands is None:
        reason, detail = "bad_fit", "expected 48 finite numbers of pose and 10 of shape for each hand"
    else:
        T, K = camera.T_camera_world, camera.K
        assert T is not None
        assert K is not None
        return Person(
            provenance=provenance,
            bbox_xyxy=None if annotation.box is None else corners(annotation.box),
            track=sequence,
            **hand_fields(hands, fits="pseudo", keypoints_2d="measured", R_camera_owner=T[:3, :3]),
            **joint_fields(transform_points(T, joints[0]), K, "interhand_42", joints[1], annotation.seen),
        )
    detail = f"{sequence} frame {image.frame}: {detail}"
    return Reject(key=f"{key}/{annotation.identity}", reason=reason, detail=detail, provenance=provenance)
