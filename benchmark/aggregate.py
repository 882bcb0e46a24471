"""From one row a person to the numbers of a table: means, penalised means and bootstrap intervals.

Frames of one sequence are not independent, so the interval resamples whole sequences (percentile bootstrap, 95 %, fixed
seed): the same rows always give the same interval.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict

from .measures import Measure
from .protocol import Protocol

RESAMPLES = 2000
_BLOCK = 200


class Aggregate(BaseModel):
    """One measure over the people of a protocol (mm); None where nobody has a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: int  # with a value
    expected: int  # with the labels that the measure needs
    mean: float | None
    penalised_mean: float | None  # missing people count with the protocol's max_error
    median: float | None
    ci_low: float | None  # None with fewer than two sequences
    ci_high: float | None


def aggregate(people: pd.DataFrame, protocol: Protocol, *, seed: int = 0) -> dict[str, Aggregate]:
    """Return each measure's aggregate over the rows that ``scoring.score`` returns."""
    values = people[list(protocol.measures)].to_numpy(float)
    lows, highs = bootstrap_intervals(values, pd.factorize(people["sequence"])[0], seed=seed)
    return {
        measure.name: _aggregate(people, measure, protocol, float(low), float(high))
        for measure, low, high in zip(protocol.measure_objects, lows, highs, strict=True)
    }


def _aggregate(people: pd.DataFrame, measure: Measure, protocol: Protocol, low: float, high: float) -> Aggregate:
    values = people[measure.name].to_numpy(float)
    expected = is_expected(people, measure)
    known = np.isfinite(values)
    counted = penalties(people, measure, protocol)
    counted = counted[np.isfinite(counted)]
    return Aggregate(
        people=int(known.sum()),
        expected=int(expected.sum()),
        mean=_or_none(values[known].mean()) if known.any() else None,
        penalised_mean=_or_none(counted.mean()) if len(counted) else None,
        median=_or_none(np.median(values[known])) if known.any() else None,
        ci_low=_or_none(low),
        ci_high=_or_none(high),
    )


def is_expected(people: pd.DataFrame, measure: Measure) -> np.ndarray:
    """Return who has the labels that a measure needs; one hand is enough for a measure of both, but not for MRRPE."""
    if measure.part == "hands":
        hands = [people[f"has_{side}_hand"].to_numpy(bool) for side in ("left", "right")]
        return hands[0] & hands[1] if measure.family == "mrrpe" else hands[0] | hands[1]
    return people["has_body" if measure.part == "all" else f"has_{measure.part}"].to_numpy(bool)


def penalties(people: pd.DataFrame, measure: Measure, protocol: Protocol) -> Float[np.ndarray, " people"]:
    """Return a measure's values with the protocol's cost for everyone who was expected and not answered.

    NaN where nothing was expected.
    """
    values, answered = people[measure.name].to_numpy(float), people["answered"].to_numpy(bool)
    filled = np.where(answered, values, protocol.missing.max_error.of(measure))
    return np.where(is_expected(people, measure), filled, np.nan)


def bootstrap_intervals(
    values: Float[np.ndarray, "people measures"],
    sequences: Int[np.ndarray, " people"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "2 measures"]:
    """Return the bounds of the 95 % interval of each column's mean under resampling of whole sequences.

    NaN values do not take part; a column with values in fewer than two sequences gets NaN.
    """
    num_sequences = int(sequences.max(initial=-1)) + 1
    known = np.isfinite(values)
    sums = group_sums(sequences, np.where(known, values, 0.0), num_sequences)
    counts = group_sums(sequences, known.astype(float), num_sequences)
    enough = (counts > 0).sum(axis=0) >= 2
    bounds = np.full((2, values.shape[1]), np.nan)
    if enough.any():
        means = _resampled_means(sums[:, enough], counts[:, enough], resamples, np.random.default_rng(seed))
        bounds[:, enough] = np.nanpercentile(means, [2.5, 97.5], axis=0)
    return bounds


def group_sums(groups: np.ndarray, values: np.ndarray, num_groups: int) -> np.ndarray:
    """Return the column sums of each group of rows (0 to ``num_groups`` - 1)."""
    out = np.zeros((num_groups, values.shape[1]))
    np.add.at(out, groups, values)
    return out


def _resampled_means(
    sums: np.ndarray, counts: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Return (resamples, measures) means over sequences drawn with replacement; NaN where no value was drawn."""
    num_sequences = len(sums)
    shares = np.full(num_sequences, 1 / num_sequences)
    means = np.empty((resamples, sums.shape[1]))
    # Blocks keep the table of draws small: ten thousand sequences would otherwise need 160 MB.
    for start in range(0, resamples, _BLOCK):
        block = means[start : start + _BLOCK]
        drawn = generator.multinomial(num_sequences, shares, size=len(block))
        total = drawn @ counts
        block[:] = np.where(total > 0, (drawn @ sums) / np.maximum(total, 1), np.nan)
    return means


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
