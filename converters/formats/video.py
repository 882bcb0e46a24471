"""Frames of videos, decoded in memory: the very frame that was asked for, and each frame once when they come in order.

Frame n is the n-th that a decode from the beginning shows, counted from 0, as ``ffmpeg`` and OpenCV number the frames
that they write out: what an edit list hides, and what stands before the first frame that can be decoded, does not
count. Frames are told apart by their time stamps, so a damaged one does not shift those behind it. Colours follow the
matrix and range that the file states, else BT.601 and limited range, as FFmpeg assumes. A rotation that a phone wrote
beside its video is ignored, like the EXIF orientation of pictures. See docs/adr/0012-video.md.
"""

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame as Decoded
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from ...errors import PictureError

# Decoders that a thread keeps open: one for each camera of a studio, should their frames come in turns.
OPEN_DECODERS = 4
# A decoder may hold 16 frames to bring them in order (H.264, H.265), so that a shorter leap would decode some twice.
MIN_LEAP = 16
# The fast conversion repeats colours, which lie at half the resolution; a JPEG of 4:2:0 averages them back to what the
# video holds. Finer interpolation is three times as slow and ends further off (docs/adr/0012-video.md).
_CONVERSION = Interpolation.BILINEAR | Interpolation.BITEXACT
_UNTIMED = frozenset({"avi", "h264", "hevc", "m4v"})  # FFmpeg's names of containers that know no time of display


class VideoFacts(NamedTuple):
    """What a video holds."""

    frames: int  # that can be asked for
    width: int  # px as they lie in the file
    height: int
    fps: float  # on average; NaN where the file does not tell


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video (a shards.record.ContainedPicture)."""

    path: Path
    index: int  # from 0

    @property
    def name(self) -> str:
        """Which frame of the file."""
        return f"frame {self.index}"

    def size(self) -> tuple[int, int]:
        """Return (width, height) in px; PictureError where the video is missing, damaged or too short."""
        facts = video_facts(self.path)
        if not 0 <= self.index < facts.frames:
            raise self.damaged(f"the video has {facts.frames} frames, the first is 0; it may be cut off")
        return facts.width, facts.height

    def read(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the frame as 8-bit RGB; PictureError where it is missing or damaged.

        Ask for the frames of a video in ascending order: a step back begins again at a key frame.
        """
        self.size()
        return _decoder(self.path).read(self)

    def damaged(self, problem: str) -> PictureError:
        """Return the error that names this frame."""
        return PictureError(f"{self.path}, {self.name}", "damaged_image", problem)


def video_facts(path: Path) -> VideoFacts:
    """Return what a video holds, by reading it through once; PictureError when it is missing or not a video.

    Of a video that is cut off only what can be decoded counts.
    """
    return _survey(path, *_state(path)).facts


def frame_at(path: Path, seconds: float) -> int:
    """Return the frame that is nearest in time to so many seconds after the first; PictureError as ``video_facts``.

    Frames need not be evenly spaced. A time behind the end gives a number that the video does not have.
    """
    facts, times, _, unit = _survey(path, *_state(path))
    if not times or seconds * facts.fps < 0.5:
        return max(round(seconds * facts.fps), 0)
    time = times[0] + seconds / unit
    place = bisect_left(times, time)
    if place == len(times):
        return place - 1 if (time - times[-1]) * unit * facts.fps < 0.5 else place
    return place if times[place] - time <= time - times[place - 1] else place - 1


class _Survey(NamedTuple):
    """The frames of a video, found without decoding more than the first."""

    facts: VideoFacts
    times: list[int]  # time stamp of each frame; empty where the container has none
    keys: list[int]  # numbers of the key frames
    unit: float  # seconds that a time stamp counts


class _Stamp(NamedTuple):
    """What a packet says of its frame, without the data."""

    pts: int | None  # when it is shown
    dts: int | None  # when it is decoded
    is_key: bool
    is_shown: bool  # edit lists hide the others
    is_whole: bool


