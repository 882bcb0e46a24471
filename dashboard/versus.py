"""Two models on the same people: pairs of errors, who differs most, and a plane of counts where people are many.

Pairs are rows ``person_key``, ``sequence``, ``a``, ``b`` (the errors, in the measure's unit) of whom both answered.
"""

import numpy as np
import pandas as pd

MOST_POINTS = 1500  # more people are counted in squares
_SQUARES = 48


def pairs_of(first: pd.DataFrame, second: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the people whom both models answered; rows are those of ``benchmark.results.read_people``."""
    own = first.loc[:, ["person_key", "sequence", measure]].rename(columns={measure: "a"})
    theirs = second.loc[:, ["person_key", measure]].rename(columns={measure: "b"})
    return own.merge(theirs, on="person_key").dropna(subset=["a", "b"]).reset_index(drop=True)


def disagreements(pairs: pd.DataFrame, count: int, *, better: str, lower_is_better: bool) -> pd.DataFrame:
    """Return the people on whom one model (``a`` or ``b``) is ahead by the most, with the ``lead``, largest first."""
    lead = (pairs["b"] - pairs["a"]) * (1 if (better == "a") == lower_is_better else -1)
    ahead = pairs.assign(lead=lead)
    ahead = ahead.loc[ahead["lead"] > 0]
    return ahead.sort_values(["lead", "person_key"], ascending=[False, True]).head(count).reset_index(drop=True)


def squares(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return how many people lie in each square of the plane of both errors.

    Columns ``a0``, ``a1``, ``b0``, ``b1`` (edges) and ``people``. The plane ends at the 99.5th percentile of all
    errors; who lies beyond is counted in its last squares.
    """
    end = max(float(np.quantile(pairs[["a", "b"]].to_numpy(float), 0.995)), 1e-9)
    edges = np.linspace(0, end, _SQUARES + 1)
    places = [np.clip((pairs[name].to_numpy(float) / end * _SQUARES).astype(int), 0, _SQUARES - 1) for name in "ab"]
    counts = np.zeros((_SQUARES, _SQUARES), np.int64)
    np.add.at(counts, tuple(places), 1)
    column, row = np.nonzero(counts)
    return pd.DataFrame(
        {
            "a0": edges[column],
            "a1": edges[column + 1],
            "b0": edges[row],
            "b1": edges[row + 1],
            "people": counts[column, row],
        }
    )
