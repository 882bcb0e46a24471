"""The study of data sets: how alike they are, from where they are seen, what hands do, what each is worth alone."""

import pandas as pd
import streamlit as st

from ...shards.analyses.clouds import LEAST, TITLES, UNITS
from ...shards.analyses.distances import DISTANCES, ordered
from .. import state, study_charts, study_readings
from . import study_parts
from .study_parts import choice, looked_at, splits_apart

_TABS = ("Similarity", "Map", "Orientation", "Hands", "Worth alone")
_KINDS = list(TITLES)
_SAID = {
    "energy": "Energy distance: the root of how much farther apart people of two sources are than people of one; zero "
    "for like distributions only.",
    "frechet": "Fréchet distance of the Gaussians with the same means and covariances, what FID is the square of.",
    "nearest": "How far the nearest person of the column's source is from a person of the row's (median): strong where "
    "the column covers the row. The diagonal: the nearest other person.",
}
_MEASURED = {
    "orientation": "Rotations of the pelvis in camera space, as matrices; rad.",
    "body": "Rotations of 21 joints, root mean square; rad.",
    "hands": "Rotations of 15 joints of labelled hands, left ones mirrored; rad.",
    "features": "Pooled features of the encoder; 1 is the spread of people within a source.",
}


def render() -> None:
    """Show the page."""
    tabs = st.tabs(_TABS, key="study_tab", bind="query-params")
    drawers = (_similarity, _map, study_parts.orientation, study_parts.hands, study_parts.worth)
    for tab, draw in zip(tabs, drawers, strict=True):
        if tab.open:
            with tab:
                draw() if draw is study_parts.worth or state.has_catalog() else _welcome()


def _welcome() -> None:
    """Say which command to run where nothing is converted."""
    st.markdown("##### Nothing is converted here yet")
    st.markdown("Data sets are compared by their people. Convert at least two:")
    st.code(f"ehps convert DATASET --raw DIR --out {state.here().catalog}", language="shell")


def _compared(key: str) -> study_readings.Compared | None:
    """Draw what to compare by; None, and how to come by them, where image features are wanted and not there."""
    by = st.segmented_control(
        "By",
        _KINDS,
        default="body",
        required=True,
        key=f"{key}_by",
        bind="query-params",
        format_func=lambda name: TITLES[name],
    )
    by_split = splits_apart()
    if by != "features":
        return study_readings.Compared(by, by_split)
    sets = study_readings.sets()
    if not sets:
        return None
    if st.session_state.get("study_features", sets[0]) not in sets:
        del st.session_state["study_features"]
    name = st.selectbox("Features of", sets, key="study_features", bind="query-params", width=280)
    return study_readings.Compared(by, by_split, name)


def _how_to_make_features() -> None:
    folders = state.here()
    st.markdown("##### No image features here yet")
    st.markdown("They are made once, by the encoder of any checkpoint, from a sample of people of every source:")
    st.code(f"ehps study features --catalog {folders.catalog} --checkpoint {folders.runs}/RUN", language="shell")


def _states_of_features(compared: study_readings.Compared) -> None:
    """Say which sources have no features that fit their shards."""
    if compared.by != "features":
        return
    states = study_readings.states_of_features(compared.features)
    said = []
    for name, words in (
        ("stale", "Stale and left out, as the shards have changed since"),
        ("absent", "Without features"),
    ):
        rows = states.loc[states["state"] == name].to_dict("records")
        if rows:
            listed = ", ".join(f"{row['dataset']} {row['split']}" for row in rows)
            said.append(f"{words}: {listed}.")
    if said:
        st.warning(f"{' '.join(said)} `ehps study features` with the same checkpoint makes them.")


