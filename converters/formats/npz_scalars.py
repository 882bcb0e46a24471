"""Single values in an npz: numbers, flags and short texts beside the columns that ``load_columns`` reads."""

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RawSchemaError


def read_scalars(path: Path, *names: str) -> dict[str, Any]:
    """Return single values of an npz by name; RawSchemaError for one that is missing or has more than one value."""
    with np.load(path, allow_pickle=False) as archive:
        for name in names:
            if name not in archive.files:
                raise RawSchemaError(path, f"value {name!r}", "present", f"only {', '.join(sorted(archive.files))}")
        values = {name: archive[name] for name in names}
    for name, value in values.items():
        if value.size != 1:
            raise RawSchemaError(path, f"value {name!r}", "a single value", f"an array {value.shape}")
    return {name: value.item() for name, value in values.items()}
