"""Poses and shapes of one source beside all others, from samples: shares, equal weights, absent groups."""

import numpy as np
import pytest

from ehps.body.hands import HAND_MEANS
from ehps.dashboard import distributions
from ehps.shards.analyses.samples import PoseSample

FACING = np.array([np.pi, 0, 0])  # upright, facing the camera


def sample(people: int, hand: float = 0.0, turn: float = 0.0, beta: float = 0.0, *, hands: bool = True) -> PoseSample:
    """People who all do the same: hands ``hand`` rad from relaxed about one axis, betas of one value."""
    left, right = (np.repeat(HAND_MEANS[side][None], people if hands else 0, axis=0) for side in ("left", "right"))
    orients = np.repeat((FACING if not turn else np.array([0, 0, turn]))[None], people, axis=0)
    return PoseSample(
        bodies=np.zeros((people, 21, 3)),
        orients=orients,
        left_hands=left * (1 + hand),
        right_hands=right * (1 + hand),
        betas=np.full((people, 10), beta),
    )


def test_hands_are_compared_in_the_same_bins_and_every_other_source_counts_the_same():
    samples = {"own": sample(5), "large": sample(90, hand=1.0), "small": sample(10, hand=0.0)}
    bins = distributions.hand_bins(samples, "own")
    own, others = bins.loc[bins["is_this"]], bins.loc[~bins["is_this"]]
    assert own["share"].tolist() == [1.0]
    assert own["low"].iloc[0] == 0
    assert others["share"].tolist() == [0.5, 0.5]
    assert others["low"].iloc[-1] > others["low"].iloc[0]


def test_who_has_no_hands_has_no_bins():
    bins = distributions.hand_bins({"own": sample(5, hands=False), "other": sample(5)}, "own")
    assert set(bins["is_this"]) == {False}
    assert distributions.hand_bins({"own": sample(5, hands=False)}, "own").empty


def test_directions_lie_on_cells_of_one_area_and_add_up():
    own, others = distributions.directions({"own": sample(4), "a": sample(9), "b": sample(1, turn=0.5)}, "own")
    assert own["share"].sum() == pytest.approx(1)
    assert others["share"].sum() == pytest.approx(1)
    assert others["share"].max() == pytest.approx(0.5)  # of nine people and of one, a half each
    areas = (own["azimuth_to"] - own["azimuth"]) * (own["height_to"] - own["height"])
    np.testing.assert_allclose(areas, areas.iloc[0])
    assert distributions.directions({"own": sample(4)}, "own")[1].empty


def test_shapes_weigh_each_other_source_the_same():
    samples = {"own": sample(3, beta=1.0), "large": sample(99, beta=-2.0), "small": sample(1, beta=3.0)}
    table = distributions.shape_spread(samples, "own")
    own, others = table.loc[table["is_this"]], table.loc[~table["is_this"]]
    assert own["beta"].tolist() == list(range(1, 11))
    assert set(own["median"]) == {1.0}
    assert set(others["p25"]) == {-2.0}
    assert set(others["p75"]) == {3.0}
