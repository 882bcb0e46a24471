"""How alike data sets are, from evenly spread samples of their people: which way they face, body pose, hand pose.

Body poses come from the catalog's ``poses.npy``, orientations and hands from sidecars; of each source some thousand
people are looked at, whatever its size. Axis-angle numbers are compared as they are stored; left hands are mirrored, so
that all hands are right hands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..benchmark.results import Result
from ..body.hands import RIGHT_HAND_MEAN, mirrored
from ..shards.catalog_files import POSES, read_state
from ..shards.poses import BODY, HAND, JOINTS, poses_of
from ..shards.sidecar import read_sidecar
from ..shards.statistics import TILT_BINS, YAW_BINS, facing_degrees

PEOPLE = 1024  # of a source
SEEKERS = 192  # of a source, in the comparison of body poses
_SHARDS = 8  # of a source that are opened
_SCATTER = 150  # people of a source in a picture of all
_LEVELS = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
_COLUMNS = ("global_orient", "left_hand_pose", "right_hand_pose")


@dataclass(frozen=True, eq=False)
class Sample:
    """Some people of a source, of each kind those that have it."""

    body: Float[np.ndarray, "bodies 63"]  # axis-angle, rad
    yaw: Float[np.ndarray, " oriented"]  # degrees, see shards.statistics.facing_degrees
    tilt: Float[np.ndarray, " oriented"]
    hands: Float[np.ndarray, "hands 15 3"]  # absolute, as right hands, axis-angle, rad


def sample(out: Path, dataset: str, tars: Sequence[str]) -> Sample:
    """Return evenly spread people of a source; ``tars`` are its paths in the tree, beside which the sidecars lie."""
    sidecars = [(out / tars[int(place)]).with_suffix(".parquet") for place in _spread(len(tars), _SHARDS)]
    tables = [read_sidecar(path, list(_COLUMNS)) for path in sidecars if path.is_file()]
    each = -(-PEOPLE // max(len(tables), 1))
    orients, hands = [np.zeros((0, 3))], [np.zeros((0, HAND // 3, 3))]
    for table in tables:
        rows = table.take(_spread(len(table), each))
        orients.append(poses_of(rows["global_orient"], 3).numbers.astype(np.float64))
        left, right = (_hands(rows, side) for side in ("left", "right"))
        hands += [mirrored(left), right]
    yaw, tilt = facing_degrees(np.concatenate(orients))
    return Sample(bodies(out, dataset), yaw, tilt, np.concatenate(hands))


def _hands(rows, side: str) -> np.ndarray:
    return poses_of(rows[f"{side}_hand_pose"], HAND).numbers.reshape(-1, HAND // 3, 3).astype(np.float64)


def _spread(count: int, limit: int) -> np.ndarray:
    """Return at most ``limit`` of so many places, evenly spread."""
    return (np.arange(min(count, limit)) * count / min(count, limit)).astype(np.int64) if count else np.zeros(0, int)


def bodies(out: Path, dataset: str) -> Float[np.ndarray, "bodies 63"]:
    """Return evenly spread body poses of a source from the catalog's partitions."""
    state = read_state(out)
    partitions = [partition for partition in state.partitions if partition.dataset == dataset] if state else []
    parts = [np.load(partition.folder / POSES, mmap_mode="r") for partition in partitions]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    rows = _spread(int(starts[-1]), PEOPLE)
    chosen = [
        part[rows[(rows >= first) & (rows < last)] - first]
        for part, (first, last) in zip(parts, pairwise(starts.tolist()), strict=True)
    ]
    return np.concatenate([np.zeros((0, BODY)), *chosen]).astype(np.float64)


def similar_orientation(samples: Mapping[str, Sample]) -> pd.DataFrame:
    """Return long rows ``a``, ``b``, ``value``: the share of the people of one that meets people of the other.

    It is the overlap of the histograms of yaw and tilt in bins of 30 degrees: 1 for like distributions, 0 for disjoint.
    """
    histograms = {name: _orientations(sample) for name, sample in samples.items() if len(sample.yaw)}
    pairs = ((a, b, float(np.minimum(p, q).sum())) for a, p in histograms.items() for b, q in histograms.items())
    return pd.DataFrame(pairs, columns=["a", "b", "value"])


def _orientations(sample: Sample) -> np.ndarray:
    counts = np.histogram2d(sample.yaw, sample.tilt, (YAW_BINS, TILT_BINS), ((-180, 180), (0, 180)))[0]
    return counts / counts.sum()


def orientation_cells(sample: Sample) -> pd.DataFrame:
    """Return the share of people in each bin of yaw and tilt: ``yaw``, ``tilt`` (lower edges, degrees), ``share``."""
    shares = _orientations(sample)
    yaw, tilt = np.meshgrid(np.linspace(-180, 150, YAW_BINS), np.linspace(0, 150, TILT_BINS), indexing="ij")
    return pd.DataFrame({"yaw": yaw.ravel(), "tilt": tilt.ravel(), "share": shares.ravel()})


