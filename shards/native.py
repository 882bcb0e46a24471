"""The shared library of plain C that lies beside this module: pictures are transcoded, cut and warped there.

ctypes lets go of the interpreter's lock during every call, so threads run beside one another.
It is built when ehps is installed (build_backend/native_build.py); there is no slower way round it.
"""

import ctypes
import os
from pathlib import Path

LIBRARY_PATH = Path(__file__).with_name("_native.dll" if os.name == "nt" else "_native.so")


_BUILD = "build it with: python -m pip install --no-deps --editable ."


class Library(ctypes.CDLL):
    """The compiled part of ehps; ImportError when it was not built, is of another machine, or lacks a function."""

    def __init__(self, path: Path) -> None:
        try:
            super().__init__(str(path))
        except OSError as error:
            raise ImportError(f"{path}: the compiled part of ehps cannot be loaded ({error}); {_BUILD}") from error

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            if not name.startswith("ehps_"):
                raise
            raise ImportError(
                f"{self._name}: {name} is not in it, so it is older than its sources; {_BUILD}"
            ) from error


library = Library(LIBRARY_PATH)
