"""Image features of some people of each source: a Parquet file a source and split, which knows what it was made from.

``CATALOG/features/<set>/<dataset>/<split>.parquet`` has ``person_key`` and ``feature`` (float32, one list of a fixed
length a person); a set is one checkpoint. Its metadata hold the fingerprint of the shards, the BLAKE3 of the checkpoint
and how many people were drawn, so that it is known to be stale when the shards have changed. It appears by one rename.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from ...errors import ShardError
from ..catalog_files import Partition, publish
from ..tree import temporary_folder
from .samples import Group, generator

FOLDER = "features"
FORMAT = 1  # rises when people are drawn, cut or pooled in another way
_ENTRY = b"ehps_features"


@dataclass(frozen=True, kw_only=True)
class FeatureFacts:
    """What the features of a source and split were made from."""

    model: str
    revision: str
    checkpoint: str  # BLAKE3
    dataset: str
    split: str
    shards: str  # fingerprint
    asked: int  # people who were to be drawn
    people: int = 0  # people who are in the file
    format: int = FORMAT
    ehps_version: str = ""

    @property
    def name(self) -> str:
        """The name of the set of files that this one belongs to."""
        plain = re.sub(r"[^\w.-]+", "-", f"{self.model}-{self.revision}")
        return f"{plain}-{self.checkpoint[:8]}"


@dataclass(frozen=True, eq=False)
class Features:
    """The features of some people."""

    keys: list[str]
    numbers: Float32[np.ndarray, "people numbers"]
    facts: FeatureFacts


def feature_path(catalog: Path, name: str, dataset: str, split: str) -> Path:
    """Return where the features of a source and split lie."""
    return Path(catalog) / FOLDER / name / dataset / f"{split}.parquet"


def write_features(catalog: Path, features: Features) -> Path:
    """Write the features of a source and split, replacing older ones in one step, and return the file."""
    facts, numbers = features.facts, np.ascontiguousarray(features.numbers, np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel(), pa.float32()), numbers.shape[1])
    table = pa.table({"person_key": pa.array(features.keys, pa.string()), "feature": column})
    metadata = {_ENTRY: json.dumps(asdict(facts), sort_keys=True).encode()}
    path = feature_path(catalog, facts.name, facts.dataset, facts.split)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(catalog, FOLDER) as folder:
        pq.write_table(table.replace_schema_metadata(metadata), folder / path.name, compression="zstd")
        publish(folder / path.name, path)
    return path


def read_facts(path: Path) -> FeatureFacts:
    """Return what a file of features was made from; ShardError when it is no such file."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        return FeatureFacts(**json.loads(metadata[_ENTRY]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def read_features(path: Path) -> Features:
    """Return the features of a file; ShardError when it is none."""
    facts = read_facts(path)
    try:
        table = pq.read_table(path, columns=["person_key", "feature"])
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    column = table["feature"].combine_chunks()
    numbers = column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
    return Features(table["person_key"].to_pylist(), numbers, facts)


def _unreadable(path: Path, error: Exception) -> ShardError:
    return ShardError(path, f"is no file of image features ({error})", "remove it and run ehps study features again")


def feature_sets(catalog: Path) -> list[str]:
    """Return the names of the sets of features beside a catalog, sorted."""
    return sorted({path.parts[-3] for path in (Path(catalog) / FOLDER).glob("*/*/*.parquet")})


def why_stale(facts: FeatureFacts, partition: Partition) -> str | None:
    """Return why features are not those of a source and split as it is now; None when they are."""
    if facts.format != FORMAT:
        return f"made in format {facts.format}, this ehps makes format {FORMAT}"
    if facts.shards != partition.fingerprint:
        return "the shards have changed since"
    return None


def feature_states(catalog: Path, name: str, partitions: Iterable[Partition]) -> pd.DataFrame:
    """Return the state of a set's features, one row a source and split of the catalog.

    Columns: ``dataset``, ``split``, ``state`` (current, stale or absent), ``why``, ``path``.
    """
    rows: list[dict[str, Any]] = []
    for partition in partitions:
        path = feature_path(catalog, name, partition.dataset, partition.split)
        state, why = "absent", ""
        if path.is_file():
            why = why_stale(read_facts(path), partition) or ""
            state = "stale" if why else "current"
        rows.append({"dataset": partition.dataset, "split": partition.split, "state": state, "why": why, "path": path})
    return pd.DataFrame(rows, columns=["dataset", "split", "state", "why", "path"])


def group_features(
    catalog: Path, name: str, group: Group
) -> tuple[Float32[np.ndarray, "people numbers"] | None, pd.DataFrame]:
    """Return the features of a group's people in random order, from current files alone; None where there are none.

    Splits come in proportion to their people. The second answer is ``feature_states``.
    """
    states = feature_states(catalog, name, group.partitions)
    people = {(p.dataset, p.split): p.people for p in group.partitions}
    current = states.loc[states["state"] == "current"]
    parts = [read_features(path).numbers for path in current["path"]]
    sizes = [people[key] for key in zip(current["dataset"], current["split"], strict=True)]
    if not parts:
        return None, states
    rate = min(len(part) / size for part, size in zip(parts, sizes, strict=True))
    rng = generator(group.name, FOLDER)
    drawn = [rng.permutation(part)[: round(rate * size)] for part, size in zip(parts, sizes, strict=True)]
    return rng.permutation(np.concatenate(drawn)), states
