"""The unit of conversion: what a converter lists, what the engine runs in parallel and resumes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True)
class Source:
    """One independent piece of a raw tree: a scene, a sequence, a block of pictures. Travels to workers by pickle."""

    name: str  # unique within the split; becomes the name of the unit's folder
    root: Path  # of the raw tree; provenance is written relative to it
    split: str
    files: Mapping[str, Path] = field(default_factory=dict)  # what this unit reads, by role
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert _SLUG.fullmatch(self.name), f"{self.name!r} is not a unit name: use slug()"

    def relative(self, path: Path) -> str:
        """Return a path of this raw tree as provenance writes it: relative to the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()


def slug(text: str) -> str:
    """Return a unit name made of the owner's: lower case, everything but letters, digits, _ and - becomes -."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_") or "unit"
