"""How the frames of a unit get their pictures: read once, encoded as asked for, judged, in the order of the frames.

Several threads may look at pictures ahead of the writer (the transcoder and OpenCV release Python's lock); what comes
out, and in which order, does not depend on their number. Pictures inside larger files are fetched by one thread in the
order of the frames, so that a video is decoded once.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ..errors import PictureError
from ..shards.packs import person_cuts
from ..shards.picture import Picture, encoded_picture, encoded_pixels
from ..shards.record import Frame, Reject
from .batch import changed
from .pictures import place_of
from .sharpness import sharpness

Images = Literal["frame", "person", "none"]
JpegMode = Literal["tile", "keep"]
PngMode = Literal["jpeg", "keep"]
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Content = Path | bytes | UInt8[np.ndarray, "height width 3"] | PictureError  # the last where a container gave none
_AHEAD = 2  # pictures that each thread may be ahead of the writer


@dataclass(frozen=True)
class Storing:
    """What is stored of the pictures."""

    images: Images = "frame"  # whole frames, one cut for each person, or labels alone
    jpeg: JpegMode = "tile"  # with tiles, losslessly, or the owner's bytes
    png: PngMode = "jpeg"  # as JPEG of quality 95 with tiles, or the owner's bytes
    sharpness: bool | None = None  # measure it; None: only of pictures that are looked at anyway

    @property
    def only_copies(self) -> bool:
        """Return whether pictures are copied at most, which is too little work for threads of its own."""
        is_copied = self.images == "frame" and self.jpeg == self.png == "keep" and not self.sharpness
        return is_copied or self.images == "none"

    def measures_sharpness(self, picture: Picture) -> bool:
        """Return whether the people of a picture get their sharpness."""
        return picture.luma is not None if self.sharpness is None else self.sharpness


class Piece(NamedTuple):
    """One sample for the writer."""

    frame: Frame
    key: str  # global
    picture: Picture | None  # None: labels alone


class Pictured(NamedTuple):
    """What became of a frame: its samples, or the rejects of its people."""

    pieces: list[Piece]
    rejects: list[Reject]


class PictureRoom:
    """Looks at the pictures of frames, with as many threads as it is given; ``key_of`` makes a frame's key global."""

    def __init__(
        self, storing: Storing, key_of: Callable[[str], str], pool: ThreadPoolExecutor | None = None, threads: int = 1
    ) -> None:
        self._storing, self._key_of, self._pool, self._threads = storing, key_of, pool, threads

    def pictured(self, frames: Iterable[Frame]) -> Iterator[Pictured]:
        """Yield the frames in their order with their pictures."""
        if self._pool is None:
            yield from (self._look(frame, self._content(frame)) for frame in frames)
            return
        waiting: deque[Future[Pictured]] = deque()
        for frame in frames:
            waiting.append(self._pool.submit(self._look, frame, self._content(frame)))
            if len(waiting) > _AHEAD * self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _content(self, frame: Frame) -> Content:
        """Return the picture of a frame, taken out of its container where it lies in one and is wanted."""
        if isinstance(frame.image, Path | bytes):
            return frame.image
        try:
            return b"" if self._storing.images == "none" else frame.image.read()
        except PictureError as error:
            return error

    def _look(self, frame: Frame, content: Content) -> Pictured:
        """Return a frame with the picture to store and the sharpness of its people; rejects when it is no good."""
        key, storing = self._key_of(frame.key), self._storing
        if storing.images == "none":
            return Pictured([Piece(frame, key, None)], [])
        try:
            picture = _encoded(frame, content, storing)
            _check(frame, picture)
            if storing.measures_sharpness(picture):
                frame = _with_sharpness(frame, picture)
            if storing.images == "frame":
                return Pictured([Piece(frame, key, picture)], [])
            return Pictured([Piece(*cut) for cut in person_cuts(frame, key, picture)], [])
        except PictureError as error:
            return Pictured([], _without_picture(frame, error))


@contextmanager
def open_room(storing: Storing, key_of: Callable[[str], str], threads: int) -> Iterator[PictureRoom]:
    """Give a room of pictures; its threads end with it."""
    if threads <= 1 or storing.only_copies:
        yield PictureRoom(storing, key_of)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
    try:
        yield PictureRoom(storing, key_of, pool, threads)
    finally:
        pool.shutdown(cancel_futures=True)


def _encoded(frame: Frame, content: Content, storing: Storing) -> Picture:
    """Return the picture to store; PictureError when it is missing or damaged."""
    if isinstance(content, PictureError):
        raise content
    if isinstance(content, np.ndarray):
        return encoded_pixels(content, frame.quarter_turns, name=_where(frame))
    return encoded_picture(content, frame.quarter_turns, jpeg=storing.jpeg, png=storing.png, name=_where(frame))


def _where(frame: Frame) -> str:
    """Return where the picture of a frame comes from, for messages."""
    return frame.key if isinstance(frame.image, bytes) else place_of(frame.image)


def _check(frame: Frame, picture: Picture) -> None:
    """Raise PictureError when a picture is damaged or has another size than its labels."""
    where = _where(frame)
    if picture.ext == "png" and not has_sound_chunks(picture.data):
        problem = "the picture is damaged: a checksum inside the PNG does not hold"
        raise PictureError(where, "damaged_image", problem)
    if (picture.width, picture.height) != (frame.width, frame.height):
        found = f"{picture.width} x {picture.height} pixels, its labels {frame.width} x {frame.height}"
        raise PictureError(where, "image_size", f"the picture has {found}")


def has_sound_chunks(png: bytes) -> bool:
    """Return whether every chunk of a PNG has its checksum (PNG specification, 5.3): ten times faster than decoding.

    A JPEG has no checksums, and decoders make a picture of nearly anything; the transcoder finds what breaks its code.
    """
    position, view = len(_PNG_SIGNATURE), memoryview(png)
    while position < len(png):
        size = int.from_bytes(view[position : position + 4], "big")
        end = position + 8 + size
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        position = end + 4
    return True


def _without_picture(frame: Frame, error: PictureError) -> list[Reject]:
    """Return one reject for everyone in a frame."""
    return [
        Reject(key=frame.key, reason=error.reason, detail=str(error), provenance=person.provenance)
        for person in frame.people
    ]


def _with_sharpness(frame: Frame, picture: Picture) -> Frame:
    """Return a frame whose people have the sharpness of their box among their measures."""
    measured = sharpness(picture, [person.bbox_xyxy for person in frame.people])
    people = [
        changed(person, quality={**person.quality, "sharpness": value}) if isfinite(value) else person
        for person, value in zip(frame.people, measured, strict=True)
    ]
    return changed(frame, people=tuple(people))
