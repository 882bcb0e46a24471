"""The first page: what is converted, what needs attention, which model is best where."""

import pandas as pd
import streamlit as st

from ...benchmark.published import load_published
from .. import board, charts, health, queries, readings, recorded, scored, state
from ..durations import hours
from ..plaintext import plain
from ..recorded import Recorded

_ICONS = {
    "error": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
    "running": ":blue[:material/progress_activity:]",
}
_SHOWN, _FOUND = 12, 20
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
            _converted(here, time)
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
        st.metric("Datasets", f"{len(here)} of {len(table)}", help="converted, of those with a card", border=True)
        st.metric("Frames", _compact(frames), border=True)
        st.metric("People", _compact(people), border=True)
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


def _compact(number: int) -> str:
    """Return a count in at most four digits and a letter."""
    for limit, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= limit:
            scaled = number / (1000 if letter == "k" else limit)
            return f"{scaled:.1f}{letter}" if scaled < 100 else f"{scaled:.0f}{letter}"
    return f"{number:,}"


def _converted(here: pd.DataFrame, time: Recorded) -> None:
    """Draw people by source, and the sources as a table; most people first."""
    with st.container(border=True):
        st.markdown("##### People by source")
        if here.empty:
            st.caption(f"Nothing yet: run `ehps convert DATASET --raw DIR --out {state.here().catalog}`.")
            return
        st.altair_chart(charts.people_by_dataset(here.head(_SHOWN)), alt="People by source, coloured by kind")
        if len(here) > _SHOWN:
            st.caption(f"The {_SHOWN} largest of {len(here)}; the others are under *Datasets*.")
        lengths = [hours(time.seconds[name]) if name in time.seconds else None for name in here["id"]]
        picked = st.dataframe(
            here.assign(reject_share=100 * here["reject_share"], video=lengths),
            key=f"over_table_{state.table_key(here['id'])}",
            on_select="rerun",
            selection_mode="single-cell",
            hide_index=True,
            column_order=["id", "state", "frames", "people", "video", "reject_share", "bytes", "done_splits"],
            column_config=_COLUMNS,
            placeholder="\N{EN DASH}",
            alt="Converted sources",
        )
        for row, _ in picked.selection.cells:
            state.go("card", card_id=here["id"].iloc[row])


_COLUMNS = {
    "id": st.column_config.TextColumn("Source", pinned=True),
    "done_splits": st.column_config.ListColumn("Splits"),
    "frames": st.column_config.NumberColumn("Frames", format="localized"),
    "people": st.column_config.NumberColumn("People", format="localized"),
    "reject_share": st.column_config.NumberColumn("Left out", format="%.1f%%"),
    "video": st.column_config.TextColumn("Video", help="Time that its clips cover, where the frame rate is known."),
    "bytes": st.column_config.NumberColumn("Size", format="bytes"),
    "state": "State",
}
_BEST = {
    "protocol": "Protocol",
    "best": "Best model",
    "value": st.column_config.NumberColumn("mm", format="%.1f"),
    "second": st.column_config.NumberColumn("Second", format="%.1f"),
    "published": st.column_config.NumberColumn("Published best", format="%.1f"),
    "method": "By",
}


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
        st.dataframe(
            table.assign(protocol=table["protocol"] + " " + table["measure"]),
            hide_index=True,
            column_order=list(_BEST),
            column_config=_BEST,
            placeholder="\N{EN DASH}",
            alt="Best model of each protocol",
        )
        st.page_link(state.page("matrix"), label="All models and protocols", icon=":material/leaderboard:")
