"""AGORA's own numbers: which points it compares, and how it turns people into MVE, NMVE, MPJPE and NMJE.

Facts: agora_evaluation (calculate_v2v_error.py, compute_average_error.py). Vertices of the body and its 22 joints meet
at the middle of the hips; each hand at the wrist and the face at the neck, joints of the kinematic tree, which take
part in the mean of their part with a distance of zero. BEDLAM's evaluation has the same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from array_api_compat import array_namespace
from jaxtyping import Float, Int

from ..body.joints import SMPLX_INDEX
from .align import centroid
from .detection import detection_scores
from .sides import pick

_LEFT_HIP, _RIGHT_HIP = SMPLX_INDEX["left_hip"], SMPLX_INDEX["right_hip"]
_FACE = slice(76, 127)  # the 51 inner landmarks
JOINTS: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("body", "joints22"): tuple(range(22)),
    ("body", "joints24"): tuple(range(24)),  # of SMPL
    ("left_hand", "joints16"): (SMPLX_INDEX["left_wrist"], *range(25, 40)),
    ("right_hand", "joints16"): (SMPLX_INDEX["right_wrist"], *range(40, 55)),
    ("face", "joints52"): (SMPLX_INDEX["neck"], *range(_FACE.start, _FACE.stop)),
}
_ROOTS = {
    "body": (_LEFT_HIP, _RIGHT_HIP),
    "left_hand": (SMPLX_INDEX["left_wrist"],),
    "right_hand": (SMPLX_INDEX["right_wrist"],),
    "face": (SMPLX_INDEX["neck"],),
}

JOINT_MEASURES = ("MPJPE@body22", "MPJPE@left_hand16", "MPJPE@right_hand16", "MPJPE@face52")
VERTEX_MEASURES = ("PVE@body", "PVE@left_hand", "PVE@right_hand", "PVE@face")


@dataclass(frozen=True, eq=False)
class AgoraSide:
    """People with vertices and joints in ``smplx`` order, compared as AGORA does (a ``Side``).

    SMPL-X has 127 joints or more and all parts; of SMPL there is the body alone, with ``joints24``.
    """

    vertices: Float[Any, "people vertices 3"]
    joints: Float[Any, "people joints 3"]
    vertex_ids: Mapping[str, Int[np.ndarray, " points"]]  # body (AGORA's 4010); of SMPL-X also both hands and face

    def points(self, part: str, kind: str) -> Float[Any, "people points 3"]:
        """Return the points of a part: vertices (for the body, ``body_vertices``) or joints."""
        of_mesh = kind in ("vertices", "body_vertices")
        found = pick(self.vertices, self.vertex_ids[part]) if of_mesh else pick(self.joints, JOINTS[part, kind])
        return _doubles(found)

    def root(self, part: str, kind: str) -> Float[Any, "people 3"]:  # noqa: ARG002 -- all kinds of a part share it
        """Return the middle of the hips, a wrist or the neck."""
        return centroid(_doubles(pick(self.joints, _ROOTS[part])))


def _doubles(points: Any) -> Any:
    xp = array_namespace(points)
    return xp.astype(points, xp.float64)


@dataclass(frozen=True)
class SummaryQuirks:
    """What the official averages do beyond the obvious."""

    zeros_for_missed: bool
    """A missed person counts with an error of zero in hands and face, if the picture has any prediction."""

    rounded: bool
    """F1 has two decimals and errors one before they are divided or added."""

    kids_share_false_positives: bool
    """The numbers of kids count the false positives of everyone, and their full body is divided by everyone's F1."""


OFFICIAL_SUMMARY = SummaryQuirks(zeros_for_missed=True, rounded=True, kids_share_false_positives=True)
PLAIN_SUMMARY = SummaryQuirks(zeros_for_missed=False, rounded=False, kids_share_false_positives=False)


def agora_summary(
    people: pd.DataFrame, false_positives: int, *, quirks: SummaryQuirks = OFFICIAL_SUMMARY
) -> dict[str, float | None]:
    """Return F1, Precision, Recall, the mean of each part (mm), MVE, MPJPE and all of those divided by F1.

    ``people`` has one row a valid true person: ``found``, ``has_predictions`` (the picture has at least one) and the
    measures of ``JOINT_MEASURES`` and ``VERTEX_MEASURES`` (NaN where nobody was found). With a column ``is_kid`` the
    same numbers of kids are there as ``kid-...``; without the quirk of shared false positives kids have no F1, since
    nobody knows whether a false positive is one. None where there is nothing to average.
    """
    everyone = _scores(people, false_positives, quirks)
    out = everyone | _errors(people, everyone["F1"], everyone["F1"], quirks)
    if "is_kid" in people and people["is_kid"].to_numpy(bool).any():
        kids = people.loc[people["is_kid"].to_numpy(bool), :]
        shared = quirks.kids_share_false_positives
        scores = _scores(kids, false_positives, quirks) if shared else {"Recall": _scores(kids, 0, quirks)["Recall"]}
        whole = everyone["F1"] if shared else None
        errors = _errors(kids, scores.get("F1"), whole, quirks)
        out |= {f"kid-{name}": value for name, value in (scores | errors).items()}
    return out


def _scores(people: pd.DataFrame, false_positives: int, quirks: SummaryQuirks) -> dict[str, float | None]:
    found = int(people["found"].to_numpy(bool).sum())
    decimals = 2 if quirks.rounded else None
    # The official code returns zeros before it looks at false positives when nobody is asked: so does the quotient.
    scores = detection_scores(found, false_positives, len(people) - found, decimals=decimals)
    return {"Precision": scores.precision, "Recall": scores.recall, "F1": scores.f1}


def _errors(
    people: pd.DataFrame, part_f1: float | None, whole_f1: float | None, quirks: SummaryQuirks
) -> dict[str, float | None]:
    """Return the mean of each part, of the full body, and the normalised ones."""
    out: dict[str, float | None] = {}
    for whole, names in (("MPJPE", JOINT_MEASURES), ("MVE", VERTEX_MEASURES)):
        means = [_mean(people, name, quirks) for name in names]
        out |= dict(zip(names, means, strict=True))
        normalised = whole.replace("MPJPE", "NMJE").replace("MVE", "NMVE")
        if any(mean is None for mean in means):
            full = None
        else:
            body, left, right, face = (float(mean) for mean in means if mean is not None)
            full = _rounded(body + left / 3 + right / 3 + face / 3, quirks)
        out |= {whole: full, normalised: _quotient(full, whole_f1, quirks)}
        out[f"{normalised}@body"] = _quotient(means[0], part_f1, quirks)
    return out


def _mean(people: pd.DataFrame, name: str, quirks: SummaryQuirks) -> float | None:
    """Return the mean (mm) over the people who were found, or who officially count as such."""
    counts = people["found"].to_numpy(bool)
    values = np.where(counts, people[name].to_numpy(float), 0.0)
    is_body = name in (JOINT_MEASURES[0], VERTEX_MEASURES[0])
    if quirks.zeros_for_missed and not is_body:
        counts = counts | people["has_predictions"].to_numpy(bool)
    return _rounded(values[counts].mean(), quirks) if counts.any() else None


def _quotient(error: float | None, f1: float | None, quirks: SummaryQuirks) -> float | None:
    return None if error is None or not f1 else _rounded(error / f1, quirks)


def _rounded(value: float, quirks: SummaryQuirks) -> float:
    return float(np.round(value, 1)) if quirks.rounded else float(value)
