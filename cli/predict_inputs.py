"""What ``ehps predict`` predicts on: pictures, folders of pictures and videos, as shots that are loaded later."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from ..errors import PictureError, RawFileError

if TYPE_CHECKING:
    from ..converters.formats.video import VideoFrame
    from ..training.prediction import LoadedPicture, Shot

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"})
UNKNOWN_FPS = 25


class Span(NamedTuple):
    """Which frames of a video are wanted: numbers, or seconds where a text ends in s."""

    first: str = "0"
    last: str | None = None  # itself included
    stride: int = 1


@dataclass(frozen=True)
class Source:
    """Some pictures that may be read in any order, or the frames of one video."""

    shots: tuple["Shot", ...]
    fps: Fraction | None = None  # of the frames that are wanted; None for pictures

    @property
    def is_video(self) -> bool:
        """Whether the shots follow one another in time, so that one thread reads them in order."""
        return self.fps is not None


def find_sources(inputs: Sequence[Path], span: Span) -> list[Source]:
    """Return what the paths name, pictures first; RawFileError where a path is nothing that can be predicted on."""
    pictures: dict[str, Path] = {}
    videos: dict[str, Path] = {}
    for given in inputs:
        for name, path in _files(given):
            kind = videos if path.suffix.lower() in VIDEOS else pictures
            if name in kind:
                raise RawFileError(path, f"two inputs are called {name}", "predict them one after the other")
            kind[name] = path
    sources = [Source(tuple(_picture(name, path) for name, path in pictures.items()))] if pictures else []
    return sources + [_video(name, path, span) for name, path in videos.items()]


def _files(given: Path) -> Iterator[tuple[str, Path]]:
    """Yield the pictures and videos that a path names, with their names."""
    if given.is_dir():
        found = sorted(path for path in given.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
        if not found:
            raise RawFileError(given, "holds no picture", f"looked for {', '.join(sorted(PICTURES))}, also below it")
        yield from ((path.relative_to(given).as_posix(), path) for path in found)
    elif not given.exists():
        raise RawFileError(given, "is not there", "name a picture, a folder of pictures or a video")
    elif given.suffix.lower() in PICTURES | VIDEOS:
        yield given.name, given
    else:
        known = ", ".join(sorted(PICTURES | VIDEOS))
        raise RawFileError(given, "is neither a picture, a folder of pictures nor a video", f"known are {known}")


def _picture(name: str, path: Path) -> "Shot":
    """Return a picture that is yet to be read."""
    from ..training.prediction import Shot

    return Shot(name, None, partial(_load_picture, path))


def _load_picture(path: Path) -> "LoadedPicture":
    """Return a picture as it should be seen; PictureError where it is damaged."""
    from ..shards.picture import decode_rgb
    from ..training.exif import read_exif, upright
    from ..training.prediction import LoadedPicture

    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(path, "missing_image", f"the picture cannot be read ({error.strerror})") from error
    exif = read_exif(data)
    pixels = upright(decode_rgb(data, name=str(path)), exif.orientation)
    return LoadedPicture(pixels, exif.focal_px(pixels.shape[1], pixels.shape[0]))


def _video(name: str, path: Path, span: Span) -> Source:
    """Return the wanted frames of a video."""
    from ..converters.formats.video import VideoFrame, frame_at, video_facts
    from ..training.prediction import Shot

    facts, turns = video_facts(path), quarter_turns(path)
    at_second = partial(frame_at, path)
    first = _frame_number(span.first, at_second)
    last = facts.frames - 1 if span.last is None else min(_frame_number(span.last, at_second), facts.frames - 1)
    numbers = range(first, last + 1, span.stride)
    if not numbers:
        until = f" to {span.last}" if span.last is not None else ""
        raise RawFileError(path, f"has {facts.frames} frames, none of them from {span.first}{until}")
    fps = Fraction(facts.fps).limit_denominator(1001) if math.isfinite(facts.fps) else Fraction(UNKNOWN_FPS)
    shots = tuple(Shot(name, number, partial(_load_frame, VideoFrame(path, number), turns)) for number in numbers)
    return Source(shots, fps / span.stride)


def _frame_number(text: str, at_second: Callable[[float], int]) -> int:
    """Return the frame that a number, or a number of seconds, stands for."""
    try:
        number = at_second(float(text[:-1])) if text.endswith("s") else int(text)
    except ValueError as error:
        problem = f"{text!r} is no frame: --from and --to take 120 for a frame and 4.5s for seconds"
        raise typer.BadParameter(problem) from error
    if number < 0:
        raise typer.BadParameter(f"{text!r} lies before the first frame, which is 0")
    return number


def _load_frame(frame: "VideoFrame", turns: int) -> "LoadedPicture":
    """Return a frame of a video as it should be seen."""
    import numpy as np

    from ..training.prediction import LoadedPicture

    return LoadedPicture(np.ascontiguousarray(np.rot90(frame.read(), turns)))


def quarter_turns(path: Path) -> int:
    """Return by how many quarter turns, against the clock, a phone wants its video shown."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            return round(frame.rotation / 90) % 4
    return 0
