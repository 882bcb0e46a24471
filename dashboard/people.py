"""One cell of the matrix taken apart: from one row a person to curves, factors and the worst people.

Rows are those of ``benchmark.results.read_people``; a person without a value has NaN.
"""

import numpy as np
import pandas as pd

from ..benchmark.measures import lower_is_better


def error_curve(people: pd.DataFrame, measure: str, asked: int, points: int = 200) -> pd.DataFrame:
    """Return the cumulative distribution of errors over everyone asked, thinned to some points.

    Columns ``error`` and ``share``. People without an error never count as reached, so the curve of a model that missed
    somebody stays below one.
    """
    errors = people[measure].to_numpy(float)
    known = np.sort(errors[np.isfinite(errors)])
    rows = np.unique(np.linspace(0, len(known) - 1, points).round().astype(int)) if len(known) else np.zeros(0, int)
    return pd.DataFrame({"error": known[rows], "share": (rows + 1) / max(asked, 1)})


def error_by_factor(people: pd.DataFrame, measure: str, factor: str, bins: int = 10) -> pd.DataFrame:
    """Return quartiles of an error over equally filled bins of a factor; empty where the factor does not vary.

    Columns ``low``, ``high``, ``middle`` (of the factor), ``q25``, ``median``, ``q75`` (of the error), ``people``.
    """
    known = people.loc[:, [measure, factor]].dropna()
    if len(set(known[factor])) < 2:
        return pd.DataFrame(columns=["low", "high", "middle", "q25", "median", "q75", "people"], dtype=float)
    places = pd.qcut(known[factor], min(bins, len(known)), duplicates="drop")
    groups = known.groupby(places, observed=True)
    out = pd.DataFrame({"low": groups[factor].min(), "high": groups[factor].max(), "middle": groups[factor].median()})
    for name, share in (("q25", 0.25), ("median", 0.5), ("q75", 0.75)):
        out[name] = groups[measure].quantile(share)
    return out.assign(people=groups.size()).reset_index(drop=True)


def worst_people(people: pd.DataFrame, measure: str, limit: int) -> pd.DataFrame:
    """Return the people with the worst values of a measure, worst first."""
    known = people.dropna(subset=[measure])
    return known.sort_values(measure, ascending=not lower_is_better(measure), kind="stable").head(limit)
