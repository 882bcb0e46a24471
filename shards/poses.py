"""Body and hand poses of everyone: as arrays that are mapped, how rare each is, and who stands most like whom.

``poses.npy`` of a partition holds the 21 body joints of everyone who has them (63 floats, axis-angle, rad),
``pose_rows.npy`` beside it whose they are. Distance is the root mean square, over the joints, of the difference of the
axis-angle vectors (rad). Rarity is the Mahalanobis distance from a reference, the root of the mean over its numbers: 1
is as far as the reference's people are on average, 3 is rare. Left hands are mirrored, so that both hands have one
reference; a person's hand rarity is that of the rarer hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Int64

from ..errors import ShardError

BODY, HAND = 63, 45  # numbers of a body pose and of a hand pose
JOINTS = BODY // 3
POSE_ROW_DTYPE = np.dtype([("row", "<u4"), ("square", "<f4")])  # row in the partition, squared length of the pose
POSE_COLUMNS = ("body_pose", "left_hand_pose", "right_hand_pose")
SOFTNESS_RAD = 0.05  # a joint that hardly moves in the reference may still move this much
_MIRROR = np.tile(np.array([1, -1, -1], np.float32), HAND // 3)
_ROWS_AT_ONCE = 64
_BLOCK = 8_192  # poses, which fit the cache of a core


@dataclass(frozen=True, eq=False)
class Poses:
    """The numbers of those who have a pose."""

    rows: Int64[np.ndarray, " labelled"]
    numbers: Float32[np.ndarray, "labelled numbers"]


def poses_of(lists: pa.ChunkedArray | pa.Array, length: int) -> Poses:
    """Return the first ``length`` numbers of each list that is there and at least as long."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks gives for no chunks in older versions
        array = pa.concat_arrays(array.chunks)
    starts = array.offsets.to_numpy()
    sizes = np.diff(starts)
    rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False) & (sizes >= length))
    values = array.values.to_numpy(zero_copy_only=False)
    if len(rows) and (sizes[rows] == length).all() and starts[rows[-1] + 1] - starts[rows[0]] == len(rows) * length:
        numbers = values[starts[rows[0]] : starts[rows[-1] + 1]].reshape(-1, length)
    else:
        numbers = values[starts[rows][:, None] + np.arange(length)]
    return Poses(rows.astype(np.int64), numbers.astype(np.float32, copy=False))


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean of some poses, and what turns a deviation from it into numbers of mean square 1."""

    mean: Float32[np.ndarray, " numbers"]
    whitening: Float32[np.ndarray, "numbers numbers"]

    @classmethod
    def of(cls, numbers: Float32[np.ndarray, "labelled numbers"]) -> "Spread":
        """Return the spread of at least one pose."""
        mean = numbers.mean(0, dtype=np.float64)
        blocks = _in_blocks(numbers - mean)
        covariance = (blocks.transpose(0, 2, 1) @ blocks).sum(0) / len(numbers)
        softened = covariance + SOFTNESS_RAD**2 * np.eye(len(mean))
        whitening = np.linalg.inv(np.linalg.cholesky(softened)).T
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    def rarity(self, numbers: Float32[np.ndarray, "labelled numbers"]) -> Float32[np.ndarray, " labelled"]:
        """Return how far from the mean each pose is, in units of the spread."""
        count, size = numbers.shape
        deviation = (_in_blocks(numbers - self.mean) @ self.whitening).reshape(-1, size)[:count]
        return np.sqrt(np.einsum("ij,ij->i", deviation, deviation) / np.float32(size))


def _in_blocks(numbers: np.ndarray) -> np.ndarray:
    """Return rows as blocks, the last filled up with zeros.

    Products of blocks this small stay on their thread. BLAS would spread larger ones over threads of its own, which
    wait for one another, busily, on a machine that has other work: ten times slower, measured.
    """
    count, size = numbers.shape
    blocks = np.zeros((-(-count // _ROWS_AT_ONCE), _ROWS_AT_ONCE, size), numbers.dtype)
    blocks.reshape(-1, size)[:count] = numbers
    return blocks


@dataclass(frozen=True, eq=False)
class PoseReference:
    """The spreads that rarity is measured by; None where nobody had such a pose when it was made."""

    body: Spread | None
    hand: Spread | None
    people: int  # of the tree when it was made

    @classmethod
    def of(cls, tables: Iterable[pa.Table], people: int, limit: int) -> "PoseReference":
        """Return the reference of the people of some tables, at most ``limit`` of each evenly spread."""
        bodies, hands = [np.zeros((0, BODY), np.float32)], [np.zeros((0, HAND), np.float32)]
        for table in tables:
            bodies.append(_thinned(poses_of(table["body_pose"], BODY).numbers, limit))
            hands += [_thinned(_hand(table, side).numbers, limit) for side in ("left", "right")]
        body, hand = np.concatenate(bodies), np.concatenate(hands)
        return cls(Spread.of(body) if len(body) else None, Spread.of(hand) if len(hand) else None, people)

    def save(self, path: Path) -> None:
        """Write the reference as npz."""
        arrays = {"people": np.array(self.people)}
        for name, spread in (("body", self.body), ("hand", self.hand)):
            if spread is not None:
                arrays |= {f"{name}_mean": spread.mean, f"{name}_whitening": spread.whitening}
        np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]

    @classmethod
    def load(cls, path: Path) -> "PoseReference":
        """Read a saved reference; ShardError when the file is not one."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                spreads = [
                    Spread(stored[f"{name}_mean"], stored[f"{name}_whitening"]) if f"{name}_mean" in stored else None
                    for name in ("body", "hand")
                ]
                return cls(*spreads, people=int(stored["people"]))
        except (ValueError, OSError, KeyError) as error:
            hint = "run ehps catalog --refresh"
            raise ShardError(path, f"the reference of the poses cannot be read ({error})", hint) from error

    def body_rarity(self, poses: Poses, people: int) -> Float32[np.ndarray, " people"]:
        """Return the rarity of the body pose of everyone of a table; NaN where there is none."""
        rarity = np.full(people, np.nan, np.float32)
        if self.body is not None and len(poses.rows):
            rarity[poses.rows] = self.body.rarity(poses.numbers)
        return rarity

    def hand_rarity(self, table: pa.Table) -> Float32[np.ndarray, " people"]:
        """Return the rarity of the rarer hand of everyone of a table; NaN where there is none."""
        rarity = np.full(table.num_rows, np.nan, np.float32)
        if self.hand is None:
            return rarity
        for side in ("left", "right"):
            poses = _hand(table, side)
            if len(poses.rows):
                rarity[poses.rows] = np.fmax(rarity[poses.rows], self.hand.rarity(poses.numbers))
        return rarity


