"""The benchmark page: models by protocols, and what papers published beside it; a number leads to its people."""

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from ...benchmark.heatmap import write_heatmap
from ...benchmark.measures import means
from ...benchmark.protocol import Protocol
from ...benchmark.published import load_published
from ...benchmark.render import SIGNS, to_csv, to_latex, to_markdown
from ...benchmark.tables import HOLE, MARKS, Column, Matrix
from .. import addresses, board, cell_charts, scored, state
from ..plaintext import plain
from . import published

_FORMS = ("table", "heatmap")
_IN_A_ROW = 8  # choices of measure that stand in one row; more of them wrap
_LETTER, _MARGIN, _NARROW, _WIDE = 7, 26, 88, 230  # px: a letter, what is around it, the least and the most of a column


def render() -> None:
    """Show the page."""
    results, known = scored.results(scored.results_snapshot()), scored.known_protocols()
    if results.empty:
        _welcome(known)
        return
    addresses.keep("bench_")
    # The page of a cell leads back here.
    st.session_state["bench_address"] = st.query_params.to_dict()
    chosen, part, shown, form = _controls(results)
    sets, has_intervals = _more(results, known, is_primary=chosen == board.PRIMARY, is_absolute=shown == "absolute")
    matrix, absent, face = _made(scored.results_snapshot(), chosen, part, tuple(sets), shown, has_intervals)
    if form == "heatmap":
        st.altair_chart(cell_charts.heatmap(board.heat_table(matrix, face)), alt="Models by protocols, as colours")
        picked = None
    else:
        picked = _matrix(matrix, face)
    _below(matrix, known, chosen, form)
    if absent:
        st.caption(plain(absent))
    if picked is not None:
        _open(picked, matrix, known, sets)
    published.gaps()
    published.block(_telling_first(matrix))


def _telling_first(matrix: Matrix) -> list[Column]:
    """Return the columns, the one that rows are sorted by before the others."""
    columns = list(matrix.values.columns)
    return sorted(columns, key=lambda column: column != board.telling(matrix)) if columns else []


@st.cache_resource(max_entries=32, show_spinner=False)
def _made(
    snapshot: state.Snapshot,
    chosen: str,
    part: str | None,
    sets: tuple[str, ...],
    shown: board.Shown,
    has_intervals: bool,
) -> tuple[Matrix, str, board.Face]:
    """Return the matrix of a choice, sentences on means that models do not have, and how it looks."""
    results, known = scored.results(snapshot), scored.known_protocols()
    matrix, absent = board.without_empty_means(board.matrix_of(results, chosen, part, known, sets))
    best = board.best_published(board.with_published_means(load_published())) if shown == "% of published" else None
    return (
        matrix,
        f"{absent} {board.incomplete_means(matrix)}".strip(),
        board.face_of(matrix, shown, known, best, board.intervals_of(results) if has_intervals else None),
    )


def _welcome(known: dict[str, Protocol]) -> None:
    """Say which command to run where nothing was measured yet."""
    folders = state.here()
    st.markdown("##### Nothing is measured here yet")
    st.markdown(f"`{folders.results}` holds no results. This command makes some, and this page fills by itself:")
    st.code(f"ehps bench MODEL --catalog {folders.catalog} --out {folders.results}", language="shell")
    published.block([(name, protocol.primary) for name, protocol in known.items()])


def _controls(results: pd.DataFrame) -> tuple[str, str | None, board.Shown, str]:
    """Draw the choices above the matrix."""
    bound = {"required": True, "bind": "query-params"}
    families = board.families(results)
    measure = {"label": "Measure", "options": families, "default": board.PRIMARY, "key": "bench_measure"} | bound
    above = st.pills(**measure) if len(families) > _IN_A_ROW else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = above or st.segmented_control(**measure)
        parts = board.parts(results, chosen)
        part = parts[0] if parts else None
        if len(parts) > 1:
            part = st.segmented_control(
                "Part",
                parts,
                default=part,
                key=f"bench_part_{chosen}",
                format_func=lambda name: name.replace("_", " "),
                **bound,
            )
        shown = st.segmented_control("Show", board.SHOWN, default="absolute", key="bench_show", **bound)
        form = st.segmented_control("As", _FORMS, default="table", key="bench_form", **bound)
    return chosen, part, cast(board.Shown, shown), form


def _more(
    results: pd.DataFrame, known: dict[str, Protocol], *, is_primary: bool, is_absolute: bool
) -> tuple[list[str], bool]:
    """Draw the choice of sets for a mean of one's own and the toggle of intervals, where they mean something."""
    sets: list[str] = []
    has_intervals = False
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if is_primary:
            options = board.can_be_averaged(known, results)
            sets = st.multiselect(
                "Mean over",
                options,
                key="bench_sets",
                bind="query-params",
                format_func=lambda name: known[name].display_name,
                placeholder="Mean over sets of your choice",
                label_visibility="collapsed",
                width=420,
            )
        if is_absolute:
            has_intervals = st.toggle("95 % intervals", key="bench_intervals", bind="query-params")
    return sets, has_intervals


