"""How much time the converted videos cover, where it is known.

A record's ``frame_index`` counts the pictures of its video; the card says how many a second (``images.frame_rate``). A
clip is a sequence as one camera saw it within a unit, and covers the time from its first to its last converted frame,
so that of a video of which every fifth picture was converted all time counts. Where a card names no rate, or a source
is no video, nothing is known, and nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ..cards import card_ids, load_card

# One row a source whose frames are numbered: its clips, and the frames from the first to the last of each together.
CLIPS = (
    "SELECT dataset, count(*) AS clips, sum(last - first)::BIGINT AS frames FROM ("
    "SELECT dataset, min(frame_index) AS first, max(frame_index) AS last FROM frames "
    "WHERE sequence IS NOT NULL AND frame_index IS NOT NULL GROUP BY dataset, split, unit, sequence, camera_name"
    ") GROUP BY dataset ORDER BY dataset"
)


@dataclass(frozen=True)
class Recorded:
    """How much recorded time there is, and of whom it is known."""

    seconds: Mapping[str, float]  # by source
    unknown: tuple[str, ...]  # videos whose rate no card names

    @property
    def total(self) -> float | None:
        """Return the seconds of all sources whose rate is known; None when that is nobody."""
        return sum(self.seconds.values()) if self.seconds else None


def frame_rates() -> dict[str, float | None]:
    """Return the pictures a second of every source that is video, None where its card does not say."""
    images = {dataset: load_card(dataset).images for dataset in card_ids()}
    return {dataset: own.frame_rate for dataset, own in images.items() if own.video}


def recorded(clips: pd.DataFrame, here: list[str], rates: Mapping[str, float | None]) -> Recorded:
    """Return the recorded time of the sources that are here; ``clips`` is the answer to ``CLIPS``."""
    frames = dict(zip(clips["dataset"], clips["frames"], strict=True))
    seconds = {name: frames[name] / rate for name in here if name in frames and (rate := rates.get(name))}
    return Recorded(seconds, tuple(name for name in here if name in rates and name not in seconds))
