"""How far apart two distributions are, from points of each.

``energy``: the energy distance (Székely and Rizzo 2013), the root of 2 E|X - Y| - E|X - X'| - E|Y - Y'|. The means are
over different people (the U-statistic), so that what is expected of two samples of one distribution is zero, however
few they are; what falls below zero counts as zero. It is zero for like distributions only.

``frechet``: the Fréchet distance of the Gaussians with the same means and covariances (Dowson and Landau 1982), the
square root of what FID is in image generation (Heusel et al. 2017), along the first ``DIMENSIONS`` common components.
Its square is too large by about a constant over the number of people; freed of that error it is twice the whole
samples' minus the halves' (the extrapolation of Chong and Forsyth 2020, at two sizes). Where a source has fewer than
eight people a component, fewer components are looked at.

``nearest``: how far the nearest of ``b`` is from a person of ``a`` (median). It has a direction: small where ``b``
covers ``a``. It falls with the number of people looked through, which is therefore the same for all.

Of the first two the diagonal holds what two halves of one source's own sample give: what chance alone makes of it.
Clouds are in random order, so that their first half is as good as their second.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from .clouds import Cloud
from .components import Components
from .products import covariance, product

DIMENSIONS = 32
ENERGY_PEOPLE, STOCK, SEEKERS = 384, 384, 192  # people of a source
DISTANCES = {"energy": "energy distance", "frechet": "Fréchet distance", "nearest": "nearest person"}


def distance_table(clouds: Mapping[str, Cloud], kind: str = "energy") -> pd.DataFrame:
    """Return long rows ``a``, ``b``, ``value``, ``people_a``, ``people_b`` for all pairs, in the unit of the clouds.

    ``kind`` is a name of ``DISTANCES``.
    """
    if not clouds:
        return pd.DataFrame(columns=["a", "b", "value", "people_a", "people_b"])
    makers: dict[str, Callable[[list[Cloud]], np.ndarray]] = {
        "energy": energy_matrix,
        "frechet": lambda own: frechet_matrix(_common(own)),
        "nearest": nearest_matrix,
    }
    names, own = list(clouds), list(clouds.values())
    values, counts = makers[kind](own), [len(cloud) for cloud in own]
    index = [(i, j) for i in range(len(names)) for j in range(len(names))]
    rows = [(names[i], names[j], float(values[i, j]), counts[i], counts[j]) for i, j in index]
    return pd.DataFrame(rows, columns=["a", "b", "value", "people_a", "people_b"])


def thinned(cloud: Cloud, limit: int) -> Cloud:
    """Return at most ``limit`` points, evenly spread over their order."""
    count = min(len(cloud), limit)
    return cloud[np.arange(count) * len(cloud) // max(count, 1)]


def halves(cloud: Cloud) -> tuple[Cloud, Cloud]:
    """Return every second point, and the others."""
    return cloud[::2], cloud[1::2]


def energy_distance(a: Cloud, b: Cloud) -> float:
    """Return the energy distance of two distributions from at least two points of each."""
    return _energy(a, b, _mean_within(a), _mean_within(b))


def energy_matrix(clouds: list[Cloud]) -> Float[np.ndarray, "clouds clouds"]:
    """Return the energy distances of all pairs; halves on the diagonal."""
    centre = np.mean([cloud.mean(0) for cloud in clouds], axis=0)  # small numbers lose less in single precision
    own = [(thinned(cloud, ENERGY_PEOPLE) - centre).astype(np.float32) for cloud in clouds]
    within = [_mean_within(cloud) for cloud in own]
    matrix = np.diag([energy_distance(*(thinned(half - centre, ENERGY_PEOPLE) for half in halves(c))) for c in clouds])
    for i in range(len(own)):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = _energy(own[i], own[j], within[i], within[j])
    return matrix


def _energy(a: Cloud, b: Cloud, within_a: float, within_b: float) -> float:
    between = float(np.sqrt(_squares(a, b)).mean(dtype=np.float64))
    return float(np.sqrt(max(2 * between - within_a - within_b, 0.0)))


def _mean_within(cloud: Cloud) -> float:
    """Return the mean distance of two different points of a cloud."""
    squares = _squares(cloud, cloud)
    np.fill_diagonal(squares, 0)
    return float(np.sqrt(squares).sum(dtype=np.float64)) / (len(cloud) * (len(cloud) - 1))


def _squares(a: Cloud, b: Cloud) -> Float[np.ndarray, "a b"]:
    """Return the squared distances of all pairs of points."""
    squares = product(a, b.T)
    squares *= -2
    squares += (a * a).sum(1)[:, None]
    squares += (b * b).sum(1)
    return np.maximum(squares, 0, out=squares)


class Fit(NamedTuple):
    """Means and covariances of Gaussians, any number of them."""

    mean: Float[np.ndarray, "*gaussians numbers"]
    covariance: Float[np.ndarray, "*gaussians numbers numbers"]

    @classmethod
    def of(cls, *clouds: Cloud) -> "Fit":
        """Return the Gaussians with the means and covariances of clouds."""
        return cls(np.stack([cloud.mean(0) for cloud in clouds]), np.stack([covariance(cloud) for cloud in clouds]))


def frechet_squared(a: Fit, b: Fit) -> Float[np.ndarray, "*pairs"]:
    """Return the squared Fréchet distances of Gaussians, broadcast against one another."""
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b.covariance @ root), 0)).sum(-1)
    traces = (np.trace(fit.covariance, axis1=-2, axis2=-1) for fit in (a, b))
    return np.asarray(((a.mean - b.mean) ** 2).sum(-1) + sum(traces) - 2 * cross)


def frechet_distance(a: Cloud, b: Cloud) -> float:
    """Return the Fréchet distance of two distributions from points of each, freed of most of its sampling error."""
    return float(_extrapolated(frechet_squared(_with_halves(a), _with_halves(b))))


def frechet_matrix(clouds: list[Cloud]) -> Float[np.ndarray, "clouds clouds"]:
    """Return the Fréchet distances of all pairs; halves on the diagonal."""
    fits = [_with_halves(cloud) for cloud in clouds]
    every = Fit(*map(np.stack, zip(*fits, strict=True)))
    matrix = np.stack([_extrapolated(frechet_squared(own, every)) for own in fits])
    # One half of a pair is enough: the distance is the same both ways but for the rounding.
    matrix = np.tril(matrix, -1) + np.tril(matrix, -1).T
    np.fill_diagonal(matrix, [frechet_distance(*halves(cloud)) for cloud in clouds])
    return matrix


def _with_halves(cloud: Cloud) -> Fit:
    """Return the Gaussians of a cloud and of its halves."""
    return Fit.of(cloud, *halves(cloud))


def _extrapolated(squares: Float[np.ndarray, "*pairs 3"]) -> Float[np.ndarray, "*pairs"]:
    """Return distances from the squares of whole clouds and of their halves."""
    return np.asarray(np.sqrt(np.maximum(2 * squares[..., 0] - squares[..., 1:].mean(-1), 0)))


def _common(clouds: list[Cloud]) -> list[Float[np.ndarray, "_ components"]]:
    """Return clouds along the components that they share."""
    count = min(DIMENSIONS, max(2, min(map(len, clouds)) // 8))
    components = Components.of({str(i): cloud for i, cloud in enumerate(clouds)}, count)
    return [components.of_cloud(cloud) for cloud in clouds]


def nearest_matrix(clouds: list[Cloud]) -> Float[np.ndarray, "clouds clouds"]:
    """Return the median distance from people of the row to the nearest of the column; another than oneself."""
    stock_size = min(STOCK, *(len(cloud) for cloud in clouds))
    centre = np.mean([cloud.mean(0) for cloud in clouds], axis=0)
    stocks = [(thinned(cloud, stock_size) - centre).astype(np.float32) for cloud in clouds]
    seekers = [thinned(stock, SEEKERS) for stock in stocks]
    return np.array([[_reach(own, stock, i == j) for j, stock in enumerate(stocks)] for i, own in enumerate(seekers)])


def _reach(seekers: Cloud, stock: Cloud, is_same: bool) -> float:
    """Return the median distance from some of one group to the nearest of the other."""
    squares = _squares(seekers, stock)
    if is_same:
        squares[np.arange(len(seekers)), np.arange(len(seekers)) * len(stock) // len(seekers)] = np.inf
    return float(np.sqrt(np.median(squares.min(1))))


def ordered(pairs: pd.DataFrame) -> list[str]:
    """Return the names so that like ones stand together: along the main direction of the centred squares.

    That is the first coordinate of classical scaling (Torgerson 1952); the name that comes first in the alphabet
    settles which end comes first.
    """
    matrix = pairs.pivot_table(index="a", columns="b", values="value")
    names = list(matrix.index)
    if len(names) < 3:
        return names
    numbers = matrix.to_numpy()
    squares = np.maximum((numbers + numbers.T) / 2, 0) ** 2
    np.fill_diagonal(squares, 0)
    inner = -0.5 * (squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean())
    main = np.linalg.eigh(inner)[1][:, -1]
    found = [names[i] for i in np.argsort(main, kind="stable")]
    return found if found.index(names[0]) < len(found) / 2 else found[::-1]
