"""DNA-Rendering HiRes: the takes of DNA-Rendering as its twelve cameras of 12 megapixels saw them.

A frame is the same instant as one of ``dna_rendering``, from another camera; the splits are the same.
Facts: see ``dna_rendering``; SMPLer-X ``data/RenBody_HiRes/RenBody_HiRes.py``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..shards.record import Frame, Reject
from .formats.dna_smc import dna_frames, dna_people, dna_sources
from .source import Source

VERSION = 2


def sources(root: Path, split: str) -> list[Source]:
    """Return the takes of a split: part 1 is test, the other labelled parts are train."""
    return dna_sources(root, split, "12mp")


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a take with its actor, or why the actor is left out."""
    yield from dna_frames(source)


def count_people(source: Source) -> int:
    """Return the number of labelled time steps of a take times its cameras."""
    return dna_people(source)
