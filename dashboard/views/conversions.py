"""Conversions: what is done, how fast, who was left out, and what failed with which error."""

import time

import pandas as pd
import streamlit as st

from .. import charts, conversions, figures, health, state
from ..amounts import several
from ..durations import ago, span
from ..plaintext import plain
from ..theme import BLUE, GREEN, GREY, ORANGE, VERMILION

_COLOURS = {"done": GREEN, "running": BLUE, "queued": GREY, "interrupted": ORANGE, "failed": VERMILION}
_REFRESH, _IDLE = "5s", "60s"
_PAGE, _FAILURES, _TAIL = 500, 12, 40


def render() -> None:
    """Show the page."""
    units = state.live_units()
    if not units:
        _welcome()
        return
    now = time.time()
    is_live = any(now - unit["updated"] < health.SILENT_AFTER for unit in units if unit["state"] != "done")
    st.fragment(_show, run_every=_REFRESH if is_live else _IDLE)()


def _welcome() -> None:
    """Say which command to run where nothing was converted."""
    out = state.here().catalog
    st.markdown("##### No conversion here yet")
    st.markdown(f"`{out}/.log` tells of none. Look at the raw files first; `check` writes nothing.")
    st.code(f"ehps check DATASET --raw DIR\nehps convert DATASET --raw DIR --out {out}", language="shell")


def _show() -> None:
    """Draw totals, splits, failures, units and rejects."""
    units = state.live_units()
    table = conversions.unit_table(units)
    splits = conversions.split_table(table)
    _numbers(table, splits)
    _failures(table)
    with st.grid(2, min_column_width=480, gap="medium") as grid:
        with grid.cell(), st.container(border=True):
            st.markdown("##### Sources and splits")
            _splits(splits)
        with grid.cell(), st.container(border=True):
            st.markdown("##### Units by state")
            st.html(figures.STYLE)
            st.html(figures.stacked(_states(splits), _COLOURS, "Units of each source and split by state"))
    _details(units, table)


