"""DNA-Rendering: one actor, often with props or wide clothes, in a dome of cameras (Cheng et al., ICCV 2023).

These are the 48 cameras of 5 megapixels, called RenBody in SMPLer-X; ``dna_rendering_hires`` holds the other twelve.
Facts: DNA-Rendering ``scripts/3DGS`` and issues; the home page's description of SMC files.
"""

from collections.abc import Iterator
from pathlib import Path

from ..shards.record import Frame, Reject
from .formats.dna_smc import dna_frames, dna_people, dna_sources
from .source import Source

VERSION = 2


def sources(root: Path, split: str) -> list[Source]:
    """Return the takes of a split: part 1 is test, the other labelled parts are train."""
    return dna_sources(root, split, "5mp")


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a take with its actor, or why the actor is left out."""
    yield from dna_frames(source)


def count_people(source: Source) -> int:
    """Return the number of labelled time steps of a take times its cameras."""
    return dna_people(source)
