"""The true meshes: as recorded, or posed from the recorded parameters.

A part that a person's record does not carry rests at zero (flat hands, closed mouth); whether its measures count is the
business of the ``has_*`` flags.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..body import posing
from ..body.posing import PosingModel
from ..errors import RecordError
from .interface import BenchmarkPerson, Pose
from .protocol import Protocol

_REQUIRED = ("global_orient", "body_pose", "betas")


def recorded_meshes(people: Sequence[BenchmarkPerson]) -> Float[np.ndarray, "people vertices 3"]:
    """Return the meshes that the records carry (m, camera space)."""
    for person in people:
        if person.vertices is None:
            raise RecordError(person.person_key, "vertices", "given, because the protocol's truth is a mesh", "none")
    return np.stack([person.vertices for person in people if person.vertices is not None])


def posed_meshes(model_dir: Path, protocol: Protocol) -> Pose:
    """Return the function that poses people's parameters with the body the protocol names (m, camera space)."""
    body = protocol.body_model

    def pose(people: Sequence[BenchmarkPerson]) -> np.ndarray:
        genders = [_gender(person, protocol) for person in people]
        meshes: dict[int, np.ndarray] = {}
        for gender in sorted(set(genders)):
            rows = [row for row, own in enumerate(genders) if own == gender]
            model = PosingModel.load(model_dir, body.kind, gender, body.num_betas)
            posed = model.vertices(stack_parameters([people[row] for row in rows]))
            meshes |= dict(zip(rows, posed, strict=True))
        return np.stack([meshes[row] for row in range(len(people))])

    return pose


def stack_parameters(people: Sequence[BenchmarkPerson]) -> dict[str, np.ndarray]:
    """Return the parameters of several people with a leading people axis, absent parts at zero."""
    for person in people:
        absent = [name for name in _REQUIRED if name not in (person.parameters or {})]
        if absent:
            raise RecordError(person.person_key, ", ".join(absent), "given, because the truth is posed", "none")
    return posing.stack_parameters([person.parameters or {} for person in people])


def _gender(person: BenchmarkPerson, protocol: Protocol) -> str:
    """Return the gender that poses a person; RecordError when the protocol wants the labelled one and there is none."""
    if protocol.body_model.gendering == "neutral":
        return "neutral"
    if person.gender is None:
        raise RecordError(person.person_key, "gender", f"given, as protocol {protocol.id} asks", "none")
    return person.gender
