"""The stand-in body: our own procedural human in the file formats of SMPL-X, SMPL, SMPL-H and MANO.

Nothing in it comes from a licensed model: round numbers, round cones and Gaussian bumps give a person with the array
shapes and the vertex numbers that `smplx.create` expects, so that tests and the demo run without the owners' files.
Vertices, betas and poses of the stand-in mean nothing to the real models. Building is deterministic.
"""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ..hands import LEFT_HAND_MEAN, RIGHT_HAND_MEAN
from ..joints import SMPLX_PARENTS
from .face import contour_landmarks, inner_landmarks
from .figure import Figure, coarse_map, grow_figure
from .folder import standin_version
from .rig import INDEX, is_part, joint_regressor, pose_directions, skinning_weights
from .shape import (
    GENDERS,
    NUM_EXPRESSION,
    NUM_SHAPE,
    Anatomy,
    expression_fields,
    gendered,
    kid_template,
    shape_fields,
    stacked,
)
from .skeleton import JOINTS, hand_parents

SHIFT = np.array([0.003, 0.0, 0.0])  # as in the real models the pelvis is not at the origin, not even sideways
MANO_WRIST = np.array([0.090, 0.006, 0.006])  # where the root of the right MANO hand rests
J14 = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
       "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck")  # fmt: skip
Arrays = dict[str, np.ndarray]


def build_standin(out_dir: Path) -> None:
    """Write the whole model folder: SMPL-X, SMPL, SMPL-H, MANO and the assets that evaluations use."""
    for name in ("smplx", "smpl", "smplh", "mano"):
        (out_dir / name).mkdir(parents=True, exist_ok=True)
    bodies = Bodies()
    for gender in GENDERS:
        write_npz(out_dir / "smplx" / f"SMPLX_{gender.upper()}.npz", bodies.smplx(gender))
        write_pickle(out_dir / "smpl" / f"SMPL_{gender.upper()}.pkl", bodies.smpl(gender))
        write_pickle(out_dir / "smplh" / f"SMPLH_{gender.upper()}.pkl", bodies.smplh(gender))
    for side in ("left", "right"):
        write_pickle(out_dir / "mano" / f"MANO_{side.upper()}.pkl", bodies.mano(side))
    write_assets(out_dir, bodies)
    (out_dir / "VERSION").write_text(f"ehps stand-in body {standin_version()}\n")


def write_assets(out_dir: Path, bodies: "Bodies") -> None:
    """Write the vertex lists, regressors and maps that the real models are distributed with."""
    folder = out_dir / "smplx"
    hands = {f"{side}_hand": bodies.figure.hand_ids(side).astype(np.int64) for side in ("left", "right")}
    write_pickle(folder / "MANO_SMPLX_vertex_ids.pkl", hands)
    np.save(folder / "SMPL-X__FLAME_vertex_ids.npy", bodies.figure.head_ids().astype(np.int64))
    np.save(folder / "smplx_kid_template.npy", kid_template(bodies.anatomy, bodies.shapes) + SHIFT)
    write_pickle(folder / "SMPLX_to_J14.pkl", bodies.joints14())
    write_pickle(out_dir / "smplx2smpl.pkl", {"matrix": bodies.to_smpl})
    for kind, figure in (("smplx", bodies.figure), ("smpl", bodies.coarse)):
        vertices = bodies.figure.vertices if kind == "smplx" else bodies.to_smpl @ bodies.figure.vertices
        write_npz(out_dir / f"{kind}_parts.npz", {"vertices": vertices.astype(np.float32), "parts": figure.parts})


@dataclass(frozen=True, eq=False)
class Rig:
    """What moves a mesh: 55-joint skinning weights and pose corrections."""

    weights: Float[np.ndarray, "vertices 55"]
    directions: Float[np.ndarray, "vertices 3 486"]


