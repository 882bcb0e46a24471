"""The page of one number of the matrix: who was asked, how errors are distributed, where the model fails, on whom."""

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ...benchmark.describe import describe
from ...benchmark.measures import Measure, digits, get_measure, measures
from ...benchmark.protocol import Protocol
from ...benchmark.render import SIGNS
from ...benchmark.tables import MARKS, marks_of, newest_versions, row_labels
from .. import addresses, cell_charts, charts, people, scored, slices, state
from ..amounts import several
from ..plaintext import plain
from . import error_tiles, versus

_WORST, _TILES = 50, 12
_NO_DECIMALS = 100  # of an interval, from this number on
_TABS = ("Distribution", "By factor", "Worst people", "Two models", "Where it comes from")
Row = dict[str, Any]  # of the table of results


def render() -> None:
    """Show the page."""
    results = scored.results(scored.results_snapshot())
    if results.empty:
        st.markdown("Nothing is measured here yet; `ehps bench` or `ehps demo` changes that.")
        return
    addresses.keep("cell_")
    table = newest_versions(results)
    table = table.assign(row=row_labels(table))
    known = scored.known_protocols()
    row = _choice(table)
    with_same = table.loc[(table["protocol"] == row["protocol"]) & (table["measure"] == row["measure"])]
    rows = with_same.to_dict("records")
    title = known[row["protocol"]].display_name if row["protocol"] in known else row["protocol"]
    state.name_tab(f"{row['row']} on {title}")
    st.markdown(f"#### {plain(row['row'])} on {title}: {get_measure(row['measure']).display_name}")
    _marks(row)
    _counts(row, get_measure(row["measure"]))
    _tabs(row, rows, known)


