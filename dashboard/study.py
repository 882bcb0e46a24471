"""What each data set is worth alone: networks that were trained on one source, in the order of their errors."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from ..benchmark.measures import get_measure, lower_is_better, means
from ..benchmark.results import Result
from ..benchmark.tables import add_mean, build_matrix

MPE = "MPE"
OTHERS = "runs outside of a study"


def single_source_rows(results: Sequence[Result], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``benchmark.results.load_results`` of networks trained on one source and not finetuned.

    Two columns more: ``trained`` (the source) and ``study``, which is ``OTHERS`` where a run belongs to none.
    """
    keys = ["model", "revision", "protocol"]
    alone = {
        (result.model, result.revision, result.protocol): result.trained_on[0]
        for result in results
        if len(result.trained_on) == 1 and not result.finetuned_on
    }
    trained = [alone.get(key) for key in zip(*(rows[key] for key in keys), strict=True)]
    chosen = rows.assign(trained=trained, study=rows["study"].fillna(OTHERS))
    return chosen.loc[chosen["trained"].notna()]


def studies(rows: pd.DataFrame) -> list[str]:
    """Return the studies of ``single_source_rows``, the largest first, runs outside of one last."""
    counts = Counter(name for name, _ in {*zip(rows["study"], rows["trained"], strict=True)})
    return sorted(counts, key=lambda name: (name == OTHERS, -counts[name], name))


def ranking(rows: pd.DataFrame, primaries: Mapping[str, str]) -> pd.DataFrame:
    """Return the errors of the networks of one study by protocol, the best network first.

    ``primaries`` names the primary measure of every protocol.
    Columns: ``rank``, ``source``, ``network``, ``MPE`` (or ``mean`` over those of these protocols whose primary is in
    mm, as long as nobody is scored under all of MPE's), then one a protocol: the primary measure. Ranks go to complete
    rows alone.
    """
    current = rows.loc[rows["is_primary"].astype(bool)]
    matrix = build_matrix(current)
    columns = list(matrix.values.columns)
    overall = add_mean(matrix, means()[MPE], primaries).values[MPE, MPE]
    has_mpe = bool(overall.notna().any())
    lengths = [get_measure(measure).unit == "mm" for _, measure in columns]  # other units have no mean with these
    overall = overall if has_mpe else matrix.values.loc[:, lengths].mean(axis=1, skipna=False)
    table = matrix.values.set_axis([protocol for protocol, _ in columns], axis=1)
    table.insert(0, MPE if has_mpe else "mean", overall)
    table.insert(0, "network", table.index)
    table.insert(0, "source", [_source_of(current, label) for label in table.index])
    table.insert(0, "rank", overall.rank(method="min").astype("Int64"))
    return table.sort_values(by=["rank", "source"], na_position="last", ignore_index=True)


def _source_of(rows: pd.DataFrame, label: str) -> str:
    """Return the source of a row of the matrix, which is called by its model, or by that and its revision."""
    named = (rows["model"] == label) | (rows["model"] + " (" + rows["revision"] + ")" == label)
    return str(rows.loc[named, "trained"].iloc[0])


def protocol_ranks(table: pd.DataFrame, primaries: Mapping[str, str]) -> pd.DataFrame:
    """Return a ``ranking`` with the rank under each protocol in place of the error."""
    ranked = table.copy()
    for column in table.columns[3:]:
        is_lower = lower_is_better(primaries[column]) if column in primaries else True
        ranked[column] = table[column].rank(method="min", ascending=is_lower).astype("Int64")
    return ranked


def published_alone(published: pd.DataFrame) -> pd.DataFrame:
    """Return what papers say of networks trained on one source: ``source``, ``test set``, ``measure``, value, place."""
    said = published.loc[published["method"].str.contains("single-dataset")]
    table = said.loc[:, ["train_set", "test_set", "metric", "value"]].set_axis(
        ["source", "test set", "measure", "value"], axis=1
    )
    return table.assign(place=said["paper"] + ", " + said["table"])