def similar_pose(samples: Mapping[str, Sample]) -> pd.DataFrame:
    """Return long rows ``a``, ``b``, ``value``: how far from a person of ``a`` the nearest body pose of ``b`` is.

    The median over people of ``a``, as root mean square over the joints (rad): small where ``b`` covers ``a``. Within a
    source it is the distance to the nearest other person.
    """
    there = {name: sample.body for name, sample in samples.items() if len(sample.body) > 1}
    pairs = ((a, b, _reach(seekers, stock, a == b)) for a, seekers in there.items() for b, stock in there.items())
    return pd.DataFrame(pairs, columns=["a", "b", "value"])


def _reach(seekers: np.ndarray, stock: np.ndarray, is_same: bool) -> float:
    """Return the median distance from some of one group to the nearest of the other, rad."""
    rows = _spread(len(seekers), SEEKERS)
    chosen = seekers[rows]
    squares = (chosen**2).sum(1)[:, None] - 2 * chosen @ stock.T + (stock**2).sum(1)
    if is_same:
        squares[np.arange(len(rows)), rows] = np.inf
    return float(np.sqrt(np.median(np.maximum(squares.min(1), 0)) / JOINTS))


def pose_plane(samples: Mapping[str, Sample]) -> tuple[pd.DataFrame, tuple[float, float]]:
    """Return body poses in the plane of their two main components, and the share of the variance that each explains.

    Every source counts the same. Rows: ``dataset``, ``x``, ``y`` (rad, as root mean square over the joints).
    """
    there = {name: sample.body for name, sample in samples.items() if len(sample.body)}
    empty = pd.DataFrame(columns=["dataset", "x", "y"])
    if not there:
        return empty, (0.0, 0.0)
    even = {name: body[_spread(len(body), _SCATTER)] for name, body in there.items()}
    every = np.concatenate(list(even.values()))
    mean = np.mean([body.mean(0) for body in there.values()], axis=0)
    covariance = np.mean([(body - mean).T @ (body - mean) / len(body) for body in there.values()], axis=0)
    values, axes = np.linalg.eigh(covariance)
    flat = (every - mean) @ axes[:, [-1, -2]] / JOINTS**0.5
    names = np.repeat(list(even), [len(body) for body in even.values()])
    shares = values[[-1, -2]] / max(values.sum(), 1e-12)
    return pd.DataFrame({"dataset": names, "x": flat[:, 0], "y": flat[:, 1]}), (float(shares[0]), float(shares[1]))


def hand_complexity(hands: Float[np.ndarray, "hands 15 3"]) -> Float[np.ndarray, " hands"]:
    """Return how far hands are from the relaxed hand: root mean square over 15 joints of the difference (rad).

    The relaxed hand is MANO's mean pose; axis-angle vectors are subtracted.
    """
    return np.sqrt(((hands - RIGHT_HAND_MEAN) ** 2).sum(axis=(1, 2)) / len(RIGHT_HAND_MEAN))


def hand_table(samples: Mapping[str, Sample]) -> pd.DataFrame:
    """Return one row a source with hands, the most complex first: ``hands`` looked at and quantiles (rad)."""
    rows = []
    for name, sample_ in samples.items():
        if len(sample_.hands):
            found = np.quantile(hand_complexity(sample_.hands), list(_LEVELS.values()))
            rows.append({"dataset": name, "hands": len(sample_.hands), **dict(zip(_LEVELS, found, strict=True))})
    table = pd.DataFrame(rows, columns=["dataset", "hands", *_LEVELS])
    return table.sort_values(by="median", ascending=False, ignore_index=True)


def ordered(pairs: pd.DataFrame) -> list[str]:
    """Return the names so that like ones stand together: by the main direction of the centred similarities."""
    matrix = pairs.pivot_table(index="a", columns="b", values="value")
    if len(matrix) < 3:
        return list(matrix.index)
    numbers = matrix.to_numpy()
    numbers = (numbers + numbers.T) / 2
    centred = numbers - numbers.mean(0) - numbers.mean(1)[:, None] + numbers.mean()
    values, axes = np.linalg.eigh(centred)
    main = axes[:, np.abs(values).argmax()]
    return list(matrix.index[np.argsort(main)])


def single_source_ranks(results: Sequence[Result], published: pd.DataFrame) -> pd.DataFrame:
    """Return networks trained on one source: ``dataset``, ``protocol``, ``measure``, ``value``, ``rank``, ``from``.

    Ranks are among the measured of one protocol; published numbers of that kind stand beside them without a rank.
    """
    rows = [
        {
            "dataset": result.trained_on[0],
            "protocol": result.protocol,
            "measure": result.primary,
            "value": result.measures[result.primary].mean,
            "from": f"{result.model} ({result.revision})",
        }
        for result in results
        if len(result.trained_on) == 1 and not result.finetuned_on
    ]
    table = pd.DataFrame(rows, columns=["dataset", "protocol", "measure", "value", "from"])
    table["rank"] = table.groupby(["protocol", "measure"])["value"].rank(method="min")
    said = published.loc[published["method"].str.contains("single-dataset")]
    papers = pd.DataFrame(
        {
            "dataset": said["train_set"],
            "protocol": said["test_set"],
            "measure": said["metric"],
            "value": said["value"],
            "from": said["paper"] + ", " + said["table"],
            "rank": np.nan,
        }
    )
    both = [part for part in (table, papers) if len(part)]
    return pd.concat(both, ignore_index=True) if both else table
