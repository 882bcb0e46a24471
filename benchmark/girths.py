"""Girths of chest, waist and hips and the height of bodies in the zero pose, as HBW's evaluation measures them.

A girth is the length of the string around everything that a level plane cuts of the mesh: the convex hull of the cut,
seen from above. The plane goes through a point on a triangle, which the owner's files name: they come with SHAPY
(``data/utility_files/measurements``), are licensed, and are the user's to bring. The height is that from a point of the
left heel to one on top of the head.
Facts: SHAPY ``body_measurements.py`` and ``evaluate_hbw.py`` (Choutas et al., CVPR 2022).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float, Int
from scipy.spatial import ConvexHull

from ..body.assets import load_evaluation_assets
from ..errors import BodyModelError
from ..yaml_text import parsed_yaml
from .distances import MM

# Measure, and what the owner's definitions call the girth.
GIRTHS = {"chest-error": "CW_p", "waist-error": "BW_p", "hips-error": "IW_p"}
HEIGHT = "height-error"
_HEIGHT_POINTS = ("HeadTop", "HeelLeft")
_DEFINITIONS, _POINTS = "measurement_defitions.yaml", "smplx_measurements.yaml"  # the first is spelled so


@dataclass(frozen=True, eq=False)
class Landmark:
    """A point on a triangle of the mesh."""

    triangle: int
    weights: Float[np.ndarray, "3"]  # of its corners


@dataclass(frozen=True, eq=False)
class Girths:
    """The triangles of the mesh and the landmark of each girth, by the name of its measure."""

    triangles: Int[np.ndarray, "triangles 3"]
    landmarks: Mapping[str, Landmark]
    ends: tuple[Landmark, ...] = ()  # head and heel, between which the height lies

    def of(self, measure: str, meshes: Float[np.ndarray, "people vertices 3"]) -> Float[np.ndarray, " people"]:
        """Return a girth, or the height, of each body in the zero pose (mm; bodies in m, y up)."""
        if measure == HEIGHT:
            head, heel = (self._levels(point, meshes) for point in self.ends)
            return np.abs(head - heel) * MM
        levels = self._levels(self.landmarks[measure], meshes)
        return np.array([self._around(mesh, level) for mesh, level in zip(meshes, levels, strict=True)], float)

    def _levels(self, point: Landmark, meshes: np.ndarray) -> Float[np.ndarray, " people"]:
        return meshes[:, self.triangles[point.triangle], 1] @ point.weights

    def _around(self, mesh: Float[np.ndarray, "vertices 3"], height: float) -> float:
        cut = level_cut(mesh, self.triangles, height)
        return float(ConvexHull(cut).area) * MM  # of a hull in the plane that is its perimeter


def level_cut(
    mesh: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"], height: float
) -> Float[np.ndarray, "points 2"]:
    """Return where the edges of a mesh cross the level plane ``y = height``, as x and z."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    above = mesh[:, 1] > height
    start, end = mesh[edges[above[edges[:, 0]] != above[edges[:, 1]]].T]
    share = (height - start[:, 1]) / (end[:, 1] - start[:, 1])
    return (start + share[:, None] * (end - start))[:, [0, 2]]


def load_girths(model_dir: Path) -> Girths:
    """Return the girths of SMPL-X meshes from the user's folder; BodyModelError says what is missing or wrong."""
    folder = model_dir / "shapy"
    definitions, points = (_read(folder / name) for name in (_DEFINITIONS, _POINTS))
    girths = {
        measure: _point(folder, points, _first_point(folder, definitions, own)) for measure, own in GIRTHS.items()
    }
    ends = tuple(_point(folder, points, name) for name in _HEIGHT_POINTS)
    return Girths(load_evaluation_assets(model_dir).faces, girths, ends)


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        hint = "it comes with SHAPY (data/utility_files/measurements, after registration on its home page)"
        raise BodyModelError(f"{path} is missing: {hint}")
    try:
        content = parsed_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BodyModelError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise BodyModelError(f"{path} should hold names and values, found {type(content).__name__}")
    return content


def _first_point(folder: Path, definitions: Mapping[str, Any], girth: str) -> str:
    """Return the name of the first point of a girth's definition."""
    match definitions.get(girth):
        case [str() as name, *_]:
            return name
        case found:
            raise BodyModelError(f"{folder / _DEFINITIONS}: {girth} should list names of points, found {found!r}")


def _point(folder: Path, points: Mapping[str, Any], name: str) -> Landmark:
    match points.get(name):
        case {"face_idx": int() as triangle, "bc": [a, b, c]}:
            return Landmark(triangle, np.array([a, b, c], np.float64))
        case found:
            problem = f"{name} should have face_idx and three weights bc, found {found!r}"
            raise BodyModelError(f"{folder / _POINTS}: {problem}")
