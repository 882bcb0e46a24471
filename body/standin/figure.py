"""The stand-in's meshes put together, numbered so that the vertices named by the `smplx` package are the right ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from ..posing import smplx_vertex_ids
from .face import first_hits
from .hand import HAND_VERTICES, WRIST_LOOP, build_hand
from .head import EYE, EYE_RADIUS, ORIGIN, build_coarse_head, build_head
from .mesh import Mesh, vertex_normals
from .rig import Parts, is_part
from .skeleton import LEFT_SIDE, joint_positions
from .trunk import BODY_VERTICES, SOLE, build_body

FINGER_ORDER = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True, eq=False)
class Figure:
    """A numbered mesh: vertices (metres, mid-plane at x = 0), outward faces, the part of each vertex."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    parts: Parts
    grown: Int[np.ndarray, "vertices"]  # where each vertex was before numbering: hands, head, body

    @cached_property
    def normals(self) -> Float[np.ndarray, "vertices 3"]:
        """Outward unit normals."""
        return vertex_normals(self.vertices, self.faces)

    def hand_ids(self, side: str) -> Int[np.ndarray, "778"]:
        """Return the vertex of the figure for each vertex of the MANO hand of a side."""
        place = np.argsort(self.grown)
        first = 0 if side == "left" else HAND_VERTICES
        return place[first + hand_numbering(self.vertices[place[:HAND_VERTICES]])]

    def head_ids(self) -> Int[np.ndarray, "head"]:
        """Return the vertices of head and eyes."""
        place = np.argsort(self.grown)
        return place[is_part(self.parts[place], "head", "_eye")]


def grow_figure(fine: Figure | None = None) -> Figure:
    """Return the SMPL-X figure, or with that one given the SMPL figure: the same body and a head still to be placed."""
    mesh = Mesh()
    wrist = np.array(LEFT_SIDE["wrist"])
    hand = build_hand()
    hand.points = [point + wrist for point in hand.points]
    mesh.append(hand)
    right = mesh.append(hand.mirrored())
    head, neck = build_coarse_head() if fine else build_head()
    first = mesh.append(head)
    wrists = [list(range(WRIST_LOOP)), list(range(right, right + WRIST_LOOP))[::-1]]
    build_body(mesh, wrists, [first + i for i in neck], settled=fine is not None)
    vertices = mesh.vertices
    if fine:
        vertices[-BODY_VERTICES:] = fine.vertices[np.argsort(fine.grown)][-BODY_VERTICES:]
    figure = Figure(vertices, np.array(mesh.faces), np.array(mesh.parts), np.arange(len(vertices)))
    return numbered(figure, "smplh" if fine else "smplx")


def numbered(figure: Figure, kind: str) -> Figure:
    """Return the figure renumbered so that the vertices that smplx names are where it expects them."""
    wanted = smplx_vertex_ids()[kind]
    order = swapped_order(len(figure.vertices), named_vertices(figure.vertices, figure.parts), wanted)
    new = np.argsort(order)
    return Figure(figure.vertices[order], new[figure.faces], figure.parts[order], figure.grown[order])


def swapped_order(count: int, found: dict[str, int], wanted: Mapping[str, int]) -> Int[np.ndarray, "vertices"]:
    """Return old indices in new order: each named vertex changes places with the one whose number it takes."""
    order, place = np.arange(count), np.arange(count)
    for name, target in wanted.items():
        old = found[name]
        here, other = place[old], order[target]
        order[here], order[target] = other, old
        place[other], place[old] = here, target
    return order


def named_vertices(vertices: Float[np.ndarray, "vertices 3"], parts: Parts) -> dict[str, int]:
    """Return the vertices of nose, eyes, ears, toes, heels and fingertips under smplx's names."""

    def closest(place: tuple[float, float, float] | np.ndarray, *endings: str) -> int:
        allowed = np.flatnonzero(is_part(parts, *endings))
        return int(allowed[np.argmin(np.round(np.linalg.norm(vertices[allowed] - place, axis=1), 7))])

    places = joint_positions()
    found = {"nose": closest((0, 0.248, 0.2), "head")}
    for side, sign in (("left", 1), ("right", -1)):
        short = side[0]
        found[f"{short}eye"] = closest((sign * EYE[0], EYE[1], EYE[2] + EYE_RADIUS), "head", f"{side}_eye")
        found[f"{short}ear"] = closest((sign * 0.12, 0.264, -0.018), "head")
        leg = f"{side}_leg"
        found[f"{short.upper()}BigToe"] = closest((sign * 0.110, SOLE + 0.012, 0.175), leg)
        found[f"{short.upper()}SmallToe"] = closest((sign * 0.160, SOLE + 0.010, 0.120), leg)
        found[f"{short.upper()}Heel"] = closest((sign * 0.104, SOLE + 0.018, -0.15), leg)
        for finger in FINGER_ORDER:
            found[f"{short}{finger}"] = closest(places[f"{side}_{finger}4"], f"{side}_{finger}")
    return found


def hand_numbering(left_hand: Float[np.ndarray, "778 3"]) -> Int[np.ndarray, "778"]:
    """Return the order of a hand's vertices in MANO, where fingertips have smplx's numbers too."""
    places = joint_positions()
    gaps = {name: np.linalg.norm(left_hand - places[f"left_{name}4"], axis=1) for name in FINGER_ORDER}
    tips = {name: int(np.argmin(np.round(gap, 7))) for name, gap in gaps.items()}
    return swapped_order(HAND_VERTICES, tips, smplx_vertex_ids()["mano"])


def coarse_map(fine: Figure, coarse: Figure) -> scipy.sparse.csr_matrix:
    """Return the matrix that takes SMPL-X vertices to SMPL vertices: the same body, the head along its rays."""
    place_fine, place_coarse = np.argsort(fine.grown), np.argsort(coarse.grown)
    head_fine, head_coarse = fine.head_ids(), coarse.head_ids()
    others_fine = place_fine[~np.isin(place_fine, head_fine)]
    others_coarse = place_coarse[~np.isin(place_coarse, head_coarse)]
    faces = fine.faces[np.isin(fine.faces, head_fine).any(axis=1)]
    rays = coarse.vertices[head_coarse] - ORIGIN
    hit, share = first_hits(fine.vertices[faces], np.broadcast_to(ORIGIN, rays.shape), rays)
    for name in ("nose", "reye", "leye", "rear", "lear"):  # the same points in both, not merely close ones
        row = np.flatnonzero(head_coarse == smplx_vertex_ids()["smplh"][name])[0]
        faces, hit[row], share[row] = np.vstack([faces, [smplx_vertex_ids()["smplx"][name]] * 3]), len(faces), 1 / 3
    rows = np.concatenate([others_coarse, np.repeat(head_coarse, 3)])
    columns = np.concatenate([others_fine, faces[hit].ravel()])
    values = np.concatenate([np.ones(len(others_fine)), share.ravel()])
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(len(coarse.vertices), len(fine.vertices)))
