"""EHF: 100 pictures of one subject with meshes aligned to 3D scans (Pavlakos et al., CVPR 2019). A test set.

The owner ships meshes, no parameters, so records carry vertices and OpenPose keypoints. A mesh is SMPL-X aligned to the
scan of its picture, which the owner calls pseudo ground truth: the labels are fitted, not measured. Vertices lie in the
capture space (y up, metres); the camera is that of ``EHF_camera.txt``, written out as ExPose has it.
Facts: ExPose ``expose/data/datasets/ehf.py``; the owner's README as quoted in ExPose issue 17.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..body.cameras import intrinsics, rigid, transform_points
from ..body.rotations import axis_angle_to_matrix
from ..errors import RawDataError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.openpose_json import CONVENTION, read_openpose
from .formats.ply import read_vertices
from .pictures import assemble
from .raw import list_files
from .source import Source

VERSION = 2

SIZE = (1600, 1200)
K = intrinsics(1498.22426237, 1498.22426237, 790.263706, 578.90334)
T_CAMERA_WORLD = rigid(
    axis_angle_to_matrix(np.array([-2.9874789618512025, 0.011724572107320893, -0.05704686818955933])),
    np.array([-0.03609917, 0.43416458, 2.37101226]),
)
_SMPLX_VERTICES = 10475
_FIT = "fitted"


def sources(root: Path, split: str) -> list[Source]:
    """Return the whole set as one unit."""
    folder = root / "EHF" if (root / "EHF").is_dir() else root
    list_files(folder, "*_align.ply")
    return [Source("all", root, split, {"folder": folder})]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture with its mesh."""
    folder = source.files["folder"]
    names = {path.name.split("_")[0] for path in folder.glob("[0-9]*_*") if path.is_file()}
    for name in sorted(names, key=int):
        mesh = folder / f"{name}_align.ply"
        provenance = Provenance(file=source.relative(mesh), row=name)
        yield from assemble(
            name,
            _picture(folder, name),
            [_person(folder, name, provenance)],
            provenance,
            expected_size=SIZE,
            camera=Camera(K=K, kind="measured", T_camera_world=T_CAMERA_WORLD),
            frame_index=int(name),
        )


def _picture(folder: Path, name: str) -> Path:
    """Return the png, which lost nothing, or the jpg of the same picture."""
    png = folder / f"{name}_img.png"
    return png if png.is_file() else folder / f"{name}_img.jpg"


def _person(folder: Path, name: str, provenance: Provenance) -> Person | Reject:
    """Return the person of a picture with its mesh in camera space, or why there is none."""
    try:
        vertices = read_vertices(folder / f"{name}_align.ply")
        people = read_openpose(folder / f"{name}_2Djnt.json")
    except RawDataError as error:
        return Reject(key=name, reason="unreadable_labels", detail=str(error), provenance=provenance)
    if len(vertices) != _SMPLX_VERTICES or not np.isfinite(vertices).all():
        found = f"{len(vertices)} vertices{'' if np.isfinite(vertices).all() else ', some NaN'}"
        detail = f"{name}_align.ply: expected {_SMPLX_VERTICES} finite vertices of SMPL-X, found {found}"
        return Reject(key=name, reason="wrong_topology", detail=detail, provenance=provenance)
    return Person(
        provenance=provenance,
        labels=Labels(
            body=_FIT,
            left_hand=_FIT,
            right_hand=_FIT,
            face=_FIT,
            keypoints_2d="pseudo" if people else None,
        ),
        body_model="smplx",
        vertices=transform_points(T_CAMERA_WORLD, vertices).astype(np.float32),
        keypoints_2d=people[0] if people else None,
        keypoints_2d_convention=CONVENTION if people else None,
    )
