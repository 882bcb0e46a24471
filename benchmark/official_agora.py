"""AGORA's own evaluation of files a person, on a split whose truth is at hand: matching, errors, F1 and NMVE.

People without a prediction are missed, predictions without a person are false positives, and both enter the normalised
numbers. Whom the owner marks invalid is not converted, so a prediction on one of them is a false positive, which is
what the owner's matching makes of it, too. Children have numbers of their own beside those of everyone; a protocol that
leaves them out ignores them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..body.assets import load_evaluation_assets
from ..errors import BodyModelError, ProtocolError, RecordError
from ..shards.reader import StoredPerson
from .agora import AgoraSide, SummaryQuirks, agora_summary
from .detection import MatchingQuirks, match_people
from .foreign import refuse_other_units
from .interface import BenchmarkPerson
from .matching import picture_key
from .metrics import LABELLED_PARTS, measure_points
from .people import is_selected, stored_people, to_benchmark
from .prediction_files import read_per_person
from .prediction_points import PosedRows
from .predictions import AGORA_WIDTH, Predictions, posed_people
from .protocol import PROTOCOL_DIR, Matching, Protocol
from .submission_checks import scale_problems
from .truth import posed_meshes

_CHUNK = 32  # people measured at once
_NUM_JOINTS = 127


@dataclass(frozen=True, eq=False)
class AgoraScore:
    """The rows of the people who count, the numbers of all together, and what a reader should know."""

    people: pd.DataFrame
    summary: dict[str, float | None]
    notes: tuple[str, ...]


class _Pair(NamedTuple):
    row: int  # of the predictions
    person: StoredPerson


def score_agora(
    path: Path, protocol: Protocol, catalog_dir: Path, model_dir: Path, *, as_is: bool = False
) -> AgoraScore:
    """Return AGORA's numbers of a folder or zip of ``<image>_personId_<k>.pkl``.

    ``as_is`` scores files whose pixels look like those of the small pictures, and bodies that look like millimetres.
    """
    if protocol.matching is None or protocol.ground_truth != "parameters":
        raise ProtocolError(PROTOCOL_DIR / f"{protocol.id}.yaml", "matches nobody, or its truth is not at hand")
    pictures, contents = read_per_person(path)
    joints = [np.asarray(content.get("joints", ()), np.float64).reshape(-1, 2) for content in contents]
    if not as_is and (problems := list(scale_problems(joints))):
        raise ProtocolError(path, problems[0], "or score it as it is with --as-is")
    predictions = posed_people(path, pictures, contents, protocol, model_dir)
    if not as_is:
        refuse_other_units(predictions)
    bodies = _bodies(predictions, contents)
    names, frames = protocol.matching.pictures, defaultdict(list)
    for person in stored_people(catalog_dir, protocol):
        if not names or any(name in person.key for name in names):
            frames[person.key].append(person)
    rows_of = defaultdict(list)
    for row, name in enumerate(pictures):
        rows_of[picture_key(name, set(frames), protocol)].append(row)
    pairs, missed, false_positives = [], [], 0
    for key, people in frames.items():
        own = [joints[row] for row in rows_of[key]]
        valid = np.array([is_selected(person, protocol.selection) for person in people])
        found = match_people(
            own,
            [_pixels(p) for p in people],
            valid,
            quirks=_matching(protocol.matching),
            min_iou=protocol.matching.min_iou,
        )
        pairs += [_Pair(rows_of[key][r], people[p]) for r, p in found.pairs]
        missed += [(people[p], bool(own)) for p in found.misses]
        false_positives += len(found.false_positives)
    strangers = sum(len(rows) for key, rows in rows_of.items() if key not in frames)
    table = _table(pairs, missed, bodies, protocol, model_dir)
    renamed = table.rename(columns={"answered": "found"})
    summary = agora_summary(renamed, false_positives, quirks=_summary(protocol.matching))
    notes = [f"{false_positives} false positives"]
    if strangers:
        notes.append(f"{strangers} predictions are in pictures that are not asked about, and count for nothing")
    return AgoraScore(table.drop(columns=["has_predictions", "is_kid"]), summary, tuple(notes))


def _matching(matching: Matching) -> MatchingQuirks:
    return MatchingQuirks(
        spectral_norm=matching.cost == "spectral",
        early_stop=matching.early_stop,
        invalid_frees_prediction=matching.invalid_frees_prediction,
    )


def _summary(matching: Matching) -> SummaryQuirks:
    return SummaryQuirks(
        zeros_for_missed=matching.missed_hands_and_face == "zero",
        rounded=matching.rounding == "owner",
        kids_share_false_positives=matching.kids_share_false_positives,
    )


def _pixels(person: StoredPerson) -> np.ndarray:
    """Return the true joints in pixels of the large pictures."""
    if person.keypoints_2d is None or person.keypoints_2d_convention != "smplx_127":
        raise RecordError(
            person.person_key, "keypoints_2d", "the 127 joints of SMPL-X", str(person.keypoints_2d_convention)
        )
    return np.asarray(person.keypoints_2d, np.float64)[:, :2] * (AGORA_WIDTH / person.width)


class _Bodies(NamedTuple):
    """Meshes and joints of some rows of the predictions."""

    vertices: Any  # rows -> (rows, 10475, 3)
    joints: Any  # rows -> (rows, 127, 3)


def _bodies(predictions: Predictions, contents: Sequence[Mapping[str, Any]]) -> _Bodies:
    """Return how the predicted bodies come about: as given, or posed from parameters."""
    if predictions.kind != "smplx":
        raise ProtocolError(
            predictions.path, "holds other bodies than SMPL-X", "AGORA's SMPL numbers are another protocol"
        )
    if isinstance(predictions.points, PosedRows):
        posed = predictions.points
        return _Bodies(posed, lambda rows: posed.joints(rows)[:, :_NUM_JOINTS])
    given = [np.squeeze(np.asarray(content.get("allSmplJoints3d", ()), np.float64)) for content in contents]
    wrong = [row for row, own in enumerate(given) if own.ndim != 2 or len(own) < _NUM_JOINTS]
    if wrong:
        problem = f"allSmplJoints3d of file {wrong[0]} should be {_NUM_JOINTS} points or more, beside verts"
        raise ProtocolError(predictions.path, problem)
    joints = np.stack([own[:_NUM_JOINTS] for own in given])
    return _Bodies(predictions.points, joints.__getitem__)


def _table(
    pairs: Sequence[_Pair],
    missed: Sequence[tuple[StoredPerson, bool]],
    bodies: _Bodies,
    protocol: Protocol,
    model_dir: Path,
) -> pd.DataFrame:
    """Return one row a valid person: who was found, and by how much the found are off."""
    rows = []
    pose, ids = posed_meshes(model_dir, protocol), _vertex_ids(model_dir)
    for start in range(0, len(pairs), _CHUNK):
        some = pairs[start : start + _CHUNK]
        people = [to_benchmark(pair.person, protocol) for pair in some]
        own = np.array([pair.row for pair in some])
        found = measure_points(
            AgoraSide(bodies.vertices(own), bodies.joints(own), ids),
            AgoraSide(pose(people), _true_joints(people), ids),
            protocol.measure_objects,
            labelled={part: np.array([getattr(p, f"has_{part}") for p in people]) for part in LABELLED_PARTS},
            names=[person.person_key for person in people],
        )
        for i, person in enumerate(people):
            rows.append(_row(person, answered=True, has_predictions=True) | {n: v[i] for n, v in found.items()})
    for person, has_predictions in missed:
        blank = dict.fromkeys(protocol.measures, np.nan)
        rows.append(_row(to_benchmark(person, protocol), answered=False, has_predictions=has_predictions) | blank)
    rows.sort(key=lambda row: row["person_key"])
    return pd.DataFrame(rows)


def _row(person: BenchmarkPerson, *, answered: bool, has_predictions: bool) -> dict[str, Any]:
    return {
        "person_key": person.person_key,
        "sequence": person.sequence,
        "answered": answered,
        "has_predictions": has_predictions,
        "is_kid": person.kid_weight is not None,
        **{f"has_{part}": getattr(person, f"has_{part}") for part in LABELLED_PARTS},
        "box_height": person.box_height,
    }


def _true_joints(people: Sequence[BenchmarkPerson]) -> np.ndarray:
    """Return the recorded 127 joints (m, camera space), which the owner computed with the gendered body."""
    for person in people:
        if person.keypoints_3d is None or person.keypoints_3d_convention != "smplx_127":
            raise RecordError(
                person.person_key, "keypoints_3d", "the 127 joints of SMPL-X", "another convention or none"
            )
    return np.stack([np.asarray(p.keypoints_3d, np.float64)[:, :3] for p in people if p.keypoints_3d is not None])


def _vertex_ids(model_dir: Path) -> Mapping[str, np.ndarray]:
    """Return the vertices of each part; BodyModelError when AGORA's list of body vertices is missing."""
    path, assets = model_dir / "agora" / "body_verts_smplx.npy", load_evaluation_assets(model_dir)
    if not path.is_file():
        raise BodyModelError(f"{path} is missing: it comes with agora_evaluation (utils/body_verts_smplx.npy)")
    body = np.load(path, allow_pickle=False).astype(np.int64)
    hands = {"left_hand": assets.left_hand_ids, "right_hand": assets.right_hand_ids}
    return {"body": body, **hands, "face": assets.face_ids}
