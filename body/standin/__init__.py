"""The stand-in body: our own procedural SMPL-X, SMPL, SMPL-H and MANO, for tests, the demo and overlays.

``folder`` says where the model folder lies, ``build`` writes it, ``colors`` dresses a body; the other modules grow, rig
and shape it.
"""

from .colors import standin_vertex_colors
from .folder import standin_dir, standin_version

__all__ = ["standin_dir", "standin_version", "standin_vertex_colors"]
