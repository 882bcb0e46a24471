"""Posing SMPL-X, SMPL-H, SMPL and MANO bodies with numpy: many people at once, only the points that are wanted.

The converters need joints of thousands of people and start without torch, so the forward model of the SMPL family
(Loper et al. 2015; Pavlakos et al. 2019) is computed here from the user's own model file: blend shapes, regressed
joints, the kinematic chain, pose blend shapes and linear blend skinning. The ``smplx`` package is the reference that
tests compare with.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import pi, prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float, Int

from ..errors import BodyModelError, MissingExtraError
from .joints import SMPLX_INDEX
from .rotations import Array
from .skinning import (
    Anchored,
    Surface,
    anchored,
    barycentric,
    composed,
    forward_kinematics,
    rotation_matrices,
    skinned,
    surface_of,
)
from .unpickling import load_pickle

_FILES = {
    "smplx": ("smplx/SMPLX_{}.npz", "smplx/SMPLX_{}.pkl"),
    "smplh": ("smplh/SMPLH_{}.pkl", "smplh/SMPLH_{}.npz"),
    "smpl": ("smpl/SMPL_{}.pkl", "smpl/SMPL_{}.npz"),
    "mano": ("mano/MANO_{}.pkl",),
}
_NUM_SHAPE, _NUM_EXPRESSION = 300, 100  # columns of a full SMPL-X shapedirs
NECK = SMPLX_INDEX["neck"]  # smplx turns the face contour by the yaw of this joint, not of the head

# People posed at a time: their transforms and vertices then stay in a processor's second-level cache.
CACHED_PEOPLE = 256

PoseParameters = Mapping[str, np.ndarray]

# Parameters of one person whose size every model shares; the body pose has 21 joints or more.
PARAMETER_SHAPES: dict[str, tuple[int, ...]] = {
    "global_orient": (3,),
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "transl": (3,),
}
PARAMETER_NAMES: tuple[str, ...] = (*PARAMETER_SHAPES, "betas", "expression")


@dataclass(frozen=True)
class LandmarkTables:
    """Where the face landmarks of SMPL-X lie on its triangles."""

    faces: Int[np.ndarray, "51 3"]  # vertex ids
    weights: Float[np.ndarray, "51 3"]
    contour_faces: Int[np.ndarray, "79 17 3"]
    contour_weights: Float[np.ndarray, "79 17 3"]


def stack_parameters(people: Sequence[Mapping[str, np.ndarray | None]]) -> dict[str, np.ndarray]:
    """Return the parameters of several people with a leading people axis; a part that somebody lacks rests at zero.

    Betas, expression and body pose are as wide as the widest of these people.
    """

    def widest(name: str) -> int:
        return max((len(value) for own in people if (value := own.get(name)) is not None), default=0)

    shapes = PARAMETER_SHAPES | {"body_pose": (max(21, widest("body_pose")), 3)}
    shapes |= {name: (widest(name),) for name in ("betas", "expression")}
    stacked = {name: np.zeros((len(people), *shape)) for name, shape in shapes.items()}
    for name, rows in stacked.items():
        for row, own in zip(rows, people, strict=True):
            if (value := own.get(name)) is not None:
                row[: len(value)] = value
    return stacked


def model_path(model_dir: Path, kind: str, variant: str) -> Path:
    """Return the file of a body model; BodyModelError tells what was looked for."""
    candidates = [model_dir / name.format(variant.upper()) for name in _FILES[kind]]
    for path in candidates:
        if path.is_file():
            return path
    looked = " or ".join(str(path) for path in candidates)
    raise BodyModelError(
        f"no {kind} model for {variant!r}: looked for {looked}; download it from the model's home page into that place "
        "or point EHPS_BODY_MODELS to the folder that holds it"
    )


def read_model_file(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a body-model file, npz or pickle; a pickle is read by the restricted unpickler."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: array for name in file.files if (array := file[name]).dtype != object}
    return {str(name): np.asarray(value) for name, value in load_pickle(path).items() if not isinstance(value, str)}


@dataclass(frozen=True, eq=False)
class PosingModel:
    """A body model as plain arrays, reduced to the shape and expression components in use."""

    kind: str
    gender: str
    template: Float[np.ndarray, "vertices 3"]
    shape_directions: Float[np.ndarray, "vertices 3 components"]  # betas, then expression
    pose_directions: Float[np.ndarray, "vertices 3 pose_features"]  # as precise as the file: blended in doubles
    joint_regressor: Float[np.ndarray, "joints vertices"]
    skinning: Float[np.ndarray, "vertices joints"]
    parents: tuple[int, ...]
    triangles: Int[np.ndarray, "faces 3"]
    num_betas: int
    picks: Int[np.ndarray, " picked"]  # vertices that smplx appends to the joints
    landmarks: LandmarkTables | None

    @classmethod
    def load(cls, model_dir: Path, kind: str = "smplx", gender: str = "neutral", num_betas: int = 10) -> "PosingModel":
        """Return the model of a gender (for MANO: ``left`` or ``right``) from the user's folder; cached by file."""
        return _load(model_path(Path(model_dir), kind, gender).resolve(), kind, gender, num_betas)

    def joint_basis(self) -> tuple[Float[np.ndarray, "joints 3"], Float[np.ndarray, "joints 3 components"]]:
        """Return the joints that the template regresses to, and those of each shape direction; cached."""
        return _joint_basis(self)

    def landmark_vertices(self) -> Int[np.ndarray, " points"]:
        """Return the vertices that define all of ``joints`` past the kinematic ones, ascending."""
        tables = self.landmarks
        corners = [] if tables is None else [tables.faces.ravel(), tables.contour_faces.ravel()]
        return np.unique(np.concatenate([self.picks, *corners]))

    def rest_joints(self, parameters: PoseParameters) -> Float[np.ndarray, "people joints 3"]:
        """Return the kinematic joints of the shaped, unposed bodies (metres, model space)."""
        return _people_first(self._rest(self._components(parameters)))

    def pelvis_offset(self, betas: Float[np.ndarray, "people components"]) -> Float[np.ndarray, "people 3"]:
        """Return the rest position of the root joint (metres): what world-to-camera of the parameters needs."""
        return self.rest_joints({"betas": betas})[:, 0]

    def kinematic(self, parameters: PoseParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (rotations (p, j, 3, 3), global transforms (p, j, 3, 4), posed joints (p, j, 3)), without transl."""
        posed = self._pose(parameters)
        return _people_first(posed.rotations), _people_first(posed.transforms), _people_first(posed.joints)

    def points(
        self, parameters: PoseParameters, ids: Int[np.ndarray, " points"]
    ) -> Float[np.ndarray, "people points 3"]:
        """Return chosen posed vertices (metres, camera space when the parameters are)."""
        return self._moved(parameters, lambda posed: posed.skinned(self._surface(ids)))

    def vertices(self, parameters: PoseParameters) -> Float[np.ndarray, "people vertices 3"]:
        """Return all posed vertices (metres)."""
        return self._moved(parameters, lambda posed: posed.skinned(self._surface(slice(None))))

    def joints(self, parameters: PoseParameters, *, with_face: bool = True) -> Float[np.ndarray, "people points 3"]:
        """Return the joints in smplx's order (SMPL-X: 144 with the face contour), metres.

        Without ``with_face`` the 68 landmarks of a SMPL-X face are left out, which leaves 76 joints and is quicker.
        """
        if self.landmarks is None or not with_face:
            return self._moved(parameters, lambda posed: np.concatenate([posed.joints, posed.skinned(_picked(self))]))
        # People whose necks turn alike need the same part of the contour, so they are posed together.
        order = np.argsort(self._contour_rows(parameters), kind="stable")
        moved = self._moved({name: value[order] for name, value in parameters.items()}, self._with_landmarks)
        out = np.empty_like(moved)
        out[order] = moved
        return out

    def _contour_rows(self, parameters: PoseParameters) -> Int[np.ndarray, " people"]:
        """Return the row of the contour table for each person, from the joints between root and neck alone."""
        path = [NECK]
        while self.parents[path[0]] >= 0:
            path.insert(0, self.parents[path[0]])
        rotations = rotation_matrices(self._full_pose(parameters, len(parameters["betas"]))[path])
        world = reduce(composed, (rotation[None] for rotation in rotations))
        return contour_rows(np.moveaxis(world[0], -1, 0))

    def _with_landmarks(self, posed: "_Posed") -> Float[np.ndarray, "points 3 people"]:
        """Return joints, picked vertices, landmarks and contour, without transl."""
        rows = contour_rows(np.moveaxis(posed.transforms[NECK, :, :3], -1, 0))
        fixed = _fixed_landmarks(self)
        used, which = np.unique(rows, return_inverse=True)
        contour = _contour(self, tuple(used.tolist()))
        corners, weights = (np.moveaxis(part[which], 0, -1) for part in (contour.corners, contour.weights))
        chosen = posed.skinned(contour.surface)[corners[:, :, None], np.arange(3)[:, None], np.arange(len(rows))]
        return np.concatenate(
            [
                posed.joints,
                barycentric(posed.skinned(fixed.surface)[fixed.corners], fixed.weights[..., None]),
                barycentric(chosen, weights),
            ]
        )

    def _moved(
        self, parameters: PoseParameters, points: Callable[["_Posed"], np.ndarray]
    ) -> Float[np.ndarray, "people points 3"]:
        """Return points of everyone with transl, computed for as many people at a time as fit the cache."""
        people = len(parameters["betas"])
        parts = []
        for start in range(0, max(people, 1), CACHED_PEOPLE):
            some = {name: value[start : start + CACHED_PEOPLE] for name, value in parameters.items()}
            found = _people_first(points(self._pose(some)))
            transl = some.get("transl")
            parts.append(found if transl is None else found + np.asarray(transl, np.float64)[:, None])
        return np.concatenate(parts)

    def _surface(self, ids: Int[np.ndarray, " points"] | slice) -> Surface:
        """Return the part of the model that moves some vertices; a slice copies nothing."""
        posed = self.pose_directions[ids]
        posed = posed if isinstance(ids, slice) else posed.astype(np.float64, copy=False)
        return surface_of(self.template[ids], self.shape_directions[ids], posed, self.skinning[ids])

    def _pose(self, parameters: PoseParameters) -> "_Posed":
        """Return the bodies with their kinematic chain posed, without transl."""
        components = self._components(parameters)
        rotations = rotation_matrices(self._full_pose(parameters, components.shape[1]))
        return _Posed(components, rotations, *forward_kinematics(rotations, self._rest(components), self.parents))

    def _rest(self, components: Float[np.ndarray, "components people"]) -> Float[np.ndarray, "joints 3 people"]:
        """Return the joints of the shaped, unposed bodies."""
        template, directions = self.joint_basis()
        shaped = directions.reshape(-1, directions.shape[2]) @ components + template.reshape(-1, 1)
        return shaped.reshape(*template.shape, components.shape[1])

    def _components(self, parameters: PoseParameters) -> Float[np.ndarray, "components people"]:
        """Return betas and expression one below the other, padded with zeros or cut to the components in use."""
        betas = np.asarray(parameters["betas"])
        out = np.zeros((self.shape_directions.shape[2], len(betas)))
        out[: min(self.num_betas, betas.shape[1])] = betas[:, : self.num_betas].T
        expression = parameters.get("expression")
        if expression is not None:
            width = min(expression.shape[1], len(out) - self.num_betas)
            out[self.num_betas : self.num_betas + width] = expression[:, :width].T
        return out

    def _full_pose(self, parameters: PoseParameters, people: int) -> Float[np.ndarray, "joints 3 people"]:
        """Return one axis-angle vector a joint; absent parts rest at zero. Hands are absolute."""
        pose = np.zeros((len(self.parents), 3, people))
        for name, where in _POSE_SLOTS[self.kind].items():
            value = parameters.get(name)
            if value is not None:
                part = np.asarray(value).reshape(people, prod(value.shape[1:]) // 3, 3)[:, : where.stop - where.start]
                pose[where.start : where.start + part.shape[1]] = np.moveaxis(part, 0, -1)
        return pose


class _Posed(NamedTuple):
    """Bodies with their kinematic chain posed; people on the last axis."""

    components: np.ndarray  # (components, people)
    rotations: np.ndarray  # (joints, 3, 3, people), each against its parent
    transforms: np.ndarray  # (joints, 3, 4, people), of rest-pose points
    joints: np.ndarray  # (joints, 3, people)

    def skinned(self, surface: Surface) -> Float[np.ndarray, "points 3 people"]:
        """Return the posed vertices of a surface."""
        return skinned(surface, self.components, self.rotations, self.transforms)


def _people_first(values: np.ndarray) -> np.ndarray:
    """Return values whose last axis is people with that axis in front."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


_POSE_SLOTS: dict[str, dict[str, slice]] = {
    "smplx": {
        "global_orient": slice(0, 1),
        "body_pose": slice(1, 22),
        "jaw_pose": slice(22, 23),
        "leye_pose": slice(23, 24),
        "reye_pose": slice(24, 25),
        "left_hand_pose": slice(25, 40),
        "right_hand_pose": slice(40, 55),
    },
    "smplh": {
        "global_orient": slice(0, 1),
        "body_pose": slice(1, 22),
        "left_hand_pose": slice(22, 37),
        "right_hand_pose": slice(37, 52),
    },
    "smpl": {"global_orient": slice(0, 1), "body_pose": slice(1, 24)},
    "mano": {"global_orient": slice(0, 1), "hand_pose": slice(1, 16)},
}


def contour_rows(neck: Array) -> Array:
    """Return the row of the contour table for each neck's world rotation (..., 3, 3), as smplx counts the yaw.

    Rows 0 to 39 are whole degrees to one side, 40 to 78 those to the other; more is held at the last row of its side
    (smplx, ``lbs.py``). Numpy arrays and torch tensors alike; no gradient comes back.
    """
    xp = array_namespace(neck)
    yaw = -xp.atan2(-neck[..., 2, 0], xp.hypot(neck[..., 0, 0], neck[..., 1, 0]))
    degrees = xp.astype(xp.round(xp.clip(yaw * (180 / pi), None, 39.0)), xp.int64)
    return xp.where(degrees < -39, xp.full_like(degrees, 78), xp.where(degrees < 0, 39 - degrees, degrees))


@lru_cache(maxsize=16)
def _load(path: Path, kind: str, gender: str, num_betas: int) -> PosingModel:
    data = read_model_file(path)
    directions = np.asarray(data["shapedirs"])  # hundreds of components, of which few become doubles
    shapes = _num_shapes(kind, directions.shape[2])
    if num_betas > shapes:
        raise BodyModelError(
            f"{path} holds {shapes} shape components, but there are people with {num_betas} betas: download a release "
            "that holds more (SMPL-X 1.1 holds 300)"
        )
    if kind == "smplx":
        directions = np.concatenate([directions[:, :, :num_betas], directions[:, :, shapes : shapes + 10]], axis=2)
    else:
        directions = directions[:, :, :num_betas]
    parents = (-1, *(int(p) for p in np.asarray(data["kintree_table"])[0, 1:]))
    triangles = np.asarray(data["f"]).astype(np.int64)
    return PosingModel(
        kind=kind,
        gender=gender,
        template=np.asarray(data["v_template"], np.float64),
        shape_directions=np.asarray(directions, np.float64),
        pose_directions=np.asarray(data["posedirs"]),
        joint_regressor=_dense(data["J_regressor"]),
        skinning=np.asarray(data["weights"], np.float64),
        parents=parents,
        triangles=triangles,
        num_betas=num_betas,
        picks=_vertex_picks(kind),
        landmarks=_landmark_tables(data, triangles) if kind == "smplx" else None,
    )


def _num_shapes(kind: str, columns: int) -> int:
    """Return how many columns of shapedirs are shapes; those after them are expressions, which only SMPL-X has."""
    if kind != "smplx":
        return columns
    return _NUM_SHAPE if columns >= _NUM_SHAPE + _NUM_EXPRESSION else 10


@lru_cache(maxsize=16)
def _joint_basis(model: PosingModel) -> tuple[np.ndarray, np.ndarray]:
    regressor = model.joint_regressor
    return regressor @ model.template, np.einsum("jv,vdc->jdc", regressor, model.shape_directions, optimize=True)


@lru_cache(maxsize=16)
def _picked(model: PosingModel) -> Surface:
    """Return the surface of the vertices that smplx appends to the joints."""
    return model._surface(model.picks)


@lru_cache(maxsize=16)
def _fixed_landmarks(model: PosingModel) -> Anchored:
    """Return the picked vertices and the landmarks inside the face."""
    tables = model.landmarks
    assert tables is not None
    picks = np.repeat(model.picks[:, None], 3, axis=1)
    whole = np.tile([1.0, 0.0, 0.0], (len(picks), 1))
    return _anchored(model, np.concatenate([picks, tables.faces]), np.concatenate([whole, tables.weights]))


@lru_cache(maxsize=32)
def _contour(model: PosingModel, rows: tuple[int, ...]) -> Anchored:
    """Return the contour at some turns of the neck, one row of points each.

    Most people look further aside than the table reaches, so its last row of either side comes again and again.
    """
    tables = model.landmarks
    assert tables is not None
    faces, weights = tables.contour_faces[list(rows)], tables.contour_weights[list(rows)]
    surface, corners, weights = _anchored(model, faces.reshape(-1, 3), weights.reshape(-1, 3))
    return Anchored(surface, corners.reshape(faces.shape), weights.reshape(faces.shape))


def _anchored(model: PosingModel, faces: np.ndarray, weights: np.ndarray) -> Anchored:
    """Return points on triangles of a model, given as vertex ids (n, 3) and weights (n, 3)."""
    return anchored(
        model.template, model.shape_directions, model.pose_directions, model.skinning, faces=faces, weights=weights
    )


def _dense(matrix: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    """Return a regressor as a dense array; model files hold it dense or as a SciPy sparse matrix."""
    if matrix.dtype == object:
        return np.asarray(matrix.item().todense(), np.float64)
    return np.asarray(matrix, np.float64)


def _landmark_tables(data: Mapping[str, np.ndarray], triangles: np.ndarray) -> LandmarkTables:
    """Return the tables of a SMPL-X file, triangles resolved to vertex ids."""
    return LandmarkTables(
        faces=triangles[data["lmk_faces_idx"].astype(np.int64)],
        weights=np.asarray(data["lmk_bary_coords"], np.float64),
        contour_faces=triangles[data["dynamic_lmk_faces_idx"].astype(np.int64)],
        contour_weights=np.asarray(data["dynamic_lmk_bary_coords"], np.float64),
    )


# The order in which smplx appends picked vertices to the joints (smplx, vertex_joint_selector.py).
_FACE_AND_FEET = ("nose", "reye", "leye", "rear", "lear") + (
    "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
)  # fmt: skip
_TIPS = tuple(f"{side}{finger}" for side in "lr" for finger in ("thumb", "index", "middle", "ring", "pinky"))


@lru_cache(maxsize=1)
def smplx_vertex_ids() -> Mapping[str, Mapping[str, int]]:
    """Return the table of named vertices of the smplx package, read without importing the package (and torch)."""
    package = importlib.util.find_spec("smplx")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("smplx", "train")
    path = Path(package.submodule_search_locations[0]) / "vertex_ids.py"
    spec = importlib.util.spec_from_file_location("_smplx_vertex_ids", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.vertex_ids


def _vertex_picks(kind: str) -> Int[np.ndarray, " picked"]:
    """Return the vertices that smplx appends to the joints; the ids are the smplx package's own table."""
    vertex_ids = smplx_vertex_ids()
    if kind == "mano":
        table = vertex_ids["mano"]
        return np.array([table[name] for name in ("thumb", "index", "middle", "ring", "pinky")])
    table = vertex_ids["smplx" if kind == "smplx" else "smplh"]
    return np.array([table[name] for name in _FACE_AND_FEET + _TIPS])
