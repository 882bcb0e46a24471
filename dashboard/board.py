"""The benchmark matrix made ready to show: which columns, which numbers, which colours, and the published block.

Numbers come from ``benchmark.tables``; nothing here computes a mean. Colour runs per column from blue (best) over none
to orange (worst), two hues that every colour vision tells apart; the number itself is always visible.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ..benchmark.heatmap import badness
from ..benchmark.measures import MeanOfPrimaries, digits, get_measure, lower_is_better, means, measures
from ..benchmark.protocol import Protocol
from ..benchmark.render import SIGNS
from ..benchmark.tables import (
    HOLE,
    Column,
    Matrix,
    add_mean,
    build_matrix,
    newest_versions,
    ranks,
    row_labels,
    sort_rows,
)
from .amounts import several

PRIMARY = "primary"
Shown = Literal["absolute", "difference", "% of best", "% of published", "rank"]
SHOWN: tuple[Shown, ...] = get_args(Shown)
CHOSEN = "MPE"  # the measure of a mean over sets that somebody chose: primaries in mm, lower is better
Best = Mapping[Column, tuple[float, str]]  # the best published number of a column, and whose it is
_MEANS, _NAMED = "mean", 6  # heading of their columns; models of a sentence
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


def matrix_of(
    results: pd.DataFrame, chosen: str, part: str | None, known: Mapping[str, Protocol], sets: Sequence[str] = ()
) -> Matrix:
    """Return the matrix of a choice with its means before it, best row of the column that tells most first.

    Means of primaries stand with the primaries, means of a measure with that measure, where at least one of their
    protocols was measured by somebody. ``sets`` are protocols whose mean stands first, for the rows that have them all.
    """
    matrix = build_matrix(results, columns(results, chosen, part))
    primaries = {name: protocol.primary for name, protocol in known.items()}
    measured = {protocol for protocol, _ in matrix.values.columns}
    there = {None} if chosen == PRIMARY else {measure for _, measure in matrix.values.columns}
    for mean in means().values():
        if mean.measure in there and measured & set(mean.protocols):
            matrix = add_mean(matrix, mean, primaries)
    if chosen == PRIMARY and sets:
        matrix = _with_chosen_mean(matrix, sets, primaries)
    matrix = _in_order(matrix, sorted(matrix.values.columns, key=lambda column: column[1] not in means()))
    return sort_rows(matrix, telling(matrix)) if len(matrix.values.columns) else matrix


def telling(matrix: Matrix) -> Column:
    """Return the column to sort by: the first mean that somebody has, or the column with the most numbers."""
    counts = matrix.values.notna().sum().to_numpy()
    for column, count in zip(matrix.values.columns, counts, strict=True):
        if count and (column[1] in means()):
            return column
    return matrix.values.columns[int(np.argmax(counts))]


def _with_chosen_mean(matrix: Matrix, sets: Sequence[str], primaries: Mapping[str, str]) -> Matrix:
    """Return the matrix with the mean over some protocols as its first column."""
    name = f"mean of {several(len(sets), 'set')}"
    mean = MeanOfPrimaries(name=name, display_name=name, description="", protocols=tuple(sets))
    wider = add_mean(matrix, mean, primaries)
    wider = _in_order(wider, [(name, name), *matrix.values.columns])
    index = pd.MultiIndex.from_tuples([(name, CHOSEN), *matrix.values.columns], names=matrix.values.columns.names)
    return Matrix(*(frame.set_axis(index, axis=1) for frame in (wider.values, wider.marks, wider.holes)))


def _in_order(matrix: Matrix, order: list[Column]) -> Matrix:
    """Return a matrix with the columns that are named, in that order."""
    places = [matrix.values.columns.get_loc(column) for column in order]
    return Matrix(matrix.values.iloc[:, places], matrix.marks.iloc[:, places], matrix.holes.iloc[:, places])


def can_be_averaged(known: Mapping[str, Protocol], results: pd.DataFrame) -> list[str]:
    """Return the measured protocols whose primaries are distances in mm, which alone have a mean."""
    names = [name for name in dict.fromkeys(results["protocol"]) if name in known]
    chosen = [name for name in names if (m := get_measure(known[name].primary)).unit == "mm" and m.lower_is_better]
    return sorted(chosen)


def without_empty_means(matrix: Matrix) -> tuple[Matrix, str]:
    """Return the matrix without the means that no model has, and a sentence on them; empty where there are none."""
    is_empty = [
        name == measure and measure in means() and np.isnan(matrix.values[name, measure].to_numpy(float)).all()
        for name, measure in matrix.values.columns
    ]
    empty = [measure for (_, measure), is_gone in zip(matrix.values.columns, is_empty, strict=True) if is_gone]
    kept = [column for column, is_gone in zip(matrix.values.columns, is_empty, strict=True) if not is_gone]
    most = {name: max(_parts_of(hole) for hole in matrix.holes[name, name]) for name in empty}
    holes = [f"{means()[name].display_name} {most[name]} of {len(means()[name].protocols)}" for name in empty]
    sentence = f"A mean needs all of its protocols; the most that a model has: {', '.join(holes)}." if holes else ""
    return _in_order(matrix, kept), sentence


def incomplete_means(matrix: Matrix) -> str:
    """Return a sentence on the models that lack protocols of a mean; a table of numbers has no room for ``4/5``."""
    said = []
    for name, measure in matrix.values.columns:
        if measure in means():
            holes = matrix.holes[name, measure].loc[matrix.values[name, measure].isna()]
            lacking = [f"{model} {hole.replace('/', ' of ')}" for model, hole in holes.items() if hole != HOLE]
            more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            title = means()[measure].display_name if name == measure else name
            said += [f"Protocols of {title}: {', '.join(lacking[:_NAMED])}{more}."] if lacking else []
    return " ".join(said)


def _parts_of(hole: str) -> int:
    """Return how many protocols of a mean a row has, as its hole says: ``3/5``."""
    return 0 if hole == HOLE else int(hole.partition("/")[0])


@dataclass(frozen=True, eq=False)
class Face:
    """A matrix as a table widget takes it: unique headings, and what each cell says and looks like."""

    numbers: pd.DataFrame
    texts: pd.DataFrame
    styles: pd.DataFrame
    columns: dict[str, Column]  # by the lower heading, which alone a selected cell names


def face_of(
    matrix: Matrix,
    shown: Shown,
    known: Mapping[str, Protocol],
    best: Best | None = None,
    intervals: Mapping[tuple[str, Column], str] | None = None,
) -> Face:
    """Return how a matrix looks; the numbers shown may be relative to the best of their column.

    ``best`` are the published numbers that "% of published" refers to, ``intervals`` stand behind absolute numbers.
    """
    values = matrix.values
    headings = [_heading(column, position, known) for position, column in enumerate(values.columns)]
    labels = pd.MultiIndex.from_tuples(headings) if headings else pd.MultiIndex.from_arrays([[], []])
    numbers, places = _told_apart(relative(values, shown, best)), ranks(values)
    texts, styles = matrix.holes.copy(), pd.DataFrame("", index=values.index, columns=values.columns)
    for row, column in np.argwhere(values.notna().to_numpy()):
        place = int(places.iat[row, column])
        cell = (str(values.index[row]), values.columns[column])
        behind = (intervals or {}).get(cell, "") if shown == "absolute" else ""
        text = _number(float(numbers.iat[row, column]), shown, cell[1][1])
        texts.iat[row, column] = _text(text, place, behind, str(matrix.marks.iat[row, column]))
        styles.iat[row, column] = "font-weight: 700;" if place == 1 else ""
    styles = styles + colours(matrix)
    for table in (numbers, texts, styles):
        table.columns = labels
    return Face(numbers, texts, styles, {lower: c for (_, lower), c in zip(headings, values.columns, strict=True)})


def _told_apart(numbers: pd.DataFrame) -> pd.DataFrame:
    """Return numbers of which no column has two equal ones, moved by the last digit: each has a text of its own."""
    out = numbers.copy()
    for place in range(out.shape[1]):
        column, seen = out.iloc[:, place].to_numpy(float).copy(), set()
        for row, number in enumerate(column.tolist()):
            while number in seen:
                number = float(np.nextafter(number, np.inf))
            seen.add(number)
            column[row] = number
        out.isetitem(place, column)
    return out


def heat_table(matrix: Matrix, face: Face) -> pd.DataFrame:
    """Return one row a cell of a matrix, as ``cell_charts.heatmap`` takes it."""
    shades, rows = badness(matrix), []
    for place, heading in enumerate(face.numbers.columns):
        title = " ".join(part.strip(_INVISIBLE) for part in heading if part != _MEANS)
        for row, model in enumerate(face.numbers.index):
            text = face.texts.iat[row, place].replace(_UNDERLINE, "")
            cell = {"model": model, "column": title, "text": text, "badness": shades[row, place]}
            rows.append(cell | {"row": row, "place": place})
    return pd.DataFrame(rows)


def _heading(column: Column, position: int, known: Mapping[str, Protocol]) -> tuple[str, str]:
    """Return protocol and measure as headings; the lower one is made unique by invisible characters.

    A selected cell is told by its lower heading alone, and several protocols share a measure.
    """
    protocol, measure = column
    arrow = "\N{DOWNWARDS ARROW}" if lower_is_better(measure) else "\N{UPWARDS ARROW}"
    if measure in means():
        name = means()[measure].display_name if protocol == measure else protocol
        return _MEANS, f"{name} {arrow}" + _INVISIBLE * position
    title = known[protocol].display_name if protocol in known else protocol
    return title, f"{get_measure(measure).display_name} {arrow}" + _INVISIBLE * position


def intervals_of(results: pd.DataFrame) -> dict[tuple[str, Column], str]:
    """Return the 95 % intervals of the means of some results by row label and column, as text.

    Where a protocol shows the mean with a penalty for the missing, there is none: the interval is of the answered.
    """
    table = newest_versions(results)
    table = table.assign(row=row_labels(table)).dropna(subset=["ci_low", "ci_high"])
    table = table.loc[~((table["missing_rule"] == "penalise") & (table["missing"] > 0))]
    cells = (table[name].tolist() for name in ("row", "protocol", "measure", "ci_low", "ci_high"))
    return {
        (row, (name, measure)): f"[{low:.{digits(measure)}f}, {high:.{digits(measure)}f}]"
        for row, name, measure, low, high in zip(*cells, strict=True)
    }


def relative(values: pd.DataFrame, shown: Shown, published: Best | None = None) -> pd.DataFrame:
    """Return the numbers to show: as they are, as distance from the column's best, in per cent of it, or as ranks.

    "% of published" is in per cent of the best published number, NaN where there is none.
    """
    signs = pd.Series([1.0 if lower_is_better(measure) else -1.0 for _, measure in values.columns], values.columns)
    best = (values * signs).min() * signs
    if shown == "difference":
        return values - best
    if shown == "% of best":
        return 100 * values / best
    if shown == "% of published":
        there = [(published or {}).get(column, (np.nan, ""))[0] for column in values.columns]
        return 100 * values / np.array(there, float)
    return (values * signs).rank(method="min") if shown == "rank" else values.copy()


def _number(number: float, shown: Shown, measure: str) -> str:
    """Return a number of a measure as text; a dash where nothing is published to refer to."""
    if not np.isfinite(number):
        return HOLE
    if shown in ("absolute", "difference"):
        return f"{number:{'+' if shown == 'difference' else ''}.{digits(measure)}f}"
    return f"{number:.0f}" if shown == "rank" else f"{number:.1f}"


def _text(text: str, place: int, behind: str, marks: str) -> str:
    """Return a number, underlined when it is the second best, with its interval and the signs of its marks."""
    if text == HOLE:
        return text
    text = underlined(text) if place == 2 else text
    signs = "".join(SIGNS[letter] for letter in marks)
    return " ".join(part for part in (text, behind, signs) if part)


def is_seen(letter: str) -> bool:
    """Return whether a letter takes room of its own."""
    return letter not in (_UNDERLINE, _INVISIBLE)


def underlined(text: str) -> str:
    """Return a text whose letters carry their underline: tables on a canvas know no other."""
    return "".join(letter + _UNDERLINE for letter in text)


def colours(matrix: Matrix) -> pd.DataFrame:
    """Return the background of each cell as CSS; a column whose numbers are all equal has none."""
    out = pd.DataFrame("", index=matrix.values.index, columns=matrix.values.columns)
    for position, shares in enumerate(badness(matrix).T):
        if np.nanmax(shares, initial=0) > 0:
            out.isetitem(position, [_background(share) for share in shares])
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
    keys = ["method", "train_set", "paper", "table", "source"]
    if published.empty:
        return pd.DataFrame(columns=[*keys])
    columns_ = published["protocol"] + "|" + published["measure"]
    wide = published.assign(column=columns_).pivot_table(index=keys, columns="column", values="value", aggfunc="first")
    order = [f"{protocol}|{measure}" for protocol, measure in shown if f"{protocol}|{measure}" in wide.columns]
    wide = wide.loc[:, order].sort_values(by=order, kind="stable", na_position="last")
    titles = [published_title((protocol, measure), known) for protocol, measure in (name.split("|") for name in order)]
    wide.columns = pd.Index(titles)
    return wide.reset_index()


def published_title(column: Column, known: Mapping[str, Protocol]) -> str:
    """Return the heading of a column of published numbers."""
    protocol, measure = column
    if measure in means():
        return means()[measure].display_name
    return f"{known[protocol].display_name if protocol in known else protocol} {get_measure(measure).display_name}"


def with_published_means(published: pd.DataFrame) -> pd.DataFrame:
    """Return published numbers in which those of a mean over protocols bear its name in place of a protocol."""
    is_mean = published["metric"].isin(list(means())) & published["protocol"].isna() & (published["part"] == "all")
    named = {name: published[name].mask(is_mean, published["metric"]) for name in ("protocol", "measure")}
    return published.assign(**named)


def published_names(models: Sequence[str], methods: Sequence[str]) -> dict[str, str]:
    """Return under which name each model is published, where the names differ in case and punctuation only."""
    plain = {re.sub(r"[^a-z0-9]", "", method.lower()): method for method in methods}
    found = {model: plain.get(re.sub(r"[^a-z0-9]", "", model.lower())) for model in models}
    return {model: method for model, method in found.items() if method is not None}


def best_by_protocol(results: pd.DataFrame, published: pd.DataFrame, known: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return one row a protocol: its primary measure, the best and second model, and the best published number."""
    if results.empty:
        names = ("id", "protocol", "measure_id", "measure", "best", "value", "second", "models", "published", "method")
        return pd.DataFrame(columns=list(names))
    matrix, best = build_matrix(newest_versions(results)), best_published(published)
    rows = []
    for protocol, measure in matrix.values.columns:
        column = pd.Series(matrix.values[protocol, measure], dtype=float).dropna()
        ordered = column.sort_values(ascending=lower_is_better(measure))
        if ordered.empty:
            continue
        theirs = best.get((protocol, measure), (None, ""))
        rows.append(
            {
                "id": protocol,
                "protocol": known[protocol].display_name if protocol in known else protocol,
                "measure_id": measure,
                "measure": get_measure(measure).display_name,
                "best": ordered.index[0],
                "value": float(ordered.iloc[0]),
                "second": float(ordered.iloc[1]) if len(ordered) > 1 else None,
                "models": len(ordered),
                "published": theirs[0],
                "method": theirs[1],
            }
        )
    return pd.DataFrame(rows)


def best_published(published: pd.DataFrame) -> dict[Column, tuple[float, str]]:
    """Return the best published number of each protocol and measure, with the method and paper."""
    rows = published.loc[(published["kind"] == "published") & published["measure"].notna(), :]
    out: dict[Column, tuple[float, str]] = {}
    columns_ = (rows[name].tolist() for name in ("protocol", "measure", "value", "method", "paper"))
    for protocol, measure, value, method, paper in zip(*columns_, strict=True):
        if measure not in {*measures(), *means()} or not isinstance(protocol, str):
            continue
        before = out.get((protocol, measure))
        if before is None or (value < before[0] if lower_is_better(measure) else value > before[0]):
            out[protocol, measure] = (float(value), f"{method} ({paper})")
    return out
