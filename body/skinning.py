"""The kinematic chain and linear blend skinning of the SMPL family over many people at once.

Arrays here carry people on their last axis: each step then runs over neighbours in memory, blend shapes and skinning
are plain matrix products, and a level of the kinematic tree costs a dozen calls whatever the number of people.
Everything is computed in double precision, so that a label rounded to float32 does not depend on processor or batch;
the pose blend shapes of a whole body, 15 million numbers, stay as its file has them and become doubles block by block.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .rotations import axis_angle_to_quaternion, quaternion_matrix_entries

# Vertices skinned at a time: what belongs to them then stays in a processor's second-level cache.
CACHED_POINTS = 96


class Surface(NamedTuple):
    """What moves some vertices of a body model."""

    template: Float[np.ndarray, "points 3"]
    shape_directions: Float[np.ndarray, "coordinates components"]  # three rows a vertex
    pose_directions: Float[np.ndarray, "coordinates pose_features"]
    skinning: Float[np.ndarray, "points movers"]
    movers: Int[np.ndarray, " movers"]  # the joints that move some of them


def surface_of(
    template: Float[np.ndarray, "points 3"],
    shape_directions: Float[np.ndarray, "points 3 components"],
    pose_directions: Float[np.ndarray, "points 3 pose_features"],
    skinning: Float[np.ndarray, "points joints"],
) -> Surface:
    """Return a surface of these vertices; what is contiguous is not copied."""
    movers = np.flatnonzero(skinning.any(axis=0))
    return Surface(
        template,
        shape_directions.reshape(-1, shape_directions.shape[2]),
        pose_directions.reshape(-1, pose_directions.shape[2]),
        skinning if len(movers) == skinning.shape[1] else skinning[:, movers],
        movers,
    )


def rotation_matrices(pose: Float[np.ndarray, "joints 3 people"]) -> Float[np.ndarray, "joints 3 3 people"]:
    """Return the rotation matrix of every axis-angle vector (rad)."""
    quaternion = axis_angle_to_quaternion(np.moveaxis(pose, 1, -1))
    entries = quaternion_matrix_entries(*np.ascontiguousarray(np.moveaxis(quaternion, -1, 0)))
    out = np.empty((len(pose), 3, 3, pose.shape[2]))
    for i, row in enumerate(entries):
        for k, entry in enumerate(row):
            out[:, i, k] = entry
    return out


@lru_cache(maxsize=16)
def tree_levels(parents: tuple[int, ...]) -> tuple[tuple[Int[np.ndarray, " joints"], Int[np.ndarray, " joints"]], ...]:
    """Return (joints, their parents) of each level of a kinematic tree below its root, from the root outwards."""
    depth: list[int] = []
    for parent in parents:
        depth.append(depth[parent] + 1 if parent >= 0 else 0)
    levels = [[joint for joint, own in enumerate(depth) if own == level] for level in range(1, max(depth) + 1)]
    return tuple((np.array(joints), np.array([parents[joint] for joint in joints])) for joints in levels)


def rotated(
    matrices: Float[np.ndarray, "n 3 3 people"], vectors: Float[np.ndarray, "n 3 people"]
) -> Float[np.ndarray, "n 3 people"]:
    """Return vectors multiplied by matrices."""
    out = matrices[:, :, 0] * vectors[:, None, 0]
    for k in (1, 2):
        out += matrices[:, :, k] * vectors[:, None, k]
    return out


def composed(
    outer: Float[np.ndarray, "n 3 3 people"], inner: Float[np.ndarray, "n 3 3 people"]
) -> Float[np.ndarray, "n 3 3 people"]:
    """Return the products of matrices."""
    out = outer[:, :, 0, None] * inner[:, None, 0]
    for k in (1, 2):
        out += outer[:, :, k, None] * inner[:, None, k]
    return out


def forward_kinematics(
    rotations: Float[np.ndarray, "joints 3 3 people"],
    rest: Float[np.ndarray, "joints 3 people"],
    parents: tuple[int, ...],
) -> tuple[Float[np.ndarray, "joints 3 4 people"], Float[np.ndarray, "joints 3 people"]]:
    """Return (transforms of rest-pose points, posed joints), level by level from the root outwards."""
    world_R, world_t = np.empty_like(rotations), np.empty_like(rest)
    world_R[0], world_t[0] = rotations[0], rest[0]
    for joints, above in tree_levels(parents):
        turned = world_R[above]
        world_t[joints] = world_t[above] + rotated(turned, rest[joints] - rest[above])
        world_R[joints] = composed(turned, rotations[joints])
    offset = world_t - rotated(world_R, rest)
    return np.concatenate([world_R, offset[:, :, None]], axis=2), world_t


def skinned(
    surface: Surface,
    components: Float[np.ndarray, "components people"],
    rotations: Float[np.ndarray, "joints 3 3 people"],
    transforms: Float[np.ndarray, "joints 3 4 people"],
) -> Float[np.ndarray, "points 3 people"]:
    """Return the posed vertices of a surface, without transl."""
    people = rotations.shape[-1]
    features = (rotations[1:] - np.eye(3)[..., None]).reshape(9 * len(rotations) - 9, people)
    flat = transforms[surface.movers].reshape(len(surface.movers), 12 * people)
    out = np.empty((len(surface.template), 3, people))
    for start in range(0, len(out), CACHED_POINTS):
        block = slice(start, start + CACHED_POINTS)
        rows = slice(3 * start, 3 * (start + CACHED_POINTS))
        shaped = surface.pose_directions[rows].astype(np.float64, copy=False) @ features
        shaped += surface.shape_directions[rows] @ components
        shaped += surface.template[block].reshape(-1, 1)
        part = out[block]
        blended = (surface.skinning[block] @ flat).reshape(len(part), 3, 4, people)
        np.add(rotated(blended[:, :, :3], shaped.reshape(part.shape)), blended[:, :, 3], out=part)
    return out


class Anchored(NamedTuple):
    """Points on triangles of a mesh, and the surface that they hang on."""

    surface: Surface
    corners: Int[np.ndarray, "*points 3"]  # rows of the surface
    weights: Float[np.ndarray, "*points 3"]


def anchored(
    template: Float[np.ndarray, "vertices 3"],
    shape_directions: Float[np.ndarray, "vertices 3 components"],
    pose_directions: Float[np.ndarray, "vertices 3 pose_features"],
    skinning: Float[np.ndarray, "vertices joints"],
    *,
    faces: Int[np.ndarray, "points 3"],
    weights: Float[np.ndarray, "points 3"],
) -> Anchored:
    """Return points on triangles, given as vertex ids and weights.

    A triangle whose corners the same joints move by the same shares is rigid: its point moves like a vertex, so one
    row takes the place of three, where that makes fewer of them.
    """
    rigid = (skinning[faces] == skinning[faces[:, :1]]).all(axis=(1, 2))
    rigid &= rigid.sum() < len(np.unique(faces[rigid]))
    loose = np.unique(faces[~rigid])
    total = weights.sum(axis=1)
    shares = (weights / total[:, None])[rigid]

    def rows(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.einsum("pk,pk...->p...", shares, values[faces[rigid]]), values[loose]])

    moved_alike = np.concatenate([skinning[faces[rigid, 0]], skinning[loose]])
    surface = surface_of(rows(template), rows(shape_directions), rows(pose_directions), moved_alike)
    corners = np.empty_like(faces)
    corners[rigid] = np.arange(len(shares))[:, None]
    corners[~rigid] = len(shares) + np.searchsorted(loose, faces[~rigid])
    single = total[:, None] * [1.0, 0.0, 0.0]
    return Anchored(surface, corners, np.where(rigid[:, None], single, weights))


def barycentric(
    corners: Float[np.ndarray, "points 3 3 people"], weights: Float[np.ndarray, "points 3 *people"]
) -> Float[np.ndarray, "points 3 people"]:
    """Return points of the corners of triangles, which stand on the second axis, and their weights."""
    out = corners[:, 0] * weights[:, 0, None]
    for k in (1, 2):
        out += corners[:, k] * weights[:, k, None]
    return out
