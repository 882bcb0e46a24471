"""What models said of a person: from the parameters that are kept with results to bodies that can be drawn.

Nothing here needs a network: kept parameters are posed with numpy, like labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..benchmark.kept import KeptBody, read_kept
from ..benchmark.results import Result, read_result
from ..body.posing import PosingModel, stack_parameters
from ..shards.stored import StoredPerson
from .posed import Body, body_folder


@dataclass(frozen=True, eq=False)
class Predicted:
    """The body that a model saw in a person's box, in the space of the model's own camera."""

    body: Body
    joints: Float[np.ndarray, "144 3"]  # m


def results_of(results: pd.DataFrame, dataset: str, split: str) -> dict[str, str]:
    """Return the results of a source and split, newest versions or not: what to call each, and its path."""
    rows = results.loc[(results["dataset"] == dataset) & (results["split"] == split)].drop_duplicates("path")
    return {result_name(row): row["path"] for row in rows.to_dict("records")}


def result_name(row: Mapping) -> str:
    """Return what to call the result of a row of the table of results."""
    return f"{row['model']} {row['revision']} on {row['protocol']}"


def predictions(path: str, person_keys: Sequence[str]) -> dict[str, Predicted]:
    """Return what a model predicted for some people by their keys, given the path of the result's JSON.

    Empty where the result kept nothing; whom the model did not answer is left out.
    """
    result = read_result(Path(path))
    if result.predictions is None:
        return {}
    return posed(read_kept(Path(path), result.predictions, person_keys))


def posed(kept: Mapping[str, KeptBody]) -> dict[str, Predicted]:
    """Return the bodies of kept parameters."""
    found: dict[str, Predicted] = {}
    for gender in sorted({one.gender for one in kept.values()}):
        own = {key: one for key, one in kept.items() if one.gender == gender}
        parameters = stack_parameters([one.parameters for one in own.values()])
        model = PosingModel.load(body_folder(), "smplx", gender, max(parameters["betas"].shape[1], 10))
        surfaces, joints = model.vertices(parameters), model.joints(parameters)
        for row, (key, one) in enumerate(own.items()):
            found[key] = Predicted(
                Body("smplx", surfaces[row], model.triangles, is_recorded=False, K=one.K), joints[row]
            )
    return found


def on_picture(predicted: Predicted, person: StoredPerson) -> Body:
    """Return a body that lies on the person in the picture: under its own camera, else with its pelvis on the label's.

    Without a camera of its own a body keeps its size, and stands where the label stands.
    """
    body = predicted.body
    if body.K is not None or person.joints_3d is None:
        return body
    return replace(body, vertices=body.vertices + (person.joints_3d[0] - predicted.joints[0]))


def says_why_not(result: Result) -> str:
    """Return why the predictions of a result cannot be shown."""
    name = f"{result.model} {result.revision} on {result.protocol}"
    return (
        f"Predictions of {name} were not kept: run ehps bench without --no-predictions, or score a file that holds "
        "SMPL-X parameters."
    )
