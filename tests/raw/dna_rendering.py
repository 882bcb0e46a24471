"""A DNA-Rendering look-alike and the truth about its cameras of 5 megapixels."""

from pathlib import Path
from typing import Any

from ehps.tests.raw import _dna
from ehps.tests.raw._dna import SPLITS as SPLITS
from ehps.tests.raw._people import Truth

EXPECTED = _dna.expected("5mp")


def build(root: Path, **settings: Any) -> Truth:
    """Write the tree; settings are those of ``_dna.build``."""
    return _dna.build(root, "5mp", **settings)