def _hand(table: pa.Table, side: str) -> Poses:
    """Return the poses of one hand as those of a right hand: a mirror turns the signs of y and z."""
    poses = poses_of(table[f"{side}_hand_pose"], HAND)
    return Poses(poses.rows, poses.numbers * _MIRROR) if side == "left" else poses


def _thinned(numbers: np.ndarray, limit: int) -> np.ndarray:
    """Return at most ``limit`` rows, evenly spread."""
    return numbers[:: max(-(-len(numbers) // limit), 1)]


def pose_rows(poses: Poses, first: int) -> np.ndarray:
    """Return the entries of ``pose_rows.npy``; ``first`` is the row in the partition of the table's first person."""
    rows = np.zeros(len(poses.rows), POSE_ROW_DTYPE)
    rows["row"] = poses.rows + first
    rows["square"] = np.einsum("ij,ij->i", poses.numbers, poses.numbers)
    return rows


def nearest(
    pose: Float[np.ndarray, "21 3"], parts: Sequence[tuple[np.ndarray, np.ndarray]], count: int
) -> tuple[Int64[np.ndarray, " found"], Float[np.ndarray, " found"]]:
    """Return places and distances (rad) of the nearest poses, nearest first, equal ones in their order.

    ``parts`` are arrays of poses with their squared lengths; places count through all of them. Every pose is compared.
    """
    query = np.asarray(pose, np.float32).reshape(BODY)
    candidates, first = _Candidates(query, count), 0
    for numbers, squares in parts:
        for start in range(0, len(numbers), _BLOCK):
            candidates.look(numbers[start : start + _BLOCK], squares[start : start + _BLOCK], first + start)
        first += len(numbers)
    return candidates.best()


class _Candidates:
    """The poses that may be among the nearest: float32 finds them, float64 puts them in order."""

    def __init__(self, query: np.ndarray, count: int) -> None:
        self.query, self.count, self.limit = query, count, np.inf
        self.length = float(np.linalg.norm(query))
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []

    def look(self, numbers: np.ndarray, squares: np.ndarray, first: int) -> None:
        """Take the poses of a block that may be near enough."""
        near = squares - 2 * self._products(numbers)
        longest = float(squares.max(initial=0))
        # What rounding can make of a sum of 63 products, with a margin.
        error = 1e-5 * (longest + 2 * self.length * longest**0.5)
        below = near[near <= self.limit]
        if len(below) >= self.count:
            kth = float(np.partition(below, self.count - 1)[self.count - 1])
            self.limit = min(self.limit, kth + error)
        chosen = np.flatnonzero(near <= self.limit + error)
        if len(chosen):
            self.kept.append((chosen + first, numbers[chosen]))

    def _products(self, numbers: np.ndarray) -> np.ndarray:
        """Return the product of each pose with the one that is sought, in small blocks (see ``_in_blocks``)."""
        whole = len(numbers) - len(numbers) % _ROWS_AT_ONCE
        products = np.empty(len(numbers), np.float32)
        np.matmul(
            numbers[:whole].reshape(-1, _ROWS_AT_ONCE, BODY),
            self.query,
            out=products[:whole].reshape(-1, _ROWS_AT_ONCE),
        )
        np.matmul(numbers[whole:], self.query, out=products[whole:])
        return products

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest and their distances."""
        if not self.kept:
            return np.zeros(0, np.int64), np.zeros(0)
        places, numbers = (np.concatenate([kept[i] for kept in self.kept]) for i in (0, 1))
        distances = np.sqrt(np.square(numbers.astype(np.float64) - self.query).sum(1) / JOINTS)
        order = np.lexsort((places, distances))[: self.count]
        return places[order], distances[order]
