"""Scenes as bytes that the browser reads without parsing numbers.

Four bytes with the length of the header (uint32, little-endian), the header as JSON, padded with blanks to a multiple
of four bytes, then the arrays, each at a multiple of four. The header names an array as ``[type, offset, length]``:
``f4``, ``u2`` or ``u4``, the offset behind the header in bytes, and how many numbers it has.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ...body.draw import LIMB_PARENTS
from ...body.joints import NUM_BODY_JOINTS, SMPLX_JOINTS
from .. import solid
from ..solid import Scene, Shown

# The joints that pictures show as well: kinematic ones, toes, heels, fingertips, points of the head.
JOINTS = tuple(name for name in SMPLX_JOINTS if name in LIMB_PARENTS or name == "pelvis")
LIMBS = tuple((JOINTS.index(parent), JOINTS.index(name)) for name, parent in LIMB_PARENTS.items())
_ONE_INK, _INKS = (0.9, 0.62, 0.0), ((0.1, 0.42, 0.72), (0.78, 0.36, 0.05))  # of joints: of one person, of two
_PLACES = np.array([SMPLX_JOINTS.index(name) for name in JOINTS])


class SceneError(ValueError):
    """A scene that would be drawn as something else than what is meant."""


class _Arrays:
    """Arrays behind each other, equal ones once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0
        self._places: dict[bytes, tuple[str, int, int]] = {}

    def add(self, values: np.ndarray, kind: str) -> tuple[str, int, int]:
        """Return how the header names an array of a kind."""
        data = np.ascontiguousarray(values, f"<{kind}").tobytes()
        if data not in self._places:
            self._places[data] = (kind, self._size, values.size)
            self.parts.append(data + b"\0" * (-len(data) % 4))
            self._size += len(self.parts[-1])
        return self._places[data]


def pack(scene: Scene) -> bytes:
    """Return the bytes of a scene: the same scene has the same bytes.

    SceneError says in a sentence what of the scene cannot be drawn.
    """
    people = scene.drawn()
    _check(scene, people)
    arrays = _Arrays()
    header = {
        "key": scene.key,
        "label": scene.label(),
        "people": [_person(arrays, people, number) for number in range(len(people))],
        "joints": JOINTS,
        "limbs": LIMBS,
        "coarse": NUM_BODY_JOINTS,  # the others lie closer together
        "palette": solid.SCALE,
        "limit": scene.limit_mm,
        "camera": _camera(scene),
        "front": next((front for shown in scene.people if (front := _front(shown))), None),
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *arrays.parts])


def _person(arrays: _Arrays, people: Sequence[Shown], number: int) -> dict[str, Any]:
    """Return one person of the header."""
    shown = people[number]
    made: dict[str, Any] = {
        "name": shown.name,
        "colour": (solid.FIRST, solid.SECOND)[number % 2],
        "ink": _ONE_INK if len(people) == 1 else _INKS[number % 2],
        "isGhost": shown.distances is None and any(one.distances is not None for one in people),
        "isClear": any(one.joints is not None for one in people),
    }
    if shown.body is not None:
        made["vertices"] = arrays.add(shown.body.vertices, "f4")
        made["triangles"] = arrays.add(shown.body.triangles, "u2" if len(shown.body.vertices) <= 1 << 16 else "u4")
    if shown.distances is not None:
        made["distances"] = arrays.add(shown.distances, "f4")
    if shown.joints is not None:
        made["joints"] = arrays.add(shown.joints[_PLACES], "f4")
    return made


def _front(shown: Shown) -> tuple[float, float] | None:
    return None if shown.joints is None else solid.facing(shown.joints)


def _camera(scene: Scene) -> dict[str, Any] | None:
    camera = scene.camera
    if camera is None:
        return None
    made: dict[str, Any] = {"K": camera.K.ravel().tolist(), "width": camera.width, "height": camera.height}
    if scene.has_frustum:
        frustum = solid.frustum_of(camera.K, camera.width, camera.height, 0.6 * solid.depth_of(scene.people))
        made["frustum"] = frustum.ravel().tolist()
    return made


def _check(scene: Scene, people: Sequence[Shown]) -> None:
    """Raise SceneError where a browser would draw something else than what is meant."""
    for shown in people:
        _check_person(shown, scene.limit_mm)
    if scene.camera is not None:
        _check_camera(scene.camera.K, (scene.camera.width, scene.camera.height))
    elif scene.has_frustum:
        raise SceneError("the scene shows a camera that it does not have; give its K, width and height")


def _check_person(shown: Shown, limit_mm: float | None) -> None:
    body, distances = shown.body, shown.distances
    if body is not None:
        count = len(body.vertices)
        if not np.isfinite(body.vertices).all():
            raise SceneError(f"vertices of {shown.name} are not finite; leave the body out")
        if body.triangles.size and not 0 <= body.triangles.min() <= body.triangles.max() < count:
            raise SceneError(f"triangles of {shown.name} name vertices beyond its {count}; use those of its own model")
    if distances is None:
        return
    if body is None or len(distances) != len(body.vertices):
        raise SceneError(f"{shown.name} has {len(distances)} distances, which are not those of its vertices")
    if limit_mm is None or not limit_mm > 0:
        raise SceneError(f"distances of {shown.name} are coloured up to {limit_mm} mm; give a limit above 0")
    if not np.isfinite(distances).all():
        raise SceneError(f"distances of {shown.name} are not finite; leave them out")


def _check_camera(K: Float[np.ndarray, "3 3"], size: Sequence[int]) -> None:
    if not np.isfinite(K).all() or min(K[0, 0], K[1, 1]) <= 0 or (K[2] != (0, 0, 1)).any() or K[1, 0] != 0:
        raise SceneError(f"K is {K.tolist()}; focal lengths must be above 0, the last row 0 0 1 and K[1, 0] 0")
    if min(size) <= 0:
        raise SceneError(f"the camera's picture has {size[0]} x {size[1]} pixels; give the size of the stored picture")
