"""Every number and word that is kept about one person, and where it was read, down to file and row."""

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ...body.joints import SMPLX_JOINTS
from ...body.keypoints import convention
from ...shards.record import ARRAY_FIELDS
from ...shards.stored import StoredPerson
from .. import queries, state
from ..lookup import Found
from ..plaintext import plain

# Worked out by the engine; everything else the converter read, in our units and in camera space.
_DERIVED = ("joints_3d", "betas_neutral")
_SMALL = 16  # numbers that are written out


def fields(person: StoredPerson) -> None:
    """Show what the record holds: the arrays, the words, the camera, and what the engine measured."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("###### Numbers")
        rows = [row for name in ARRAY_FIELDS if (row := _array_row(person, name)) is not None]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            height="content",
            column_config={"values": st.column_config.TextColumn("values", width="large")},
            alt="Arrays of this person",
        )
        chosen = st.selectbox("All numbers of", [row["field"] for row in rows], key="person_array", bind="query-params")
        if chosen:
            _whole_array(person, chosen)
    with right:
        _quality(person)
        st.markdown("###### Record of the person")
        st.json(person.frame.meta["people"][person.index], expanded=1)
        st.markdown("###### Record of the frame")
        st.json({name: value for name, value in person.frame.meta.items() if name != "people"}, expanded=1)


def _array_row(person: StoredPerson, name: str) -> dict[str, Any] | None:
    """Return one line on an array; None where it is absent."""
    value = getattr(person, name)
    if value is None:
        return None
    array = np.asarray(value)
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, array.shape))
    origin = "engine" if name in _DERIVED else "converter"
    return {"field": name, "shape": shape, "from": origin, "values": _summary(array)}


def _summary(array: np.ndarray) -> str:
    """Return the numbers of a small array, else their range."""
    if array.size <= _SMALL:
        return ", ".join(f"{number:.4g}" for number in array.ravel())
    known = array[np.isfinite(array)]
    holes = array.size - known.size
    text = f"{known.min():.3g} to {known.max():.3g}" if known.size else "nothing known"
    return text + (f", {holes} unknown" if holes else "")


def _whole_array(person: StoredPerson, name: str) -> None:
    """Draw an array with the names of its rows, where they have names."""
    array = np.asarray(getattr(person, name))
    table = pd.DataFrame(array.reshape(len(array), -1) if array.ndim > 1 else array[None]).astype(float)
    table.columns = list(_AXES.get(name, ())) or [str(number) for number in range(table.shape[1])]
    names = _row_names(person, name)
    table.index = pd.Index(names if len(names) == len(table) else range(len(table)))
    height = "content" if len(table) <= 8 else 300
    st.dataframe(table, height=height, hide_index=len(table) == 1, alt=f"All numbers of {name}")


_BOX, _SPACE = ("x0", "y0", "x1", "y1"), ("x", "y", "z")
_AXES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bbox_xyxy", "face_bbox_xyxy", "left_hand_bbox_xyxy", "right_hand_bbox_xyxy"), _BOX),
    **dict.fromkeys(("joints_3d", "vertices", "transl", "global_orient", "body_pose", "jaw_pose"), _SPACE),
    **dict.fromkeys(("left_hand_pose", "right_hand_pose"), _SPACE),
    "keypoints_2d": ("u", "v", "confidence"),
    "keypoints_3d": ("x", "y", "z", "confidence"),
}


def _row_names(person: StoredPerson, name: str) -> tuple[str, ...]:
    """Return what the rows of an array are called; none where they have no names."""
    named = {
        "body_pose": SMPLX_JOINTS[1:22],
        "left_hand_pose": SMPLX_JOINTS[25:40],
        "right_hand_pose": SMPLX_JOINTS[40:55],
        "joints_3d": SMPLX_JOINTS,
    }
    if name in ("keypoints_2d", "keypoints_3d"):
        return convention(getattr(person, f"{name}_convention"))
    return tuple(named.get(name, ()))


def _quality(person: StoredPerson) -> None:
    """Draw what was measured about the person, with what it means."""
    facts = state.ask(queries.person_facts, person.person_key)
    meanings = dict(state.ask(queries.people_columns).itertuples(index=False, name=None))
    names = [name for name in facts.columns if name.startswith("quality_")] if len(facts) else []
    rows = [
        {"measure": name.removeprefix("quality_").replace("_", " "), "value": facts[name].iloc[0], "": meanings[name]}
        for name in names
        if pd.notna(facts[name].iloc[0])
    ]
    if rows:
        st.markdown("###### Measured by the engine")
        config = {"value": st.column_config.NumberColumn(format="%.4g"), "": st.column_config.TextColumn(width="large")}
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", column_config=config, alt="Quality")


def catalog_row(person_key: str) -> None:
    """Show the row of the catalog, for who cannot be read otherwise."""
    facts = state.ask(queries.person_facts, person_key)
    if len(facts):
        row = facts.iloc[0].dropna()
        st.markdown("###### What the catalog says")
        st.dataframe(pd.DataFrame({"column": row.index, "value": row.astype(str)}), hide_index=True, alt="Catalog row")


def origin(found: Found) -> None:
    """Show where the person was read, where it lies now, and how it was converted."""
    person, shard = found
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("###### In the owner's files")
        place = person.provenance
        rows = {":gray[file]": f"`{place.file}`", ":gray[row]": f"`{place.row}`"}
        st.table(rows | _frame_place(person), border="horizontal")
        st.markdown("###### Here")
        st.table(_place_here(found), border="horizontal")
        st.code(
            f"from ehps.shards.reader import PeopleIndex\n\nindex = PeopleIndex.open({str(state.here().catalog)!r})\n"
            f"person = index.load(index.find({person.person_key!r}))",
            language="python",
        )
    with right:
        st.markdown("###### How its unit was converted")
        unit = state.ask(queries.unit_facts, shard.dataset, shard.split, shard.unit)
        if len(unit):
            _conversion(unit.to_dict("records")[0])


def _frame_place(person: StoredPerson) -> dict[str, str]:
    names = {"frame_key": "frame", "sequence": "sequence", "frame_index": "frame of sequence", "camera_name": "camera"}
    values = {title: person.frame.meta.get(name) for name, title in names.items()}
    return {f":gray[{title}]": f"`{value}`" for title, value in values.items() if value is not None}


def _place_here(found: Found) -> dict[str, str]:
    """Return the tar and the place in it, and whose bytes the picture is."""
    person, shard = found
    frames = state.ask(queries.frame_facts, person.key)
    rows = {"key": f"`{person.person_key}`", "unit": f"`{shard.unit}`", "tar": f"`{shard.path}`"}
    if len(frames):
        frame = frames.to_dict("records")[0]
        if pd.notna(frame["image_offset"]) and frame["image_size"]:
            rows["picture"] = (
                f"{frame['image_size']:,.0f} bytes at {frame['image_offset']:,.0f}, {frame['image_stored']}"
            )
            rows["owner's bytes"] = f"BLAKE3 `{frame['image_blake3']}`"
        rows["labels"] = f"{frame['rows_size']:,.0f} bytes at {frame['rows_offset']:,.0f}"
    return {f":gray[{name}]": value for name, value in rows.items()}


def _conversion(unit: dict[str, Any]) -> None:
    made = json.loads(unit["conversion"])
    st.markdown(
        f"ehps {plain(unit['ehps_version'])}, converter version {unit['converter_version']}: {unit['people']:,} people "
        f"in {unit['frames']:,} frames, {unit['rejected_people']:,} left out."
    )
    st.json(made, expanded=1)
    with st.expander("What was checked over the unit", icon=":material/fact_check:"):
        st.json(json.loads(unit["checks"]), expanded=1)


def overlapping(alike: pd.DataFrame, box: list[float], least: float = 0.5) -> list[str]:
    """Return the keys of people whose boxes (shares of the picture) cover that of another, best first.

    Boxes overlap by the area that both have over the area that either has; less than ``least`` is somebody else.
    """
    if alike.empty:
        return []
    boxes = alike[["x0", "y0", "x1", "y1"]].to_numpy(float)
    mine = np.array(box, float)
    inner = np.clip(np.minimum(boxes[:, 2:], mine[2:]) - np.maximum(boxes[:, :2], mine[:2]), 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (mine[2:] - mine[:2]).prod()
    overlap = inner / np.maximum(areas - inner, 1e-12)
    order = np.argsort(-overlap, kind="stable")
    return [str(alike["person_key"].iloc[i]) for i in order if overlap[i] >= least]
