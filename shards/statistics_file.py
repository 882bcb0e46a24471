"""The file ``stats.json`` of a source: what its entries are, reading and writing it.

``ehps stats`` writes it (``statistics.py``), ``ehps card`` and the dashboard show it.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ..cards import DATASETS_DIR
from ..errors import ShardError

STATS_FILE = "stats.json"
LAYOUT = 1  # rises when the meaning of an entry changes
PARTS = ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Quantiles(_Strict):
    """Exact quantiles of a number over those who have it, each the value of somebody."""

    count: int
    min: float
    p01: float
    p05: float
    p25: float
    median: float
    p75: float
    p95: float
    p99: float
    max: float


class Orientation(_Strict):
    """Which way people face, as counts in bins of 30 degrees."""

    # From -180: 0 faces the camera, 90 faces the right edge of the picture.
    yaw: tuple[int, ...]
    # From 0, head up in the picture, to 180, head down.
    tilt: tuple[int, ...]


class Betas(_Strict):
    """Range of the shape coefficients that most people have."""

    min: tuple[float, ...]
    max: tuple[float, ...]


class Part(_Strict):
    """One split of a source, or all of it."""

    frames: int
    people: int
    sequences: int
    units: int
    shards: int
    bytes: int  # of the tars
    rejected_people: int
    reject_share: float  # of everyone in the raw files
    rejects: dict[str, int]  # people by reason
    people_per_frame: dict[str, int]  # frames by number of people
    picture_sizes: dict[str, int]  # frames by <width>x<height>, the commonest; others under "other"
    picture_formats: dict[str, int]
    pictures_stored: dict[str, int]
    cameras: dict[str, int]
    body_models: dict[str, int]
    genders: dict[str, int]
    num_betas: dict[str, int]
    labels: dict[str, dict[str, int]]  # of each part: people by origin, "none" where it is not labelled
    shares: dict[str, float]
    measures: dict[str, Quantiles]  # px, m, mm or a share, as in docs/catalog.md
    orientation: Orientation
    betas: Betas | None


class Statistics(_Strict):
    """Everything that is counted about a source."""

    dataset: str
    layout: int
    fingerprint: str  # of the shards
    total: Part
    splits: dict[str, Part]


def statistics_text(statistics: Statistics) -> str:
    """Return the content of a ``stats.json``."""
    return json.dumps(statistics.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def read_statistics(path: Path) -> Statistics | None:
    """Return the statistics in a file; None when it is not there, ShardError when it is something else."""
    try:
        return Statistics.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ShardError(path, f"{where}: {first['msg']}", "write it again with ehps stats") from error


def card_statistics_path(dataset: str) -> Path:
    """Return where the statistics of a source lie beside its card."""
    return DATASETS_DIR / dataset / STATS_FILE