def _state(path: Path) -> tuple[int, int]:
    """Return what tells whether a file is still the same; PictureError when it is missing."""
    try:
        status = path.stat()
    except OSError as error:
        raise PictureError(path, "missing_image", f"the video is not there ({error.strerror})") from error
    return status.st_mtime_ns, status.st_size


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    """Return a video and its first video stream, to be decoded by one thread that hides no damage."""
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise PictureError(path, "damaged_image", f"FFmpeg cannot open it as a video ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise PictureError(path, "damaged_image", "the file holds no video stream")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # the engine's processes share the cores out already
    stream.codec_context.options = {"err_detect": "explode"}
    try:
        stream.codec_context.open()  # now, because dav1d keeps for good what it may pass over when it is opened
    except FFmpegError as error:
        container.close()
        raise PictureError(path, "damaged_image", f"FFmpeg cannot decode such a video ({error.strerror})") from error
    return container, stream


@lru_cache(maxsize=64)
def _survey(path: Path, _changed: int, bytes_there: int) -> _Survey:
    """Return the frames of a video; PictureError when there are none."""
    container, stream = _open(path)
    with container:
        stamps, first = _listed(container, stream)
        if first is None:
            raise PictureError(path, "damaged_image", "not one frame of the video can be decoded")
        rate = float(stream.average_rate) if stream.average_rate else float("nan")
        times = None if container.format.name in _UNTIMED else _times(stamps)
        unit = float(stream.time_base or 0)
        if times is None:
            return _Survey(
                VideoFacts(sum(one.is_shown for one in stamps), first.width, first.height, rate), [], [], unit
            )
        if _is_cut_off(stream, stamps, times, bytes_there):
            times = _surely_numbered(times, stamps)
    times = [time for time in times if first.pts is not None and time >= first.pts]
    key_times = {one.pts for one in stamps if one.is_key}
    keys = [number for number, time in enumerate(times) if time in key_times]
    return _Survey(VideoFacts(len(times), first.width, first.height, rate), times, keys, unit)


def _listed(container: InputContainer, stream: VideoStream) -> tuple[list[_Stamp], Decoded | None]:
    """Return what every packet of a video says in the order of the file, and the first frame that can be decoded."""
    stamps: list[_Stamp] = []
    first = None
    try:
        for packet in container.demux(stream):
            if packet.size:
                whole, shown = not packet.is_corrupt, not packet.is_discard
                stamps.append(_Stamp(packet.pts, packet.dts, packet.is_keyframe, shown, whole))
            if first is None:
                first = _first_frame(packet)
    except FFmpegError:
        # The file ends in the middle of something: what came before is there.
        return [*stamps[:-1], stamps[-1]._replace(is_whole=False)] if stamps else [], first
    return stamps, first


def _first_frame(packet: Packet) -> Decoded | None:
    """Return the first frame that a packet completes, if any."""
    try:
        return next(iter(packet.decode()), None)
    except FFmpegError:
        return None


def _times(stamps: list[_Stamp]) -> list[int] | None:
    """Return the time stamps of the frames that are shown, in order; None where they do not tell frames apart."""
    shown = [one.pts for one in stamps if one.is_shown]
    times = sorted({time for time in shown if time is not None})
    return times if len(times) == len(shown) else None


def _surely_numbered(times: list[int], stamps: list[_Stamp]) -> list[int]:
    """Return the times up to the one at which the last frame was decoded: no frame between them can be missing."""
    return [time for time in times if stamps[-1].dts is None or time <= stamps[-1].dts]


def _is_cut_off(stream: VideoStream, stamps: list[_Stamp], times: list[int], bytes_there: int) -> bool:
    """Return whether the end of a video is missing, so that frames between the last ones were never written.

    Some containers list where each frame lies; in others a gap between the frames that wait for their time tells.
    """
    if not stamps[-1].is_whole:
        return True
    if len(stream.index_entries) >= len(stamps):
        return any(entry.pos + entry.size > bytes_there for entry in stream.index_entries)
    steps = np.diff(times[max(len(_surely_numbered(times, stamps)) - 1, 0) :])
    return bool(steps.size and steps.max() > 1.5 * np.median(np.diff(times)))


class _Decoder:
    """A video that is open, somewhere among its frames."""

    def __init__(self, path: Path, survey: _Survey) -> None:
        self._path, self._survey = path, survey
        self._reformatter = VideoReformatter()  # keeps FFmpeg's tables from frame to frame
        self._container, self._stream = _open(path)
        self._begin(0)

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def read(self, wanted: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """Return a frame as RGB; PictureError where it is damaged."""
        key = self._key_before(wanted.index)
        if wanted.index < self._next or key > self._next + MIN_LEAP:
            self._seek(key)
        found = self._find(wanted.index)
        if found is None and self._has_leapt:
            # Some files mark frames as key frames that need earlier ones, and some seek too far.
            self._seek(self._key_before(key - 1))
            found = self._find(wanted.index)
        if found is None:
            raise wanted.damaged(f"the decoder gives no sound picture ({self._problem})")
        return self._reformatter.reformat(found, format="rgb24", interpolation=_CONVERSION).to_ndarray()

    def _key_before(self, number: int) -> int:
        """Return the last key frame up to a frame; the beginning where there is none."""
        place = bisect_right(self._survey.keys, number)
        return self._survey.keys[place - 1] if place else 0

    def _seek(self, key: int) -> None:
        """Go to a key frame, or to the beginning where the container cannot."""
        try:
            if key > 0:
                self._container.seek(self._survey.times[key], stream=self._stream)
        except FFmpegError:
            key = 0
        if key == 0:
            self.close()
            self._container, self._stream = _open(self._path)
        self._begin(key)

    def _begin(self, number: int) -> None:
        """Start decoding at a frame."""
        self._packets = self._demuxed()
        self._waiting: deque[Decoded] = deque()  # in the order in which they are shown
        self._next = number
        self._has_leapt = number > 0
        self._damage: list[range] = []  # numbers of frames
        self._problem = "it is lost"

    def _demuxed(self) -> Iterator[Packet]:
        """Yield the packets of the video up to where the file can be read."""
        try:
            yield from self._container.demux(self._stream)
        except FFmpegError as error:
            self._problem = error.strerror

    def _find(self, wanted: int) -> Decoded | None:
        """Return a frame; None when there is no sound one."""
        while self._waiting or self._decode_more(wanted):
            number = self._number(self._waiting[0])
            if number is not None and number > wanted:
                self._next = wanted + 1
                return None
            frame = self._waiting.popleft()
            if number is not None:
                self._next = number + 1
            if number == wanted:
                is_damaged = frame.is_corrupt or any(number in damaged for damaged in self._damage)
                return None if is_damaged else frame
        return None

    def _number(self, frame: Decoded) -> int | None:
        """Return the number of the frame that comes next; None when it is none of those that are shown."""
        times = self._survey.times
        if not times:
            return self._next
        place = bisect_left(times, frame.pts) if frame.pts is not None else len(times)
        return place if place < len(times) and times[place] == frame.pts else None

    def _decode_more(self, wanted: int) -> bool:
        """Decode until there is a frame, passing over those before the wanted one that no other refers to."""
        times, context = self._survey.times, self._stream.codec_context
        for packet in self._packets:
            is_needless = bool(times) and packet.pts is not None and packet.pts < times[wanted]
            context.skip_frame = "NONREF" if is_needless else "DEFAULT"
            try:
                self._waiting.extend(packet.decode())
            except FFmpegError as error:
                self._problem = error.strerror
                self._damage.append(self._damaged_by(packet))
            if self._waiting:
                return True
        return False

    def _damaged_by(self, packet: Packet) -> range:
        """Return the frames that a packet without a sound picture spoils: up to the next key frame.

        What is shown before the packet is decoded was decoded earlier. Without time stamps nothing behind damage can
        be numbered.
        """
        times, keys, end = self._survey.times, self._survey.keys, self._survey.facts.frames
        if not times or packet.pts is None:
            return range(self._next, end)
        first = bisect_left(times, packet.pts if packet.dts is None else packet.dts)
        place = bisect_right(keys, bisect_left(times, packet.pts))
        return range(first, keys[place] if place < len(keys) else end)


class _OpenDecoders(threading.local):
    """The decoders of a thread, the one that was used last at the end."""

    def __init__(self) -> None:
        self.by_file: OrderedDict[tuple, _Decoder] = OrderedDict()


_open_decoders = _OpenDecoders()


def _decoder(path: Path) -> _Decoder:
    """Return this thread's decoder of a video; the one that was not used for longest is closed for it."""
    file, decoders = (path, *_state(path)), _open_decoders.by_file
    if file not in decoders:
        if len(decoders) == OPEN_DECODERS:
            decoders.popitem(last=False)[1].close()
        decoders[file] = _Decoder(path, _survey(*file))
    decoders.move_to_end(file)
    return decoders[file]
