"""Bodies of labelled people as triangles: posed with numpy from the user's own body model, or as the source ships them.

Where no body model is named the stand-in body serves, and the pages say so. Vertices are in camera space (metres).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ..body.models import is_standin, model_dir
from ..body.posing import PARAMETER_NAMES, PosingModel, stack_parameters
from ..body.standin import standin_dir
from ..shards.stored import StoredPerson

LONGEST_EDGE = 0.05  # m; the median edge of a body's triangles is about a centimetre
_POSABLE = ("smplx", "smplh", "smpl")


@dataclass(frozen=True, eq=False)
class Body:
    """The surface of one person."""

    kind: str  # smplx, smplh or smpl: bodies of one kind have the same triangles
    vertices: Float[np.ndarray, "vertices 3"]  # m, camera space
    triangles: Int[np.ndarray, "faces 3"]
    is_recorded: bool  # whether the source ships these very vertices
    K: Float[np.ndarray, "3 3"] | None = (
        None  # camera that it lies under (px of the stored picture); None: the person's
    )


def body_folder() -> Path:
    """Return the user's body models, or the stand-in body where none are named."""
    return model_dir() or standin_dir()


def uses_standin() -> bool:
    """Return whether meshes are drawn with the stand-in body and only resemble the people."""
    folder = model_dir()
    return folder is None or is_standin(folder)


def bodies(people: Sequence[StoredPerson]) -> dict[str, Body]:
    """Return the surfaces by person key, posed together by model and gender; whose labels are too few has none."""
    found = {person.person_key: body for person in people if (body := _recorded(person)) is not None}
    groups: dict[tuple[str, str], list[StoredPerson]] = {}
    for person in people:
        if person.person_key not in found and has_body(person):
            groups.setdefault((person.body_model, person.gender or "neutral"), []).append(person)
    for (kind, gender), group in groups.items():
        model = PosingModel.load(body_folder(), kind, gender)
        rows = [{name: getattr(person, name) for name in PARAMETER_NAMES} for person in group]
        posed = model.vertices(stack_parameters(rows))
        made = (Body(kind, vertices, model.triangles, is_recorded=False) for vertices in posed)
        found |= {person.person_key: body for person, body in zip(group, made, strict=True)}
    return found


def has_body(person: StoredPerson) -> bool:
    """Return whether the labels say where the whole body is and how it stands."""
    needed = (person.global_orient, person.body_pose, person.transl)
    return person.body_model in _POSABLE and all(value is not None for value in needed)


def _recorded(person: StoredPerson) -> Body | None:
    """Return the mesh that the source ships, where the body model at hand has the triangles of that mesh."""
    if person.vertices is None:
        return None
    kind = "smpl" if person.body_model == "smpl" else "smplx"
    model = PosingModel.load(body_folder(), kind)
    vertices = person.vertices.astype(np.float64)
    if len(vertices) != len(model.template):
        return None
    return Body(kind, vertices, model.triangles, is_recorded=True) if is_whole(vertices, model.triangles) else None


def is_whole(vertices: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "faces 3"]) -> bool:
    """Return whether triangles fit a mesh: the stand-in body has the vertices of SMPL-X in another order."""
    edges = np.linalg.norm(vertices[triangles[:, 0]] - vertices[triangles[:, 1]], axis=1)
    return bool(np.median(edges) < LONGEST_EDGE)