class Bodies:
    """The figures with everything that the files hold, computed once and shared between genders and kinds."""

    def __init__(self) -> None:
        self.figure = grow_figure()
        self.anatomy = Anatomy(self.figure.vertices, self.figure.normals, self.figure.parts)
        self.shapes = shape_fields(self.anatomy)
        self.expressions = expression_fields(self.anatomy)

    @cached_property
    def rig(self) -> Rig:
        """Skinning and pose corrections of the SMPL-X figure."""
        figure = self.figure
        weights = skinning_weights(figure.vertices, figure.parts)
        return Rig(weights, pose_directions(figure.vertices, figure.normals, weights, figure.parts))

    @cached_property
    def regressor(self) -> Float[np.ndarray, "55 vertices"]:
        """Joint regressor of the SMPL-X figure."""
        return joint_regressor(self.figure.vertices, self.figure.parts, JOINTS)

    @cached_property
    def coarse(self) -> Figure:
        """The SMPL figure, its vertices taken from the SMPL-X one."""
        return grow_figure(self.figure)

    @cached_property
    def to_smpl(self) -> scipy.sparse.csr_matrix:
        """The matrix from SMPL-X to SMPL vertices."""
        return coarse_map(self.figure, self.coarse)

    @cached_property
    def landmarks(self) -> Arrays:
        """Face landmarks as smplx names them."""
        figure = self.figure
        chosen = np.flatnonzero((figure.parts[figure.faces] == "head").all(axis=1))
        faces = figure.faces[chosen]
        still, still_place = inner_landmarks(figure.vertices, faces)
        moving, moving_place = contour_landmarks(figure.vertices, faces)
        return {
            "lmk_faces_idx": chosen[still],
            "lmk_bary_coords": still_place,
            "dynamic_lmk_faces_idx": chosen[moving],
            "dynamic_lmk_bary_coords": moving_place,
        }

    def smplx(self, gender: str) -> Arrays:
        """Return the arrays of an SMPL-X file."""
        directions = stacked(self.shapes, NUM_SHAPE + NUM_EXPRESSION)
        for number, field in enumerate(self.expressions):
            directions[:, :, NUM_SHAPE + number] = field
        return {
            "v_template": gendered(self.figure.vertices, self.shapes, gender) + SHIFT,
            "f": self.figure.faces.astype(np.uint32),
            "weights": self.rig.weights,
            "J_regressor": self.regressor,
            "kintree_table": kinematic_table(SMPLX_PARENTS),
            "shapedirs": directions,
            "posedirs": self.rig.directions,
            **self.landmarks,
            **both_hands(),
        }

    @cached_property
    def coarse_rig(self) -> Rig:
        """Skinning and pose corrections of the SMPL figure for the joints of SMPL-X."""
        weights = self.to_coarse(self.rig.weights)
        return Rig(weights / np.sum(weights, axis=1, keepdims=True), self.to_coarse(self.rig.directions))

    @cached_property
    def coarse_regressor(self) -> Float[np.ndarray, "55 vertices"]:
        """Joint regressor of the SMPL figure; the rows of the eyes are zero."""
        vertices = self.to_smpl @ self.figure.vertices
        names = tuple(name for name in JOINTS if not name.endswith("_eye"))
        regressor = np.zeros((len(JOINTS), len(vertices)))
        regressor[[INDEX[name] for name in names]] = joint_regressor(vertices, self.coarse.parts, names)
        return regressor

    def to_coarse(self, field: np.ndarray) -> np.ndarray:
        """Return per-vertex vectors of the SMPL-X figure on the SMPL figure."""
        flat = field.reshape(len(field), -1)
        return (self.to_smpl.astype(flat.dtype) @ flat).reshape(-1, *field.shape[1:])

    def coarse_body(self, gender: str, columns: list[list[int]], parents: tuple[int, ...]) -> Arrays:
        """Return a file on the SMPL mesh; `columns` lists the SMPL-X joints that become one joint."""
        weights, regressor = self.coarse_rig.weights, self.coarse_regressor
        template = gendered(self.figure.vertices, self.shapes, gender) + SHIFT
        features = np.concatenate([np.arange(9 * (j - 1), 9 * j) for j, *_ in columns[1:]])
        return {
            "v_template": self.to_smpl @ template,
            "f": self.coarse.faces.astype(np.uint32),
            "weights": np.stack([weights[:, column].sum(axis=1) for column in columns], axis=1).astype(np.float32),
            "J_regressor": np.stack([regressor[hand_roots(column)].mean(axis=0) for column in columns]),
            "kintree_table": kinematic_table(parents),
            "shapedirs": self.to_coarse(stacked(self.shapes, 16)).astype(np.float32),
            "posedirs": self.coarse_rig.directions[:, :, features].astype(np.float16),
        }

    def smpl(self, gender: str) -> Arrays:
        """Return the arrays of an SMPL file: 24 joints, fingers stiff."""
        hands = [list(range(25, 40)), list(range(40, 55))]
        body = self.coarse_body(gender, [*body_columns(), *hands], (*SMPLX_PARENTS[:22], 20, 21))
        return body | {"shapedirs": body["shapedirs"][:, :, :10]}

    def smplh(self, gender: str) -> Arrays:
        """Return the arrays of an SMPL-H file: 52 joints."""
        fingers = [[j] for j in range(25, 55)]
        parents = (*SMPLX_PARENTS[:22], *hand_parents(20, 22), *hand_parents(21, 37))
        return self.coarse_body(gender, [*body_columns(), *fingers], parents) | both_hands()

    def mano(self, side: str) -> Arrays:
        """Return the arrays of a MANO file: the SMPL-X hand by itself, its wrist where MANO's rests."""
        ids = self.figure.hand_ids(side)
        wrist, first = INDEX[f"{side}_wrist"], INDEX[f"{side}_index1"]
        joints = [wrist, *range(first, first + 15)]
        place = MANO_WRIST * ([-1, 1, 1] if side == "left" else [1, 1, 1])
        template = self.figure.vertices[ids]
        regressor = self.regressor[joints][:, ids]
        number = np.full(len(self.figure.vertices), -1)
        number[ids] = np.arange(len(ids))
        faces = number[self.figure.faces]
        mean = LEFT_HAND_MEAN if side == "left" else RIGHT_HAND_MEAN
        return {
            "v_template": template - regressor[0] @ template + place,
            "f": faces[(faces >= 0).all(axis=1)].astype(np.uint32),
            "weights": self.rig.weights[ids][:, joints].astype(np.float32),
            "J_regressor": regressor,
            "kintree_table": kinematic_table((-1, *hand_parents(0, 1))),
            "shapedirs": stacked(hand_shapes(template - regressor[0] @ template, side), 10),
            "posedirs": self.rig.directions[ids][:, :, 9 * (first - 1) : 9 * (first + 14)],
            "hands_mean": np.array(mean).reshape(45),
            "hands_components": hand_components(np.array(mean).reshape(45)),
            "hands_coeffs": np.zeros((1, 45)),
        }

    def joints14(self) -> Float[np.ndarray, "14 vertices"]:
        """Return the regressor of the fourteen common joints, the last one the top of the head."""
        top = np.zeros(len(self.figure.vertices))
        top[np.argmax(np.where(is_part(self.figure.parts, "head"), self.figure.vertices[:, 1], -9))] = 1
        return np.stack([*(self.regressor[INDEX[name]] for name in J14), top]).astype(np.float32)


