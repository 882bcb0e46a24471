"""DNA-Rendering's release: a folder of pictures and one of labels a part, two SMC files a take.

Part 1 is what the owner tests on and all other parts are for training, so no actor is in both. Frames go camera by
camera, which is how the pictures lie. The change of space needs the rest pelvis of the actor's gender, hence the
user's body models; without them the translation is absent.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.cameras import parameters_to_camera, transform_points
from ...body.models import model_dir
from ...errors import RawFileError
from ...shards.record import Camera, Frame, Labels, Person, Provenance, Reject
from ..bodies import Bodies
from ..pictures import assemble
from ..raw import broken_rows, natural_key
from ..source import Source, slug
from .dna_take import CONVENTIONS, NUM_BETAS, RIGS, Take
from .smc import SmcPicture

TEST_PART = 1


def dna_sources(root: Path, split: str, rig: str) -> list[Source]:
    """Return the takes of a split, as the cameras of a rig saw them."""
    folders = sorted((path for path in root.glob("**/*annotations") if path.is_dir()), key=natural_key)
    if not folders:
        raise RawFileError(root, "holds no folder *annotations", "unpack a part's main and annotations side by side")
    units, models = [], model_dir()
    for folder in folders:
        if (_part(root, folder) == TEST_PART) == (split == "test"):
            pictures = folder.with_name(folder.name.removesuffix("annotations") + "main")
            labelled = {path.stem.removesuffix("_annots") for path in folder.glob("*_annots.smc")}
            for take in sorted(labelled | {path.stem for path in pictures.glob("*.smc")}, key=natural_key):
                files = {"labels": folder / f"{take}_annots.smc", "pictures": pictures / f"{take}.smc"}
                files |= {} if models is None else {"body_models": models}
                units.append(Source(slug(take), root, split, files, {"rig": rig}))
    return units


def _part(root: Path, folder: Path) -> int:
    """Return the part of the release that a folder belongs to; RawFileError when its path does not say."""
    numbers = re.findall(r"part\D?(\d+)", folder.relative_to(root).as_posix().lower())
    if not numbers:
        hint = "call it dna_rendering_part1_annotations or the like, as the owner does"
        raise RawFileError(folder, "its path names no part of the release", hint)
    return int(numbers[-1])


def dna_people(source: Source) -> int:
    """Return the number of labelled time steps of a take times the cameras of the rig."""
    return _take(source).count()


def dna_frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield what each camera of a rig saw of a take; one Reject when its labels are lost, nothing without a fit."""
    take = _take(source)
    if not take.labels.is_file():
        if take.count():
            yield _without_labels(source, take)
    elif take.is_fitted:
        views = _Views(source, take)
        for number in take.cameras:
            yield from views.of_camera(number)


def _without_labels(source: Source, take: Take) -> Reject:
    """Return the Reject of everyone in the pictures of a take."""
    pictures = source.relative(take.pictures)
    return Reject(
        key=take.pictures.stem,
        reason="missing_annotations",
        detail=f"{pictures}: {take.labels.name} is not there, so nothing is known about the pictures",
        provenance=Provenance(file=pictures, row=take.rig.group),
        people=take.count(),
    )


def _take(source: Source) -> Take:
    return Take(source.files["labels"], source.files["pictures"], RIGS[source.options["rig"]])


class _Views:
    """What the cameras saw of a take."""

    def __init__(self, source: Source, take: Take) -> None:
        self.take, self.name, self.file = take, take.pictures.stem, source.relative(take.labels)
        model = Bodies(source.files.get("body_models")).model("smplx", take.gender, NUM_BETAS)
        self.pelvis = None if model is None else model.pelvis_offset(take.fit["betas"])
        self.broken = broken_rows(take.fit, take.fit)
        self.joints = take.joints()

    def of_camera(self, number: int) -> Iterator[Frame | Reject]:
        """Yield what a camera saw, or why somebody is left out."""
        take, camera = self.take, self.take.camera(number)
        columns = {} if camera is None else self._columns(number, camera)
        for step in range(take.steps):
            key = f"{self.name}/{number:02d}/{step:06d}"
            provenance = Provenance(file=self.file, row=f"camera {number} frame {step}")
            yield from assemble(
                key,
                SmcPicture(take.pictures, f"{take.rig.group}/{number}/color/{step}"),
                [self._person(key, step, columns, provenance)],
                provenance,
                expected_size=_oriented(take.sides, camera),
                camera=camera or Camera(),
                sequence=self.name,
                frame_index=step,
                camera_name=f"{number:02d}",
            )

    def _columns(self, number: int, camera: Camera) -> dict[str, Float[np.ndarray, "steps ..."]]:
        """Return what a camera tells of the person, one row a time step, in camera space and pixels."""
        fit, T = self.take.fit, camera.T_camera_world
        assert T is not None
        offset = np.zeros_like(fit["transl"]) if self.pelvis is None else self.pelvis
        orient, transl = parameters_to_camera(fit["global_orient"], fit["transl"], offset, T)
        columns = {**fit, "global_orient": orient, "transl": transl}
        if self.pelvis is None:
            del columns["transl"]
        if self.joints is not None:
            points, known = self.joints[..., :3], self.joints[..., 3:]
            columns["keypoints_3d"] = np.concatenate([transform_points(T, points) * (known > 0), known], axis=2)
        seen = self.take.seen(number)
        if seen is not None:
            columns["keypoints_2d"] = seen
        return {name: values.astype(np.float32) for name, values in columns.items()}

    def _person(
        self, key: str, step: int, columns: dict[str, Float[np.ndarray, "steps ..."]], provenance: Provenance
    ) -> Person | Reject:
        """Return the person at a time step, or why the labels cannot be used."""
        if not columns or step in self.broken:
            reason = "nan_pose" if columns else "bad_camera"
            what = f"NaN in {', '.join(self.broken[step])}" if columns else "K, D or RT is no sound calibration"
            detail = f"{self.file}, {provenance.row}: {what}"
            return Reject(key=f"{key}/0", reason=reason, detail=detail, provenance=provenance)
        fields: dict[str, Any] = {name: values[step] for name, values in columns.items()}
        for name in ("keypoints_2d", "keypoints_3d"):
            points = fields.pop(name, None)
            if points is not None and points[:, -1].any():  # else nobody was detected
                fields |= {name: points, f"{name}_convention": CONVENTIONS[len(points)]}
        fitted, face = "fitted", "fitted" if "expression" in fields else None
        seen = "pseudo" if "keypoints_2d" in fields else None
        return Person(
            provenance=provenance,
            labels=Labels(body=fitted, left_hand=fitted, right_hand=fitted, face=face, shape=fitted, keypoints_2d=seen),
            body_model="smplx",
            gender=self.take.gender,
            track=self.name,
            quality={"owner_scale": self.take.scale},
            **fields,
        )


def _oriented(sides: tuple[int, int], camera: Camera | None) -> tuple[int, int]:
    """Return (width, height) of a camera's pictures, of which only the two sides are told: the middle is near K's."""
    long, short = sides
    is_upright = camera is not None and camera.K is not None and camera.K[0, 2] < camera.K[1, 2]
    return (short, long) if is_upright else (long, short)