def _choice(table: pd.DataFrame) -> Row:
    """Draw the choice of model, protocol and measure, and return the row of the table of results."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        model = _chosen("Model", "cell_model", list(dict.fromkeys(table["row"])), 280)
        own = table.loc[table["row"] == model]
        protocol = _chosen("Protocol", "cell_protocol", list(dict.fromkeys(own["protocol"])), 220)
        own = own.loc[own["protocol"] == protocol]
        have = set(own["measure"])
        primary = str(own.loc[own["is_primary"].astype(bool), "measure"].iloc[0])
        own_measures = [primary, *(name for name in measures() if name in have and name != primary)]
        measure = _chosen("Measure", "cell_measure", own_measures, 220)
        st.page_link(
            state.page("matrix"),
            label="Back to the matrix",
            icon=":material/arrow_back:",
            query_params=st.session_state.get("bench_address"),
        )
    return own.loc[own["measure"] == measure].to_dict("records")[0]


def _chosen(label: str, key: str, options: list[str], width: int) -> str:
    """Draw a choice whose options depend on others; a value that is no option any more gives way to the first.

    Options are shown as they are named everywhere, because the address holds what is shown.
    """
    if st.session_state.get(key, options[0]) not in options:
        del st.session_state[key]
    return st.selectbox(label, options, key=key, bind="query-params", width=width)


def _tabs(row: Row, rows: list[Row], known: dict[str, Protocol]) -> None:
    measure = get_measure(row["measure"])
    distribution, factor, worst, two, origin = st.tabs(_TABS, key="cell_tab", bind="query-params")
    if not _has_people(row):
        with distribution:
            st.caption("This number is of everybody together; there are no errors of single people.")
        return
    if distribution.open:
        with distribution:
            _distribution(row, rows, measure)
    if factor.open:
        with factor:
            _by_factor(row, measure)
    if worst.open:
        with worst:
            _worst(row, measure)
    if two.open:
        with two:
            versus.render(row, rows, measure)
    if origin.open:
        with origin:
            _provenance(row, known)


def _has_people(row: Row) -> bool:
    """Return whether the result has a number for each person."""
    return row["measure"] in scored.people(row["path"])


def _marks(row: Row) -> None:
    """Say what makes the number special, as the marks of the matrix do."""
    signs = [f"{SIGNS[letter]} {MARKS[letter]}" for letter in marks_of(row)]
    if signs:
        st.caption(" \N{MIDDLE DOT} ".join(signs))


def _counts(row: Row, measure: Measure) -> None:
    """Draw the numbers of the cell."""
    unit, form = f" ({measure.unit})" if measure.unit else "", digits(measure.name)
    numbers = {
        "Asked": f"{row['asked']:,}",
        "Answered": f"{row['answered']:,}",
        "Missing": f"{row['missing']:,}",
        f"Mean{unit}": _number(row["mean"], form),
        "95 %": _interval(row, form),
        f"Median{unit}": _number(row["median"], form),
        "Penalised": _number(row["penalised_mean"], form),
    }
    help_texts = {
        "95 %": "Interval of the mean: bootstrap over sequences, because frames of one clip are not independent.",
        "Penalised": "The mean in which a missing person counts with the protocol's largest error.",
    }
    with st.grid(7, min_column_width=92, gap="small"):
        for label, value in numbers.items():
            st.metric(label, value, help=help_texts.get(label))


def _number(value: float | None, form: int) -> str:
    """Return a number with so many decimals."""
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:.{form}f}"


def _interval(row: Row, form: int) -> str:
    """Return the interval of the mean; without decimals from a hundred on, as there is no room for them."""
    low, high = row["ci_low"], row["ci_high"]
    if low is None or high is None or math.isnan(low):
        return "\N{EN DASH}"
    form = 0 if high >= _NO_DECIMALS else form
    return f"{low:.{form}f}\N{EN DASH}{high:.{form}f}"


def _distribution(row: Row, rows: list[Row], measure: Measure) -> None:
    """Draw the cumulative distribution against all other models, and the histogram."""
    left, right = st.columns(2, gap="large")
    with left:
        curves = pd.concat([_curve(other, measure.name) for other in rows], ignore_index=True)
        st.altair_chart(
            charts.error_distribution(curves, row["row"], cell_charts.quantity(measure, "a person")),
            alt="Cumulative distribution of errors",
        )
        count = len(rows) - 1
        others = f"; grey: {several(count, 'other model')}" if count else ""
        what = "error" if measure.lower_is_better else "number"
        st.caption(f"Share of the {row['expected']:,} people with the labels for it whose {what} is at most x{others}.")
    with right:
        errors = scored.people(row["path"])[measure.name].to_numpy(float)
        known = int(np.isfinite(errors).sum())
        title = cell_charts.quantity(measure, "a person")
        st.altair_chart(cell_charts.histogram(errors, title, row["mean"]), alt="Histogram of errors")
        unlabelled = row["answered"] - known
        lacking = f", {unlabelled:,} are not labelled for this measure" if unlabelled else ""
        counts = f"{known:,} people with a number, {row['missing']:,} missing{lacking}."
        st.caption(f"{counts} The line is the mean; the last bar holds all beyond.")


def _curve(row: Row, measure: str) -> pd.DataFrame:
    curve = people.error_curve(scored.people(row["path"]), measure, row["expected"])
    return curve.assign(model=row["row"])


def _by_factor(row: Row, measure: Measure) -> None:
    """Draw the errors over something that the catalog knows about people."""
    if not state.has_catalog():
        _by_box_height(row, measure)
        return
    name = st.selectbox(
        "Over",
        list(slices.FACTORS),
        key="cell_factor",
        bind="query-params",
        format_func=lambda name: slices.FACTORS[name].title,
        width=320,
    )
    factor = slices.FACTORS[name]
    errors = state.ErrorsOf(row["path"], measure.name)
    found = state.answer(slices.bins_sql(factor) if factor.is_number else slices.slices_sql(factor), errors=errors)
    if found.empty:
        st.info(f"Nobody of this result has a {factor.title} in the catalog of this machine.")
        return
    draw = cell_charts.error_by_bins if factor.is_number else cell_charts.error_by_slice
    st.altair_chart(draw(found, factor.title, cell_charts.quantity(measure)), alt=f"Error by {factor.title}")
    counted = sum(found["people"].tolist())
    there = f"{counted:,} of {row['answered']:,} answered people have a value."
    st.caption(f"Blue: median and middle half; diamonds: mean. {there}")
    st.markdown("With intervals over sequences:")
    by = f'--by "{factor.expression}" --measure {measure.name}'
    st.code(f"ehps slice {row['path']} {by} --catalog {state.here().catalog}", language="shell", wrap_lines=True)


def _by_box_height(row: Row, measure: Measure) -> None:
    """Draw the errors over what the result itself knows, where there is no catalog."""
    bins = people.error_by_factor(scored.people(row["path"]), measure.name, "box_height")
    if bins.empty:
        st.caption("All people have boxes of one height, and there is no catalog here that knows more.")
        return
    st.altair_chart(
        charts.error_by_factor(bins, "box height (px)", cell_charts.quantity(measure)), alt="Error by box height"
    )
    st.caption("Median and middle half, by the height of the person's box. There is no catalog here that knows more.")


def _worst(row: Row, measure: Measure) -> None:
    """Draw the people with the largest errors, twelve at a time, and all of them as a table."""
    worst = people.worst_people(scored.people(row["path"]), measure.name, _WORST)
    if worst.empty:
        st.caption("Nobody has a number for this measure.")
        return
    pages = math.ceil(len(worst) / _TILES)
    page = min(int(st.pagination(pages, key="cell_worst", bind="query-params")), pages) if pages > 1 else 1
    part = worst.iloc[_TILES * (page - 1) : _TILES * page]
    keys = [str(key) for key in part["person_key"]]
    errors = part[measure.name].to_numpy(float)
    form = digits(measure.name, decimals=0)
    notes = [f"**{value:.{form}f} {measure.unit}**".replace(" **", "**") for value in errors]
    error_tiles.show("cell", keys, notes, {row["row"]: row["path"]})
    with st.expander(f"The worst {len(worst)} as a table", icon=":material/table_rows:"):
        st.dataframe(
            worst,
            hide_index=True,
            column_order=["person_key", "sequence", measure.name, "box_height"],
            column_config={
                measure.name: st.column_config.NumberColumn(
                    f"{measure.display_name}{measure.unit and f' ({measure.unit})'}",
                    format=f"%.{digits(measure.name)}f",
                ),
                "person_key": st.column_config.TextColumn("Person", width="large"),
                "sequence": "Sequence",
                "box_height": st.column_config.NumberColumn("Box height (px)", format="%.0f"),
            },
            alt="People with the largest errors",
        )


def _provenance(row: Row, known: dict[str, Protocol]) -> None:
    """Say where the number comes from and how to make it again."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("###### Protocol")
        if row["protocol"] in known:
            st.markdown("\n".join(f"- {line}" for line in describe(known[row["protocol"]]).splitlines()))
    with right:
        st.markdown("###### Result")
        names = ("model", "revision", "network_parameters", "training_people", "study", "protocol_version")
        names += ("box_source", "shard_fingerprint", "ehps_version", "date", "hardware", "path")
        told = {name: row[name] for name in names if row[name] is not None and not pd.isna(row[name])}
        facts = scored.result(row["path"])
        told |= {name: ", ".join(own) for name in ("trained_on", "finetuned_on") if (own := getattr(facts, name))}
        st.table(
            {f":gray[{name.replace('_', ' ')}]": f"`{_fact(value)}`" for name, value in told.items()},
            border="horizontal",
        )
        if row["command"]:
            st.markdown("Made by")
            st.code(row["command"], language="shell", wrap_lines=True)


def _fact(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
