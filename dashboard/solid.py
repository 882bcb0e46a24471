"""People in 3D as Plotly figures: bodies, joints and the camera, which the mouse turns.

Camera space has y down and z forward; the figure shows x to the right, z into the depth and y up, by one fixed map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..body.draw import LIMB_PARENTS, mesh_normals
from ..body.joints import SMPLX_JOINTS
from .posed import Body

Colour = tuple[float, float, float]
FIRST, SECOND = (0.55, 0.71, 0.88), (0.93, 0.66, 0.4)  # of the bodies in a figure
_LIMB, _CAMERA = "#E69F00", "#8A94A3"
# Viridis in five steps, which every colour vision can order.
_SCALE = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_KINEMATIC = 55  # joints of the body, hands and jaw


@dataclass(frozen=True, eq=False)
class Shown:
    """One person of a figure."""

    name: str
    body: Body | None
    joints: Float[np.ndarray, "144 3"] | None = None  # m, camera space
    distances: Float[np.ndarray, " vertices"] | None = None  # mm


def to_figure(points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Return points of camera space in the axes of the figure."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def figure(
    people: Sequence[Shown],
    *,
    frustum: Float[np.ndarray, "5 3"] | None = None,
    limit_mm: float | None = None,
    is_transparent: bool = False,
) -> Any:
    """Return the figure of some people; ``limit_mm`` is where the colours of distances end."""
    from plotly import graph_objects

    traces: list[Any] = []
    for number, shown in enumerate(people):
        if shown.body is not None:
            traces.append(_mesh(graph_objects, shown, (FIRST, SECOND)[number % 2], limit_mm, is_transparent))
        if shown.joints is not None:
            traces += _skeleton(graph_objects, shown)
    if limit_mm is not None and any(shown.distances is not None for shown in people):
        traces.append(_scale_of(graph_objects, limit_mm))
    if frustum is not None:
        traces.append(_frustum(graph_objects, frustum))
    made = graph_objects.Figure(traces)
    made.update_layout(
        height=560,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        scene=_scene(people, frustum),
        uirevision="kept",
    )
    return made


def _mesh(graph_objects: Any, shown: Shown, colour: Colour, limit_mm: float | None, is_transparent: bool) -> Any:
    """Return a surface whose vertices carry their light: Plotly's own depends on where in space a mesh lies."""
    body, words = shown.body, None
    assert body is not None
    points = to_figure(body.vertices).astype(np.float32)
    i, j, k = body.triangles.T.astype(np.uint16 if len(points) < 1 << 16 else np.int32)
    colours = np.broadcast_to(np.array(colour), points.shape)
    if shown.distances is not None and limit_mm is not None:
        colours = paint(shown.distances, limit_mm)
        words = [f"{distance:.1f} mm" for distance in shown.distances.tolist()]
    return graph_objects.Mesh3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        i=i,
        j=j,
        k=k,
        vertexcolor=(255 * colours * _light(body)[:, None]).astype(np.uint8),
        lighting={"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0},
        name=shown.name,
        opacity=0.45 if is_transparent else 1.0,
        text=words,
        hoverinfo="skip" if words is None else "text",
    )


def _light(body: Body) -> Float[np.ndarray, " vertices"]:
    """Return the brightness (0..1) of each vertex, which leaves no side of a body dark as it turns."""
    normals = mesh_normals(body.vertices[None].astype(np.float32), body.triangles)[0]
    above, beside = -normals[:, 1], normals @ np.array([-0.6, 0.0, -0.8], np.float32)
    return np.clip(0.74 + 0.16 * above + 0.16 * beside + 0.1 * np.abs(normals[:, 2]) - 0.05, 0, 1)


def paint(distances: Float[np.ndarray, " points"], limit_mm: float) -> Float[np.ndarray, "points 3"]:
    """Return the colours (0..1) of distances, the same in pictures and figures."""
    share = np.clip(distances / limit_mm, 0, 1) * (len(_SCALE) - 1)
    steps = np.array(_SCALE) / 255
    return np.stack([np.interp(share, np.arange(len(_SCALE)), steps[:, channel]) for channel in range(3)], axis=1)


