"""What is seen of people in 3D: bodies, joints, the camera of their picture, and the colours of distances.

Everything is in camera space (x right, y down, z forward, metres), so that a view from the camera is the picture.
``viewer`` draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..body.joints import SMPLX_INDEX
from ..shards.stored import StoredPerson
from .posed import Body

FIRST, SECOND = (0.55, 0.71, 0.88), (0.93, 0.66, 0.4)  # of the bodies in a scene
# Viridis in five steps, which every colour vision can order.
SCALE = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


@dataclass(frozen=True, eq=False)
class Shown:
    """One person of a scene."""

    name: str
    body: Body | None
    joints: Float[np.ndarray, "144 3"] | None = None  # m, camera space
    distances: Float[np.ndarray, " vertices"] | None = None  # mm

    @classmethod
    def of(cls, person: StoredPerson, body: Body | None, name: str) -> "Shown":
        """Return a labelled person with the body that was posed for it."""
        joints = None if person.joints_3d is None else person.joints_3d.astype(np.float64)
        return cls(name, body, joints)


@dataclass(frozen=True, eq=False)
class Camera:
    """The camera of a picture, which stands in the origin of the scene."""

    K: Float[np.ndarray, "3 3"]  # px of the picture, pixel centres at integers
    width: int
    height: int

    @classmethod
    def of(cls, person: StoredPerson, K: Float[np.ndarray, "3 3"] | None) -> "Camera | None":
        """Return a camera of the picture of a person; None where there is no K."""
        return None if K is None else cls(K, person.width, person.height)


@dataclass(frozen=True, eq=False)
class Scene:
    """People as they are seen together; the same ``key`` again keeps the view that its reader has turned to.

    Of two people with distances on one of them, the painted body is seen and the other is a shell around it.
    """

    people: Sequence[Shown]
    key: str
    camera: Camera | None = None
    limit_mm: float | None = None  # where the colours of distances end
    has_bodies: bool = True
    has_joints: bool = False  # seen through the bodies
    has_frustum: bool = False  # whether the camera is drawn, too

    def drawn(self) -> list[Shown]:
        """Return what is seen of each person."""
        return [
            Shown(
                shown.name,
                shown.body if self.has_bodies else None,
                shown.joints if self.has_joints else None,
                shown.distances if self.has_bodies else None,
            )
            for shown in self.people
        ]

    def label(self) -> str:
        """Return what is seen, as a screen reader says it."""
        return "; ".join([*map(self._label_of, self.drawn()), *["the camera of the picture"] * self.has_frustum])

    def _label_of(self, shown: Shown) -> str:
        parts = ["body"] * (shown.body is not None) + ["joints"] * (shown.joints is not None)
        painted = "" if shown.distances is None else f", coloured by distance up to {self.limit_mm:g} mm"
        return f"{' and '.join(parts) or 'nothing'} of {shown.name}{painted}"


def paint(distances: Float[np.ndarray, " points"], limit_mm: float) -> Float[np.ndarray, "points 3"]:
    """Return the colours (0..1) of distances, the same in pictures and scenes."""
    share = np.clip(distances / limit_mm, 0, 1) * (len(SCALE) - 1)
    steps = np.array(SCALE) / 255
    return np.stack([np.interp(share, np.arange(len(SCALE)), steps[:, channel]) for channel in range(3)], axis=1)


def depth_of(people: Sequence[Shown]) -> float:
    """Return how far from the camera people stand, m; at least 0.2, whatever the labels say."""
    clouds = [shown.body.vertices if shown.body is not None else shown.joints for shown in people]
    depths = np.concatenate([np.zeros(0), *(cloud[:, 2] for cloud in clouds if cloud is not None)])
    depths = depths[np.isfinite(depths)]
    return max(float(depths.mean()), 0.2) if len(depths) else 1.0


def frustum_of(
    K: Float[np.ndarray, "3 3"],
    width: int,
    height: int,
    depth: float,
) -> Float[np.ndarray, "5 3"]:
    """Return the camera's centre and the corners of its picture at a depth (m), in camera space."""
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    rays = np.linalg.solve(K, np.concatenate([corners, np.ones((4, 1))], axis=1).T).T
    return np.concatenate([np.zeros((1, 3)), depth * rays])


def facing(joints: Float[np.ndarray, "144 3"]) -> tuple[float, float] | None:
    """Return where a body looks to, as a direction (x, z) of length 1 over the ground of the camera; None if unknown.

    It stands upright on the line of the hips and the spine: the cross product of both.
    """
    left, right, low, high = (joints[SMPLX_INDEX[name]] for name in ("left_hip", "right_hip", "pelvis", "neck"))
    ahead = np.cross(left - right, high - low)[[0, 2]]
    length = float(np.linalg.norm(ahead))
    is_known = np.isfinite(length) and length > 0.3 * np.linalg.norm(left - right) * np.linalg.norm(high - low)
    return (float(ahead[0] / length), float(ahead[1] / length)) if is_known else None
