"""Triangle meshes grown from rings: add points, bridge loops, cap ends, count exactly.

Loops run counter-clockwise seen from the side to which the surface grows, so that bridges face outwards.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from .solid import Solid

Loop = list[int]


@dataclass
class Mesh:
    """A growing mesh: `points` (metres), `parts` (the name of the part of each point), `faces`."""

    points: list[np.ndarray] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    faces: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def vertices(self) -> Float[np.ndarray, "vertices 3"]:
        """All points as one array, metres."""
        return np.array(self.points, float)

    def add(self, points: Float[np.ndarray, "points 3"], part: str) -> Loop:
        """Append points of one part and return their indices."""
        first = len(self.points)
        self.points += list(points)
        self.parts += [part] * len(points)
        return list(range(first, len(self.points)))

    def append(self, other: "Mesh") -> int:
        """Append a whole mesh and return the index of its first point."""
        first = len(self.points)
        self.points += other.points
        self.parts += other.parts
        self.faces += [(a + first, b + first, c + first) for a, b, c in other.faces]
        return first

    def bridge(self, below: Loop, above: Loop) -> None:
        """Close the band between two loops: corner to corner if they are equally long, else by short edges."""
        start = np.array(self.points)[above] - self.points[below[0]]
        turn = int(np.argmin(np.round((start**2).sum(axis=1), 9)))
        above = above[turn:] + above[:turn]
        i, j, m, n = 0, 0, len(below), len(above)
        while i < m or j < n:
            a, b = below[i % m], above[j % n]
            c, d = below[(i + 1) % m], above[(j + 1) % n]
            nearer = i == j if m == n else self.gap(c, b) <= self.gap(a, d)
            if j == n or (i < m and nearer):
                self.faces.append((a, c, b))
                i += 1
            else:
                self.faces.append((a, d, b))
                j += 1

    def gap(self, a: int, b: int) -> float:
        """Return the distance between two points, rounded so that ties do not hang on the last bit, metres."""
        return round(float(np.linalg.norm(self.points[a] - self.points[b])), 7)

    def fan(self, loop: Loop, apex: int) -> None:
        """Close a loop with a point."""
        self.faces += [(a, b, apex) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]

    def tube(self, start: Loop, rings: list[np.ndarray], part: str) -> Loop:
        """Grow a tube of rings from a loop and return its last loop."""
        for ring in rings:
            loop = self.add(ring, part)
            self.bridge(start, loop)
            start = loop
        return start

    def mirrored(self) -> "Mesh":
        """Return the mirror image in x = 0: left parts become right parts, faces keep facing outwards."""
        flip = np.array([-1.0, 1.0, 1.0])
        parts = [part.replace("left_", "right_") for part in self.parts]
        return Mesh([point * flip for point in self.points], parts, [(a, c, b) for a, b, c in self.faces])


def frame_ring(
    centre: np.ndarray, across: np.ndarray, up: np.ndarray, angles: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "points 3"]:
    """Return an ellipse around a centre; `across` and `up` are its half axes, metres."""
    return centre + np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * up


def neighbour_average(faces: Int[np.ndarray, "faces 3"], count: int) -> scipy.sparse.csr_matrix:
    """Return the matrix that replaces each vertex by the mean of its neighbours."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    links = scipy.sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
    links.data[:] = 1
    return scipy.sparse.diags(1 / np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)) @ links


def relax(mesh: Mesh, solid: Solid, free: Bool[np.ndarray, "vertices"], rounds: int, pull: float = 0.5) -> None:
    """Slide the free vertices towards their neighbours' mean while holding them on the surface."""
    vertices = mesh.vertices
    average = neighbour_average(np.array(mesh.faces), len(vertices))
    for _ in range(rounds):
        target = average @ vertices
        moved = vertices[free] + pull * (target - vertices)[free]
        vertices[free] = solid.snapped(moved)
    vertices[free] = solid.snapped(vertices[free], 3)
    mesh.points = list(vertices)


def split_edges(mesh: Mesh, count: int, free: Bool[np.ndarray, "vertices"]) -> None:
    """Halve the longest edges between free vertices until the mesh has `count` vertices."""
    assert len(mesh.points) <= count, f"{len(mesh.points)} vertices are more than {count}"
    while len(mesh.points) < count:
        faces = np.array(mesh.faces)
        ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        keys, uses = np.unique(ends[:, 0] * len(mesh.points) + ends[:, 1], return_counts=True)
        edges = np.column_stack(np.divmod(keys, len(mesh.points)))
        vertices = mesh.vertices
        usable = (uses == 2) & free[edges].all(axis=1)
        lengths = np.where(usable, np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1), 0)
        a, b = edges[int(np.argmax(np.round(lengths, 9)))]
        halve_edge(mesh, int(a), int(b))
        free = np.append(free, True)


def halve_edge(mesh: Mesh, a: int, b: int) -> None:
    """Put a vertex in the middle of an edge and split its two faces."""
    middle = mesh.add((mesh.points[a] + mesh.points[b])[None] / 2, mesh.parts[a])[0]
    kept: list[tuple[int, int, int]] = []
    for face in mesh.faces:
        if a in face and b in face:
            for end in (a, b):
                first, second, third = (middle if i == end else i for i in face)
                kept.append((first, second, third))
        else:
            kept.append(face)
    mesh.faces = kept


def vertex_normals(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Return outward unit normals, the area-weighted mean of the faces around each vertex."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    flat = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], flat)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
