"""From labelled rows to a frame: looks at the picture and keeps count of everyone.

``assemble`` is where conservation is kept: every Person and Reject that goes in comes out, as part of a frame or as a
Reject with a reason. Only the two ends of a picture are read here; the engine reads the whole of it once, to store it.
A conversion of labels alone (``labels_alone``) takes the size from the labels where they tell it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ..errors import PictureError
from ..shards.picture import picture_size
from ..shards.record import ContainedPicture, Frame, Person, Provenance, Reject
from .raw import first_dir

_HEAD, _TAIL = 4096, 64  # bytes that tell size and completeness of nearly every picture

_without_pictures: ContextVar[bool] = ContextVar("without_pictures", default=False)


@contextmanager
def labels_alone(wanted: bool) -> Iterator[None]:
    """While this is open and ``wanted``, converters need no pictures on the disk."""
    token = _without_pictures.set(wanted)
    try:
        yield
    finally:
        _without_pictures.reset(token)


def need_pictures() -> bool:
    """Return whether the pictures of a source have to be there: always, but for a conversion of labels alone."""
    return not _without_pictures.get()


def picture_dir(root: Path, *candidates: str) -> Path:
    """Return the first of several possible folders of pictures that exists; RawFileError when they are needed."""
    found = next((root / name for name in candidates if (root / name).is_dir()), root / candidates[0])
    return first_dir(root, *candidates) if need_pictures() else found


def place_of(image: Path | ContainedPicture) -> str:
    """Return where a picture lies, for messages: its file, and where in the file."""
    return str(image) if isinstance(image, Path) else f"{image.path}, {image.name}"


def upright_size(image: Path | ContainedPicture, quarter_turns: int) -> tuple[int, int]:
    """Return (width, height) of a picture after quarter turns; PictureError when it is missing or damaged."""
    width, height = _file_size(image) if isinstance(image, Path) else image.size()
    return (width, height) if quarter_turns % 2 == 0 else (height, width)


def _file_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture file as it lies; PictureError when it is missing or damaged."""
    try:
        return _size_from_ends(path) or picture_size(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise PictureError(path, "missing_image", "the picture is not there") from error
    except OSError as error:
        raise PictureError(path, "damaged_image", f"the picture cannot be read ({error.strerror})") from error


def _size_from_ends(path: Path) -> tuple[int, int] | None:
    """Return (width, height) as the first and last bytes of a picture tell them; None when they do not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        head = os.pread(descriptor, _HEAD, 0)
        tail = os.pread(descriptor, _TAIL, max(size - _TAIL, len(head)))
    finally:
        os.close(descriptor)
    try:
        return picture_size(head + tail, str(path))
    except PictureError:
        return None  # a header longer than usual, or damage: the whole file says which


def assemble(
    key: str,
    image: Path | ContainedPicture,
    results: Sequence[Person | Reject],
    provenance: Provenance,
    *,
    expected_size: tuple[int, int] | None = None,
    quarter_turns: int = 0,
    **frame_fields: Any,
) -> Iterator[Frame | Reject]:
    """Yield the rejects among ``results`` and the frame with its people.

    When the picture is missing, damaged or not of ``expected_size`` (width, height after the turns, one pixel of
    tolerance), its people come out as one Reject; among labels alone ``expected_size`` is believed. ``provenance`` is
    that of the picture; ``frame_fields`` go into the Frame as they are.
    """
    yield from (result for result in results if isinstance(result, Reject))
    people = tuple(result for result in results if isinstance(result, Person))
    if not people:
        return
    try:
        width, height = _frame_size(image, quarter_turns, expected_size)
    except PictureError as error:
        yield Reject(key=key, reason=error.reason, detail=str(error), provenance=provenance, people=len(people))
        return
    yield Frame(
        key=key,
        image=image,
        width=width,
        height=height,
        people=people,
        quarter_turns=quarter_turns,
        **frame_fields,
    )


def _frame_size(
    image: Path | ContainedPicture, quarter_turns: int, expected: tuple[int, int] | None
) -> tuple[int, int]:
    """Return (width, height) of the upright picture; PictureError when the labels belong to one of another size."""
    if expected is not None and not need_pictures():
        return expected
    found = upright_size(image, quarter_turns)
    if expected and max(abs(found[0] - expected[0]), abs(found[1] - expected[1])) > 1:
        sizes = f"{found[0]} x {found[1]} pixels, but its labels belong to {expected[0]} x {expected[1]}"
        raise PictureError(place_of(image), "image_size", f"the picture has {sizes}")
    return found
