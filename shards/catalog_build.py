"""Building the catalog: partitions whose shards have changed are made anew, the others stay as they are.

Partitions are made side by side in threads (Arrow and numpy let go of the interpreter), each in ``OUT/.tmp``, and
renamed to their place. Then the small database and ``catalog.json`` are replaced by one rename each. Partitions of the
build before stay until the next one, for readers who still have them open.
"""

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from .. import __version__
from ..cards import Card, load_card
from ..errors import ShardError, UnknownNameError
from .catalog_files import (
    CATALOG,
    REFERENCE_FILE,
    CatalogState,
    Partition,
    build_lock,
    catalog_dir,
    partition_dir,
    publish,
    read_partition,
    read_state,
    sweep_partitions,
    unit_stamp,
    write_state,
)
from .catalog_partition import PartitionTask, write_partition
from .catalog_schema import (
    LABELS,
    OUTSIDE,
    TABLES,
    VIEWS,
    People,
    commented,
    file_views,
    literal,
    outside_table,
    quoted,
)
from .codec import FORMAT_VERSION
from .digest import file_digest
from .poses import POSE_COLUMNS, PoseReference
from .sidecar import Column, read_sidecar, schema_of
from .tree import ShardPlace, read_unit, shards_fingerprint, sync, temporary_folder, unit_dirs, unit_shards

Unit = dict[str, Any]
_REFERENCE_SHARDS = 2  # of each partition, evenly spread, whose people the reference of the poses is made of
_REFERENCE_PEOPLE = 2_048  # of each of them at most, evenly spread
_REFERENCE_GROWTH = 10  # a tree with so many times the people gets a new reference


def build_catalog(out: Path, *, refresh: bool = False, rebuild: bool = False) -> Path:
    """Bring the catalog of a converted tree up to date and return the path of ``OUT/catalog.duckdb``.

    Only partitions whose shards have changed are made. ``refresh`` makes a new reference of the poses, and with it all
    partitions; ``rebuild`` makes all partitions whatever lies there. A second build waits for the first.
    ShardError when nothing is converted, a sidecar is missing or damaged, or two frames have one key.
    """
    out = Path(out)
    stamp = unit_stamp(out)
    units = [unit for folder in unit_dirs(out) if (unit := read_unit(folder)) is not None]
    if not units:
        raise ShardError(out, "there is nothing converted here", "run ehps convert first")
    with build_lock(out):
        before = _state_before(out)
        reference, blake3 = _reference(out, units, refresh=refresh)
        tasks = _tasks(out, units, reference, blake3)
        folders = [partition_dir(out, t.dataset, t.split, t.shards, blake3) for t in tasks]
        _make_partitions(tasks, folders, rebuild=rebuild)
        shards = [shard for task in tasks for shard in task.shards]
        state = CatalogState([_partition(f) for f in folders], shards_fingerprint(shards), stamp)
        _write_database(out, units, state, reference)
        write_state(out, state, [out / CATALOG, *_existing(catalog_dir(out) / REFERENCE_FILE)])
        sweep_partitions(out, [*folders, *(partition.folder for partition in before)])
    return out / CATALOG


def _state_before(out: Path) -> list[Partition]:
    """Return the partitions of the catalog that is there; none when its list is damaged, because all are made anew."""
    try:
        state = read_state(out)
    except ShardError:
        return []
    return state.partitions if state else []


def _existing(path: Path) -> list[Path]:
    """Return the path when something is there."""
    return [path] if path.exists() else []


def _reference(out: Path, units: Sequence[Unit], *, refresh: bool) -> tuple[PoseReference, str]:
    """Return the reference of the poses and its checksum: the one that is kept, or a new one."""
    path, people = catalog_dir(out) / REFERENCE_FILE, sum(unit["people"] for unit in units)
    if path.exists() and not refresh:
        kept = PoseReference.load(path)
        if people < _REFERENCE_GROWTH * kept.people:
            return kept, file_digest(path)
    tables = (read_sidecar((out / shard.path).with_suffix(".parquet"), list(POSE_COLUMNS)) for shard in _spread(units))
    reference = PoseReference.of(tables, people, _REFERENCE_PEOPLE)
    if reference.body is None and reference.hand is None:
        return reference, ""
    with temporary_folder(out, "catalog") as folder:
        reference.save(folder / REFERENCE_FILE)
        publish(folder / REFERENCE_FILE, path)
    return reference, file_digest(path)


