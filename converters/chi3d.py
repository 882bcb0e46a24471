"""CHI3D: two people in close contact in a studio with four cameras (Fieraru et al., CVPR 2020).

SMPL-X fits of both; person 0 wears the markers, person 1 none. Videos alone, no pictures.
Facts: imar_vision_datasets_tools (readme, ``util/dataset_util.py``, issue 5); MMHuman3D ``sminchisescu.py``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..shards.record import Frame, Reject
from .formats.imar_json import imar_frames, imar_people, imar_sources
from .source import Source

VERSION = 1


def sources(root: Path, split: str, *, every: str = "1") -> list[Source]:
    """Return the interactions of a split, each with all cameras; every ``every``-th frame is converted."""
    return imar_sources(root, split, "chi3d", every, people=2)


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every frame of an interaction with both people, camera after camera, or why somebody is left out."""
    yield from imar_frames(source)


def count_people(source: Source) -> int:
    """Return twice the number of frames of an interaction times its cameras."""
    return imar_people(source)
