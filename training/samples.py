"""From places in the training order to samples: who stands there, cut out of the picture, changed, and with targets.

A sample depends on the mixture, the shards, the settings and its position, and on nothing else. Crops are warped
straight into the rows that they are given, and targets are computed for some people at once, so a batch is written
once and never copied.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from ..errors import PictureError, RecordError, ShardError
from ..shards.cutting import Mode, cut_person
from .augment import Augmentation, AugmentationRange, draw_all
from .compat import PAPER, Quirks
from .crops import FULL_SIZE, HALF_SIZE, crop_affine, crop_box, padded_box
from .effects import apply_effects, colour_maps
from .mixture import Drawn
from .targets import augmented, labelled_hands, labels_of, training_rows

MOST_ATTEMPTS = 16  # people in a row who cannot be read before one is no longer replaced
UNREADABLE = (RecordError, ShardError, PictureError)
TARGETS = {
    "pose": (53, 3),
    "betas": (10,),
    "expression": (10,),
    "joints_root": (137, 3),
    "joints_part": (137, 3),
    "joints_grid": (137, 2),
    "hand_orients": (2, 3),
    "depth": (65,),
    "box_centres": (3, 2),
    "box_sizes": (3, 2),
}
VALIDITY = {"pose": (53,), "betas": (), "expression": (), "joints": (137,), "joints_3d": (137,), "boxes": (3,)}


@runtime_checkable
class People(Protocol):
    """Who stands where in the training order (``mixture.MixedPeople``)."""

    @property
    def length(self) -> int | None:
        """Return where the order ends, None for never."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the members."""
        ...

    @property
    def replaces(self) -> tuple[bool, ...]:
        """Of each member: whether the next takes the place of a person who cannot be read."""
        ...

    def draw(self, positions: Int[np.ndarray, " positions"]) -> Drawn:
        """Return who stands at each position."""
        ...

    def next_person(self, source: int, row: int, attempt: int) -> int:
        """Return the person_id that takes the place of an unreadable person."""
        ...

    def rank_positions(self, start: int, batch_size: int, rank: int, world_size: int) -> Int[np.ndarray, " positions"]:
        """Return a rank's positions of the global batch that starts at ``start``."""
        ...


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How a person becomes a sample."""

    seed: int = 0
    ranges: AugmentationRange = field(default_factory=AugmentationRange)
    quirks: Quirks = PAPER
    crop_size: tuple[int, int] | None = None
    """Width and height of a crop, for networks of one's own; None is that of SMPLest-X."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop: what the network sees, or twice that where the released code halves it."""
        return self.crop_size or (FULL_SIZE if self.quirks.nearest_halving else HALF_SIZE)

    @property
    def mode(self) -> Mode:
        """How a large person is shrunk: the released code samples the whole picture."""
        return "exact" if self.quirks.nearest_halving else "scaled"


class Rows(NamedTuple):
    """Arrays with one row a sample."""

    crops: UInt8[np.ndarray, "samples 3 height width"]
    colour: Float32[np.ndarray, "samples 3 4"]
    targets: Mapping[str, Float32[np.ndarray, "samples ..."]]
    validity: Mapping[str, Float32[np.ndarray, "samples ..."]]

    def part(self, where: slice) -> "Rows":
        """Return some of the rows, which share their memory with these."""
        targets, validity = ({name: array[where] for name, array in group.items()} for group in self[2:])
        return Rows(self.crops[where], self.colour[where], targets, validity)


class Replaced(NamedTuple):
    """A person who could not be read and whose place the next of the source has taken."""

    member: str
    person_id: int
    problem: str


class Named(NamedTuple):
    """Who a sample shows."""

    key: str
    member: str
    replaced: Replaced | None


class Sample(NamedTuple):
    """One person, ready for a batch."""

    crop: UInt8[np.ndarray, "3 height width"]
    colour: Float32[np.ndarray, "3 4"]
    targets: Mapping[str, Float32[np.ndarray, "..."]]
    validity: Mapping[str, Float32[np.ndarray, "..."]]
    key: str
    member: str = ""
    position: int = 0
    replaced: Replaced | None = None