def _scale_of(graph_objects: Any, limit_mm: float) -> Any:
    """Return the scale of the colours: a trace without points, because painted vertices have none of their own."""
    steps = [[n / (len(_SCALE) - 1), "rgb({},{},{})".format(*colour)] for n, colour in enumerate(_SCALE)]
    bar = {"title": {"text": "mm"}, "thickness": 12, "len": 0.7, "x": 1.0}
    marker = {"color": [0], "colorscale": steps, "cmin": 0, "cmax": limit_mm, "colorbar": bar, "showscale": True}
    nowhere = [None]
    return graph_objects.Scatter3d(
        x=nowhere, y=nowhere, z=nowhere, mode="markers", marker=marker, showlegend=False, hoverinfo="skip"
    )


def _skeleton(graph_objects: Any, shown: Shown) -> list[Any]:
    """Return the kinematic joints as points that tell their names, and the limbs between them."""
    assert shown.joints is not None
    points, names = to_figure(shown.joints[:_KINEMATIC].astype(np.float64)), SMPLX_JOINTS[:_KINEMATIC]
    places = {name: number for number, name in enumerate(names)}
    limbs = [
        (places[LIMB_PARENTS[name]], number) for name, number in places.items() if LIMB_PARENTS.get(name) in places
    ]
    ends = np.full((len(limbs), 3, 3), np.nan)  # a gap after each limb
    ends[:, :2] = points[np.array(limbs)]
    line = ends.reshape(-1, 3)
    return [
        graph_objects.Scatter3d(
            x=line[:, 0], y=line[:, 1], z=line[:, 2], mode="lines", line={"color": _LIMB, "width": 4},
            hoverinfo="skip", showlegend=False,
        ),
        graph_objects.Scatter3d(
            x=points[:, 0], y=points[:, 1], z=points[:, 2], mode="markers", text=list(names), hoverinfo="text",
            marker={"size": 3, "color": _LIMB}, showlegend=False,
        ),
    ]  # fmt: skip


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


def _frustum(graph_objects: Any, frustum: Float[np.ndarray, "5 3"]) -> Any:
    path = to_figure(frustum)[[0, 1, 2, 0, 3, 4, 0, 1, 4, 3, 2]]
    return graph_objects.Scatter3d(
        x=path[:, 0],
        y=path[:, 1],
        z=path[:, 2],
        mode="lines",
        line={"color": _CAMERA, "width": 3},
        name="camera",
        hoverinfo="name",
        showlegend=False,
    )


def _scene(people: Sequence[Shown], frustum: np.ndarray | None) -> dict[str, Any]:
    """Return axes of equal scale, seen from where the camera stands, a little to the side.

    With the camera stand the axes in metres, which would only clutter a single body.
    """
    axis = {"title": {"text": ""}, "showbackground": False, "showspikes": False, "gridcolor": "rgba(138,148,163,0.3)"}
    axis |= {"zerolinecolor": "rgba(138,148,163,0.3)", "ticksuffix": " m", "nticks": 5, "visible": frustum is not None}
    eye = {"x": 1.1, "y": -1.1, "z": 0.45} if frustum is not None else {"x": 0.35, "y": -1.35, "z": 0.15}
    extent = _extent([to_figure(points) for points in (*_points(people), frustum) if points is not None])
    return {
        "xaxis": axis,
        "yaxis": axis,
        "zaxis": axis,
        "aspectmode": "manual",
        "aspectratio": dict(zip("xyz", extent.tolist(), strict=True)),
        "camera": {"eye": eye, "projection": {"type": "perspective"}},
        "dragmode": "orbit",
    }


def _points(people: Sequence[Shown]) -> list[np.ndarray | None]:
    return [shown.body.vertices if shown.body is not None else shown.joints for shown in people]


def _extent(clouds: Sequence[np.ndarray]) -> Float[np.ndarray, "3"]:
    """Return how far points reach along each axis, as a share of the longest."""
    points = np.concatenate([np.zeros((0, 3)), *clouds])
    points = points[np.isfinite(points).all(axis=1)]
    extent = np.ptp(points, axis=0) if len(points) else np.ones(3)
    return np.maximum(extent / max(extent.max(), 1e-6), 0.05)
