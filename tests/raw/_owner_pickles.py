"""Pickles as owners wrote them years ago: numpy 1.x names, tables in the encoding of pandas 1.0.

Today's libraries write other module names and another block layout, so the opcodes are written by hand.
Facts: pandas 1.0.3 ``core/generic.py``, ``core/internals/managers.py`` and ``core/indexes`` (``__getstate__``).
"""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np


class _Global:
    """A class or function by the name that the owner's libraries had for it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> NoReturn:
        """Satisfy the pickler, which takes nothing but callables for functions."""
        raise AssertionError("never called: it only stands for a name")


class _Instance:
    """An object made without arguments and then given its state."""

    def __init__(self, module: str, name: str, state: object) -> None:
        self.kind, self.state = _Global(module, name), state


class _Call:
    """The result of a function."""

    def __init__(self, function: _Global, *args: object) -> None:
        self.function, self.args = function, args


class _OldPickler(pickle._Pickler):  # the pickler in Python, whose opcodes can be chosen
    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_reduce(self, func: Any, args: Any, *rest: Any, **options: Any) -> None:
        """Write a call, of numpy's functions by their old names."""
        module = getattr(func, "__module__", None) or ""
        if module.startswith("numpy._core"):
            func = _Global(module.replace("numpy._core", "numpy.core"), func.__name__)
        super().save_reduce(func, args, *rest, **options)

    def _save_name(self, value: _Global) -> None:
        self.save(value.module)
        self.save(value.name)
        self.write(pickle.STACK_GLOBAL)

    def _save_instance(self, value: _Instance) -> None:
        self.save(value.kind)
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.save(value.state)
        self.write(pickle.BUILD)

    def _save_call(self, value: _Call) -> None:
        self.save(value.function)
        self.save(value.args)
        self.write(pickle.REDUCE)

    dispatch[_Global] = _save_name
    dispatch[_Instance] = _save_instance
    dispatch[_Call] = _save_call


def write_pickle(path: Path, value: object) -> None:
    """Write plain data and arrays as Python 3.8 with numpy 1.18 did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _OldPickler(file, protocol=4).dump(value)


class _Python2Pickler(_OldPickler):
    """Python 2 had one kind of string, which held text and the bytes of arrays alike."""

    dispatch: ClassVar[dict[Any, Any]] = dict(_OldPickler.dispatch)

    def _save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)

    def _save_name(self, value: _Global) -> None:
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())

    dispatch[str] = _save_string
    dispatch[bytes] = _save_string
    dispatch[_Global] = _save_name


def write_python2_pickle(path: Path, value: object) -> None:
    """Write plain data and arrays as Python 2 with numpy 1.x did; who reads it has to say latin1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump(value)


def write_table(path: Path, columns: Mapping[str, Sequence[object]], *, rows: Sequence[int] | None = None) -> None:
    """Write a table of objects as pandas 1.0 did, its index a range or, with ``rows``, numbers of a larger table."""
    height = len(next(iter(columns.values())))
    values = np.empty((len(columns), height), object)
    for number, column in enumerate(columns.values()):
        values[number] = np.fromiter(column, object, height)
    make_index, index = _Global("pandas.core.indexes.base", "_new_Index"), "pandas.core.indexes"
    names = _Call(
        make_index, _Global(f"{index}.base", "Index"), {"data": np.array(list(columns), object), "name": None}
    )
    if rows is None:
        numbers = _Call(
            make_index, _Global(f"{index}.range", "RangeIndex"), {"name": None, "start": 0, "stop": height, "step": 1}
        )
    else:
        numbers = _Call(
            make_index, _Global(f"{index}.numeric", "Int64Index"), {"data": np.array(rows, np.int64), "name": None}
        )
    axes = [names, numbers]
    blocks = {"axes": axes, "blocks": [{"values": values, "mgr_locs": slice(0, len(columns), 1)}]}
    manager = _Instance("pandas.core.internals.managers", "BlockManager", (axes, [values], [names], {"0.14.1": blocks}))
    state = {"_data": manager, "_typ": "dataframe", "_metadata": [], "attrs": {}}
    write_pickle(path, _Instance("pandas.core.frame", "DataFrame", state))
