"""Loading the dashboard's modules by name, when a page is first shown or before.

One at a time: two threads inside one ring of imports would see half a module. What is loaded before anybody asks for it
stands back while a page is drawn, and for a moment after, while the browser draws it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock, get_ident
from types import ModuleType

_LOADING = Lock()
_LOOK = 1.0  # seconds after the run of a page in which the browser draws it


class _Drawing:
    """Which threads draw a page, and when the last of them had ended."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.ended = -_LOOK


_DRAWING = _Drawing()


def load(name: str) -> ModuleType:
    """Return a module of the dashboard, such as ``shell`` or ``views.card``."""
    with _LOADING:
        return import_module(f".{name}", __package__)


@contextmanager
def drawing() -> Iterator[None]:
    """Say that this thread draws a page, for which what nobody waits for stands back."""
    _DRAWING.threads.add(get_ident())
    try:
        yield
    finally:
        _DRAWING.threads.discard(get_ident())
        _DRAWING.ended = time.monotonic()


def wait_until_calm() -> None:
    """Wait while pages are drawn or have just been."""
    while _DRAWING.threads or time.monotonic() - _DRAWING.ended < _LOOK:
        time.sleep(0.02)
