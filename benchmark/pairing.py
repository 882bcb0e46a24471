"""Is one model better than another? Both are compared on the same people, and sequences are the unit of chance.

Frames of one sequence are not independent, so the interval of the difference resamples whole sequences, and the test
flips the sign of whole sequences: under the hypothesis that the models are equally good each sequence's difference
might as well have the other sign. With up to 14 sequences all flips are counted, with more 20,000 drawn ones (the seed
is fixed). The sign test counts in how many sequences each model is ahead (Dixon and Mood, JASA 1946). Where several
measures are compared at once, Holm's correction (Scandinavian Journal of Statistics 1979) keeps the chance of any false
alarm.
"""

from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from ..errors import ProtocolError
from .aggregate import bootstrap_intervals, group_sums, penalties
from .measures import get_measure
from .protocol import Protocol
from .results import Result

FLIPS = 20_000
_EXACT = 14  # sequences up to which all flips are counted
_BLOCK = 500


class PairedDifference(BaseModel):
    """One measure of two models over the people whom both answered, in the measure's unit; differences are B - A."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    people: int
    sequences: int
    mean_a: float
    mean_b: float
    difference: float
    ci_low: float | None  # 95 %; None with fewer than two sequences
    ci_high: float | None
    p_flip: float  # of the sign-flip test over sequences
    p_holm: float  # the same, corrected for the number of measures
    sequences_better_a: int
    sequences_better_b: int
    p_sign: float
    share_better_b: float  # of the people

    @property
    def verdict(self) -> str:
        """Return which model is better at 5 %, or that the people do not tell."""
        if self.p_holm >= 0.05 or self.difference == 0:
            return "no difference shown"
        is_less = self.difference < 0
        return "B is better" if is_less == get_measure(self.measure).lower_is_better else "A is better"


def require_comparable(path_a: Path, path_b: Path, a: Result, b: Result) -> None:
    """Raise ProtocolError unless two results are of one version of one protocol on the same shards."""
    for what in ("protocol", "protocol_version", "shard_fingerprint"):
        found = getattr(a, what), getattr(b, what)
        if found[0] != found[1]:
            problem = f"{what} should be {found[0]} as in {path_a}, found {found[1]}"
            raise ProtocolError(path_b, problem, "compare results of one protocol on one conversion of the data")


def compare_people(
    a: pd.DataFrame, b: pd.DataFrame, measures: Sequence[str], *, protocol: Protocol | None = None, seed: int = 0
) -> list[PairedDifference]:
    """Return one difference a measure of two models' rows (as ``scoring.score`` returns them).

    People whom one of them did not answer take part only with a ``protocol``, by the cost that it sets for a missing
    person. Measures that nobody has on both sides are left out.
    """
    pairs = {name: _paired(a, b, name, protocol) for name in measures}
    found = [_compare(name, table, seed) for name, table in pairs.items() if len(table)]
    corrected = holm([one.p_flip for one in found])
    return [one.model_copy(update={"p_holm": p}) for one, p in zip(found, corrected, strict=True)]


def _paired(a: pd.DataFrame, b: pd.DataFrame, measure: str, protocol: Protocol | None) -> pd.DataFrame:
    """Return sequence and both values of everyone who has both."""
    sides = []
    for rows in (a, b):
        values = rows[measure].to_numpy(float)
        if protocol is not None:
            values = penalties(rows, get_measure(measure), protocol)
        sides.append(pd.DataFrame({"person_key": rows["person_key"], "sequence": rows["sequence"], "value": values}))
    both = sides[0].merge(sides[1].drop(columns="sequence"), on="person_key", suffixes=("_a", "_b"))
    return both.dropna(subset=["value_a", "value_b"])


def _compare(measure: str, pairs: pd.DataFrame, seed: int) -> PairedDifference:
    lower_is_better = get_measure(measure).lower_is_better
    first, second = (pairs[name].to_numpy(float) for name in ("value_a", "value_b"))
    steps, sequences = second - first, pd.factorize(pairs["sequence"])[0]
    sums = group_sums(sequences, steps[:, None], int(sequences.max()) + 1)[:, 0]
    gains = -sums if lower_is_better else sums
    better_a, better_b = int((gains < 0).sum()), int((gains > 0).sum())
    low, high = bootstrap_intervals(steps[:, None], sequences, seed=seed)[:, 0]
    p_flip = flip_test(sums, seed=seed)
    return PairedDifference(
        measure=measure,
        people=len(pairs),
        sequences=len(sums),
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=float(steps.mean()),
        ci_low=None if np.isnan(low) else float(low),
        ci_high=None if np.isnan(high) else float(high),
        p_flip=p_flip,
        p_holm=p_flip,
        sequences_better_a=better_a,
        sequences_better_b=better_b,
        p_sign=sign_test(better_a, better_b),
        share_better_b=float(((steps < 0) if lower_is_better else (steps > 0)).mean()),
    )


def flip_test(sums: Float[np.ndarray, " sequences"], *, seed: int = 0, flips: int = FLIPS) -> float:
    """Return the share of sign flips of whole sequences whose sum lies at least as far from zero as the found one."""
    found = abs(sums.sum())
    # Sums of the same numbers in another order differ in the last digits.
    limit = found - 1e-12 * np.abs(sums).sum()
    if len(sums) <= _EXACT:
        signs = 1 - 2 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
        return float((np.abs(signs @ sums) >= limit).mean())
    generator, reached = np.random.default_rng(seed), 0
    for start in range(0, flips, _BLOCK):
        signs = 1 - 2 * generator.integers(0, 2, (min(_BLOCK, flips - start), len(sums)))
        reached += int((np.abs(signs @ sums) >= limit).sum())
    return (reached + 1) / (flips + 1)  # the found signs are one of the flips


def sign_test(wins: int, losses: int) -> float:
    """Return how likely so uneven a count, or a more uneven one, is among fair coins (two-sided, exact)."""
    tosses = wins + losses
    fewer = sum(comb(tosses, heads) for heads in range(min(wins, losses) + 1))
    return min(1.0, 2 * fewer / 2**tosses)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down rule."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, float)[order] * (len(p_values) - np.arange(len(p_values)))
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return out.tolist()


def unmatched(a: pd.DataFrame, b: pd.DataFrame) -> Mapping[str, int]:
    """Return how many people only one of two models was asked for, and how many only one of them answered."""
    both = a[["person_key", "answered"]].merge(b[["person_key", "answered"]], on="person_key", suffixes=("_a", "_b"))
    answered = [both[name].to_numpy(bool) for name in ("answered_a", "answered_b")]
    return {
        "asked_only_a": len(a) - len(both),
        "asked_only_b": len(b) - len(both),
        "answered_only_a": int((answered[0] & ~answered[1]).sum()),
        "answered_only_b": int((answered[1] & ~answered[0]).sum()),
    }
