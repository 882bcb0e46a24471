"""Two models on the same people: errors against each other, whether the difference is more than chance, who differs."""

from typing import Any

import pandas as pd
import streamlit as st

from ...benchmark.measures import Measure, digits
from ...benchmark.pairing import PairedDifference, compare_people, unmatched
from .. import cell_charts, scored, state, versus
from ..plaintext import plain
from . import error_tiles

_TILES = 12
Row = dict[str, Any]  # of the table of results


def render(row: Row, rows: list[Row], measure: Measure) -> None:
    """Show the tab: the model of a row against another one of the same protocol and measure."""
    others = {other["row"]: other for other in rows if other["row"] != row["row"]}
    if not others:
        st.info("No other model was measured under this protocol.", icon=":material/info:")
        return
    if st.session_state.get("cell_other", next(iter(others))) not in others:
        del st.session_state["cell_other"]
    other = others[st.selectbox("Against", list(others), key="cell_other", bind="query-params", width=280)]
    if row["shard_fingerprint"] != other["shard_fingerprint"]:
        st.warning("The two were measured on different conversions of the data; only people of both are compared.")
    pairs, compared, alone = _compared(scored.snapshot(row["path"]), scored.snapshot(other["path"]), measure.name)
    if compared is None:
        st.info("Nobody was answered by both models.", icon=":material/info:")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        titles = (cell_charts.quantity(measure, row["row"]), cell_charts.quantity(measure, other["row"]))
        draw = cell_charts.scatter(pairs, titles)
        if len(pairs) > versus.MOST_POINTS:
            draw = cell_charts.plane(versus.squares(pairs), titles)
        st.altair_chart(draw, alt="Errors of two models on the same people")
        below = other if measure.lower_is_better else row
        st.caption(f"On the dashed line both are equal; below it {plain(below['row'])} is better.")
    with right:
        _verdict(compared, row, other, measure, alone)
    _disagreements(pairs, row, other, measure)


@st.cache_resource(max_entries=16, show_spinner="Comparing")
def _compared(
    first: state.Snapshot, second: state.Snapshot, measure: str
) -> tuple[pd.DataFrame, PairedDifference | None, dict[str, int]]:
    """Return the pairs, the paired test, and how many people only one of them was asked or answered."""
    own, theirs = (scored.people(result.path) for result in (first, second))
    if measure not in own or measure not in theirs:
        return pd.DataFrame(columns=["person_key", "sequence", "a", "b"]), None, {}
    found = compare_people(own, theirs, [measure])
    return versus.pairs_of(own, theirs, measure), next(iter(found), None), dict(unmatched(own, theirs))


def _verdict(found: PairedDifference, row: Row, other: Row, measure: Measure, alone: dict[str, int]) -> None:
    """Say which model is better and how sure that is."""
    unit, form = measure.unit and f" {measure.unit}", digits(measure.name)
    winner = {"A is better": row["row"], "B is better": other["row"]}.get(found.verdict)
    st.markdown(f"##### {plain(winner)} is better" if winner else "##### No difference shown")
    low, high = found.ci_low, found.ci_high
    interval = "too few sequences" if low is None or high is None else f"{low:+.{form}f} to {high:+.{form}f}{unit}"
    facts = {
        "people of both": f"{found.people:,} in {found.sequences:,} sequences",
        plain(row["row"]): f"{found.mean_a:.{form}f}{unit}",
        plain(other["row"]): f"{found.mean_b:.{form}f}{unit}",
        "second minus first": f"{found.difference:+.{form}f}{unit}",
        "95 % interval": interval,
        "sign-flip test over sequences": f"p = {found.p_flip:.3g}",
        "sequences ahead": f"{found.sequences_better_a:,} : {found.sequences_better_b:,}, p = {found.p_sign:.3g}",
        "people on whom the second is better": f"{100 * found.share_better_b:.0f} %",
    }
    if any(alone.values()):
        facts["answered by one only"] = f"{alone['answered_only_a']:,} : {alone['answered_only_b']:,}"
    st.table({f":gray[{name}]": value for name, value in facts.items()}, border="horizontal")
    st.caption("Whole sequences are resampled and flipped: frames of one clip are not independent.")
    st.code(f"ehps compare {row['path']} {other['path']} --measure {measure.name}", language="shell", wrap_lines=True)


def _disagreements(pairs: pd.DataFrame, row: Row, other: Row, measure: Measure) -> None:
    """Draw the people on whom one of the models is ahead by the most."""
    st.markdown("###### Biggest disagreements")
    is_second_ahead = len(versus.disagreements(pairs, 1, better="b", lower_is_better=measure.lower_is_better)) > 0
    better = st.segmented_control(
        "Ahead",
        ("b", "a"),
        default="b" if is_second_ahead else "a",
        required=True,
        key="cell_ahead",
        bind="query-params",
        format_func=lambda side: f"{(row if side == 'a' else other)['row']} is better",
    )
    ahead = versus.disagreements(pairs, _TILES, better=better, lower_is_better=measure.lower_is_better)
    if ahead.empty:
        st.caption("On nobody.")
        return
    form = digits(measure.name, decimals=0)
    notes = [f"**{one['a']:.{form}f} : {one['b']:.{form}f}**" for one in ahead.to_dict("records")]
    unit = f" ({measure.unit})" if measure.unit else ""
    st.caption(f"Below each: {plain(row['row'])} : {plain(other['row'])}{unit}.")
    models = {row["row"]: row["path"], other["row"]: other["path"]}
    error_tiles.show("versus", [str(key) for key in ahead["person_key"]], notes, models)
