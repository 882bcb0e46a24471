"""Fit3D: one trainer or trainee in a studio with four cameras (Fieraru et al., CVPR 2021).

47 exercises of eight subjects, SMPL-X fitted to marker-based motion capture; videos alone, no pictures.
Facts: imar_vision_datasets_tools (readme, ``util/dataset_util.py``); MMHuman3D ``sminchisescu.py``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..shards.record import Frame, Reject
from .formats.imar_json import imar_frames, imar_people, imar_sources
from .source import Source

VERSION = 1


def sources(root: Path, split: str, *, every: str = "1") -> list[Source]:
    """Return the exercises of a split, each with all cameras; every ``every``-th frame is converted."""
    return imar_sources(root, split, "fit3d", every)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every frame of an exercise with its person, camera after camera, or why the person is left out."""
    yield from imar_frames(source)


def count_people(source: Source) -> int:
    """Return the number of frames of an exercise times its cameras."""
    return imar_people(source)
