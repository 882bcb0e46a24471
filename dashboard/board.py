"""The benchmark matrix made ready to show: which columns, which numbers, which colours, and the published block.

Numbers come from ``benchmark.tables``; nothing here computes a mean. Colour runs per column from blue (best) over none
to orange (worst), two hues that every colour vision tells apart; the number itself is always visible.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import numpy as np
import pandas as pd

from ..benchmark.measures import Measure, get_measure, lower_is_better, means, measures
from ..benchmark.protocol import Protocol
from ..benchmark.render import SIGNS
from ..benchmark.tables import Column, Matrix, add_mean, build_matrix, newest_versions, ranks, sort_rows

PRIMARY = "primary"
Shown = Literal["mm", "to best", "% of best", "rank"]
_UNDERLINE = "\N{COMBINING LOW LINE}"
_INVISIBLE = "\N{ZERO WIDTH SPACE}"
_BEST_RGB, _WORST_RGB, _STRENGTH = "0,114,178", "213,94,0", 0.34


def family(measure: str) -> str:
    """Return the measure without its part: ``PA-PVE`` of ``PA-PVE@hands``."""
    return measure.partition("@")[0]


def families(results: pd.DataFrame) -> list[str]:
    """Return the choices of measure: the primaries, then what the results hold, in the order of ``measures.yaml``."""
    have = set(results["measure"])
    return [PRIMARY, *dict.fromkeys(family(name) for name in measures() if name in have)]


def parts(results: pd.DataFrame, chosen: str) -> list[str]:
    """Return the parts of the body for which the results hold a measure of a family."""
    have = set(results["measure"])
    known = [measure for name, measure in measures().items() if name in have and family(name) == chosen]
    return list(dict.fromkeys(measure.part for measure in known))


def columns(results: pd.DataFrame, chosen: str, part: str | None) -> list[Column] | None:
    """Return the columns of a choice, None for each protocol's primary."""
    if chosen == PRIMARY:
        return None
    wanted = [name for name, m in measures().items() if family(name) == chosen and part in (None, m.part)]
    have = set(zip(results["protocol"], results["measure"], strict=True))
    return sorted(((p, m) for p, m in have if m in wanted), key=lambda column: (wanted.index(column[1]), column[0]))


def matrix_of(results: pd.DataFrame, chosen: str, part: str | None, known: Mapping[str, Protocol]) -> Matrix:
    """Return the matrix of a choice, best row of its first column first; with the primaries stand the means.

    A mean over protocols is added where at least one of its protocols was measured by somebody.
    """
    matrix = build_matrix(results, columns(results, chosen, part))
    if chosen == PRIMARY:
        primaries = {name: protocol.primary for name, protocol in known.items()}
        measured = {protocol for protocol, _ in matrix.values.columns}
        for mean in means().values():
            if measured & set(mean.protocols):
                matrix = add_mean(matrix, mean, primaries)
    return sort_rows(matrix, matrix.values.columns[0]) if len(matrix.values.columns) else matrix


def without_empty_means(matrix: Matrix) -> tuple[Matrix, list[str]]:
    """Return the matrix without the means that no model has, and a sentence on each of them."""
    empty = [c for c in matrix.values.columns if c[1] in means() and np.isnan(matrix.values[c].to_numpy(float)).all()]
    kept = [column for column in matrix.values.columns if column not in empty]
    measured = {protocol for protocol, _ in kept}
    sentences = []
    for mean in (means()[name] for _, name in empty):
        count = len(measured & set(mean.protocols))
        sentences.append(
            f"{mean.display_name} needs all of its {len(mean.protocols)} protocols; measured here: {count}."
        )
    return Matrix(matrix.values.loc[:, kept], matrix.marks.loc[:, kept], matrix.holes.loc[:, kept]), sentences


@dataclass(frozen=True, eq=False)
class Face:
    """A matrix as a table widget takes it: unique headings, and what each cell says and looks like."""

    numbers: pd.DataFrame
    texts: pd.DataFrame
    styles: pd.DataFrame
    columns: dict[str, Column]  # by the lower heading, which alone a selected cell names


def face_of(matrix: Matrix, shown: Shown, known: Mapping[str, Protocol]) -> Face:
    """Return how a matrix looks; the numbers shown may be relative to the best of their column."""
    values = matrix.values
    headings = [_heading(column, position, known) for position, column in enumerate(values.columns)]
    labels = pd.MultiIndex.from_tuples(headings) if headings else pd.MultiIndex.from_arrays([[], []])
    numbers, places = relative(values, shown), ranks(values)
    texts, styles = matrix.holes.copy(), pd.DataFrame("", index=values.index, columns=values.columns)
    for row, column in np.argwhere(values.notna().to_numpy()):
        place = int(places.iat[row, column])
        texts.iat[row, column] = _text(
            float(numbers.iat[row, column]), place, str(matrix.marks.iat[row, column]), shown
        )
        styles.iat[row, column] = "font-weight: 700;" if place == 1 else ""
    styles = styles + colours(values)
    for table in (numbers, texts, styles):
        table.columns = labels
    return Face(numbers, texts, styles, {lower: c for (_, lower), c in zip(headings, values.columns, strict=True)})


def _heading(column: Column, position: int, known: Mapping[str, Protocol]) -> tuple[str, str]:
    """Return protocol and measure as headings; the lower one is made unique by invisible characters.

    A selected cell is told by its lower heading alone, and several protocols share a measure.
    """
    protocol, measure = column
    arrow = "\N{DOWNWARDS ARROW}" if lower_is_better(measure) else "\N{UPWARDS ARROW}"
    if measure in means():
        return "mean of primaries", f"{means()[measure].display_name} {arrow}" + _INVISIBLE * position
    title = known[protocol].display_name if protocol in known else protocol
    return title, f"{get_measure(measure).display_name} {arrow}" + _INVISIBLE * position


