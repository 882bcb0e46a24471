"""From labelled rows to a frame: looks at the picture and keeps count of everyone.

``assemble`` is where conservation is kept: every Person and Reject that goes in comes out, as part of a frame or as a
Reject with a reason.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import PictureError
from ..shards.picture import picture_size
from ..shards.record import Frame, Person, Provenance, Reject


def upright_size(path: Path, quarter_turns: int) -> tuple[int, int]:
    """Return (width, height) of a picture after quarter turns; PictureError when it is missing or damaged."""
    try:
        width, height = picture_size(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise PictureError(path, "missing_image", "the picture is not there") from error
    return (width, height) if quarter_turns % 2 == 0 else (height, width)


def assemble(
    key: str,
    image: Path,
    results: Sequence[Person | Reject],
    provenance: Provenance,
    *,
    expected_size: tuple[int, int] | None = None,
    quarter_turns: int = 0,
    **frame_fields: Any,
) -> Iterator[Frame | Reject]:
    """Yield the rejects among ``results`` and the frame with its people.

    When the picture is missing, damaged or not of ``expected_size`` (width, height after the turns, one pixel of
    tolerance), its people come out as one Reject. ``provenance`` is that of the picture; ``frame_fields`` go into the
    Frame as they are.
    """
    yield from (result for result in results if isinstance(result, Reject))
    people = tuple(result for result in results if isinstance(result, Person))
    if not people:
        return
    try:
        width, height = upright_size(image, quarter_turns)
        _check_size(image, (width, height), expected_size)
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


def _check_size(image: Path, found: tuple[int, int], expected: tuple[int, int] | None) -> None:
    """Raise PictureError when the labels belong to a picture of another size."""
    if expected and max(abs(found[0] - expected[0]), abs(found[1] - expected[1])) > 1:
        sizes = f"{found[0]} x {found[1]} pixels, but its labels belong to {expected[0]} x {expected[1]}"
        raise PictureError(image, "image_size", f"the picture has {sizes}")
