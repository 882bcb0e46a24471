"""Training runs: is it alive, is it fed, does it learn, and does it see what it should see."""

import math
import time

import pandas as pd
import streamlit as st

from ...errors import EhpsError
from .. import curve_charts, figures, mixtures, readings, runs, state
from ..amounts import several
from ..durations import ago, span
from ..plaintext import plain
from ..theme import BLUE, GREEN, ORANGE, VERMILION
from . import tiles

_LIGHTS = {
    "running": ":green[:material/sensors:] running",
    "stalled": ":orange[:material/sensors_off:] stalled",
    "failed": ":red[:material/error:] failed",
    "done": ":blue[:material/check_circle:] done",
}
_COLOURS = {"running": GREEN, "stalled": ORANGE, "failed": VERMILION, "done": BLUE}
_TABS = ("Learning", "Rates", "Data", "First batch", "Checkpoints", "Recipe")
_REFRESH, _IDLE = "5s", "60s"
_FIELDS = 15  # of a recipe, from which on its table scrolls
_HALF = 480  # px, below which two halves stand one over the other
_SMOOTHING = (0.0, 0.6, 0.9, 0.97)


def render() -> None:
    """Show the page."""
    found = readings.found_runs()
    if not found:
        _welcome()
        return
    is_live = any(run.state(time.time()) == "running" for run in found)
    st.fragment(_show, run_every=_REFRESH if is_live else _IDLE)()


def _welcome() -> None:
    """Say which command to run where no run is."""
    folders = state.here()
    st.markdown("##### No training run here yet")
    st.markdown(f"`{folders.runs}` holds no run. This page follows what `ehps train` writes there:")
    st.code(f"ehps train RECIPE --catalog {folders.catalog} --out {folders.runs / 'NAME'}", language="shell")
    st.caption("`ehps dash --runs DIR` names another folder: that of a run, or one with runs in it.")


