"""AGORA: scans of clothed adults and children composed into pictures, with SMPL-X fits (Patel et al., CVPR 2021).

A row of the tables is a picture, with lists over its people; the fit of a person lies in the pickle of its scan. Hands
and faces count only in pictures named ``bfh`` (body, face, hands). People whom the owner marks invalid, because nearly
nothing of them is seen, become rejects: the owner's evaluation and the reference loaders leave them out.
Facts: agora_evaluation ``docs``, ``matching.py``; SMPLer-X ``data/AGORA/AGORA.py``.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.models import require_model_dir
from ..errors import RawDataError, UnknownNameError
from ..shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from .formats.agora_fit import in_camera, read_fit
from .formats.agora_scene import camera_of, keypoint_gap, scan_pose
from .formats.pandas_pickle import Row, read_rows
from .pictures import assemble, picture_dir
from .raw import first_dir, list_files, with_confidence
from .source import Source, slug

VERSION = 2

PREFIX = {"train": "train", "val": "validation"}
FITS = {"gendered": "smplx_gt", "neutral": "smplx_gt_neutral_gender"}
SIZES = {"1280x720": (1280, 720), "3840x2160": (3840, 2160)}
TABLE_SIZE = (3840, 2160)  # of the pictures that the tables name and gt_joints_2d belong to
_MAX_GAP = 5.0  # px of the large picture between the two kinds of joints: far above any rounding of the owner's
COLUMNS = ("imgPath", "camX", "camY", "camZ", "camYaw")
OF_PEOPLE = tuple("X Y Z Yaw gender kid occlusion isValid gt_path_smplx gt_joints_2d gt_joints_3d".split())
_HINT = "take the tables named *_withjv.pkl, which hold the joints"
_FINE = np.r_[25:55, 66:127]  # fingers and face among the 127 points
_FINE_FIELDS = ("left_hand_pose", "right_hand_pose", "jaw_pose", "leye_pose", "reye_pose", "expression")
_FIT = "fitted"
_BODY_ONLY = Labels(body=_FIT, shape=_FIT, keypoints_2d=_FIT)
_WHOLE = Labels(body=_FIT, left_hand=_FIT, right_hand=_FIT, face=_FIT, shape=_FIT, keypoints_2d=_FIT)


def sources(root: Path, split: str, *, fit: str = "gendered", size: str = "1280x720") -> list[Source]:
    """Return the tables of a split; ``fit`` is gendered or neutral, ``size`` that of the pictures to read."""
    for what, name, known in (("kind of fits", fit, FITS), ("size of pictures", size, SIZES)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    prefix = PREFIX[split]
    tables = list_files(first_dir(root, f"{prefix}_SMPLX/SMPLX", f"{prefix}_SMPLX"), f"{prefix}_*_withjv.pkl")
    files = {"fits": first_dir(root, FITS[fit]), "images": picture_dir(root, size)}
    if fit == "neutral":  # only these need a body model; workers on other machines are told where it lies
        files["body_models"] = require_model_dir()
    return [Source(slug(t.stem), root, split, {"labels": t, **files}, {"fit": fit, "size": size}) for t in tables]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a table with all its people, or why somebody is left out."""
    table, size = source.files["labels"], SIZES[source.options["size"]]
    suffix = "" if size == TABLE_SIZE else f"_{size[0]}x{size[1]}"
    folders = _picture_dirs(source)
    for row in _rows(source):
        name = PurePosixPath(row["imgPath"])
        images = [folder / f"{name.stem}{suffix}{name.suffix}" for folder in folders]
        camera = camera_of(row, *size)
        yield from assemble(
            name.stem,
            next((image for image in images if image.is_file()), images[0]),
            [_person(source, row, i, camera) for i in range(len(row["X"]))],
            Provenance(file=source.relative(table), row=name.name),
            expected_size=size,
            camera=camera,
        )


def count_people(source: Source) -> int:
    """Return the number of people whom the table of a unit lists."""
    return sum(len(row["X"]) for row in _rows(source))


def _rows(source: Source) -> list[Row]:
    return read_rows(source.files["labels"], COLUMNS, OF_PEOPLE, _HINT)