def relative(values: pd.DataFrame, shown: Shown) -> pd.DataFrame:
    """Return the numbers to show: as they are, as distance from the column's best, in per cent of it, or as ranks."""
    signs = pd.Series([1.0 if lower_is_better(measure) else -1.0 for _, measure in values.columns], values.columns)
    best = (values * signs).min() * signs
    if shown == "to best":
        return values - best
    if shown == "% of best":
        return 100 * values / best
    return (values * signs).rank(method="min") if shown == "rank" else values.copy()


_FORMATS = {"mm": "{:.1f}", "to best": "{:+.1f}", "% of best": "{:.1f}", "rank": "{:.0f}"}


def _text(number: float, place: int, marks: str, shown: Shown) -> str:
    """Return a number, underlined when it is the second best, with the signs of its marks."""
    text = _FORMATS[shown].format(number)
    text = underlined(text) if place == 2 else text
    return f"{text} {''.join(SIGNS[letter] for letter in marks)}".rstrip()


def underlined(text: str) -> str:
    """Return a text whose letters carry their underline: tables on a canvas know no other."""
    return "".join(letter + _UNDERLINE for letter in text)


def colours(values: pd.DataFrame) -> pd.DataFrame:
    """Return the background of each cell as CSS; a column whose numbers are all equal has none."""
    out = pd.DataFrame("", index=values.index, columns=values.columns)
    for position, (_, measure) in enumerate(values.columns):
        numbers = values.iloc[:, position].to_numpy(float) * (1 if lower_is_better(measure) else -1)
        if np.isfinite(numbers).sum() < 2 or np.nanmax(numbers) == np.nanmin(numbers):
            continue
        share = (numbers - np.nanmin(numbers)) / (np.nanmax(numbers) - np.nanmin(numbers))
        out.isetitem(position, [_background(value) for value in share])
    return out


def _background(share: float) -> str:
    """Return the CSS of a position between best (0) and worst (1): strong at both ends, none in the middle."""
    if not np.isfinite(share):
        return ""
    rgb = _BEST_RGB if share < 0.5 else _WORST_RGB
    return f"background-color: rgba({rgb},{_STRENGTH * abs(2 * share - 1):.3f});"


def published_table(published: pd.DataFrame, shown: Sequence[Column], known: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return the published numbers of some columns: a row a method and source, a column a protocol and measure.

    ``published`` is long, as ``tables.published_block`` returns it. The best of the first column with numbers is first.
    """
    keys = ["method", "paper", "table", "source"]
    wanted = [column for column in shown if column[1] not in means()]
    if published.empty or not wanted:
        return pd.DataFrame(columns=[*keys])
    columns_ = published["protocol"] + "|" + published["measure"]
    wide = published.assign(column=columns_).pivot_table(index=keys, columns="column", values="value", aggfunc="first")
    order = [f"{protocol}|{measure}" for protocol, measure in wanted if f"{protocol}|{measure}" in wide.columns]
    wide = wide.loc[:, order].sort_values(by=order, kind="stable", na_position="last")
    titles = [_published_title(protocol, measure, known) for protocol, measure in (name.split("|") for name in order)]
    wide.columns = pd.Index(titles)
    return wide.reset_index()


def _published_title(protocol: str, measure: str, known: Mapping[str, Protocol]) -> str:
    return f"{known[protocol].display_name if protocol in known else protocol} {get_measure(measure).display_name}"


def published_names(models: Sequence[str], methods: Sequence[str]) -> dict[str, str]:
    """Return under which name each model is published, where the names differ in case and punctuation only."""
    plain = {re.sub(r"[^a-z0-9]", "", method.lower()): method for method in methods}
    found = {model: plain.get(re.sub(r"[^a-z0-9]", "", model.lower())) for model in models}
    return {model: method for model, method in found.items() if method is not None}


def best_by_protocol(results: pd.DataFrame, published: pd.DataFrame, known: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return one row a protocol: its primary measure, the best and second model, and the best published number."""
    if results.empty:
        return pd.DataFrame(columns=["protocol", "measure", "best", "value", "second", "models", "published", "method"])
    matrix = build_matrix(newest_versions(results))
    rows = []
    for protocol, measure in matrix.values.columns:
        column = pd.Series(matrix.values[protocol, measure], dtype=float).dropna()
        ordered = column.sort_values(ascending=lower_is_better(measure))
        if ordered.empty:
            continue
        rows.append(
            {
                "protocol": known[protocol].display_name if protocol in known else protocol,
                "measure": get_measure(measure).display_name,
                "best": ordered.index[0],
                "value": float(ordered.iloc[0]),
                "second": float(ordered.iloc[1]) if len(ordered) > 1 else None,
                "models": len(ordered),
                **_best_published(published, protocol, get_measure(measure)),
            }
        )
    return pd.DataFrame(rows)


def _best_published(published: pd.DataFrame, protocol: str, measure: Measure) -> dict:
    """Return the best published number of a column and whose it is."""
    wanted = (protocol, measure.name, "published")
    rows = [r for r in published.to_dict("records") if (r["protocol"], r["measure"], r["kind"]) == wanted]
    if not rows:
        return {"published": None, "method": ""}
    best = (min if measure.lower_is_better else max)(rows, key=itemgetter("value"))
    return {"published": best["value"], "method": f"{best['method']} ({best['paper']})"}