def _states(splits: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return how many units are in which state, by source and split."""
    return {
        f"{row['dataset']} {row['split']}": {state: int(row[state]) for state in conversions.STATES}
        for row in splits.to_dict("records")
    }


def _numbers(table: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Draw the totals."""
    counts = {name: int(sum(splits[name])) for name in (*conversions.STATES, "frames", "people", "rejected")}
    everybody = counts["people"] + counts["rejected"]
    with st.grid(6, min_column_width=108, gap="small"):
        st.metric(f"Done of {len(table):,}", f"{counts['done']:,}", help="units", border=True)
        st.metric("Running", f"{counts['running']:,}", help=f"{counts['queued']:,} queued", border=True)
        st.metric("Failed", f"{counts['failed']:,}", border=True)
        st.metric("Interrupted", f"{counts['interrupted']:,}", border=True,
                  help="Waiting, and nothing of their split gave a sign of life for two minutes.")  # fmt: skip
        st.metric("People", f"{counts['people']:,}", border=True)
        share = f"{counts['rejected'] / everybody:.1%}" if everybody else "\N{EN DASH}"
        st.metric("Left out", share, help=f"{counts['rejected']:,} people", border=True)


def _failures(table: pd.DataFrame) -> None:
    """Draw what failed, with the last line of each error, and how to try again."""
    failed = table.loc[table["state"] == "failed"]
    if failed.empty:
        return
    out = state.here().catalog
    with st.container(border=True):
        st.markdown(f"##### :red[:material/error:] {several(len(failed), 'failed unit')}")
        for number, row in enumerate(failed.head(_FAILURES).to_dict("records"), start=1):
            st.markdown(f"**{plain(row['dataset'])} {row['split']}** {plain(row['unit'])}: {plain(row['error'])}")
            if row["trace"]:
                _folded_code("Where it happened", "bug_report", f"conv_trace_{number}", row["trace"], "python")
        if len(failed) > _FAILURES:
            st.caption(f"And {len(failed) - _FAILURES} more, in the table of units below.")
        again = dict.fromkeys(zip(failed["dataset"], failed["split"], strict=True))
        commands = [f"ehps convert {dataset} --raw DIR --split {split} --out {out}" for dataset, split in again]
        _folded_code("The command that goes on with what is missing", "terminal", "conv_again", "\n".join(commands))


def _folded_code(title: str, icon: str, key: str, code: str, language: str = "shell") -> None:
    """Draw code that can be unfolded: the first code in a tab keeps its browser busy for a fifth of a second."""
    with st.expander(title, icon=f":material/{icon}:", key=key, bind="query-params") as part:
        if part.open:
            st.code(code, language=language, wrap_lines=True)


def _splits(splits: pd.DataFrame) -> None:
    """Draw one row a source and split."""
    number = st.column_config.NumberColumn
    st.dataframe(
        splits.assign(
            reject_share=100 * splits["reject_share"].astype(float), eta=[span(value) for value in splits["eta_s"]]
        ),
        hide_index=True,
        column_order=["dataset", "split", "progress", "units", "frames", "people", "reject_share", "frames_per_second",
                      "eta"],
        column_config={
            "dataset": st.column_config.TextColumn("Source", pinned=True),
            "split": "Split",
            "progress": st.column_config.ProgressColumn("Done", format="percent", min_value=0, max_value=1, width=90),
            "units": number("Units"),
            "frames": number("Frames", format="localized"),
            "people": number("People", format="localized"),
            "reject_share": number("Left out", format="%.1f%%"),
            "frames_per_second": number("Frames/s", format="%.1f", help="Of one process."),
            "eta": st.column_config.TextColumn("To go", help="With one process, at the pace so far."),
        },
        placeholder="\N{EN DASH}",
        alt="Sources and splits with progress, counts and rates",
    )  # fmt: skip


def _details(units: list[health.Unit], table: pd.DataFrame) -> None:
    """Draw the units of a choice, their rejects and the log."""
    places = dict.fromkeys(
        f"{dataset} {split}" for dataset, split in zip(table["dataset"], table["split"], strict=True)
    )
    present = [name for name in conversions.STATES if name in set(table["state"])]
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        place = st.selectbox(
            "Source and split", list(places), index=None, placeholder="All sources", key="conv_place",
            bind="query-params", width=260,
        )  # fmt: skip
        chosen = st.pills("State", present, selection_mode="multi", key="conv_state", bind="query-params")
    keep = (table["dataset"] + " " + table["split"] == place) | (place is None)
    keep &= table["state"].isin(chosen or present)
    shown = table.loc[keep]
    units_tab, rejects_tab, log_tab = st.tabs(("Units", "Left out", "Log"), key="conv_tab", bind="query-params")
    if units_tab.open:
        with units_tab:
            _units(shown)
    if rejects_tab.open:
        with rejects_tab:
            names = set(zip(shown["dataset"], shown["split"], shown["unit"], strict=True))
            _rejects([unit for unit in units if (unit["dataset"], unit["split"], unit["unit"]) in names])
    if log_tab.open:
        with log_tab:
            _log([place] if place else list(places))


def _units(shown: pd.DataFrame) -> None:
    """Draw the units, what needs a person first."""
    number = st.column_config.NumberColumn
    view = shown.head(_PAGE).assign(
        reject_share=100 * shown["reject_share"].head(_PAGE).astype(float),
        took=[span(value) if value > 0 else "" for value in shown["seconds"].head(_PAGE)],
        silent=[ago(value) for value in shown["silent_s"].head(_PAGE)],
    )
    longest = max(map(len, view["unit"]), default=0)
    told = [name for name in ("error", "reasons", "warnings") if any(map(len, view[name]))]
    st.dataframe(
        view.style.map(_coloured, subset=["state"]),
        hide_index=True,
        column_order=["dataset", "split", "unit", "state", "people", "frames", "reject_share", "frames_per_second",
                      "took", "silent", *told],
        column_config={
            "dataset": "Source",
            "split": "Split",
            "unit": st.column_config.TextColumn("Unit", width=min(28 + 7 * longest, 240)),
            "state": "State",
            "frames": number("Frames", format="localized"),
            "people": number("People", format="localized"),
            "reject_share": number("Left out", format="%.1f%%"),
            "frames_per_second": number("Frames/s", format="%.1f"),
            "took": "Took",
            "silent": "Last sign",
            "error": st.column_config.TextColumn("Last line of the error", width="large"),
            "reasons": st.column_config.TextColumn("Left out because"),
            "warnings": st.column_config.ListColumn("Warnings"),
        },
        placeholder="",
        alt="Units with state, counts, rates and errors",
    )  # fmt: skip
    if len(shown) > _PAGE:
        st.caption(f"The first {_PAGE} of {len(shown):,} units; choose a source or state to see others.")


def _coloured(what: str) -> str:
    return f"color: {_COLOURS[what]}; font-weight: 600;" if what != "queued" else ""


def _rejects(units: list[health.Unit]) -> None:
    """Draw who was left out and why."""
    table = conversions.rejects_of(units)
    if table.empty:
        st.caption("Nobody was left out.")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.altair_chart(charts.rejects_by_reason(table), alt="People left out by reason")
    with right:
        columns = {"reason": "Reason", "people": st.column_config.NumberColumn("People", format="localized"),
                   "example": st.column_config.TextColumn("An example", width="large")}  # fmt: skip
        st.dataframe(table, hide_index=True, column_config=columns, alt="Reasons with examples")


def _log(places: list[str]) -> None:
    """Draw the last units that ended."""
    out = state.here().catalog
    pairs = [place.rpartition(" ") for place in places]
    lines = [line for dataset, _, split in pairs for line in conversions.log_tail(out, dataset, split, _TAIL)]
    st.caption("The units that ended last (UTC), newest first.")
    st.code("\n".join(sorted(lines, reverse=True)[:_TAIL]) or "nothing yet", language=None)
