"""Questions to the catalog: SQL goes in, a DataFrame comes out, nothing here knows Streamlit.

Every function takes a DuckDB cursor over the tables of ``shards.catalog``, which the caller opened read-only. What
leaves the database is aggregated or limited there, so that an answer stays small at ten million people.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from ..shards.catalog import CATALOG

Cursor = duckdb.DuckDBPyConnection
BINS = 36
_EDGE_PEOPLE = 200_000  # are enough to tell where a histogram ends


def catalog_path(out: Path) -> Path:
    """Return where the catalog of a converted tree lies."""
    return out / CATALOG


def file_fingerprint(paths: Iterable[Path]) -> str:
    """Return what changes when any of these files is replaced; empty when none of them is there."""
    states = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        states.append(f"{path}|{status.st_mtime_ns}|{status.st_size}|{status.st_ino}")
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16] if states else ""


def totals(cursor: Cursor) -> pd.DataFrame:
    """Return one row: datasets, units, frames, people, rejected people and bytes of everything converted."""
    return cursor.sql(
        "SELECT count(DISTINCT dataset) AS datasets, count(*) AS units, sum(frames)::BIGINT AS frames, "
        "sum(people)::BIGINT AS people, sum(rejected_people)::BIGINT AS rejected, sum(bytes)::BIGINT AS bytes "
        "FROM conversions"
    ).df()


def by_dataset(cursor: Cursor) -> pd.DataFrame:
    """Return one row a source: its splits, counts, bytes, and the oldest version of its converter among its units."""
    return cursor.sql(
        "SELECT dataset, list(DISTINCT split ORDER BY split) AS done_splits, count(*) AS units, "
        "sum(frames)::BIGINT AS frames, sum(people)::BIGINT AS people, sum(rejected_people)::BIGINT AS rejected, "
        "sum(bytes)::BIGINT AS bytes, min(converter_version) AS version FROM conversions GROUP BY dataset "
        "ORDER BY dataset"
    ).df()


def by_split(cursor: Cursor, dataset: str) -> pd.DataFrame:
    """Return one row a split of a source: units, sequences, frames, people, rejects and the median box height (px)."""
    return cursor.execute(
        "SELECT c.*, p.sequences, p.box_height FROM ("
        "  SELECT split, count(*) AS units, sum(frames)::BIGINT AS frames, sum(people)::BIGINT AS people, "
        "  sum(rejected_people)::BIGINT AS rejected, sum(bytes)::BIGINT AS bytes "
        "  FROM conversions WHERE dataset = $dataset GROUP BY split) c LEFT JOIN ("
        "  SELECT split, count(DISTINCT sequence) AS sequences, median(box_height_px) AS box_height "
        "  FROM people WHERE dataset = $dataset GROUP BY split) p USING (split) ORDER BY split",
        {"dataset": dataset},
    ).df()


_PARTS = ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d")


def label_shares(cursor: Cursor, dataset: str) -> pd.DataFrame:
    """Return, a part and origin, the share of a source's people that carry the part so labelled."""
    every = (f"SELECT '{part}' AS part, label_{part} AS origin, people FROM chosen" for part in _PARTS)
    return cursor.execute(
        f"WITH chosen AS (FROM label_counts WHERE dataset = ?), parts AS ({' UNION ALL '.join(every)}) "
        "SELECT part, origin, sum(people) / (SELECT sum(people) FROM chosen) AS share FROM parts "
        "WHERE origin IS NOT NULL GROUP BY part, origin ORDER BY part, origin",
        [dataset],
    ).df()