def _picture_dirs(source: Source) -> list[Path]:
    """Return the folders that may hold a table's pictures: the one of its number first."""
    images, own = source.files["images"], source.files["labels"].stem.removesuffix("_withjv")
    found = sorted(images.glob(f"{PREFIX[source.split]}*"), key=lambda folder: (folder.name != own, folder.name))
    return found or [images / own]


def _person(source: Source, row: Row, i: int, camera: Camera) -> Person | Reject:
    """Return a person in camera space, or why the labels cannot be used."""
    # The tables name the folder of gendered fits too, wherever the fits are read from.
    parts = [part for part in PurePosixPath(row["gt_path_smplx"][i]).parts if part != FITS["gendered"]]
    path = source.files["fits"].joinpath(*parts).with_suffix(".pkl")
    file, where = source.relative(source.files["labels"]), f"{row['imgPath']}/{i}"
    assert camera.T_camera_world is not None
    T_camera_scan = camera.T_camera_world @ scan_pose(row, i)
    reason, detail = _refusal(row, i, T_camera_scan)
    if not reason:
        is_gendered = source.options["fit"] == "gendered"
        try:
            fit = read_fit(path, row["gender"][i] if is_gendered else "neutral", bool(row["kid"][i]))
        except RawDataError as error:
            reason, detail = "bad_fit" if path.is_file() else "missing_fit", str(error)
        else:
            pelvis = np.asarray(row["gt_joints_3d"][i], np.float64)[0] if is_gendered else None
            fields = in_camera(fit, T_camera_scan, pelvis, source.files.get("body_models"))
            fields |= _keypoints(source, row, i)
            provenance = Provenance(file=f"{file};{source.relative(path)}", row=where)
            return Person(provenance=provenance, quality={"owner_occlusion": row["occlusion"][i] / 100}, **fields)
    key = f"{PurePosixPath(row['imgPath']).stem}/{i}"
    provenance = Provenance(file=file, row=where)
    return Reject(key=key, reason=reason, detail=f"person {i} of {row['imgPath']}: {detail}", provenance=provenance)


def _refusal(row: Row, i: int, T_camera_scan: Float[np.ndarray, "4 4"]) -> tuple[str, str]:
    """Return (reason, detail) when a person is no use whatever the fit says, else two empty strings."""
    if not row["isValid"][i]:
        return "not_valid", f"the owner marks the person invalid ({row['occlusion'][i]:g} % occluded)"
    if not np.isfinite(T_camera_scan).all():
        return "bad_placement", "X, Y, Z, Yaw or the place of the camera holds NaN or infinity"
    for name, width in (("gt_joints_2d", 2), ("gt_joints_3d", 3)):
        points = np.asarray(row[name][i])
        if points.shape != (127, width) or not np.isfinite(points).all():
            return "bad_keypoints", f"{name}: expected 127 finite points, found an array {points.shape}"
    gap = keypoint_gap(row, i, TABLE_SIZE)
    if gap > _MAX_GAP:
        problem = f"gt_joints_2d lie {gap:.0f} px from where gt_joints_3d are seen in a picture of 3840 x 2160"
        return "bad_keypoints", f"{problem}; take the owner's tables, not those projected for 1280 x 720"
    return "", ""


def _keypoints(source: Source, row: Row, i: int) -> dict[str, Any]:
    """Return labels and keypoints of a person: hands and face where the picture is named for them.

    The shipped 3D joints are those of the gendered body, so a neutral one comes without.
    """
    is_whole = "bfh" in row["imgPath"]
    fields: dict[str, Any] = {"labels": _WHOLE if is_whole else _BODY_ONLY}
    points = {"keypoints_2d": np.asarray(row["gt_joints_2d"][i]) * SIZES[source.options["size"]][0] / TABLE_SIZE[0]}
    if source.options["fit"] == "gendered":
        points["keypoints_3d"] = np.asarray(row["gt_joints_3d"][i])
    for name, values in points.items():
        fields[name], fields[f"{name}_convention"] = with_confidence(values), "smplx_127"
        fields[name][_FINE] *= is_whole
    return fields if is_whole else fields | dict.fromkeys(_FINE_FIELDS)
