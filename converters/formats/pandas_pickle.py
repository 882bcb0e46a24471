"""Tables that were pickled by pandas, of any release from 1.0: read by the restricted unpickler, as plain rows.

Nothing of pandas leaves this module. A pickle cannot be read in parts, so the whole file is unpickled once; columns
that nobody asked for are dropped at once.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...body.unpickling import load_pickle
from ...errors import RawSchemaError
from .keeping import keeps_last

Row = dict[str, Any]


@keeps_last
def read_rows(path: Path, columns: tuple[str, ...], lists: tuple[str, ...] = (), hint: str = "") -> list[Row]:
    """Return the rows of a pickled table; ``lists`` are more columns, whose cells in a row are of one length.

    RawSchemaError names what is not so. The last table is kept, because a unit reads it more than once.
    """
    table = load_pickle(path)
    if not isinstance(table, pd.DataFrame):
        raise RawSchemaError(path, "the pickle", "a table of pandas", f"a {type(table).__name__}", hint)
    names = (*columns, *lists)
    for name in names:
        if name not in table.columns:
            held = ", ".join(sorted(str(column) for column in table.columns))
            raise RawSchemaError(path, f"column {name!r}", "present", f"only {held}", hint)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(table[name].tolist() for name in names), strict=True)]
    for number, row in enumerate(rows):
        for name in lists:
            expected, found = _size(row[lists[0]]), _size(row[name])
            if expected != found or not isinstance(found, int):
                wanted = f"a list of {expected} entries like {lists[0]!r}"
                raise RawSchemaError(path, f"column {name!r} of row {number}", wanted, str(found), hint)
    return rows


def _size(cell: Any) -> int | str:
    """Return the length of a cell that is a list, else what it is."""
    return len(cell) if isinstance(cell, list | tuple | np.ndarray) else f"a {type(cell).__name__}"
