"""The first page: what is converted, what needs attention, which model is best where."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from ...benchmark.measures import digits, get_measure
from ...benchmark.published import load_published
from .. import board, health, queries, readings, recorded, scored, state
from ..amounts import compact
from ..durations import hours
from ..plaintext import plain
from ..recorded import Recorded
from . import chips

_ICONS = {
    "error": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
    "running": ":blue[:material/progress_activity:]",
}
_FOUND = 20  # findings that are shown
_LONG, _WIDTH = 20, 160  # letters of a name from which its column has a width, px
_ROWS, _HEIGHT = 20, 700  # sources up to which the table is as high as it needs, px beyond
_HALF = 480  # px, below which two halves stand one over the other


def render() -> None:
    """Show the page."""
    table, results = state.sources(), state.results()
    if not state.has_catalog() and results.empty:
        _welcome(table)
        return
    here = table.loc[table["people"] > 0].sort_values(by="people", ascending=False)
    time = recorded.recorded(_clips(), list(here["id"]), recorded.frame_rates())
    _numbers(table, results, time)
    with st.grid(2, min_column_width=_HALF, gap="medium") as grid:
        with grid.cell():
            _converted(here, time, table["state"].tolist().count("absent"))
        with grid.cell():
            _health(table)
            _best(results)


def _welcome(table: pd.DataFrame) -> None:
    """Say which command to run where nothing is there yet."""
    out, results = state.here().catalog, state.here().results
    st.markdown("##### Nothing is converted here yet")
    st.markdown(
        f"`{out}` has no catalog and `{results}` no results. ehps knows **{len(table)}** sources: choose one on the "
        "page *Datasets*, then run these commands. This page fills by itself."
    )
    st.code(
        f"ehps check DATASET --raw DIR\nehps convert DATASET --raw DIR --out {out}\n"
        f"ehps bench MODEL --catalog {out} --out {results}",
        language="shell",
    )
    st.caption("To see everything at work on built-in data, run `ehps demo`.")
    st.page_link(state.page("catalog"), label="All datasets", icon=":material/dataset:")


def _clips() -> pd.DataFrame:
    """Return the clips of the sources here."""
    return state.answer(recorded.CLIPS) if state.has_catalog() else pd.DataFrame(columns=["dataset", "clips", "frames"])


def _numbers(table: pd.DataFrame, results: pd.DataFrame, time: Recorded) -> None:
    """Draw the row of numbers."""
    here = [row for row in table.to_dict("records") if row["units"]]
    frames, people, rejected = (sum(row[name] for row in here) for name in ("frames", "people", "rejected"))
    share = f"{rejected / (people + rejected):.1%}" if people + rejected else "\N{EN DASH}"
    models = set(zip(results["model"], results["revision"], strict=True))
    with st.grid(6, min_column_width=108, gap="small"):
        st.metric("Datasets", f"{len(here)} of {len(table)}", help="converted, of all that ehps knows", border=True)
        st.metric("Frames", compact(frames), border=True)
        st.metric("People", compact(people), border=True)
        st.metric("Video", _hours(time), help=_what_hours(time), border=True)
        st.metric("Left out", share, help=f"{rejected:,} people, each with a reason", border=True)
        st.metric("Models", len(models), help="measured, revisions apart", border=True)


def _hours(time: Recorded) -> str:
    return "\N{EN DASH}" if time.total is None else hours(time.total)


def _what_hours(time: Recorded) -> str:
    """Say what the recorded time rests on."""
    known, others = ", ".join(time.seconds), ", ".join(time.unknown)
    said = "From the first to the last converted frame of each clip, each camera on its own, by the card's frame rate. "
    said += f"Known for {known}." if known else "No card of the sources here names one."
    return plain(said + (f" Not known for {others}." if others else ""))


def _converted(here: pd.DataFrame, time: Recorded, missing: int) -> None:
    """Draw the sources as a table, in which bars count people; most people first. ``missing`` are not here."""
    with st.container(border=True):
        st.markdown("##### Sources on this machine")
        if here.empty:
            st.caption(f"Nothing yet: run `ehps convert DATASET --raw DIR --out {state.here().catalog}`.")
            return
        view = here.assign(
            reject_share=100 * here["reject_share"],
            video=[hours(time.seconds[name]) if name in time.seconds else None for name in here["id"]],
            kind=chips.kinds(here["kind"]),
            state=chips.states(here["state"]),
            done_splits=[", ".join(names) for names in here["done_splits"]],
        )
        picked = st.dataframe(
            view,
            key=f"over_table_{state.table_key(here['id'])}",
            on_select="rerun",
            selection_mode="single-cell",
            hide_index=True,
            height="content" if len(here) <= _ROWS else _HEIGHT,
            column_order=["id", "people", "kind", "frames", "state", "video", "reject_share", "bytes", "done_splits"],
            column_config=_columns(max(here["people"].tolist()), is_long=max(map(len, here["id"])) > _LONG),
            placeholder="\N{EN DASH}",
            alt="Converted sources",
        )
        for row, _ in picked.selection.cells:
            state.go("card", card_id=here["id"].iloc[row])
        st.caption("Click a row to open its card.")
        if missing:
            st.page_link(
                state.page("catalog"),
                label=f"{missing} more are not converted here",
                icon=":material/dataset:",
                help="Sources with a card of which nothing lies on this machine.",
                query_params={"cat_state_absent": "true"},
            )


def _columns(most: int, *, is_long: bool) -> dict[str, Any]:
    """Return how the columns of the sources are shown; ``most`` people fill a bar, ``is_long`` is a name."""
    column = st.column_config
    return {
        "id": column.TextColumn("Source", pinned=True, width=_WIDTH if is_long else None),
        "people": column.ProgressColumn("People", format="localized", min_value=0, max_value=most),
        "kind": chips.kind_column(82),
        "frames": column.NumberColumn("Frames", format="localized"),
        "state": chips.state_column("State", 86),
        "video": column.TextColumn("Video", help="Time that its clips cover, where the frame rate is known."),
        "reject_share": column.NumberColumn("Left out", format="%.1f%%"),
        "bytes": column.NumberColumn("Size", format="bytes"),
        "done_splits": column.TextColumn("Splits"),
    }


_BEST = {
    "protocol": "Protocol",
    "best": "Best model",
    "value": st.column_config.TextColumn("Error", alignment="right", help="Or the share, where more is better."),
    "second": st.column_config.TextColumn("Second", alignment="right"),
    "published": st.column_config.TextColumn("Published", alignment="right", help="The best published number."),
    "method": "By",
}


def _numbers_of(table: pd.DataFrame) -> dict[str, Sequence[str | None]]:
    """Return the numbers of the best models as their measures are written; the first says the unit."""
    known = [get_measure(name) for name in table["measure_id"]]
    written: dict[str, Sequence[str | None]] = {
        name: [
            None if pd.isna(value) else f"{value:.{digits(measure.name, 1)}f}"
            for value, measure in zip(table[name], known, strict=True)
        ]
        for name in ("value", "second", "published")
    }
    units = [f" {measure.unit}" if measure.unit else "" for measure in known]
    return written | {"value": [f"{number}{unit}" for number, unit in zip(written["value"], units, strict=True)]}


def _health(table: pd.DataFrame) -> None:
    """Draw the list of what needs attention."""
    out = state.here().catalog
    catalogued = int(state.ask(queries.totals)["units"].iloc[0]) if state.has_catalog() else 0
    units = state.live_units()
    checks = state.answer(health.CHECKS) if state.has_catalog() else None
    found = health.findings(table, units, out, catalogued, checks) + health.run_findings(readings.found_runs())
    with st.container(border=True):
        st.markdown("##### Needs attention" if found else "##### All is well")
        if not found:
            st.caption(
                "No failed check, no rejects beyond what the cards allow, no unfinished conversion, no stale shards."
            )
        if len(found) > _FOUND:
            st.caption(f"The first {_FOUND} of {len(found)}, the most urgent ones.")
        for finding in found[:_FOUND]:
            name = f"**{finding.dataset}** " if finding.dataset else ""
            command = f"  \n`{finding.command}`" if finding.command else ""
            st.markdown(f"{_ICONS[finding.level]} {name}{plain(finding.text)}{command}")
        with st.container(horizontal=True, gap="small"):
            if units:
                st.page_link(state.page("conversions"), label="Conversions", icon=":material/factory:")
            st.page_link(state.page("runs"), label="Training runs", icon=":material/monitoring:")


def _best(results: pd.DataFrame) -> None:
    """Draw the best model of each protocol."""
    with st.container(border=True):
        st.markdown("##### Best models")
        if results.empty:
            folders = state.here()
            st.caption(f"No results yet: run `ehps bench MODEL --catalog {folders.catalog} --out {folders.results}`.")
            return
        table = board.best_by_protocol(results, load_published(), scored.known_protocols())
        picked = st.dataframe(
            table.assign(protocol=table["protocol"] + " " + table["measure"], **_numbers_of(table)),
            key=f"over_best_{state.table_key(table['id'] + table['best'])}",
            on_select="rerun",
            selection_mode="single-cell",
            hide_index=True,
            column_order=list(_BEST),
            column_config=_BEST,
            placeholder="\N{EN DASH}",
            alt="Best model of each protocol",
        )
        for position, _ in picked.selection.cells:
            row = table.iloc[position]
            state.go("cell", cell_model=row["best"], cell_protocol=row["id"], cell_measure=row["measure_id"])
        st.page_link(state.page("matrix"), label="All models and protocols", icon=":material/leaderboard:")
