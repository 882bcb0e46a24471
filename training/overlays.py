"""Pictures and videos with the people drawn on them whom a network has posed.

A video becomes an mp4 (H.264, 4:2:0); a frame that cannot be read is missing from it.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import Int

from ..body.draw import PALETTE, render_mesh
from ..shards.picture import encode_jpeg
from .prediction import Image, PosedShot

OPACITY = 0.85


class Overlays:
    """A folder of pictures and videos with people on them; threads draw, and what they draw is written in order."""

    def __init__(self, folder: Path, faces: Int[np.ndarray, "faces 3"], threads: int = 1) -> None:
        self.folder, self.faces, self.threads = folder, faces, threads
        self._pool = ThreadPoolExecutor(threads, "draw")
        self._waiting: deque[_Drawing] = deque()
        self._video: tuple[str, _OverlayVideo] | None = None

    def add(self, posed: PosedShot, fps: Fraction | None = None) -> None:
        """Draw the people of a picture, or of the next frame of a video that has ``fps``."""
        drawn = self._pool.submit(draw_people, posed, self.faces)
        self._waiting.append(_Drawing(posed.shot.source, fps, drawn))
        self._write_until(2 * self.threads)

    def finish(self) -> None:
        """Write what is still being drawn, and the end of the last video."""
        self._write_until(0)
        self._close_video()

    def close(self) -> None:
        """Let go of threads and files."""
        self._pool.shutdown(cancel_futures=True)
        self._close_video()

    def _write_until(self, most: int) -> None:
        """Write the pictures with people drawn on them, in order, until so many are still being drawn."""
        while len(self._waiting) > most:
            source, fps, drawn = self._waiting.popleft()
            self._write(source, fps, drawn.result())

    def _write(self, source: str, fps: Fraction | None, drawn: Image) -> None:
        """Write a picture with its people, as a file or at the end of its video."""
        if fps is None:
            path = self.folder / (source if source.lower().endswith((".jpg", ".jpeg")) else f"{source}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_jpeg(drawn))
            return
        if self._video is None or self._video[0] != source:
            self._close_video()
            path = self.folder / (source if source.lower().endswith(".mp4") else f"{source}.mp4")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._video = source, _OverlayVideo(path, drawn.shape[1], drawn.shape[0], fps)
        self._video[1].write(drawn)

    def _close_video(self) -> None:
        """End the overlay of a video."""
        if self._video is not None:
            self._video[1].close()
            self._video = None


class _Drawing(NamedTuple):
    """A picture that people are being drawn on."""

    source: str
    fps: Fraction | None
    drawn: Future[Image]


class _OverlayVideo:
    """An mp4 (H.264, 4:2:0) that pictures are appended to."""

    def __init__(self, path: Path, width: int, height: int, fps: Fraction) -> None:
        self._container: OutputContainer = av.open(str(path), "w")
        stream = self._container.add_stream("libx264", rate=fps)
        assert isinstance(stream, VideoStream)
        self._size = width - width % 2, height - height % 2  # 4:2:0 has no odd sides
        stream.width, stream.height, stream.pix_fmt = *self._size, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast"}
        self._stream = stream

    def write(self, picture: Image) -> None:
        """Append a picture; an odd last row or column is cut off."""
        width, height = self._size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds and end the file."""
        self._container.mux(self._stream.encode())
        self._container.close()


def draw_people(posed: PosedShot, faces: Int[np.ndarray, "faces 3"], opacity: float = OPACITY) -> Image:
    """Return a picture with everyone's mesh drawn on it; a track keeps its colour."""
    assert posed.picture is not None, "a picture that cannot be read has nothing to draw on"
    if not posed.people:
        return posed.picture.pixels.copy()
    numbers = [i if person.box.track is None else person.box.track for i, person in enumerate(posed.people)]
    colors = np.array([PALETTE[number % len(PALETTE)] for number in numbers])
    meshes = np.stack([person.vertices for person in posed.people])
    return render_mesh(posed.picture.pixels, meshes, faces, posed.people[0].K, color=colors, opacity=opacity)
