"""Protocols in plain words: what a reader must know before comparing a number with another."""

from .protocol import BodyModel, Boxes, Matching, Protocol, Selection

_TRUTH = {
    "vertices": "The truth is the mesh of the record.",
    "parameters": "The truth is posed from the recorded parameters: {kind}, {gendering}, {num_betas} betas.",
    "joints": "The truth is the joints of the record; a joint that is not labelled does not count.",
    "hand": "The truth is the joints of the record, and the hand's mesh posed from its parameters: {kind}.",
    "keypoints_2d": "The truth is points in the picture; no body model takes part.",
    "template": "The truth is the shape in the template's pose; pose and place take no part.",
    "hidden": "The truth lies on the owner's server, which alone can score.",
}
_GENDERING = {"none": "no gender", "neutral": "neutral", "labelled": "the labelled gender"}
_RULE = {
    "report": "People without a prediction are counted; means are over the answered, a cell with missing is marked.",
    "penalise": "People without a prediction count with an error of {costs}.",
}
_BODY = {
    "SMPLX_to_J14": "SMPLX_to_J14",
    "J_regressor_lsp14": "rows 1, 2, 4, 5, 7, 8, 12, 15 and 16 to 21 of each body's own J_regressor",
    "J_regressor_h36m": "J_regressor_h36m on SMPL meshes, 14 of its 17 joints",
    "J_regressor_24": "all 24 rows of SMPL's J_regressor (the neutral model's)",
    "kinematic_24": "SMPL's kinematic tree, all 24, those of a mesh alone from the neutral model's J_regressor",
    "given": "the joints beside the mesh, not the mesh itself",
}
_HANDS = {"J_regressor_and_fingertips": "J_regressor and fingertip vertices", "given": "there, too"}
_ROOTS = {"pelvis": "pelvis", "hips": "midpoint of the hips"}


def describe(protocol: Protocol) -> str:
    """Return the protocol in plain words, a sentence a line."""
    costs = ", ".join(f"{cost:g} mm ({part})" for part, cost in protocol.missing.max_error.model_dump().items())
    lines = [
        f"{protocol.display_name} ({protocol.id}, version {protocol.version}).",
        _who(protocol),
        _truth(protocol.ground_truth, protocol.body_model),
        f"Measures: {', '.join(protocol.measures)}; the headline is {protocol.primary}.",
        *_points(protocol),
        *_motion(protocol),
        _boxes(protocol.boxes),
        *([_matching(protocol.matching)] if protocol.matching else []),
        _RULE[protocol.missing.rule].format(costs=costs),
        *([f"ehps submit writes what its owner scores: {protocol.submission}."] if protocol.submission else []),
        *protocol.notes,
        f"Cite: {protocol.citation}",
    ]
    return "\n".join(lines)


def _who(protocol: Protocol) -> str:
    if protocol.ground_truth == "hidden":
        whose = f"{protocol.dataset} {protocol.split}"
        return f"Who: everyone in the owner's pictures of {whose}, whose labels nobody else has."
    which = "every person" if protocol.stride == 1 else f"one person in {protocol.stride}"
    return f"Who: {which} of {protocol.dataset} {protocol.split}{_selected(protocol.selection)}."


def _selected(selection: Selection) -> str:
    """Return what a selection leaves of a split, as the end of a sentence."""
    parts = []
    if selection.units:
        parts.append(f"in units {', '.join(selection.units)}")
    if selection.kids == "leave_out":
        parts.append("without children")
    if selection.labelled:
        parts.append(f"with labels of {', '.join(selection.labelled)}")
    return "".join(f", {part}" for part in parts)


def _truth(ground_truth: str, body: BodyModel) -> str:
    return _TRUTH[ground_truth].format(kind=body.kind, gendering=_GENDERING[body.gendering], num_betas=body.num_betas)


def _points(protocol: Protocol) -> list[str]:
    """Return how the points come about that are compared, and how they are brought together."""
    if protocol.ground_truth in ("keypoints_2d", "template"):
        return []
    roots, regressors, lines = protocol.alignment, protocol.regressors, []
    if protocol.conversion == "smplx_to_smpl":
        lines.append("Predicted SMPL-X meshes become SMPL meshes by the matrix of smplx2smpl.pkl before all else.")
    if regressors.converted_root == "smplx":
        lines.append("The pelvis of a converted mesh is that of the SMPL-X mesh, by row 0 of SMPL-X's J_regressor.")
    lines += [
        f"Without PA- meshes meet at the {_ROOTS[roots.all]}, hands at the {roots.hands}, faces at the {roots.face}.",
        f"Body joints come from {_BODY[regressors.body]}, hand joints from {_HANDS[regressors.hands]}.",
    ]
    if protocol.counted_points == "inside_picture":
        lines.append("All points are aligned, but only those whose truth lies inside the picture are averaged.")
    return lines


def _motion(protocol: Protocol) -> list[str]:
    """Return what measures of angles and of motion need beside the points."""
    families = {measure.family for measure in protocol.measure_objects}
    lines = []
    if "angle" in families:
        lines.append("Angles need a predicted pose or orientations; a mesh or joints alone have none.")
    if "motion" in families:
        lines.append("Motion is measured over neighbouring pictures of a track; gaps and missing people have none.")
    return lines


def _boxes(boxes: Boxes) -> str:
    if boxes.source == "none":
        return "No boxes are given: models find people in the whole picture."
    source = "the ground truth" if boxes.source == "ground_truth" else f"the detector {boxes.detector}"
    return f"Boxes come from {source} and are enlarged {boxes.padding:g} times."


def _matching(matching: Matching) -> str:
    """Return how predictions find their people."""
    cost = {"spectral": "spectral norm of the joints' differences", "mean_distance": "mean distance of the joints"}
    missed = {"zero": "with an error of zero (the owner's habit)", "left_out": "not at all"}
    habits = {
        "an early pair without overlap uses up a prediction": matching.early_stop,
        "a prediction on somebody who is ignored is a false positive": matching.invalid_frees_prediction,
        "numbers of children count everyone's false positives": matching.kids_share_false_positives,
        "F1 is rounded to two decimals and errors to one before dividing": matching.rounding == "owner",
    }
    told = [habit for habit, is_there in habits.items() if is_there]
    return (
        f"Predictions are matched as {matching.method} does: greedily by the {cost[matching.cost]}, with an overlap of "
        f"{matching.min_iou:g} or more; who is more than {matching.max_occlusion:g} % hidden is ignored; hands and "
        f"faces of the missed count {missed[matching.missed_hands_and_face]}.{_pictures(matching)}"
        + (f" The owner's habits: {'; '.join(told)}." if told else "")
    )


def _pictures(matching: Matching) -> str:
    return f" Only pictures whose names hold {' or '.join(matching.pictures)} count." if matching.pictures else ""
