"""Principal components that many sources share: every source counts the same, and signs are settled.

A component's largest number (the first of equal ones) is positive, so that the same data give the same picture on any
machine. The papers show UMAP; components are straight, keep distances, and need neither a seed nor a library.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from .clouds import Cloud, mean_of
from .products import covariance, product

SHOWN = 150  # people of a group in a picture


@dataclass(frozen=True, eq=False)
class Components:
    """Main directions about a common mean, the longest first."""

    mean: Float[np.ndarray, " numbers"]
    axes: Float[np.ndarray, "numbers count"]
    shares: Float[np.ndarray, " count"]  # of the variance

    @classmethod
    def of(cls, clouds: Mapping[str, Cloud], count: int) -> "Components":
        """Return the first components of at least one cloud, as many as there are numbers at most."""
        mean = mean_of(list(clouds.values()))
        about = [(cloud.mean(0) - mean, covariance(cloud)) for cloud in clouds.values()]
        values, vectors = np.linalg.eigh(np.mean([own + np.outer(shift, shift) for shift, own in about], axis=0))
        order = np.argsort(-values, kind="stable")[:count]
        axes = vectors[:, order]
        largest = axes[np.abs(axes).round(9).argmax(0), np.arange(len(order))]
        shares = np.maximum(values[order], 0) / max(values.sum(), 1e-12)
        return cls(mean, axes * np.where(largest < 0, -1, 1), shares)

    def of_cloud(self, cloud: Cloud) -> Float[np.ndarray, "people count"]:
        """Return points along the components."""
        return product(cloud - self.mean, self.axes)


def plane(clouds: Mapping[str, Cloud], shown: int = SHOWN) -> tuple[pd.DataFrame, tuple[float, float]]:
    """Return points in the plane of two components, and the share of the variance along each.

    Rows: ``name``, ``x``, ``y`` in the unit of the clouds; at most ``shown`` evenly spread points of a group.
    """
    if not clouds:
        return pd.DataFrame(columns=["name", "x", "y"]), (0.0, 0.0)
    components = Components.of(clouds, 2)
    parts = []
    for name, cloud in clouds.items():
        rows = np.arange(min(len(cloud), shown)) * len(cloud) // min(len(cloud), shown)
        flat = components.of_cloud(cloud[rows])
        parts.append(pd.DataFrame({"name": name, "x": flat[:, 0], "y": flat[:, 1]}))
    return pd.concat(parts, ignore_index=True), (float(components.shares[0]), float(components.shares[1]))