def body_columns() -> list[list[int]]:
    """Return the 22 body joints, the head taking over jaw and eyes."""
    return [[j, 22, 23, 24] if j == INDEX["head"] else [j] for j in range(22)]


def hand_roots(column: list[int]) -> list[int]:
    """Return which joints of a column define its place: the knuckles of a hand, else the first."""
    return [j for j in column if (j - 25) % 3 == 0 and j < 55][:4] if len(column) == 15 else column[:1]


def kinematic_table(parents: tuple[int, ...]) -> np.ndarray:
    """Return parents and joint numbers as two rows."""
    return np.array([parents, range(len(parents))], np.int64)


def hand_components(mean: Float[np.ndarray, "45"]) -> Float[np.ndarray, "45 45"]:
    """Return an orthogonal basis of hand poses whose first row closes the hand (a Householder reflection)."""
    first = mean / np.linalg.norm(mean)
    normal = np.eye(45)[0] - first
    return np.eye(45) - 2 * np.outer(normal, normal) / (normal @ normal)


def both_hands() -> Arrays:
    """Return the mean hands and their components under the names of SMPL-X and SMPL-H."""
    arrays: Arrays = {}
    for letter, mean in (("l", LEFT_HAND_MEAN), ("r", RIGHT_HAND_MEAN)):
        flat = np.array(mean).reshape(45)
        arrays[f"hands_mean{letter}"] = flat
        arrays[f"hands_components{letter}"] = hand_components(flat)
        arrays[f"hands_coeffs{letter}"] = np.zeros((1, 45))
    return arrays


def hand_shapes(offsets: Float[np.ndarray, "778 3"], side: str) -> list[np.ndarray]:
    """Return ten ways in which MANO hands differ: size, length, thickness, breadth and smooth waves."""
    along = np.abs(offsets[:, :1]) / 0.19
    unit = np.eye(3)
    fields = [0.05 * offsets, *(0.07 * offsets * unit[i] for i in range(3))]
    sign = 1.0 if side == "left" else -1.0
    for number in range(6):
        wave = np.sin(np.pi * (number + 1) * along) * 0.0015
        fields.append(wave * unit[number % 3] * [sign, 1, 1])
    return fields


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write an npz whose bytes depend on the arrays only, packed lightly: most numbers are zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def write_pickle(path: Path, content: Mapping[str, object] | np.ndarray) -> None:
    """Write arrays as a plain pickle, the format of the real files; regressors become sparse as they are there."""
    if isinstance(content, Mapping):
        sparse = scipy.sparse.csc_matrix
        content = {name: sparse(value) if name == "J_regressor" else value for name, value in content.items()}
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)
