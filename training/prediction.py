"""From pictures and boxes of people to posed people in the camera of the whole picture.

``predict_people`` is for one picture, ``predict_shots`` for any number of them: threads decode ahead, the network runs
on full batches over the borders of pictures, and answers come in the order of the pictures. Neither knows where
pictures, boxes or the camera come from.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from ..errors import PictureError
from .boxes import Box
from .crops import TIGHT_BOX_PADDING, padded_box
from .picture_camera import CameraRule, PictureCamera, place_people
from .predictor import BATCH_SIZE, PredictedPerson
from .tracking import Tracker

MOST_WAITING = 64  # pictures that wait until a batch is full

Image = UInt8[np.ndarray, "_ _ 3"]


class LoadedPicture(NamedTuple):
    """A decoded picture as it should be seen."""

    pixels: Image  # RGB
    focal: float | None = None  # px, where its file says so


@dataclass(frozen=True)
class Shot:
    """A picture, or one frame of a video."""

    source: str  # name of the picture or video
    frame: int | None  # None for a picture
    load: Callable[[], LoadedPicture]  # PictureError where it is damaged


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedPerson:
    """One person of a picture, in its camera."""

    box: Box
    parameters: dict[str, np.ndarray]  # names of smplx, axis-angle; hands absolute, transl in the picture's camera (m)
    K: Float[np.ndarray, "3 3"]  # px of the picture, the same for everyone in it
    residual_px: float  # how far the joints lie from where the crop's camera sees them, root mean square
    vertices: Float[np.ndarray, "10475 3"]  # m, in the picture's camera
    joints_3d: Float[np.ndarray, "144 3"]
    K_crop: Float[np.ndarray, "3 3"]  # the camera of the crop, in px of the picture
    transl_crop: Float[np.ndarray, "3"]  # in the crop's camera (m)


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedShot:
    """What is known of a picture after prediction."""

    shot: Shot
    picture: LoadedPicture | None = None  # None where it cannot be read
    camera: PictureCamera | None = None
    people: tuple[PosedPerson, ...] = ()
    num_outside: int = 0  # boxes that hold nothing of the picture
    problem: str = ""  # why it cannot be read


FindPeople = Callable[[Shot, Image], Sequence[Box]]
"""Says where people stand in a picture; asked in the order of the pictures, by one thread."""


PosePeople = Callable[[Sequence[Any]], Sequence[PredictedPerson | None]]
"""Poses people who have a padded ``bbox_xyxy`` and an ``image()``: a ``predictor.Predictor``."""


def tracked(find: FindPeople) -> FindPeople:
    """Return it with tracks given to the boxes of a video's frames; those of pictures stay as they are."""
    trackers: dict[str, Tracker] = {}

    def find_tracked(shot: Shot, picture: Image) -> Sequence[Box]:
        boxes = find(shot, picture)
        return boxes if shot.frame is None else trackers.setdefault(shot.source, Tracker()).number(boxes)

    return find_tracked


def predict_people(
    predictor: PosePeople,
    picture: Image,
    boxes: Sequence[Box],
    rule: CameraRule | None = None,
    *,
    padding: float = TIGHT_BOX_PADDING,
) -> list[PosedPerson | None]:
    """Return the people in tight boxes of an upright RGB picture, posed; None for a box outside of it.

    ``padding`` enlarges the boxes as those of the training data are.
    """
    camera = (rule or CameraRule()).camera_of(picture.shape[1], picture.shape[0])
    found = predictor([_Boxed(picture, box, padding) for box in boxes])
    return _placed([(one, box, camera) for one, box in zip(found, boxes, strict=True)])


def predict_shots(
    predictor: PosePeople,
    shots: Iterable[Shot],
    find: FindPeople,
    rule: CameraRule | None = None,
    *,
    threads: int = 1,
    padding: float = TIGHT_BOX_PADDING,
) -> Iterator[PosedShot]:
    """Yield pictures with their posed people, in order; one that cannot be read says why and holds nobody.

    ``threads`` read pictures ahead: one for the frames of a video, which only come in order.
    """
    rule = rule or CameraRule()
    waiting: deque[_Waiting] = deque()
    for shot, picture in _read_ahead(shots, threads):
        if isinstance(picture, PictureError):
            waiting.append(_Waiting(shot, None, None, problem=str(picture)))
        else:
            height, width = picture.pixels.shape[:2]
            boxes = find(shot, picture.pixels)
            camera = rule.camera_of(width, height, picture.focal)
            waiting.append(_Waiting(shot, picture, camera, [_Boxed(picture.pixels, box, padding) for box in boxes]))
        is_full = len(waiting) >= MOST_WAITING
        while is_full or sum(one.num_open for one in waiting) >= BATCH_SIZE:
            _predict_batch(predictor, waiting)
            is_full = False
        while waiting and not waiting[0].num_open:
            yield waiting.popleft().done()
    while any(one.num_open for one in waiting):
        _predict_batch(predictor, waiting)
    yield from (one.done() for one in waiting)


