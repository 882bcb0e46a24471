"""What a study found out: its matrix of runs by protocols in order of rank, errors by size, gains of finetuning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..benchmark.measures import get_measure, lower_is_better, means
from ..benchmark.protocol import load_protocol
from ..benchmark.results import load_results
from ..benchmark.scaling import scaling_table
from ..benchmark.tables import Column, Matrix, add_mean, build_matrix
from .declaration import MPE, Study
from .runs import GENERALIST
from .standing import Standing


def study_results(study: Study, standings: Sequence[Standing]) -> pd.DataFrame:
    """Return the rows of ``benchmark.results.load_results`` that are a study's and stand, named by their runs."""
    rows = load_results(study.results)
    runs = {(one.run.model, one.run.revision, protocol): one.run.name for one in standings for protocol in one.scored}
    keys = zip(rows["model"], rows["revision"], rows["protocol"], strict=True)
    names = [runs.get(key, "") for key in keys]
    return rows.assign(model=names, revision="").loc[[bool(name) for name in names]]


def study_matrix(study: Study, standings: Sequence[Standing]) -> Matrix:
    """Return the runs that have a number by the study's protocols, the best first; MPE where it is complete.

    The rank is that of MPE or, as long as nobody has it, of the mean over the study's protocols (``ranked_by``).
    """
    matrix = build_matrix(study_results(study, standings), columns_of(study))
    if set(study.protocols) & set(means()[MPE].protocols):
        matrix = add_mean(matrix, means()[MPE], dict(columns_of(study)))
    order = np.argsort(_rank_keys(matrix, columns_of(study)), kind="stable")
    return Matrix(matrix.values.iloc[order], matrix.marks.iloc[order], matrix.holes.iloc[order])


def columns_of(study: Study) -> list[Column]:
    """Return the protocols of a study with their primary measures."""
    return [(name, load_protocol(name).primary) for name in study.protocols]


def ranked_by(matrix: Matrix) -> str:
    """Return what the rows are ordered by, in words."""
    if has_mpe(matrix):
        return "ranked by MPE"
    columns = [protocol for protocol, _ in matrix.values.columns if protocol != MPE]
    return f"ranked by the mean over {', '.join(columns)}; nobody is scored under all protocols of MPE"


def has_mpe(matrix: Matrix) -> bool:
    """Return whether any row has an MPE."""
    return (MPE, MPE) in matrix.values.columns and bool(matrix.values[MPE, MPE].notna().any())


def _rank_keys(matrix: Matrix, columns: Sequence[Column]) -> np.ndarray:
    """Return numbers that rise from the best row to the worst; NaN where a row is not complete."""
    if has_mpe(matrix):
        return matrix.values[MPE, MPE].to_numpy(float)
    signs = [1.0 if lower_is_better(measure) else -1.0 for _, measure in columns]
    return (matrix.values[list(columns)].to_numpy(float) * signs).mean(axis=1)


def size_tables(study: Study, standings: Sequence[Standing]) -> dict[str, pd.DataFrame]:
    """Return tables of parameters by people (``scaling.scaling_table``), by what they show: a protocol each, and MPE.

    Tables without a number are left out.
    """
    rows, matrix = study_results(study, standings), study_matrix(study, standings)
    runs = rows.drop_duplicates("model").set_index("model")
    points = [
        {
            "curve": MPE if protocol == MPE else f"{protocol} {get_measure(measure).display_name}",
            "parameters": runs.loc[run, "network_parameters"],
            "people": runs.loc[run, "training_people"],
            "value": matrix.values.loc[run, (protocol, measure)],
        }
        for protocol, measure in matrix.values.columns
        for run in matrix.values.index
    ]
    table = pd.DataFrame(points, columns=["curve", "parameters", "people", "value"]).dropna()
    return {curve: scaling_table(table, curve) for curve in dict.fromkeys(table["curve"])}


def gains(matrix: Matrix) -> pd.DataFrame:
    """Return what finetuning changed: ``target``, ``protocol``, ``measure``, ``before``, ``after`` and ``change``.

    Before is the generalist, after the specialist; the change is after minus before, in the measure's unit. Columns
    that one of the two lacks are left out.
    """
    columns = ["target", "protocol", "measure", "before", "after", "change"]
    if GENERALIST not in matrix.values.index:
        return pd.DataFrame(columns=columns)
    targets = [row for row in matrix.values.index if row != GENERALIST]
    rows = [
        (target, protocol, measure, before, after, after - before)
        for target in targets
        for protocol, measure in matrix.values.columns
        for before, after in [matrix.values.loc[[GENERALIST, target], (protocol, measure)]]
    ]
    return pd.DataFrame(rows, columns=columns).dropna(ignore_index=True)