def measures(cursor: Cursor, dataset: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Return how the engine's measures are spread over the people of a source, one row a measure and split.

    ``names`` are columns of people without ``quality_``. Columns ``measure``, ``split``, ``people`` (with a value),
    ``low``, ``p05``, ``median``, ``p95``, ``high``. In a large source the middle three are those of some
    hundred thousand people who stand evenly in it.
    """
    parts = " UNION ALL ".join(
        f"SELECT '{name}' AS measure, split, person_id, quality_{name} AS x FROM chosen" for name in names
    )
    every_nth = f"(SELECT greatest(sum(people) // {_EDGE_PEOPLE}, 1)::BIGINT FROM partitions WHERE dataset = $dataset)"
    return cursor.execute(
        f"WITH chosen AS (FROM people WHERE dataset = $dataset), numbers AS ({parts}), found AS ("
        "SELECT measure, split, count(*) AS people, min(x) AS low, max(x) AS high, "
        f"quantile_cont(x, [0.05, 0.5, 0.95]) FILTER (person_id % {every_nth} = 0) AS levels "
        "FROM numbers WHERE isfinite(x) GROUP BY ALL) "
        "SELECT measure, split, people, low, coalesce(levels[1], low) AS p05, coalesce(levels[2], low) AS median, "
        "coalesce(levels[3], high) AS p95, high FROM found ORDER BY ALL",
        {"dataset": dataset},
    ).df()


def hand_verdicts(cursor: Cursor, dataset: str) -> pd.DataFrame:
    """Return how the hands of a source read against its keypoints.

    Columns ``split``, ``kind`` (2d, 3d), ``verdict``, ``units``, ``people`` (with hands and their keypoints, in these
    units: of few of them, a unit reads as stored).
    """
    return cursor.execute(
        "WITH read AS (SELECT split, unit, split_part(name, '.', 2) AS kind, "
        "max(text) FILTER (name LIKE '%.verdict') AS verdict, max(value) FILTER (name LIKE '%.people') AS people "
        "FROM checks WHERE dataset = ? AND name LIKE 'hands.%' GROUP BY ALL) "
        "SELECT split, kind, verdict, count(*) AS units, coalesce(sum(people), 0)::BIGINT AS people FROM read "
        "WHERE verdict IS NOT NULL GROUP BY ALL ORDER BY ALL",
        [dataset],
    ).df()


def repeated_pictures(cursor: Cursor, dataset: str) -> pd.DataFrame:
    """Return one row: how many pictures of a source, equal to the last byte, stand in more than one of its splits."""
    return cursor.execute(
        "SELECT count(*) AS pictures FROM (SELECT image_blake3 FROM frames WHERE dataset = ? "
        "AND image_blake3 IS NOT NULL GROUP BY image_blake3 HAVING count(DISTINCT split) > 1)",
        [dataset],
    ).df()


def rejects_by_reason(cursor: Cursor, dataset: str) -> pd.DataFrame:
    """Return the reasons for which people of a source were left out: people, records, and one sentence as example."""
    return cursor.execute(
        "SELECT reason, sum(people)::BIGINT AS people, sum(rejects)::BIGINT AS records, min(example) AS example "
        "FROM reject_summary WHERE dataset = ? GROUP BY reason ORDER BY people DESC, reason",
        [dataset],
    ).df()


def reject_examples(cursor: Cursor, dataset: str, reason: str, limit: int) -> pd.DataFrame:
    """Return some rejects of one reason, spread over the source, with the place in the owner's files."""
    return cursor.execute(
        "SELECT split, key, detail, provenance_file, provenance_row, people FROM rejects "
        "WHERE dataset = ? AND reason = ? ORDER BY hash(key || detail), key LIMIT ?",
        [dataset, reason, limit],
    ).df()


def frames_of_rejects(cursor: Cursor, dataset: str, places: tuple[tuple[str, str], ...], limit: int) -> pd.DataFrame:
    """Return frames with a picture in which rejects stood: the ``person_key`` of the first who was kept in each.

    ``places`` are splits and keys of rejects; the key of a reject is its frame's, or that and one part more.
    """
    splits = [split for split, _ in places for _ in range(2)]
    keys = [name for _, key in places for name in (key, key.rpartition("/")[0])]
    return cursor.execute(
        "WITH wanted AS (SELECT DISTINCT unnest($splits::VARCHAR[]) AS split, unnest($keys::VARCHAR[]) AS frame_key) "
        "SELECT key || '#0' AS person_key FROM frames JOIN wanted USING (split, frame_key) "
        "WHERE dataset = $dataset AND image_ext IS NOT NULL AND num_people > 0 ORDER BY key LIMIT $limit",
        {"dataset": dataset, "splits": splits, "keys": keys, "limit": limit},
    ).df()


def sample_frames(cursor: Cursor, dataset: str, seed: int, limit: int) -> pd.DataFrame:
    """Return frames with a picture, drawn from a source with a seed: ``key``, and the ``person_key`` of the first."""
    return cursor.execute(
        "SELECT key, key || '#0' AS person_key FROM frames WHERE dataset = $dataset AND image_ext IS NOT NULL "
        "ORDER BY hash(key || $seed), key LIMIT $limit",
        {"dataset": dataset, "seed": f"#{seed}", "limit": limit},
    ).df()


def sample_people(cursor: Cursor, dataset: str, seed: int, limit: int) -> pd.DataFrame:
    """Return the keys of people with a box, drawn from a source with a seed."""
    return cursor.execute(
        "SELECT person_key FROM people WHERE dataset = $dataset AND box_height_px > 0 "
        "ORDER BY hash(person_key || $seed), person_key LIMIT $limit",
        {"dataset": dataset, "seed": f"#{seed}", "limit": limit},
    ).df()


def people_columns(cursor: Cursor) -> pd.DataFrame:
    """Return the columns of the table people and what they mean: ``column_name``, ``comment``."""
    return cursor.sql(
        "SELECT column_name, min(comment) AS comment FROM duckdb_columns() WHERE table_name = 'people' "
        "GROUP BY column_name ORDER BY column_name"
    ).df()


def person_facts(cursor: Cursor, person_key: str) -> pd.DataFrame:
    """Return the row of a person in the table people; empty when there is none."""
    return cursor.execute("SELECT * FROM people WHERE person_key = ?", [person_key]).df()


def frame_facts(cursor: Cursor, key: str) -> pd.DataFrame:
    """Return the row of a frame in the table frames; empty when there is none."""
    return cursor.execute("SELECT * FROM frames WHERE key = ?", [key]).df()


def unit_facts(cursor: Cursor, dataset: str, split: str, unit: str) -> pd.DataFrame:
    """Return how a unit was converted: a row of the table conversions."""
    return cursor.execute(
        "SELECT * FROM conversions WHERE (dataset, split, unit) = (?, ?, ?)", [dataset, split, unit]
    ).df()


def same_picture(cursor: Cursor, key: str, phash: int, limit: int) -> pd.DataFrame:
    """Return the people of frames that look like a frame and have another key: two sources may label one picture.

    Columns ``person_key``, ``dataset``, ``split``, box edges as shares of the picture (``x0`` ... ``y1``).
    """
    return cursor.execute(
        "WITH alike AS (SELECT DISTINCT key, shard FROM frames WHERE image_phash = $phash::UBIGINT AND key <> $key "
        "LIMIT $limit) SELECT p.person_key, p.dataset, p.split, p.bbox_x0 / p.width AS x0, p.bbox_y0 / p.height AS y0, "
        "p.bbox_x1 / p.width AS x1, p.bbox_y1 / p.height AS y1 FROM people p JOIN alike USING (shard, key) "
        "ORDER BY p.person_key LIMIT $limit",
        {"key": key, "phash": phash, "limit": limit},
    ).df()


def errors_table(people: pd.DataFrame, measure: str) -> pa.Table:
    """Return the errors of a result as the catalog's table person_results."""
    keys = pa.array(people["person_key"].astype(str), pa.string())
    return pa.table({"person_key": keys, "measure": [measure] * len(keys), "value": people[measure].astype(float)})


@dataclass(frozen=True)
class Variable:
    """A number that every person may have, for histograms."""

    title: str
    expression: str
    condition: str = "true"


VARIABLES: dict[str, Variable] = {
    "box_height": Variable("box height (px)", "box_height_px"),
    "distance": Variable("distance (m)", "quality_distance_m", "transl_is_metric"),
    "reprojection": Variable("reprojection error (px)", "quality_reprojection_px"),
    "focal": Variable("focal length (px)", "fx", "fx > 0"),
    "view": Variable(
        "field of view (\N{DEGREE SIGN}, longer side)",
        "2 * degrees(atan(greatest(width, height) / (2 * fx)))",
        "fx > 0",
    ),
}


def histogram(cursor: Cursor, dataset: str, variable: str) -> pd.DataFrame:
    """Return the distribution of a variable in a source and in all others, in the same bins.

    Columns ``is_this``, ``low``, ``high`` (edges), ``people``, ``share`` (of the group's people with a value). Bins end
    at the 99.5th percentile of everybody, in a large catalog of some hundred thousand who stand evenly in it; what lies
    beyond is counted in the last.
    """
    what = VARIABLES[variable]
    every_nth = f"(SELECT greatest(sum(people) // {_EDGE_PEOPLE}, 1)::BIGINT FROM partitions)"
    return cursor.execute(
        f"WITH raw AS (SELECT dataset = $dataset AS is_this, person_id, {what.expression}::DOUBLE AS x FROM people "
        f"WHERE {what.condition}), numbers AS NOT MATERIALIZED (FROM raw WHERE isfinite(x) AND x >= 0), "
        f"edge AS (SELECT greatest(quantile_cont(x, 0.995) / {BINS}, 1e-6) AS width FROM numbers "
        f"WHERE person_id % {every_nth} = 0), "
        f"binned AS (SELECT is_this, least(floor(x / width), {BINS - 1}) AS bin, width FROM numbers, edge) "
        "SELECT is_this, bin * any_value(width) AS low, (bin + 1) * any_value(width) AS high, count(*) AS people, "
        "count(*) / sum(count(*)) OVER (PARTITION BY is_this) AS share FROM binned GROUP BY is_this, bin "
        "ORDER BY is_this, bin",
        {"dataset": dataset},
    ).df()


def splits(cursor: Cursor) -> pd.DataFrame:
    """Return one row a converted source and split: ``dataset``, ``split``, ``people``."""
    return cursor.sql(
        "SELECT dataset, split, sum(people)::BIGINT AS people FROM conversions GROUP BY dataset, split ORDER BY ALL"
    ).df()


def person_bytes(cursor: Cursor) -> pd.DataFrame:
    """Return one row a source and split: how many bytes of picture and labels are read for a person, on average."""
    return cursor.sql(
        "SELECT dataset, split, sum(num_people * (coalesce(image_size, 0)::BIGINT + rows_size)) / sum(num_people) "
        "AS bytes FROM frames GROUP BY dataset, split ORDER BY ALL"
    ).df()
