"""Frames of videos by the number that ``ffmpeg -r`` gave them, which is another where the video has its own rate.

FFmpeg repeats or drops frames to keep the wanted rate, by rules that differ from version to version. As long as the
clocks have parted by less than a third of a frame it has done neither, and the number is that in the video.
"""

from dataclasses import dataclass

from ...errors import PictureError
from .video import VideoFrame, video_facts

_DRIFT = 0.33  # of a frame


@dataclass(frozen=True)
class ResampledFrame(VideoFrame):
    """A frame of a video, numbered at ``fps`` frames a second (a shards.record.ContainedPicture)."""

    fps: float

    def size(self) -> tuple[int, int]:
        """Return (width, height) in px; PictureError also where the number may be that of another frame."""
        own = video_facts(self.path).fps
        if not abs(own / self.fps - 1) * self.index <= _DRIFT:
            problem = f"the video has {own:g} frames a second, so frame {self.index} at {self.fps:g} may be another"
            hint = "extract the frames as the owner does"
            raise PictureError(f"{self.path}, {self.name}", "other_frame_rate", problem, hint)
        return super().size()
