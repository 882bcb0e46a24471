"""Reading pickles that cannot run code.

Many owners ship labels and body models as Python pickles. A pickle is a program, so this unpickler admits only what
plain data needs: numpy arrays and scalars, SciPy sparse matrices, pandas frames, standard containers, and chumpy
arrays, which come out as plain numpy arrays. Anything else raises UnsafePickleError and names what was refused.
"""

import importlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RawFileError, UnsafePickleError

# Module prefix -> names; each builds data and nothing else.
_ALLOWED: dict[str, frozenset[str]] = {
    "builtins": frozenset(
        ["set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool", "str", "bytes", "bytearray"]
        + ["slice", "range", "object"]
    ),
    "collections": frozenset(["OrderedDict", "defaultdict", "deque"]),
    "copyreg": frozenset(["_reconstructor"]),
    "_codecs": frozenset(["encode"]),
    "datetime": frozenset(["datetime", "date", "time", "timedelta", "timezone"]),
    "numpy": frozenset(["ndarray", "dtype", "bool_", "float64", "float32", "int64", "int32", "uint8"]),
    "numpy.core.multiarray": frozenset(["_reconstruct", "scalar"]),
    "numpy._core.multiarray": frozenset(["_reconstruct", "scalar"]),
    "numpy.core.numeric": frozenset(["_frombuffer"]),
    "numpy._core.numeric": frozenset(["_frombuffer"]),
    "numpy.dtypes": frozenset(),
}
_SPARSE_MODULES = ("scipy.sparse.csc", "scipy.sparse._csc", "scipy.sparse.csr", "scipy.sparse._csr")
_SPARSE_NAMES = frozenset(["csc_matrix", "csr_matrix", "csc_array", "csr_array"])
_PANDAS: dict[str, frozenset[str]] = {
    "pandas": frozenset(["DataFrame", "Series", "Index", "RangeIndex", "StringDtype"]),
    "pandas.arrays": frozenset(["ArrowStringArray"]),
    "pandas.core.dtypes.dtypes": frozenset(["StringDtype"]),
    "pandas.core.arrays.string_": frozenset(["StringDtype"]),
    "pyarrow.lib": frozenset(["_restore_array", "type_for_alias", "py_buffer", "chunked_array"]),
    "pandas.core.frame": frozenset(["DataFrame"]),
    "pandas.core.series": frozenset(["Series"]),
    "pandas.core.internals.managers": frozenset(["BlockManager", "SingleBlockManager"]),
    "pandas.core.internals.blocks": frozenset(["new_block", "Block", "NumericBlock", "ObjectBlock", "_unpickle_block"]),
    "pandas._libs.internals": frozenset(["_unpickle_block", "BlockManager", "BlockPlacement"]),
    "pandas.core.indexes.base": frozenset(["_new_Index", "Index"]),
    "pandas.core.indexes.range": frozenset(["RangeIndex"]),
    "pandas.core.indexes.numeric": frozenset(["Int64Index", "UInt64Index", "Float64Index"]),
}
# What today's pandas calls otherwise (pandas, ``compat/pickle_compat.py``).
_MOVED = {
    ("pandas.core.indexes.numeric", "Int64Index"): ("pandas", "Index"),
    ("pandas.core.indexes.numeric", "UInt64Index"): ("pandas", "Index"),
    ("pandas.core.indexes.numeric", "Float64Index"): ("pandas", "Index"),
    ("pandas.core.internals.blocks", "new_block"): ("pandas._libs.internals", "_unpickle_block"),
}


class _ChumpyArray:
    """Stands in for every chumpy class while a pickle is read; only its values are kept."""

    def __init__(self, *_args: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


def _chumpy_values(value: _ChumpyArray, path: Path) -> np.ndarray:
    """Return the array that a pickled chumpy object stands for."""
    state = value.state
    if "x" in state:
        return np.asarray(_plain(state["x"], path))
    if "a" in state and "idxs" in state:  # chumpy.reordering.Select: a choice from another array
        flat = np.asarray(_plain(state["a"], path)).ravel()[np.asarray(state["idxs"])]
        shape = state.get("preferred_shape")
        return flat.reshape(shape) if shape is not None else flat
    raise UnsafePickleError(path, f"a chumpy object with the fields {sorted(state)}")


class _Dropped:
    """Stands in for what the caller does without; nothing is imported, called or kept."""

    def __init__(self, *_args: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...


def _plain(value: Any, path: Path) -> Any:
    """Return value with every chumpy object in its containers replaced by an array, and what was dropped by None."""
    if isinstance(value, _ChumpyArray):
        return _chumpy_values(value, path)
    if isinstance(value, _Dropped):
        return None
    if isinstance(value, dict):
        return {key: _plain(item, path) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, path) for item in value)
    return value


class _Unpickler(pickle.Unpickler):
    """An unpickler that finds only data types."""

    def __init__(
        self, file: io.BufferedIOBase, path: Path, encoding: str, dropped: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._path, self._dropped = path, dropped

    def find_class(self, module: str, name: str) -> Any:
        """Return a data type by name, or refuse."""
        return _Dropped if f"{module}.{name}" in self._dropped else plain_type(self._path, module, name)


def plain_type(path: Path, module: str, name: str) -> Any:
    """Return the data type that a pickle calls by this name; UnsafePickleError for what could run code."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    if module.split(".")[0] == "chumpy":
        return _ChumpyArray
    allowed = _ALLOWED.get(module, frozenset()) | _PANDAS.get(module, frozenset())
    if module in _SPARSE_MODULES:
        module, allowed = "scipy.sparse", _SPARSE_NAMES
    if name not in allowed:
        raise UnsafePickleError(path, f"{module}.{name}")
    return _find(module, name)


def _find(module: str, name: str) -> Callable[..., Any]:
    """Return the object that today's libraries hold under a name that older ones pickled."""
    if module == "_codecs":
        return _encode_latin1
    module, name = _MOVED.get((module, name), (module, name))
    module = module.replace("numpy.core", "numpy._core")
    return getattr(importlib.import_module(module), name)


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """Return bytes that protocol 2 wrote as text; only latin1 occurs in such pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"a byte string is encoded as {encoding!r}, expected latin1")
    return text.encode("latin1")


def load_pickle(path: Path, *, encoding: str = "latin1", dropped: frozenset[str] = frozenset()) -> Any:
    """Return the data of a pickle file; chumpy arrays become numpy arrays.

    ``dropped`` names (``module.name``) what the caller does without: it becomes None, and neither it nor its library is
    ever touched. A file that is not a pickle raises RawFileError; one that wants to run code raises UnsafePickleError.
    """
    return _read(Path(path), lambda file: _Unpickler(file, path, encoding, dropped).load())


def load_npy_object(path: Path) -> Any:
    """Return what ``np.save`` pickled into a .npy file, such as a dictionary of arrays; errors as ``load_pickle``."""

    def unpickled(file: io.BufferedIOBase) -> Any:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.kind != "O" or shape != ():
            raise ValueError(f"one pickled object was expected, the file holds an array {shape} of {dtype}")
        return _Unpickler(file, path, "latin1").load().item()

    return _read(Path(path), unpickled)


def _read(path: Path, read: Callable[[io.BufferedIOBase], Any]) -> Any:
    """Return the plain data that ``read`` makes of a file; RawFileError when it cannot be read."""
    try:
        with path.open("rb") as file:
            value = read(file)
    except FileNotFoundError as error:
        raise RawFileError(path, "no such file") from error
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, ValueError) as error:
        raise RawFileError(path, f"not a readable pickle ({type(error).__name__}: {error})") from error
    return _plain(value, path)
