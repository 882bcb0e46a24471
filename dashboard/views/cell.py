"""One cell of the matrix: who was asked and answered, how errors are distributed, and who is worst."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from ...benchmark.describe import describe
from ...benchmark.measures import get_measure, means
from ...benchmark.protocol import Protocol
from ...benchmark.tables import Column, newest_versions, row_labels
from .. import board, charts, people, state
from ..plaintext import plain
from . import tiles

_WORST, _TILES = 50, 12
Row = dict[str, Any]  # of the table of results


def render(results: pd.DataFrame, model: str, column: Column, known: dict[str, Protocol]) -> None:
    """Show the cell of a row label and a column."""
    protocol, measure = column
    with st.container(border=True):
        if measure in means():
            _mean(results, model, measure, known)
            return
        table = newest_versions(results)
        rows = table.assign(row=row_labels(table)).to_dict("records")
        rows = [row for row in rows if (row["protocol"], row["measure"]) == column]
        chosen = [row for row in rows if row["row"] == model]
        title = known[protocol].display_name if protocol in known else protocol
        st.markdown(f"##### {model} on {title}: {get_measure(measure).display_name}")
        if chosen:
            _measured(chosen[0], rows, known)
        else:
            st.caption("Nothing was measured here.")


def _mean(results: pd.DataFrame, model: str, name: str, known: dict[str, Protocol]) -> None:
    """Say what a mean is made of."""
    mean = means()[name]
    st.markdown(f"##### {model}: {mean.display_name}")
    st.caption(mean.description)
    primaries = {protocol: known[protocol].primary if protocol in known else "" for protocol in mean.protocols}
    values = board.matrix_of(results, board.PRIMARY, None, known).values.T.to_dict()[model]
    rows = [
        {"protocol": protocol, "primary": primary, "value": values.get((protocol, primary))}
        for protocol, primary in primaries.items()
    ]
    config = {"value": st.column_config.NumberColumn("mm", format="%.1f")}
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, column_config=config, placeholder="\N{EN DASH}", alt="Parts of the mean"
    )


def _measured(row: Row, rows: list[Row], known: dict[str, Protocol]) -> None:
    """Show counts, distributions, the worst people and where the number comes from."""
    measure = get_measure(row["measure"])
    table = state.people_of_result(row["path"])
    _counts(row, measure.unit)
    left, right = st.columns(2, gap="medium")
    curves = pd.concat([_curve(other, measure.name) for other in rows], ignore_index=True)
    with left:
        st.altair_chart(
            charts.error_distribution(curves, row["row"], measure.unit), alt="Cumulative distribution of errors"
        )
        others = "; grey: the other models" if len(rows) > 1 else ""
        st.caption(f"Share of the people asked whose error is at most x{others}.")
    with right:
        bins = people.error_by_factor(table, measure.name, "box_height")
        if bins.empty:
            st.caption("All people have boxes of one height.")
        else:
            st.altair_chart(charts.error_by_factor(bins, "box height (px)", measure.unit), alt="Error by box height")
            st.caption("Median and middle half of the errors, by the height of the person's box.")
    _worst(table, measure.name, measure.unit)
    _provenance(row, known)


def _curve(row: Row, measure: str) -> pd.DataFrame:
    curve = people.error_curve(state.people_of_result(row["path"]), measure, row["expected"])
    return curve.assign(model=row["row"])


def _counts(row: Row, unit: str) -> None:
    """Draw the numbers of the cell."""
    numbers = {
        "Asked": f"{row['asked']:,}",
        "Answered": f"{row['answered']:,}",
        "Missing": f"{row['missing']:,}",
        f"Mean ({unit})": _number(row["mean"]),
        "95 %": f"{_number(row['ci_low'])} \N{EN DASH} {_number(row['ci_high'])}",
        f"Median ({unit})": _number(row["median"]),
        f"Penalised ({unit})": _number(row["penalised_mean"]),
    }
    help_texts = {
        "95 %": "Interval of the mean: bootstrap over sequences, because frames of one clip are not independent.",
        f"Penalised ({unit})": "The mean in which a missing person counts with the protocol's largest error.",
    }
    with st.grid(7, min_column_width=92, gap="small"):
        for label, value in numbers.items():
            st.metric(label, value, help=help_texts.get(label))


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None or math.isnan(value) else f"{value:.1f}"


def _worst(table: pd.DataFrame, measure: str, unit: str) -> None:
    """Draw the people with the largest errors: pictures of the first, all as a table."""
    worst = people.worst_people(table, measure, _WORST)
    if worst.empty:
        return
    st.markdown("###### Worst people")
    tiles.show_people(worst.head(_TILES)["person_key"].tolist(), _notes(worst.head(_TILES), measure, unit))
    with st.expander(f"The worst {len(worst)} as a table", icon=":material/table_rows:"):
        st.dataframe(
            worst,
            hide_index=True,
            column_order=["person_key", "sequence", measure, "box_height"],
            column_config={
                measure: st.column_config.NumberColumn(f"{measure} ({unit})", format="%.1f"),
                "box_height": st.column_config.NumberColumn("box height (px)", format="%.0f"),
            },
            alt="People with the largest errors",
        )


def _notes(worst: pd.DataFrame, measure: str, unit: str) -> list[str]:
    return [
        f"**{value:.0f} {unit}** {plain(key)}" for key, value in zip(worst["person_key"], worst[measure], strict=True)
    ]


def _provenance(row: Row, known: dict[str, Protocol]) -> None:
    """Say where the number comes from and how to make it again."""
    with st.expander("Protocol and provenance", icon=":material/history:"):
        if row["protocol"] in known:
            st.markdown("\n".join(f"- {line}" for line in describe(known[row["protocol"]]).splitlines()))
        if row["command"]:
            st.code(row["command"], language="shell", wrap_lines=True)
        names = ("revision", "protocol_version", "box_source", "shard_fingerprint", "ehps_version", "date", "hardware")
        facts = [f"{name.replace('_', ' ')} `{row[name]}`" for name in (*names, "path")]
        st.caption(" \N{MIDDLE DOT} ".join(facts))
