"""Meshes in Wavefront's OBJ, a text: ``v x y z`` is a vertex; faces, normals and texture are skipped."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...errors import RawFileError


def read_obj_vertices(path: Path) -> Float[np.ndarray, "vertices 3"]:
    """Return the vertices in the order of the file; RawFileError when it is missing or not such a mesh."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [[float(number) for number in line.split()[1:4]] for line in lines if line.startswith("v ")]
        vertices = np.array(rows, np.float64).reshape(len(rows), 3)
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file", "unpack the archive again") from error
    except ValueError as error:
        raise RawFileError(path, f"is not a mesh in OBJ ({error})", "unpack the archive again") from error
    if not rows:
        raise RawFileError(path, "holds no vertices", "unpack the archive again")
    return vertices
