"""EgoBody seen by three to five Azure Kinects: two people indoors, SMPL-X fitted to all views (Zhang, ECCV 2022).

Both people are labelled in every view. Fits belong to the undistorted pinhole picture; the released pictures are
distorted and stay so, each record holds the lens of its Kinect.
Facts: EgoBody ``README.md``, ``release_renderer_kinect.py``, ``utils.py``.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..body.cameras import Distortion, intrinsics
from ..errors import RawSchemaError
from ..shards.record import Camera, Frame, Provenance, Reject
from .formats.egobody_recording import ROLES, Fits, common_files, fit_dirs, recording_of, split_recordings
from .formats.world_body import are_rigid
from .pictures import assemble, need_pictures, picture_dir
from .raw import first_dir, load_json, require, same_intrinsics
from .source import Source, slug

VERSION = 1

SIZE = (1920, 1080)
# View -> file of its transform to the master camera.
VIEWS = {
    "master": "",
    "sub_1": "kinect_11to12_color.json",
    "sub_2": "kinect_13to12_color.json",
    "sub_3": "kinect_14to12_color.json",
    "sub_4": "kinect_15to12_color.json",
}
_NUM_LENS = (4, 5, 8)  # numbers of a lens that OpenCV knows


def sources(root: Path, split: str) -> list[Source]:
    """Return the recordings of a split whose fits are there."""
    fits, images = fit_dirs(root, split, *ROLES), picture_dir(root, "kinect_color")
    files = {**fits, "cameras": first_dir(root, "kinect_cam_params")}
    return [
        Source(
            slug(name), root, split, {**files, **common_files(root, name), "images": images / name}, {"recording": name}
        )
        for name in split_recordings(root, split)
        if (fits[ROLES[0]] / name).is_dir()
    ]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of every view of a recording with both people, or why somebody is left out."""
    recording, cameras = recording_of(source), _cameras(source)
    people = [Fits(source, role, recording) for role in ROLES]
    told = [{"labels": p.labels(keypoints_2d=False), "track": f"{recording.name}/{p.role}"} for p in people]
    for number in _numbers(people):
        fits = [person.read(number) for person in people]
        for view, camera in cameras.items():
            key = f"{recording.name}/{view}/{number:05d}"
            if camera is None:
                detail = f"{VIEWS[view]} is not among the calibrations of the recording, or holds no rigid transform"
                yield from (fit.refused(key, "missing_calibration", detail) for fit in fits)
                continue
            yield from assemble(
                key,
                source.files["images"] / view / f"frame_{number:05d}.jpg",
                [fit.person(key, camera, **own) for fit, own in zip(fits, told, strict=True)],
                Provenance(file=source.relative(source.files["info"]), row=f"{view} frame {number}"),
                expected_size=SIZE,
                camera=camera,
                sequence=recording.name,
                frame_index=number,
                camera_name=view,
            )


def count_people(source: Source) -> int:
    """Return two people for each view of each frame that somebody was fitted on."""
    recording = recording_of(source)
    return 2 * len(_views(source)) * len(_numbers([Fits(source, role, recording) for role in ROLES]))


def _numbers(people: list[Fits]) -> list[int]:
    """Return the frames that at least one of the people was fitted on."""
    return sorted(frozenset().union(*(person.numbers for person in people)))


def _views(source: Source) -> list[str]:
    """Return the views with pictures; those with a calibration where pictures are not needed, or none are there."""
    with_pictures = [view for view in VIEWS if (source.files["images"] / view).is_dir()]
    if with_pictures and need_pictures():
        return with_pictures
    return [view for view, file in VIEWS.items() if not file or (source.files["calibration"] / file).is_file()]


def _cameras(source: Source) -> dict[str, Camera | None]:
    """Return the camera of each view, None for one without a calibration; the world is the master camera."""
    return {view: _camera(source, view) for view in _views(source)}


def _camera(source: Source, view: str) -> Camera | None:
    """Return the camera of a view; RawSchemaError for intrinsics that cannot be understood."""
    path = source.files["cameras"] / f"kinect_{view}" / "Color.json"
    content = load_json(path)
    require(path, content, "f", "c", "camera_mtx", "k")
    K, lens = np.array(content["camera_mtx"], np.float64), np.ravel(content["k"])
    if K.shape != (3, 3) or not same_intrinsics(K, intrinsics(*content["f"], *content["c"])):
        raise RawSchemaError(path, "camera_mtx", f"that of f {content['f']} and c {content['c']}", str(K.tolist()))
    if len(lens) not in _NUM_LENS:
        raise RawSchemaError(path, "k", f"{' or '.join(map(str, _NUM_LENS))} numbers", str(len(lens)))
    T_camera_master = _from_master(source.files["calibration"] / VIEWS[view]) if VIEWS[view] else np.eye(4)
    if T_camera_master is None:
        return None
    distortion = Distortion("brown_conrady", tuple(lens.tolist()))
    return Camera(K=K, kind="measured", distortion=distortion, T_camera_world=T_camera_master)


def _from_master(path: Path) -> np.ndarray | None:
    """Return the transform from the master camera to that of a file; None when there is no sound one."""
    if not path.is_file():
        return None
    content = load_json(path)
    require(path, content, "trans")
    T_master_camera = np.array(content["trans"], np.float64)
    return np.linalg.inv(T_master_camera) if T_master_camera.shape == (4, 4) and are_rigid(T_master_camera) else None
