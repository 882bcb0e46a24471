"""Loading the dashboard's modules by name, when a page is first shown or before.

One at a time: two threads inside one ring of imports would see half a module.
"""

from importlib import import_module
from threading import Lock
from types import ModuleType

_LOADING = Lock()


def load(name: str) -> ModuleType:
    """Return a module of the dashboard, such as ``shell`` or ``views.card``."""
    with _LOADING:
        return import_module(f".{name}", __package__)
