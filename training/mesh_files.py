"""Meshes as files that any 3D program opens: PLY (Stanford, binary little-endian) and Wavefront's OBJ (text).

Lengths are metres and axes those of the camera: x right, y down, z forward. The formats' own descriptions are the
sources: Turk's "The PLY Polygon File Format" and Wavefront's appendix B1.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

MeshFormat = Literal["ply", "obj"]


def write_mesh(
    path: Path, vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], form: MeshFormat
) -> None:
    """Write a mesh of triangles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_ply(vertices, faces) if form == "ply" else _obj(vertices, faces))


def _ply(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> bytes:
    """Return a mesh as PLY."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    rows["count"], rows["corners"] = 3, faces
    return header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes()


def _obj(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> bytes:
    """Return a mesh as OBJ, whose corners count from 1."""
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode()
