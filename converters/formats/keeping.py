"""Readers that keep the last file, for formats whose units share one large file or read theirs more than once."""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

Content = TypeVar("Content")


def keeps_last(read: Callable[..., Content]) -> Callable[..., Content]:
    """Return a reader ``read(path, *settings)`` that keeps its last answer until the file or a setting changes."""

    @lru_cache(maxsize=1)
    def kept(path: Path, _changed: int, *settings: Any) -> Content:
        return read(path, *settings)

    @wraps(read)
    def reader(path: Path, *settings: Any) -> Content:
        return kept(path, path.stat().st_mtime_ns if path.is_file() else 0, *settings)

    return reader