def _similarity() -> None:
    """Draw each data set against each."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        compared = _compared("study")
        kind = st.segmented_control(
            "Distance", list(DISTANCES), default="energy", required=True, key="study_distance", bind="query-params",
            format_func=lambda name: DISTANCES[name],
        )  # fmt: skip
    if compared is None:
        _how_to_make_features()
        return
    _states_of_features(compared)
    table = study_readings.distances(compared, kind)
    if table.empty:
        st.caption(f"No source here has {LEAST} people with {TITLES[compared.by]}.")
        return
    order, unit = ordered(table), _unit(compared, kind)
    width = study_charts.pairs_width(len(order))
    with st.grid(1 if width is None else 2, min_column_width=560 if width is None else width + 40) as grid:
        with grid.cell():
            _matrix(compared, kind, table, order)
        with grid.cell():
            _closest(table, order, unit)
    if st.toggle("As a table", key="study_table", bind="query-params"):
        wide = table.pivot_table(index="a", columns="b", values="value").loc[order, order].round(4)
        st.dataframe(wide, alt=f"{unit} of data sets by {TITLES[compared.by]}")


def _matrix(compared: study_readings.Compared, kind: str, table: pd.DataFrame, order: list[str]) -> None:
    """Draw the heat map of all pairs."""
    unit = _unit(compared, kind)
    titles = ("people of", "nearest in") if kind == "nearest" else ("", "")
    with st.container(border=True):
        st.markdown(f"##### {TITLES[compared.by].capitalize()}: {unit}")
        chart = study_charts.pairs(table, order, titles, unit)
        width = "content" if study_charts.pairs_width(len(order)) else "stretch"
        st.altair_chart(chart, width=width, alt=f"{unit} of data sets by {TITLES[compared.by]}")
        chance = "" if kind == "nearest" else " The diagonal: two halves of one sample, what chance alone makes."
        st.caption(f"{_SAID[kind]} {_MEASURED[compared.by]}{chance} Strong is near.")
        _left_out(compared, table)


def _unit(compared: study_readings.Compared, kind: str) -> str:
    return f"{DISTANCES[kind]} ({UNITS[compared.by]})"


def _left_out(compared: study_readings.Compared, table: pd.DataFrame) -> None:
    """Say how many people were looked at, and which sources are not compared."""
    everyone = [group.name for group in study_readings.groups(compared.by_split)]
    missing = [name for name in everyone if name not in set(table["a"])]
    few = f" Fewer than {LEAST} such people, and not compared: {', '.join(missing)}." if missing else ""
    counts = table["people_a"].to_numpy()
    looked_at(int(counts.min()), int(counts.max()), few)


def _closest(table: pd.DataFrame, order: list[str], unit: str) -> None:
    """Draw what is nearest to one source."""
    if len(order) < 2:
        return
    with st.container(border=True):
        if st.session_state.get("study_from", order[0]) not in order:
            del st.session_state["study_from"]
        name = st.selectbox("Closest to", order, key="study_from", bind="query-params", width=260)
        mine = table.loc[table["a"] == name]
        chance = float(mine.loc[mine["b"] == name, "value"].iloc[0])
        others = mine.loc[mine["b"] != name].sort_values(by=["value", "b"]).head(12)
        if not others["value"].any():
            st.markdown(f"No source can be told from {name}: all lie at zero, as two samples of one source would.")
            return
        st.altair_chart(study_charts.closest(others, unit, chance), alt=f"Data sets that are closest to {name}")
        st.caption(f"Dashed: {name} against itself (the diagonal).")


def _map() -> None:
    """Draw people in the plane of two components."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        compared = _compared("study_map")
    if compared is None:
        _how_to_make_features()
        return
    _states_of_features(compared)
    points, explained = study_readings.points(compared)
    if points.empty:
        st.caption(f"No source here has {LEAST} people with {TITLES[compared.by]}.")
        return
    chosen = choice(list(dict.fromkeys(points["name"])), "study_poses")
    with st.container(border=True):
        st.markdown(f"##### {TITLES[compared.by].capitalize()} in two components")
        chart = study_charts.plane(points, chosen, explained, UNITS[compared.by])
        st.altair_chart(chart, alt=f"People by {TITLES[compared.by]} in the plane of two main components")
        st.caption(
            f"{_MEASURED[compared.by]} Principal components of all sources together, each counted the same; a dot is a "
            "person, grey ones are of the other sources."
        )
        counts = points["name"].value_counts().to_numpy()
        looked_at(int(counts.min()), int(counts.max()), " The components are those of the whole sample.")
