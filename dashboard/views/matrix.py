"""The benchmark page: models by protocols, what papers published beside it, and one cell taken apart."""

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from ...benchmark.protocol import Protocol, protocols
from ...benchmark.render import SIGNS, to_csv, to_latex, to_markdown
from ...benchmark.tables import MARKS, Column, Matrix
from .. import board, state
from . import cell, published

_SHOWN = ("mm", "to best", "% of best", "rank")


def render() -> None:
    """Show the page."""
    results, known = state.results(), protocols()
    if results.empty:
        _welcome(known)
        return
    chosen, part, shown = _controls(results)
    matrix = board.matrix_of(results, chosen, part, known)
    matrix, absent = board.without_empty_means(matrix)
    picked = _matrix(matrix, board.face_of(matrix, shown, known))
    _below(matrix, known)
    if absent:
        st.caption(" ".join(absent))
    if picked is not None:
        cell.render(results, *picked, known)
    published.gaps(results)
    published.block(list(matrix.values.columns), known)


def _welcome(known: dict[str, Protocol]) -> None:
    """Say which command to run where nothing was measured yet."""
    folders = state.here()
    st.markdown("##### Nothing is measured here yet")
    st.markdown(f"`{folders.results}` holds no results. This command makes some, and this page fills by itself:")
    st.code(f"ehps bench MODEL --catalog {folders.catalog} --out {folders.results}", language="shell")
    published.block([(name, protocol.primary) for name, protocol in known.items()], known)


def _controls(results: pd.DataFrame) -> tuple[str, str | None, board.Shown]:
    """Draw the choices above the matrix."""
    bound = {"required": True, "bind": "query-params"}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control(
            "Measure", board.families(results), default=board.PRIMARY, key="bench_measure", **bound
        )
        parts = board.parts(results, chosen)
        part = parts[0] if parts else None
        if len(parts) > 1:
            part = st.segmented_control("Part", parts, default=part, key=f"bench_part_{chosen}", **bound)
        shown = st.segmented_control("Show", _SHOWN, default="mm", key="bench_show", **bound)
    return chosen, part, shown


def _matrix(matrix: Matrix, face: board.Face) -> tuple[str, Column] | None:
    """Draw the matrix and return the chosen cell as row label and column."""
    picked = st.dataframe(
        _styled(face),
        key=f"bench_matrix_{state.table_key([*face.numbers.index, *matrix.values.columns])}",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={"_index": st.column_config.TextColumn("Model", width=220)},
        height="content" if len(face.numbers) < 18 else 680,
        row_height=34,
        placeholder="\N{EN DASH}",
        alt="Models by protocols; lower is better unless the arrow points up",
    )
    for row, heading in picked.selection.cells:
        if heading in face.columns and row < len(matrix.values):
            return str(matrix.values.index[row]), face.columns[heading]
    return None


def _styled(face: board.Face) -> Styler:
    """Return the numbers with each cell's own text and colours; sorting still goes by the numbers."""
    styler = face.numbers.style
    styler.apply(lambda _: face.styles, axis=None)
    for row in face.numbers.index:
        for column in face.numbers.columns:
            text = face.texts.at[row, column]
            styler.format(lambda _, text=text: text, subset=pd.IndexSlice[[row], [column]])
    return styler


def _below(matrix: Matrix, known: dict[str, Protocol]) -> None:
    """Draw the legend and the downloads."""
    used = set("".join(matrix.marks.to_numpy().ravel()))
    notes = [f"**best**, {board.underlined('second')} of a column"]
    notes += [f"{SIGNS[letter]} {meaning}" for letter, meaning in MARKS.items() if letter in used]
    notes += ["click a number to see its people"]
    names = {name: protocol.display_name for name, protocol in known.items()}
    forms = {
        "CSV": ("csv", lambda: to_csv(matrix)),
        "LaTeX": ("tex", lambda: to_latex(matrix, names=names)),
        "Markdown": ("md", lambda: to_markdown(matrix)),
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(" \N{MIDDLE DOT} ".join(notes), width="stretch")
        with st.popover("Export", icon=":material/download:", width="content"):
            for label, (ext, make) in forms.items():
                st.download_button(
                    label, make, f"ehps-matrix.{ext}", key=f"bench_{ext}", on_click="ignore", width="stretch"
                )
