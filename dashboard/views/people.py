"""The page of all people: facets and bounds at the side, an SQL condition above, tiles of persons in any order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from ...errors import QueryError
from .. import browse, facets, queries, state
from ..browse import Order, Selection, Wanted
from ..plaintext import plain
from . import facet_boxes, tiles

_HEADINGS = {"has_body": "Labelled", "origin": "Body labelled", "split": "Split"}
_COLUMNS = 8
_SEEN_SOURCES = 12  # of so many at most, all are seen at first
_BOUND_KEYS = tuple(f"people_{bound.key}" for bound in browse.BOUNDS)


def render() -> None:
    """Show the page."""
    if not state.has_catalog():
        _nothing()
        return
    # The browser's own way back forgets what stood behind the question mark, so the page of a person leads back here.
    st.session_state["people_address"] = st.query_params.to_dict()
    condition = _condition_box()
    facet_place, more_place = st.sidebar.container(gap="small"), st.sidebar.container(gap="small")
    with more_place:
        bounds, errors = _bounds(), _errors_box()
    wanted = Wanted(bounds, condition, errors.measure if errors else "")
    try:
        profile = state.answer(browse.profile_sql(wanted), is_free=wanted.is_free, errors=errors)
    except QueryError as error:
        st.error(f"DuckDB does not take this condition: {plain(_first_line(error.problem))}", icon=":material/error:")
        return
    with facet_place:
        selection, passing = _facets(wanted, profile)
    people = sum(passing["people"].tolist())
    order = _order_box(bool(errors))
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        _headline(people, passing)
        _clear_button(selection)
    if not people:
        st.info("Nobody passes all filters. Clear one at the side, or the condition.", icon=":material/filter_alt_off:")
        return
    _tiles(selection, order, people, errors)
    _export(selection, order, passing, errors)


def _clear_button(selection: Selection) -> None:
    """Draw the button that takes all filters back, where some are set."""
    others = {"people_where": "", "people_errors": None} | dict.fromkeys(_BOUND_KEYS)
    wanted = selection.wanted
    known = browse.facets_of(state.counts()["dataset"].tolist())
    is_set = bool(selection.choice or wanted.bounds or wanted.is_free)
    facet_boxes.clear_button("people", known, others, is_set=is_set)


def _nothing() -> None:
    st.markdown("##### Nobody is converted here yet")
    st.markdown("Convert a source, and its people stand here; `ehps demo` makes some to look at.")
    st.code(f"ehps convert DATASET --raw DIR --out {state.here().catalog}", language="shell")


def _first_line(text: str) -> str:
    """Return the first sentence of DuckDB, without the picture of the query that follows it."""
    if '"chosen"' in text:
        return "a query has to yield the column person_key."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:1] + [line for line in lines[1:] if line.startswith("Candidate")])


def _condition_box() -> str:
    return st.text_input(
        "Condition",
        key="people_where",
        bind="query-params",
        placeholder="SQL condition, such as: quality_truncation < 0.2 and sequence like '%walk%' (or a query that "
        "yields person_key)",
        label_visibility="collapsed",
        icon=":material/database:",
        help="Any condition over the columns of the table people; docs/catalog.md lists them.",
    )


def _errors_box() -> state.ErrorsOf | None:
    """Draw the choice of a result whose people are to be shown, where there are results."""
    results = state.results()
    if results.empty:
        return None
    columns = (results[name] for name in ("measure", "model", "revision", "protocol", "path"))
    rows = {
        f"{measure} of {model} {revision} on {protocol}": state.ErrorsOf(path, measure)
        for measure, model, revision, protocol, path in zip(*columns, strict=True)
    }
    chosen = st.selectbox(
        "Errors of",
        list(rows),
        index=None,
        key="people_errors",
        bind="query-params",
        placeholder="a model's errors",
        help="Shows the people of this result, and lets them be sorted by their error.",
    )
    return rows[chosen] if chosen else None


def _bounds() -> tuple[tuple[str, float], ...]:
    """Draw the bounds and return those that are set."""
    is_set = any(st.session_state.get(key, st.query_params.get(key)) for key in _BOUND_KEYS)
    with _folded("Bounds", "people_bounds", ":material/straighten:", is_open=is_set) as is_open:
        return tuple(_bound_boxes()) if is_open or is_set else ()


def _bound_boxes() -> Iterator[tuple[str, float]]:
    """Draw a box for each bound and yield those that are set."""
    for bound in browse.BOUNDS:
        number = st.number_input(
            bound.title, value=None, min_value=0.0, key=f"people_{bound.key}", bind="query-params", format="%g"
        )
        if number is not None:
            yield bound.key, float(number)


@contextmanager
def _folded(title: str, key: str, icon: str, *, is_open: bool = False) -> Iterator[bool]:
    """Draw a part that can be folded, and yield whether it is open: what is folded away is not made either."""
    part = st.expander(title, expanded=is_open, icon=icon, key=key, bind="query-params")
    with part, st.container(gap="xxsmall"):
        yield bool(part.open)


def _facets(wanted: Wanted, profile: pd.DataFrame) -> tuple[Selection, pd.DataFrame]:
    """Draw the facets with the people behind each option; return the selection and the rows that pass."""
    sources = state.counts().sort_values("people", ascending=False)["dataset"].tolist()
    known = browse.facets_of(sources)
    choice = {facet.key: facet_boxes.chosen("people", facet) for facet in known}
    counts = facets.count(profile, choice, known, "people")
    with st.container(gap="xxsmall"):
        for facet in known[:-1]:
            if facet.key in _HEADINGS:
                st.caption(f"**{_HEADINGS[facet.key]}**")
            facet_boxes.draw("people", facet, counts)
    is_seen = len(sources) <= _SEEN_SOURCES or bool(choice["source"])
    with _folded("Source", "people_sources", ":material/dataset:", is_open=is_seen) as is_open:
        if is_open or choice["source"]:
            facet_boxes.draw("people", known[-1], counts)
    return Selection.of(wanted, choice), profile.loc[facets.keep(profile, choice, among=known)]


def _order_box(has_errors: bool) -> Order:
    """Draw the choice of the order."""
    meanings = dict(state.ask(queries.people_columns).itertuples(index=False, name=None))
    titles = {browse.SHUFFLED: browse.SHUFFLED, browse.CATALOG_ORDER: browse.CATALOG_ORDER}
    titles |= {"error": "error"} if has_errors else {}
    titles |= browse.measure_titles(meanings)
    names = {title: name for name, title in titles.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        title = st.selectbox("Sort by", list(names), key="people_sort", bind="query-params", width=220)
        column = names[title]
        is_measure = column not in (browse.SHUFFLED, browse.CATALOG_ORDER)
        direction, seed = "high first", 0
        if is_measure:
            direction = st.segmented_control(
                "Direction",
                ("high first", "low first"),
                default="high first",
                required=True,
                key="people_direction",
                bind="query-params",
                label_visibility="collapsed",
            )
        elif column == browse.SHUFFLED:
            seed = st.number_input("Seed", 0, 9999, 0, key="people_seed", bind="query-params", width=110)
        overlay, opacity = tiles.overlay_controls("people")
    st.session_state["people_brush"] = (overlay, opacity)
    if is_measure and column != "error" and meanings.get(column):
        st.caption(f"{plain(title)}: {plain(str(meanings[column]))}.")
    return Order(column, direction == "high first", int(seed))


def _headline(people: int, passing: pd.DataFrame) -> None:
    sources = passing.loc[passing["people"] > 0, "source"].nunique()
    everybody = sum(state.counts()["people"].tolist())
    st.markdown(
        f"**{people:,}** of {everybody:,} people :gray[\N{MIDDLE DOT}] **{sources}** source{'s' * (sources != 1)}",
        width="content",
    )


def _tiles(selection: Selection, order: Order, people: int, errors: state.ErrorsOf | None) -> None:
    """Draw one page of tiles, and below it the way to the others."""
    pages = min(-(-people // browse.PAGE), browse.MOST_PAGES)
    if st.session_state.get("people_page", 1) > pages:
        st.session_state["people_page"] = 1
    place, below = st.container(), st.container(horizontal=True, horizontal_alignment="center")
    with below:
        page = st.pagination(pages, key="people_page", bind="query-params") if pages > 1 else 1
    sql = browse.page_sql(selection, order, page)
    rows = state.answer(sql, is_free=selection.wanted.is_free, errors=errors).to_dict("records")
    with place:
        _page(rows, order)
    with _folded("The SQL of this page", "people_sql", ":material/code:") as is_open:
        if is_open:
            st.code(sql, language="sql", wrap_lines=True)


def _page(rows: list[dict[str, Any]], order: Order) -> None:
    """Draw the tiles of some people, as far as their cards allow it."""
    hidden = sorted(dataset for dataset in {row["dataset"] for row in rows} if not tiles.may_show(dataset))
    shown = [row for row in rows if row["dataset"] not in hidden]
    overlay, opacity = st.session_state["people_brush"]
    keys = [row["person_key"] for row in shown]
    pictures = tiles.drawn("people", keys, overlay, opacity, [_note(row, order) for row in shown])
    tiles.show(pictures, _COLUMNS, links=keys)
    for dataset in hidden:
        st.caption(f"The card of {plain(dataset)} does not allow pictures to be shown; its people, by name:")
        tiles.show_names({row["person_key"]: _note(row, order) for row in rows if row["dataset"] == dataset}, _COLUMNS)
    licences = dict.fromkeys(tiles.licence_line(name) for name in sorted({row["dataset"] for row in shown}))
    st.markdown(" ".join(licences))
    tiles.stand_in_note(overlay)


def _note(row: dict[str, Any], order: Order) -> str:
    """Return what stands under a tile: the number it is sorted by, else the height of the box."""
    if order.column not in (browse.SHUFFLED, browse.CATALOG_ORDER):
        value = row["value"]
        return f"**{_number(value)}** {plain(row['dataset'])}"
    height = row["box_height_px"]
    return plain(row["dataset"]) + (f" {height:.0f} px" if height and height > 0 else "")


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None or pd.isna(value) else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _export(selection: Selection, order: Order, passing: pd.DataFrame, errors: state.ErrorsOf | None) -> None:
    """Draw what can be taken away: the selection as a mixture, and its people as CSV."""
    people = sum(passing["people"].tolist())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input("Take this selection away as", "selection", key="people_name", width=220)
        st.download_button(
            "Mixture",
            lambda: browse.mixture_yaml(name or "selection", selection, passing),
            file_name=f"{name or 'selection'}.yaml",
            mime="application/yaml",
            icon=":material/blender:",
            on_click="ignore",
            help="A mixture of these people, by the filters that chose them (without a model's errors). Train it: "
            "`ehps train RECIPE mixture=FILE`.",
        )
        st.download_button(
            "CSV",
            lambda: _csv(selection, order, errors),
            file_name=f"{name or 'selection'}.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
            help=f"Their facts, at most {browse.MOST_ROWS:,} people; `ehps sql` writes any number.",
        )
        if people > browse.MOST_ROWS:
            st.caption(f"CSV holds the first {browse.MOST_ROWS:,}.")


def _csv(selection: Selection, order: Order, errors: state.ErrorsOf | None) -> str:
    columns = state.ask(queries.people_columns)["column_name"]
    measures = sorted(name for name in columns if name.startswith("quality_"))
    sql = browse.table_sql(selection, order, measures)
    return state.answer(sql, is_free=selection.wanted.is_free, errors=errors).to_csv(index=False)