def _spread(units: Sequence[Unit]) -> list[ShardPlace]:
    """Return a few shards of every source and split, the first, the last and what lies evenly between."""
    chosen = []
    for _, group in groupby(units, key=lambda unit: (unit["dataset"], unit["split"])):
        shards = [shard for unit in group for shard in unit_shards(unit)]
        count = min(_REFERENCE_SHARDS, len(shards))
        chosen += [shards[round(i * (len(shards) - 1) / max(count - 1, 1))] for i in range(count)]
    return chosen


def _tasks(out: Path, units: Sequence[Unit], reference: PoseReference, blake3: str) -> list[PartitionTask]:
    """Return what each partition is to be made of, in their order."""
    tasks = []
    for (dataset, split), group in groupby(units, key=lambda unit: (unit["dataset"], unit["split"])):
        members = list(group)
        shards = [shard for unit in members for shard in unit_shards(unit)]
        tasks.append(PartitionTask(out, dataset, split, [u["unit"] for u in members], shards, reference, blake3))
    return tasks


def _make_partitions(tasks: Sequence[PartitionTask], folders: Sequence[Path], *, rebuild: bool) -> None:
    """Make the partitions that are not there yet, the largest first.

    One more at once than there are cores, because each waits for the disk at its end.
    """
    due = [(task, folder) for task, folder in zip(tasks, folders, strict=True) if rebuild or not folder.exists()]
    due.sort(key=lambda pair: -sum(shard.people for shard in pair[0].shards))
    if not due:
        return
    with ThreadPoolExecutor(min(len(due), len(os.sched_getaffinity(0)) + 1)) as pool:
        waiting = [pool.submit(_make_partition, task, folder) for task, folder in due]
        try:
            for future in waiting:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _make_partition(task: PartitionTask, target: Path) -> None:
    """Write a partition into a temporary folder and rename it to its place."""
    with temporary_folder(task.out, f"catalog-{task.dataset}-{task.split}") as folder:
        write_partition(task, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # of the same name and therefore of the same content, unless it is damaged
            target.rename(folder / "damaged")
            read_partition.cache_clear()
        (folder / "made").mkdir()
        for path in folder.iterdir():
            if path.is_file():
                path.rename(folder / "made" / path.name)
        (folder / "made").rename(target)
        sync(target.parent)


def _partition(folder: Path) -> Partition:
    """Return what the catalog says about a partition."""
    facts = read_partition(folder)
    names = {name: facts[name] for name in ("dataset", "split", "fingerprint", "people", "frames")}
    return Partition(folder=folder, has_more_measures=bool(facts["measures"]), **names)


def _write_database(out: Path, units: Sequence[Unit], state: CatalogState, reference: PoseReference) -> None:
    """Replace ``catalog.duckdb``: one transaction, because each statement of its own would wait for the disk."""
    with temporary_folder(out, "catalog") as folder:
        path = folder / CATALOG
        try:
            with duckdb.connect(str(path)) as connection:
                connection.begin()
                _tables(connection, out, units, state, reference)
                _views(connection, out, state, [shard for unit in units for shard in unit_shards(unit)])
                connection.commit()
        except duckdb.Error as error:
            hint = "rebuild it with ehps catalog --rebuild"
            raise ShardError(out, f"the sidecars do not make a catalog ({error})", hint) from error
        publish(path, out / CATALOG)


def _tables(
    connection: duckdb.DuckDBPyConnection,
    out: Path,
    units: Sequence[Unit],
    state: CatalogState,
    reference: PoseReference,
) -> None:
    """Create the tables that say what was converted and how, and empty ones for what lies elsewhere."""
    info = {"fingerprint": state.fingerprint, "format": FORMAT_VERSION, "layout": 1, "ehps_version": __version__}
    rows: dict[str, list[dict[str, Any]]] = {
        "sources": [_source_row(dataset) for dataset in sorted({unit["dataset"] for unit in units})],
        "shards": _shard_rows([shard for unit in units for shard in unit_shards(unit)]),
        "conversions": [_conversion_row(unit) for unit in units],
        "checks": [row for unit in units for row in _check_rows(unit)],
        "partitions": _partition_rows(out, state.partitions),
        "label_counts": _label_rows(connection, _people(out, state)),
        "catalog_info": [info | {"reference_people": reference.people}],
    }
    for name, columns in TABLES.items():
        arrays = [pa.array([row.get(column.name) for row in rows[name]], column.type) for column in columns]
        _insert(connection, name, pa.Table.from_arrays(arrays, schema=schema_of(columns)))
    for name in OUTSIDE:
        _insert(connection, name, outside_table(name))


def _views(connection: duckdb.DuckDBPyConnection, out: Path, state: CatalogState, shards: Sequence[ShardPlace]) -> None:
    """Create the views over the files, those over them, and say what their columns mean."""
    root = out.resolve()
    sidecars = [(f"{root}/{shard.path.removesuffix('.tar')}.parquet", shard.people) for shard in shards]
    for name, sql in (file_views(_people(out, state), sidecars) | VIEWS).items():
        connection.execute(f"CREATE VIEW {name} AS {sql}")
    measures = {name for p in state.partitions for name in read_partition(p.folder)["measures"]}
    for name, columns in commented(sorted(measures)).items():
        _comment(connection, name, columns)


def _people(out: Path, state: CatalogState) -> list[People]:
    """Return what the views need to know of the partitions, by their absolute paths."""
    root = out.resolve()
    return [People(root / p.folder.relative_to(out), p.people, p.has_more_measures) for p in state.partitions]


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Create a table of plain rows."""
    connection.register("new_rows", rows)
    connection.execute(f"CREATE TABLE {name} AS FROM new_rows")
    connection.unregister("new_rows")


def _comment(connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[Column]) -> None:
    """Say in the database what the columns mean."""
    for column in columns:
        connection.execute(f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {literal(column.meaning)}")


def _shard_rows(shards: Sequence[ShardPlace]) -> list[dict[str, Any]]:
    """Return the rows of the table shards, people counted on from tar to tar."""
    rows, first = [], 0
    for shard in shards:
        rows.append(shard._asdict() | {"shard": shard.path.rpartition("/")[2], "first_person_id": first})
        first += shard.people
    return rows


def _conversion_row(unit: Unit) -> dict[str, Any]:
    """Return the row of a unit in the table conversions."""
    sizes = [shard["size"] for shard in unit["shards"]]
    row = unit | {"shards": len(sizes), "bytes": sum(sizes), "rejects_by_reason": _json(unit["rejects"])}
    row["converter_version"] = unit["conversion"].get("converter_version")
    return row | {"conversion": _json(unit["conversion"]), "checks": _json(unit["checks"])}


def _json(value: Any) -> str:
    """Return compact JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _check_rows(unit: Unit) -> list[dict[str, Any]]:
    """Return the rows of a unit in the table checks: every number and sentence that its checks hold."""
    where = {name: unit[name] for name in ("dataset", "split", "unit")}
    return [where | {"name": name} | found for name, found in _findings("", unit["checks"])]


def _findings(name: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the numbers and texts inside JSON values, each with the path to it."""
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else key, part) for key, part in sorted(value.items())]
        return [found for key, part in parts for found in _findings(key, part)]
    if isinstance(value, list):
        return [found for part in value for found in _findings(name, part)]
    if value is None:
        return []
    is_number = isinstance(value, int | float)
    return [(name, {"value": float(value)} if is_number else {"text": str(value)})]


def _partition_rows(out: Path, partitions: Sequence[Partition]) -> list[dict[str, Any]]:
    """Return the rows of the table partitions, people counted on from one to the next."""
    rows, first = [], 0
    for partition in partitions:
        facts = read_partition(partition.folder)
        row = facts | {"first_person_id": first, "folder": partition.folder.relative_to(out).as_posix()}
        rows.append(row | {"more_measures": _json(facts["measures"])})
        first += partition.people
    return rows


def _label_rows(connection: duckdb.DuckDBPyConnection, partitions: Sequence[People]) -> list[dict[str, Any]]:
    """Return the rows of the table label_counts, from the labels of everyone."""
    names = ", ".join(["dataset", "split", *(column.name for column in LABELS)])
    everyone = file_views(partitions, [])["people"]
    counted = f"SELECT {names}, count(*) AS people FROM ({everyone}) GROUP BY ALL ORDER BY ALL"
    return connection.sql(counted).to_arrow_table().to_pylist()


def _source_row(dataset: str) -> dict[str, Any]:
    """Return the card's facts of a source; only the id when it has no card."""
    try:
        card: Card = load_card(dataset)
    except UnknownNameError:
        return {"dataset": dataset}
    row = {name: getattr(card, name) for name in ("name", "summary", "kind", "year", "home", "paper_mix", "stride")}
    licence = card.licence
    row |= {"licence": licence.name, "is_commercial": licence.commercial, "may_redistribute": licence.redistribute}
    row |= {"may_preview": licence.previews, "access": licence.access, "scene": card.images.scene}
    return row | {"dataset": dataset}
