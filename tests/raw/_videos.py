"""Real videos for fake raw trees: every frame shows its number, so that one frame too early or too late is seen.

The same pictures give the same bytes: one encoder thread, and nothing of the day or the machine in the file.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

_BITS = 12  # of a number: 4,096 frames


def numbered(picture: np.ndarray, number: int) -> np.ndarray:
    """Return an RGB picture with a number along its lower edge: a row of fields, dark for 0 and bright for 1."""
    out = picture.copy()
    for bit, field in enumerate(_fields(picture)):
        out[field] = 235 if number >> bit & 1 else 20
    return out


def number_of(rgb: np.ndarray) -> int:
    """Return the number that ``numbered`` wrote."""
    return sum(int(rgb[field].mean() > 128) << bit for bit, field in enumerate(_fields(rgb)))


def _fields(picture: np.ndarray) -> list[tuple[slice, slice]]:
    """Return where the bits of a number stand."""
    height, width = picture.shape[:2]
    edges = np.linspace(0, width, _BITS + 1).astype(int).tolist()
    return [(slice(height - height // 10, height), slice(*edges[i : i + 2])) for i in range(_BITS)]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    fps: int = 25,
    codec: str = "libx264",
    group: int = 12,
    b_frames: int = 2,
    times: Sequence[int] | None = None,
    color: tuple[int, int] | None = None,
    x264: str = "",
    movflags: str = "",
    **options: str,
) -> None:
    """Write RGB pictures of one even size as a video of 4:2:0 colours, in the container that the suffix names.

    ``group`` is the distance of the key frames; ``times`` gives each frame's time in units of 1/fps (default: 0, 1, 2,
    ...); ``color`` are FFmpeg's numbers of matrix (1: BT.709, 5: BT.601) and range (1: limited, 2: full);
    ``options`` are those of another encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = iter(pictures)
    first = next(frames)
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        context = stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = group, b_frames, 1
        fast = {"preset": "ultrafast", "x264-params": f"bframes={b_frames}:scenecut=0:{x264}".rstrip(":")}
        stream.options = fast if codec == "libx264" else options
        if color is not None:
            context.colorspace, context.color_range = color
        for i, picture in enumerate(chain([first], frames)):
            frame = _planes(picture, color)
            frame.pts, frame.time_base = i if times is None else times[i], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _planes(picture: np.ndarray, color: tuple[int, int] | None) -> av.VideoFrame:
    """Return a picture as the encoder takes it: 4:2:0, by BT.601 in limited range unless told otherwise."""
    matrix, value_range = color or (5, 1)
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return rgb.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=value_range)


def rewrite_video(
    path: Path, target: Path, keep: Callable[[int], bool] = lambda _: True, shift: int = 0, **options: str
) -> None:
    """Write the packets of a video that are kept, by their place in the file, to another one, without decoding.

    ``shift`` frames are added to every time: what then lies before 0 is hidden by an edit list.
    """
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for place, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            if keep(place):
                assert packet.pts is not None
                assert packet.dts is not None
                assert packet.duration
                packet.pts += shift * packet.duration
                packet.dts += shift * packet.duration
                packet.stream = copy
                container.mux(packet)