def _matrix(matrix: Matrix, face: board.Face) -> tuple[str, Column] | None:
    """Draw the matrix and return the chosen cell as row label and column."""
    picked = st.dataframe(
        _styled(face),
        key=f"bench_matrix_{state.table_key([*face.numbers.index, *matrix.values.columns])}",
        on_select="rerun",
        selection_mode="single-cell",
        column_config=cast(Any, _widths(face)),  # the stubs of Streamlit know no positions
        height="content" if len(face.numbers) < 18 else 680,
        row_height=34,
        placeholder="\N{EN DASH}",
        alt="Models by protocols; lower is better unless the arrow points up",
    )
    for row, heading in picked.selection.cells:
        if heading in face.columns and row < len(matrix.values):
            return str(matrix.values.index[row]), face.columns[heading]
    return None


def _widths(face: board.Face) -> Mapping[str | int, Any]:
    """Return columns as wide as their headings and numbers, by position: the browser looks at the first rows only."""
    config: dict[str | int, Any] = {"_index": st.column_config.TextColumn("Model", width=220)}
    for place, (upper, lower) in enumerate(face.texts.columns, start=1):
        words = [upper, lower, *face.texts[upper, lower]]
        letters = max(sum(map(board.is_seen, word)) for word in words)
        config[place] = st.column_config.Column(width=int(np.clip(_LETTER * letters + _MARGIN, _NARROW, _WIDE)))
    return config


def _styled(face: board.Face) -> Styler:
    """Return the numbers with each cell's own text and colours; sorting still goes by the numbers."""
    styler = face.numbers.style
    styler.apply(lambda _: face.styles, axis=None)
    words = {
        column: dict(zip(face.numbers[column].tolist(), face.texts[column].tolist(), strict=True))
        for column in face.numbers.columns
    }
    # What is missing is shown by the widget's placeholder, whatever is written here.
    styler.format({column: lambda number, own=own: own[number] for column, own in words.items()}, na_rep=HOLE)
    return styler


def _open(picked: tuple[str, Column], matrix: Matrix, known: dict[str, Protocol], sets: list[str]) -> None:
    """Leave for the page of a chosen number; a mean is taken apart here."""
    model, (protocol, measure) = picked
    if measure in means():
        _mean(matrix, model, (protocol, measure), known, sets)
    elif pd.isna(matrix.values.at[model, (protocol, measure)]):
        st.caption(f"{model} was not measured under this protocol.")
    else:
        state.go("cell", cell_model=model, cell_protocol=protocol, cell_measure=measure)


def _mean(matrix: Matrix, model: str, column: Column, known: dict[str, Protocol], sets: list[str]) -> None:
    """Say what a mean is made of."""
    mean = means()[column[1]]
    is_own = column[0] != column[1]
    with st.container(border=True):
        st.markdown(f"##### {model}: {column[0] if is_own else mean.display_name}")
        st.caption("Mean of the primaries of the chosen sets." if is_own else mean.description)
        values = matrix.values.T.to_dict()[model]
        rows = []
        for protocol in sets if is_own else mean.protocols:
            own = known[protocol].primary if protocol in known else ""
            primary = own if is_own else mean.measure or own
            rows.append({"protocol": protocol, "primary": primary, "value": values.get((protocol, primary))})
        config = {
            "protocol": "Protocol",
            "primary": "Measure",
            "value": st.column_config.NumberColumn("mm", format="%.1f"),
        }
        table = pd.DataFrame(rows)
        st.dataframe(table, hide_index=True, column_config=config, placeholder="\N{EN DASH}", alt="Parts of the mean")


def _below(matrix: Matrix, known: dict[str, Protocol], chosen: str, form: str) -> None:
    """Draw the legend and the downloads."""
    used = set("".join(matrix.marks.to_numpy().ravel()))
    is_table = form == "table"
    notes = [f"**best**, {board.underlined('second')} of a column"] if is_table else ["blue: best of a column"]
    notes += [f"{SIGNS[letter]} {meaning}" for letter, meaning in MARKS.items() if letter in used]
    notes += ["click a number to see its people"] if is_table else ["the table leads to the people"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(" \N{MIDDLE DOT} ".join(notes), width="stretch")
        with st.popover(
            "Export", icon=":material/download:", width="content", key="bench_export", on_change="rerun"
        ) as box:
            if box.open:
                _exports(matrix, known, chosen)


def _exports(matrix: Matrix, known: dict[str, Protocol], chosen: str) -> None:
    """Draw the downloads, which are made when they are asked for, and the command that does the same."""
    st.caption("The numbers themselves, however they are shown.")
    names = {name: protocol.display_name for name, protocol in known.items()}
    forms: dict[str, tuple[str, Callable[[], str | bytes]]] = {
        "CSV": ("csv", lambda: to_csv(matrix)),
        "LaTeX": ("tex", lambda: to_latex(matrix, names=names)),
        "Markdown": ("md", lambda: to_markdown(matrix)),
    }
    if importlib.util.find_spec("matplotlib") is not None:
        forms["PNG"] = "png", lambda: _png(matrix)
    with st.container(horizontal=True, gap="small"):
        for label, (ext, make) in forms.items():
            st.download_button(label, make, f"ehps-matrix.{ext}", key=f"bench_{ext}", on_click="ignore")
    asked = [] if chosen == board.PRIMARY else dict.fromkeys(m for _, m in matrix.values.columns if m not in means())
    words = [f"ehps table --results {state.here().results} --format latex", *(f"--measure {name}" for name in asked)]
    st.code(" ".join(words), language="shell", wrap_lines=True)


def _png(matrix: Matrix) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_heatmap(matrix, Path(folder) / "matrix.png").read_bytes()
