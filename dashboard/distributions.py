"""How the poses and shapes of one source are spread beside those of all others, from the samples of the study.

Every other source counts the same, however many people it has; a group of sources is the mean of their shares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..body.hands import Side
from ..shards.analyses.hands import complexity
from ..shards.analyses.samples import PoseSample
from ..shards.analyses.sphere import direction_cells

BINS = 30
BETAS = 10
LEVELS = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
_LAST = 0.995  # share of everybody's values that the bins span

Samples = Mapping[str, PoseSample]


@dataclass(frozen=True, eq=False)
class Spread:
    """What the samples say of one source beside all others."""

    hands: pd.DataFrame  # see hand_bins
    seen_from: pd.DataFrame  # see directions
    others_seen_from: pd.DataFrame
    shape: pd.DataFrame  # see shape_spread
    oriented: int  # people of the source with an orientation, of the sample
    shaped: int  # with betas


def spread_of(samples: Samples, dataset: str) -> Spread:
    """Return all distributions of a source that has a sample."""
    own = samples[dataset]
    return Spread(
        hand_bins(samples, dataset),
        *directions(samples, dataset),
        shape_spread(samples, dataset),
        oriented=len(own.orients),
        shaped=len(own.betas),
    )


def hand_bins(samples: Samples, dataset: str) -> pd.DataFrame:
    """Return how far hands are from the relaxed hand (rad, see ``analyses.hands``) in a source and in all others.

    Columns as those of ``queries.histogram`` but the people; no row where nobody has hands.
    """
    return _against({name: _articulation(sample) for name, sample in samples.items()}, dataset)


def _articulation(sample: PoseSample) -> Float[np.ndarray, " hands"]:
    sides: tuple[Side, ...] = get_args(Side)
    return np.concatenate([complexity(getattr(sample, f"{side}_hands"), side) for side in sides])


def _against(values: Mapping[str, Float[np.ndarray, " values"]], dataset: str) -> pd.DataFrame:
    """Return shares in bins of a source and of all others, each of which counts the same."""
    there = {name: numbers for name, numbers in values.items() if len(numbers)}
    if not there:
        return pd.DataFrame(columns=["is_this", "low", "high", "share"])
    edges = np.linspace(0, max(max(np.quantile(own, _LAST) for own in there.values()), 1e-6), BINS + 1)
    shares = {name: np.histogram(own.clip(0, edges[-1]), edges)[0] / len(own) for name, own in there.items()}
    groups = {True: [shares[dataset]] if dataset in shares else []}
    groups[False] = [own for name, own in shares.items() if name != dataset]
    tables = [
        pd.DataFrame({"is_this": is_this, "low": edges[:-1], "high": edges[1:], "share": np.mean(own, axis=0)})
        for is_this, own in groups.items()
        if own
    ]
    table = pd.concat(tables, ignore_index=True)
    return table.loc[table["share"] > 0].reset_index(drop=True)


def directions(samples: Samples, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return from where the camera sees the people of a source, and those of all others: cells of equal area.

    Columns of ``analyses.sphere.direction_cells`` without the name; empty where no orientation is known.
    """
    cells = direction_cells(samples)
    own, others = cells.loc[cells["name"] == dataset], cells.loc[cells["name"] != dataset]
    edges = ["azimuth", "azimuth_to", "height", "height_to"]
    return own.drop(columns="name"), others.groupby(edges, as_index=False)["share"].mean()


def shape_spread(samples: Samples, dataset: str) -> pd.DataFrame:
    """Return quantiles of the first ten shape coefficients: ``is_this``, ``beta`` (from 1), ``p05`` ... ``p95``."""
    groups = {True: [s.betas for name, s in samples.items() if name == dataset and len(s.betas)]}
    groups[False] = [s.betas for name, s in samples.items() if name != dataset and len(s.betas)]
    tables = [_quantiles(own).assign(is_this=is_this) for is_this, own in groups.items() if own]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["beta", *LEVELS, "is_this"])


def _quantiles(parts: list[Float[np.ndarray, "people 10"]]) -> pd.DataFrame:
    """Return quantiles of everybody's coefficients, each source weighing the same."""
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
    every = np.concatenate(parts)
    found = [np.quantile(every[:, i], list(LEVELS.values()), weights=weights, method="inverted_cdf") for i in
             range(BETAS)]  # fmt: skip
    return pd.DataFrame(found, columns=list(LEVELS)).assign(beta=range(1, BETAS + 1))