@dataclass(frozen=True)
class _Boxed:
    """A person of a picture as a Predictor takes people."""

    picture: Image
    box: Box
    padding: float

    @property
    def bbox_xyxy(self) -> Float[np.ndarray, "4"]:
        """The padded box in px."""
        return padded_box(self.box.bbox_xyxy, self.padding)

    def image(self) -> Image:
        """The whole picture."""
        return self.picture


@dataclass
class _Waiting:
    """A picture some of whose people the network has not seen yet."""

    shot: Shot
    picture: LoadedPicture | None
    camera: PictureCamera | None
    people: list[_Boxed] = field(default_factory=list)
    answers: list[PosedPerson | None] = field(default_factory=list)
    problem: str = ""

    @property
    def num_open(self) -> int:
        """How many people have no answer yet."""
        return len(self.people) - len(self.answers)

    def done(self) -> PosedShot:
        """Return the picture with its answers."""
        people = tuple(one for one in self.answers if one is not None)
        return PosedShot(
            shot=self.shot,
            picture=self.picture,
            camera=self.camera,
            people=people,
            num_outside=len(self.answers) - len(people),
            problem=self.problem,
        )


def _predict_batch(predictor: PosePeople, waiting: Iterable[_Waiting]) -> None:
    """Ask the network for the next people who wait, as many as it takes at a time."""
    batch = [(one, person) for one in waiting for person in one.people[len(one.answers) :]][:BATCH_SIZE]
    found = predictor([person for _, person in batch])
    asked = [(answer, person.box, one.camera) for answer, (one, person) in zip(found, batch, strict=True)]
    for (one, _), answer in zip(batch, _placed(asked), strict=True):
        one.answers.append(answer)


def _placed(
    asked: Sequence[tuple[PredictedPerson | None, Box, PictureCamera | None]],
) -> list[PosedPerson | None]:
    """Return people in the cameras of their pictures."""
    there = [(i, person, box, camera) for i, (person, box, camera) in enumerate(asked) if person and camera]
    out: list[PosedPerson | None] = [None] * len(asked)
    if not there:
        return out
    people, cameras = [person for _, person, _, _ in there], [camera for *_, camera in there]
    placed = place_people(
        np.stack([person.joints_3d for person in people]),
        np.stack([person.parameters["transl"] for person in people]),
        np.stack([person.K for person in people]),
        np.stack([camera.K for camera in cameras]),
    )
    for row, (i, person, box, camera) in enumerate(there):
        out[i] = _moved(person, box, camera, placed.transl[row], float(placed.residual_px[row]))
    return out


def _moved(
    person: PredictedPerson, box: Box, camera: PictureCamera, transl: Float[np.ndarray, "3"], residual_px: float
) -> PosedPerson:
    """Return a person at a place in the camera of the picture."""
    shift = (transl - person.parameters["transl"]).astype(np.float32)
    return PosedPerson(
        box=box,
        parameters=person.parameters | {"transl": transl.astype(np.float32)},
        K=camera.K,
        residual_px=residual_px,
        vertices=person.vertices + shift,
        joints_3d=person.joints_3d + shift,
        K_crop=person.K,
        transl_crop=person.parameters["transl"],
    )


def _read_ahead(shots: Iterable[Shot], threads: int) -> Iterator[tuple[Shot, LoadedPicture | PictureError]]:
    """Yield pictures in order, decoded by threads that are a little ahead."""
    waiting: deque[tuple[Shot, Future[LoadedPicture | PictureError]]] = deque()
    with ThreadPoolExecutor(threads, "read") as pool:
        try:
            for shot in shots:
                waiting.append((shot, pool.submit(_loaded, shot)))
                if len(waiting) > 2 * threads:
                    first, picture = waiting.popleft()
                    yield first, picture.result()
            while waiting:
                first, picture = waiting.popleft()
                yield first, picture.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _loaded(shot: Shot) -> LoadedPicture | PictureError:
    """Return a picture, or why it cannot be read."""
    try:
        return shot.load()
    except PictureError as error:
        return error