def empty_rows(count: int, size: tuple[int, int]) -> Rows:
    """Return rows for ``count`` samples whose crops have ``size`` (width, height)."""

    def arrays(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        return {name: np.empty((count, *shape), np.float32) for name, shape in shapes.items()}

    crops = np.empty((count, 3, size[1], size[0]), np.uint8)
    return Rows(crops, np.empty((count, 3, 4), np.float32), arrays(TARGETS), arrays(VALIDITY))


@dataclass(frozen=True)
class SampleReader:
    """Reads the samples of some positions; safe in threads, and picklable where ``load`` is."""

    people: People
    load: Callable[[int], Any]  # the stored person of a person_id
    settings: SampleSettings
    _last_hands: dict[int, Bool[np.ndarray, "2"]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def fill(self, positions: Int[np.ndarray, " samples"], rows: Rows) -> list[Named]:
        """Write the samples of some positions into rows, and return who they are.

        A person who cannot be read (ShardError, RecordError, PictureError) is replaced by the next of the source where
        the mixture says so, else the error is raised.
        """
        drawn = self.people.draw(positions)
        changes = draw_all(self.settings.seed, positions, self.settings.ranges)
        # All that takes the interpreter comes first, while its own memory is near.
        found = [self._find_somebody(drawn, i, change) for i, change in enumerate(changes)]
        for i, change in enumerate(changes):
            found[i] = self._cut_somebody(drawn, i, change, found[i], rows.crops[i])
        people, names = [one.person for one in found], self.people.names
        affines = np.stack([one.affine for one in found])
        write_labels(people, changes, affines, self.settings, rows, self._hands_of_last(drawn.source))
        return [
            Named(one.person.person_key, names[source], one.replaced)
            for one, source in zip(found, drawn.source.tolist(), strict=True)
        ]

    def samples(self, positions: Int[np.ndarray, " samples"]) -> list[Sample]:
        """Return the samples of some positions."""
        rows = empty_rows(len(positions), self.settings.size)
        named = self.fill(positions, rows)
        return [
            _row(rows, i, one.key)._replace(member=one.member, position=position, replaced=one.replaced)
            for i, (one, position) in enumerate(zip(named, positions.tolist(), strict=True))
        ]

    def _hands_of_last(self, sources: Int[np.ndarray, " samples"]) -> Bool[np.ndarray, "samples 2"] | None:
        """Return which hands the last person of each sample's source has, where the quirk asks for it."""
        if not self.settings.quirks.shared_hand_masks:
            return None
        for source in set(sources.tolist()) - set(self._last_hands):
            last = self.load(self.people.next_person(source, 0, -1))  # the one before the first
            self._last_hands[source] = labelled_hands(last, self.settings.quirks)
        return np.stack([self._last_hands[source] for source in sources.tolist()])

    def _find_somebody(self, drawn: Drawn, i: int, change: Augmentation, first: int = 0) -> "_Found":
        """Return the person of a position, or the first after ``first`` attempts whose labels can be read."""
        source, row, wanted = int(drawn.source[i]), int(drawn.row[i]), int(drawn.person_id[i])
        replaced = None
        for attempt in range(first, 1 + MOST_ATTEMPTS):
            person_id = self.people.next_person(source, row, attempt) if attempt else wanted
            try:
                person = self.load(person_id)
                return _Found(person, affine_of(person, change, self.settings), attempt, replaced)
            except UNREADABLE as error:
                gives_way = self._replaced(drawn, i, attempt, error)
                replaced = replaced or gives_way
        raise AssertionError("the last attempt returns or raises")

    def _cut_somebody(
        self, drawn: Drawn, i: int, change: Augmentation, found: "_Found", crop: UInt8[np.ndarray, "3 height width"]
    ) -> "_Found":
        """Write the crop of the person found, or of the first readable one after; return who it is."""
        while True:
            try:
                cut_into(crop, found.person, found.affine, change, self.settings)
                return found
            except UNREADABLE as error:
                gives_way = self._replaced(drawn, i, found.attempt, error)
            replaced = found.replaced or gives_way
            found = self._find_somebody(drawn, i, change, found.attempt + 1)._replace(replaced=replaced)

    def _replaced(self, drawn: Drawn, i: int, attempt: int, error: Exception) -> Replaced:
        """Return who gives way to the next; the error is raised again where nobody may, or too many did."""
        source = int(drawn.source[i])
        if not self.people.replaces[source] or attempt == MOST_ATTEMPTS:
            raise error
        return Replaced(self.people.names[source], int(drawn.person_id[i]), str(error))


class _Found(NamedTuple):
    """Somebody for a position."""

    person: Any
    affine: Float[np.ndarray, "2 3"]
    attempt: int  # how many before could not be read
    replaced: Replaced | None


def cut_into(
    crop: UInt8[np.ndarray, "3 height width"],
    person: Any,
    affine: Float[np.ndarray, "2 3"],
    change: Augmentation,
    settings: SampleSettings,
) -> None:
    """Write the crop of a stored person under a map from its picture."""
    cut_person(person.frame, affine, settings.size, mode=settings.mode, out=crop)
    apply_effects(crop, change)


def affine_of(person: Any, change: Augmentation, settings: SampleSettings) -> Float[np.ndarray, "2 3"]:
    """Return the map from a stored person's picture to the crop; RecordError where the box is outside the picture."""
    bbox = person.bbox_xyxy
    box = None if bbox is None else crop_box(padded_box(bbox), person.width, person.height)
    if box is None:
        raise RecordError(person.person_key, "bbox_xyxy", "a box inside the picture", str(bbox))
    return crop_affine(box, settings.size, change, person.width)


def write_labels(
    people: list[Any],
    changes: list[Augmentation],
    affines: Float[np.ndarray, "samples 2 3"],
    settings: SampleSettings,
    rows: Rows,
    hands_of_last: Bool[np.ndarray, "samples 2"] | None = None,
) -> None:
    """Write what the losses compare with, and the colours; ``hands_of_last`` as in ``labels_of``."""
    is_flipped = np.array([change.is_flipped for change in changes], bool)
    rotation = np.array([change.rotation for change in changes], np.float64)
    labels = augmented(labels_of(people, settings.quirks, hands_of_last), is_flipped, rotation, settings.quirks)
    found = training_rows(labels, affines, settings.size, settings.quirks)
    for group, values in zip((rows.targets, rows.validity), found, strict=True):
        for name, array in group.items():
            array[:] = values[name]
    rows.colour[:] = colour_maps(changes)


def make_sample(person: Any, augmentation: Augmentation, settings: SampleSettings) -> Sample:
    """Return the crop and labels of a stored person; RecordError where its box lies outside the picture."""
    rows = empty_rows(1, settings.size)
    affine = affine_of(person, augmentation, settings)
    cut_into(rows.crops[0], person, affine, augmentation, settings)
    write_labels([person], [augmentation], affine[None], settings, rows)
    return _row(rows, 0, person.person_key)


def _row(rows: Rows, i: int, key: str) -> Sample:
    """Return one row as a sample."""
    targets, validity = ({name: array[i, ...] for name, array in group.items()} for group in rows[2:])
    return Sample(rows.crops[i], rows.colour[i], targets, validity, key)