def _show() -> None:
    """Draw the list of runs and the chosen one."""
    found = readings.found_runs()
    table = runs.run_table(found)
    _table(table)
    names = list(table["name"])
    if st.session_state.get("run_id", names[0]) not in names:
        del st.session_state["run_id"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = st.selectbox(
            "Run", names, key="run_id", bind="query-params", label_visibility="collapsed", width=320,
            icon=":material/model_training:",
        )  # fmt: skip
        run = found[names.index(name)]
        _light(run)
    if run.state(time.time()) == "failed":
        st.error(plain(run.error), icon=":material/error:")
    _numbers(run)
    tabs = st.tabs(_TABS, key="run_tab", bind="query-params")
    drawers = (_learning, _rates, _data, _first_batch, _checkpoints, _recipe)
    for tab, draw in zip(tabs, drawers, strict=True):
        if tab.open:
            with tab:
                draw(run, found)


def _table(table: pd.DataFrame) -> None:
    """Draw all runs; a click chooses one."""
    view = table.assign(
        data_wait=100 * table["data_wait"].astype(float),
        progress=100 * table["progress"],
        eta=[span(eta) if what == "running" else "" for eta, what in zip(table["eta_s"], table["state"], strict=True)],
        silent=[ago(value) for value in table["silent_s"]],
    )  # fmt: skip
    picked = st.dataframe(
        view.style.map(_coloured, subset=["state"]),
        key=f"run_table_{state.table_key(table['name'])}",
        on_select="rerun",
        selection_mode="single-cell",
        hide_index=True,
        height="content" if len(view) < 8 else 260,
        column_order=["name", "state", "progress", "loss", "people_per_s", "data_wait", "eta", "silent", "recipe",
                      "mixture", "device"],
        column_config=_columns(),
        placeholder="\N{EN DASH}",
        alt="Training runs with state, progress, loss and rates",
    )  # fmt: skip
    clicked = [table["name"].iloc[row] for row, _ in picked.selection.cells]
    # A cell stays selected: only a new click may overrule the choice below the table.
    if clicked and st.session_state.get("run_clicked") != clicked:
        st.session_state["run_id"] = clicked[0]
    st.session_state["run_clicked"] = clicked


def _coloured(what: str) -> str:
    return f"color: {_COLOURS[what]}; font-weight: 600;"


def _columns() -> dict:
    column = st.column_config
    return {
        "name": column.TextColumn("Run", pinned=True),
        "state": "State",
        "progress": column.ProgressColumn("Progress", format="%.0f%%", min_value=0, max_value=100, width="small"),
        "loss": column.NumberColumn("Loss", format="%.4g"),
        "people_per_s": column.NumberColumn("People/s", format="%.1f"),
        "data_wait": column.NumberColumn(
            "Data wait", format="%.0f%%", help="Share of the time spent waiting for data."
        ),
        "eta": column.TextColumn("To go"),
        "silent": column.TextColumn("Last report"),
        "recipe": column.TextColumn("Recipe"),
        "mixture": column.TextColumn("Mixture"),
        "device": column.TextColumn("Device"),
    }


def _light(run: runs.Run) -> None:
    """Say whether a run lives, and how one can tell."""
    now = time.time()
    what, silent = run.state(now), now - run.updated
    said = {
        "running": f"last report {ago(silent)}",
        "done": f"ended {ago(silent)}",
        "failed": f"stopped {ago(silent)}",
        "stalled": f"no report for {span(silent)}, expected at least every {span(run.patience())}",
    }
    st.markdown(f"{_LIGHTS[what]} :gray[{said[what]}]")
    if run.facts.get("body_model_is_standin"):
        st.markdown(":orange-badge[:material/accessibility_new: stand-in body]")


def _numbers(run: runs.Run) -> None:
    """Draw the numbers of the last report."""
    last, missing = run.last or {}, "\N{EN DASH}"
    rate, wait, used = last.get("people_per_s"), last.get("data_wait"), last.get("mfu")
    with st.grid(6, min_column_width=108, gap="small"):
        st.metric(f"Step of {run.recipe['steps']:,}", f"{run.step:,}", border=True)
        st.metric("Loss", f"{last['loss']:.3g}" if last else missing, border=True)
        st.metric("People/s", f"{rate:,.1f}" if rate is not None else missing, border=True)
        st.metric("Data wait", f"{wait:.0%}" if wait is not None else missing, border=True,
                  help="Share of the time in which the loop waited for data.")  # fmt: skip
        st.metric("GPU used", f"{used:.0%}" if used is not None else missing, border=True,
                  help="Share of the GPU's arithmetic, where its peak is known.")  # fmt: skip
        st.metric(
            "To go", span(last["eta_s"]) if last and run.state(time.time()) == "running" else missing, border=True
        )


def _reports_or_say(run: runs.Run) -> list[runs.Report]:
    found = readings.reports(run)
    if not found:
        st.caption(f"No report yet; one comes every {run.recipe['log_every']} steps.")
    return found


def _learning(run: runs.Run, found: list[runs.Run]) -> None:
    """Draw the losses, beside another run if wanted."""
    reports = _reports_or_say(run)
    if not reports:
        return
    others = [other.name for other in found if other.name != run.name]
    with st.container(horizontal=True, vertical_alignment="top", gap="medium"):
        what = st.segmented_control(
            "Loss", ("sum", "terms"), default="sum", required=True, key="run_loss", bind="query-params"
        )
        smoothing = st.segmented_control(
            "Smoothing",
            _SMOOTHING,
            default=0.6,
            required=True,
            key="run_smoothing",
            bind="query-params",
            format_func=lambda weight: f"{weight:g}" if weight else "none",
        )
        scale = st.segmented_control(
            "Scale", ("log", "linear"), default="log", required=True, key="run_scale", bind="query-params"
        )
        other = st.selectbox(
            "Beside", others, index=None, placeholder="another run", key="run_other", width=220, disabled=not others
        )
    names = ["loss"] if what == "sum" else runs.loss_terms(reports)
    curves = runs.loss_curves(reports, names, smoothing)
    if other is not None:
        beside = readings.reports(next(one for one in found if one.name == other))
        second = runs.loss_curves(beside, ["loss"], smoothing).assign(term=other)
        curves = pd.concat([curves.replace({"term": {"loss": run.name}}), second], ignore_index=True)
    st.altair_chart(curve_charts.losses(curves, scale == "log"), alt="Losses over steps")
    st.caption("Pale: as reported, each the mean since the report before. Strong: a running mean of them.")
    wrong = [report["step"] for report in reports if not math.isfinite(report["loss"])]
    if wrong:
        reports_said = f"{several(len(wrong), 'report')}, the first at step {wrong[0]:,}"
        st.markdown(f":red[:material/error:] The loss is not finite in {reports_said}; it has no point there.")


def _rates(run: runs.Run, _found: list[runs.Run]) -> None:
    """Draw the rates over time."""
    reports = _reports_or_say(run)
    curves = runs.rate_curves(reports)
    if not curves:
        return
    with st.grid(2, min_column_width=320, gap="medium") as grid:
        for name, curve in curves.items():
            with grid.cell():
                title, form = runs.RATES[name]
                st.altair_chart(curve_charts.rate(curve, title, form), alt=title)


def _data(run: runs.Run, _found: list[runs.Run]) -> None:
    """Draw what each member of the mixture gave, beside what it should give."""
    reports = _reports_or_say(run)
    if not reports:
        return
    wanted, said = _wanted(run, reports)
    members = runs.consumed(reports, wanted)
    with st.grid(2, min_column_width=_HALF, gap="large") as grid:
        with grid.cell():
            about = "Share of the people of each member, consumed and wanted"
            st.html(figures.STYLE)
            st.html(figures.shares(members, "wanted", ("consumed", "wanted"), about))
            st.caption(said)
        with grid.cell():
            _members(members)


def _members(members: pd.DataFrame) -> None:
    """Draw what each member gave as a table."""
    number = st.column_config.NumberColumn
    st.dataframe(
        members.assign(share=100 * members["share"], wanted=100 * members["wanted"]),
        hide_index=True,
        column_config={
            "member": "Member",
            "people": number("People", format="localized", help="Seen by the main rank."),
            "share": number("Consumed", format="%.2f%%"),
            "wanted": number("Wanted", format="%.2f%%"),
            "replaced": number("Replaced", help="People who could not be read, in whose place the next came."),
        },
        placeholder="\N{EN DASH}",
        alt="People of each member",
    )


def _wanted(run: runs.Run, reports: list[runs.Report]) -> tuple[dict[str, float] | None, str]:
    """Return the wanted shares, or None, and a sentence on where they come from."""
    if not state.has_catalog():
        return None, "There is no catalog here, so what the mixture asks for is not known."
    positions = [reports[place]["people"] for place in runs.thinned(len(reports), 64)]
    try:
        wanted = readings.wanted_shares(run, positions)
    except EhpsError as error:
        return None, f"What the mixture asks for is not known here: {plain(str(error))}"
    name = plain(run.recipe["mixture"])
    return wanted, f"Wanted: what the mixture {name} asks of the catalog of this dashboard, over the steps so far."


def _first_batch(run: runs.Run, _found: list[runs.Run]) -> None:
    """Draw the first crops with their labels, where all licences allow it."""
    sheet = run.path / runs.SHEET
    if not sheet.is_file():
        st.caption("The run has not written its first batch yet.")
        return
    try:
        sources = mixtures.sources_in(run.recipe["mixture"], list(state.counts()["dataset"]))
    except EhpsError as error:
        st.info(
            f"The mixture is not here ({plain(str(error))}), so it is not known whether these pictures may be shown."
        )
        return
    hidden = [source for source in sources if not tiles.may_show(source)]
    if hidden:
        st.info(
            f"The card of {', '.join(hidden)} does not allow pictures to be shown.", icon=":material/visibility_off:"
        )
        return
    st.image(sheet.read_bytes(), caption="As the network saw it: crops, augmented, with their targets on top")
    st.markdown(" ".join(tiles.licence_line(source) for source in sources))


def _checkpoints(run: runs.Run, _found: list[runs.Run]) -> None:
    """Draw the checkpoints that are there."""
    table = runs.checkpoints(run.path)
    if table.empty:
        st.caption(f"None yet; the first is written after {run.recipe['save_every']:,} steps.")
        return
    columns = {
        "step": st.column_config.NumberColumn("After step", format="localized"),
        "file": "File",
        "bytes": st.column_config.NumberColumn("Size", format="bytes"),
        "written": st.column_config.DatetimeColumn("Written (UTC)", format="YYYY-MM-DD HH:mm"),
    }
    st.dataframe(table, hide_index=True, column_config=columns, alt="Checkpoints")
    folders = state.here()
    st.code(f"ehps bench {run.path} --catalog {folders.catalog} --out {folders.results}", language="shell")


def _recipe(run: runs.Run, found: list[runs.Run]) -> None:
    """Draw the recipe and facts, or how the recipe differs from another run's."""
    others = {other.name: other for other in found if other.name != run.name}
    other = st.selectbox(
        "Compare with", list(others), index=None, placeholder="Compare with another run", key="run_diff", width=260,
        disabled=not others, label_visibility="collapsed",
    )  # fmt: skip
    if other is not None:
        table = runs.differences(run.recipe, others[other].recipe)
        if table.empty:
            st.caption("The recipes are the same.")
        else:
            columns = {"field": "Field", "this": run.name, "other": other}
            st.dataframe(table, hide_index=True, column_config=columns, alt="Differing fields of two recipes")
        return
    with st.grid(2, min_column_width=_HALF, gap="large") as grid:
        for title, values in (("Recipe", run.recipe), ("Ran with", run.facts)):
            with grid.cell():
                st.markdown(f"###### {title}")
                rows = [(name, "" if value is None else str(value)) for name, value in runs.flat(values).items()]
                table = pd.DataFrame(rows, columns=["field", "value"])
                st.dataframe(
                    table,
                    hide_index=True,
                    height="content" if len(table) < _FIELDS else 520,
                    column_config={"field": "Field", "value": "Value"},
                    alt=title,
                )
