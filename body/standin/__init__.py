"""The stand-in body: our own procedural SMPL-X, SMPL, SMPL-H and MANO, for tests, the demo and overlays.

``build`` writes the model folder, ``colors`` dresses a body; the other modules grow, rig and shape it.
"""

from .build import build_standin, standin_dir, standin_version
from .colors import standin_vertex_colors

__all__ = ["build_standin", "standin_dir", "standin_version", "standin_vertex_colors"]
