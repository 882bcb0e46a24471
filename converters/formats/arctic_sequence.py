"""The subject of an ARCTIC sequence before its cameras, many frames at once.

The subject's template takes the place of betas, so only who has it can pose the body: joints, and meshes where they are
wanted, are made here.
Facts: arctic ``src/arctic/processing.py``, ``src/datasets/arctic_dataset.py``.
"""

import numpy as np

from ...body.cameras import parameters_to_camera, transform_points
from ...body.posing import PosingModel
from ...shards.record import Camera, Labels, Person, Provenance, Reject
from ..source import Source
from .arctic_files import check_length, personal_model, read_bodies, read_egocentric, read_subject

_FIT = "fitted"


class Sequence:
    """One sequence: its subject, bodies in the world, and cameras."""

    def __init__(self, source: Source, *, with_mesh: bool) -> None:
        self.name, files = source.options["sequence"], source.files
        self.bodies = read_bodies(files["bodies"])
        self.subject = read_subject(files["meta"], self.name.split("/")[0])
        self.model = personal_model(files.get("body_models"), self.subject.gender, files["template"])
        self.frames = range(len(self.bodies["transl"]))
        check_length(files["hands"], len(self.frames))
        self.egocentric = read_egocentric(files["egocentric"], len(self.frames))
        finite = [np.isfinite(values).reshape(len(values), -1).all(axis=1) for values in self.bodies.values()]
        self.is_sound = np.logical_and.reduce(finite)
        self.template = source.relative(files["template"])
        self.file = f"{source.relative(files['bodies'])};{self.template}"
        self.with_mesh = with_mesh and self.model is not None
        self._kept: tuple[range, dict[int, np.ndarray]] = (range(0), {})

    def people(self, view: int, indices: range) -> list[tuple[Camera, Person | Reject]]:
        """Return the camera of a view and the person on some frames of the capture, or why there is none."""
        cameras = {i: self._camera(view, i) for i in indices if i in self.frames}
        usable = {i: camera for i, camera in cameras.items() if camera is not None and self.is_sound[i]}
        posed = self._posed(usable, indices)
        return [(usable.get(i, Camera()), posed.get(i) or self._reject(view, i)) for i in indices]

    def _camera(self, view: int, i: int) -> Camera | None:
        return self.egocentric[i] if view == 0 else self.subject.cameras[view - 1]

    def _posed(self, cameras: dict[int, Camera], indices: range) -> dict[int, Person]:
        """Return the person on some of the frames, each before its camera."""
        if not cameras:
            return {}
        rows = {name: values[list(cameras)] for name, values in self.bodies.items()}
        fields = before_camera(rows, list(cameras.values()), self.model)
        if self.with_mesh:
            meshes = self._meshes(indices)
            moved = [
                transform_points(c.T_camera_world, meshes[i])
                for i, c in cameras.items()
                if c.T_camera_world is not None
            ]
            fields["vertices"] = np.stack(moved).astype(np.float32)
        face = _FIT if self.with_mesh else None  # without expression, only the mesh says what the head looks like
        return {
            i: Person(
                provenance=Provenance(file=self.file, row=f"frame {i}"),
                labels=Labels(body=_FIT, left_hand=_FIT, right_hand=_FIT, face=face),
                body_model="smplx",
                gender=self.subject.gender,
                template=self.template,
                track=self.name,
                **{name: values[row] for name, values in fields.items()},
            )
            for row, i in enumerate(cameras)
        }

    def _meshes(self, indices: range) -> dict[int, np.ndarray]:
        """Return the meshes of all sound frames among some, in the world; the last are kept for the other views."""
        if self._kept[0] != indices:
            sound = [i for i in indices if i in self.frames and self.is_sound[i]]
            assert self.model is not None
            posed = self.model.vertices(
                {**{n: v[sound] for n, v in self.bodies.items()}, "betas": np.zeros((len(sound), 0))}
            )
            self._kept = indices, dict(zip(sound, posed, strict=True))
        return self._kept[1]

    def _reject(self, view: int, i: int) -> Reject:
        """Return why the person is left out of a picture."""
        if i not in self.frames:
            reason, detail = "no_label", f"the capture has frames 0 to {len(self.frames) - 1}"
        elif not self.is_sound[i]:
            reason, detail = "nan_pose", "the parameters hold NaN or infinity"
        else:
            reason, detail = "bad_camera", "the pose of the camera is no rigid transform"
        key = f"{self.name}/{view}/{i + self.subject.offset:05d}"
        where = Provenance(file=self.file, row=f"frame {i}")
        return Reject(key=key, reason=reason, detail=f"frame {i} of {self.name}: {detail}", provenance=where)


def before_camera(
    bodies: dict[str, np.ndarray], cameras: list[Camera], model: PosingModel | None
) -> dict[str, np.ndarray]:
    """Return the Person fields of some frames as arrays, one row a frame, float32, in camera space.

    Each frame has a camera. Without a model there are neither translations nor joints.
    """
    out = dict(bodies)
    pelvis = np.zeros(3) if model is None else model.pelvis_offset(np.zeros((1, 0)))[0]
    moved = [
        parameters_to_camera(orient, transl, pelvis, camera.T_camera_world)
        for orient, transl, camera in zip(bodies["global_orient"], bodies["transl"], cameras, strict=True)
        if camera.T_camera_world is not None
    ]
    out["global_orient"], out["transl"] = (np.stack(parts) for parts in zip(*moved, strict=True))
    if model is None:
        del out["transl"]
    else:
        out["joints_3d"] = model.joints({**out, "betas": np.zeros((len(cameras), 0))})
    return {name: values.astype(np.float32) for name, values in out.items()}
