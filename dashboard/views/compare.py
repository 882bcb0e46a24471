"""Two fits of one person on each other: label, predictions of models, the label of another source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import streamlit as st

from ...errors import BodyModelError, RecordError
from ...shards.stored import StoredPerson
from .. import fits, posed, predicted, previews, queries, scored, solid, state, viewer
from ..fits import Measured
from ..plaintext import plain
from . import person_facts, tiles

LABEL, OTHER = "label", "another fit"
_PICTURES = ("side by side", "overlaid")


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two fits."""

    title: str
    person: StoredPerson  # in whose picture it is drawn
    shown: solid.Shown
    drawn: posed.Body | None  # as it lies on the picture


def render(person: StoredPerson) -> None:
    """Show the tab."""
    paths = predicted.results_of(state.results(), person.dataset, person.split)
    names = _choices(paths)
    protocol = next((scored.result(paths[name]).protocol for name in reversed(names) if name in paths), None)
    measured, why = _measured(protocol)
    other = _other_key(person) if OTHER in names else ""
    if OTHER in names and not other:
        return
    sides = [_side(name, person, paths, measured, other) for name in names]
    for sentence in (why, *(side for side in sides if isinstance(side, str))):
        if sentence:
            st.info(plain(sentence), icon=":material/info:")
    found = [side for side in sides if isinstance(side, _Side)]
    if len(found) == len(sides):
        _pair(found[0], found[1], measured, [paths.get(name) for name in names])


def _choices(paths: dict[str, str]) -> tuple[str, str]:
    """Draw the choice of both fits and return their names."""
    firsts, seconds = [LABEL, *paths], [*paths, OTHER, LABEL]
    if st.query_params.get("person_other") and "person_second" not in st.query_params:
        seconds = [OTHER, *paths, LABEL]  # an address that names another fit means it
    for key, options in (("person_first", firsts), ("person_second", seconds)):
        if st.session_state.get(key, options[0]) not in options:
            del st.session_state[key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        first = st.selectbox("First", firsts, key="person_first", bind="query-params", width=300)
        second = st.selectbox("Second", seconds, key="person_second", bind="query-params", width=300)
    return first, second


def _measured(protocol: str | None) -> tuple[Measured | None, str]:
    """Return how the protocol of a prediction looks at bodies, and a sentence where it cannot be followed here."""
    try:
        return (scored.measured(protocol) if protocol else None), ""
    except BodyModelError as error:
        return None, f"Roots are the pelvis of each fit, not those of {protocol}: {error}"


def _side(name: str, person: StoredPerson, paths: dict[str, str], measured: Measured | None, other: str) -> _Side | str:
    """Return a fit, or a sentence on why there is none."""
    if name == LABEL:
        return _label(person, measured)
    if name == OTHER:
        found = state.lookup().find(other)
        return f"Nobody in this catalog is called {other}." if found is None else _label(found.person, None)
    if scored.result(paths[name]).predictions is None:
        return predicted.says_why_not(scored.result(paths[name]))
    one = scored.predictions(paths[name], (person.person_key,)).get(person.person_key)
    if one is None:
        return f"{name}: the model did not answer this person."
    body = one.body if measured is None else measured.predicted_body(one)
    drawn = predicted.on_picture(replace(one, body=body), person)
    return _Side(name, person, solid.Shown(name, body, one.joints), drawn)


def _label(person: StoredPerson, measured: Measured | None) -> _Side | str:
    """Return what the labels say, as the protocol takes it or posed from what is there."""
    try:
        body = None if measured is None else measured.true_body(person)
    except RecordError:  # the protocol has no use for this record, which can be drawn all the same
        body = None
    body = body or posed.bodies([person]).get(person.person_key)
    if body is None and person.joints_3d is None:
        return f"The labels of {person.person_key} say too little to pose a body, and there are no joints in 3D."
    return _Side(f"label of {person.dataset}", person, solid.Shown.of(person, body, person.dataset), body)


def _other_key(person: StoredPerson) -> str:
    """Draw the choice of anybody else's label and return the key; empty until one is chosen."""
    others = same_picture(person)
    key = st.text_input(
        "Other fit",
        key="person_other",
        bind="query-params",
        placeholder="Key of the other person",
        width=420,
    )
    if others:
        st.caption("The same picture in another source:")
        with st.container(horizontal=True, gap="small"):
            for other in others:
                st.button(plain(other), key=f"person_take_{other}", on_click=_take, args=(other,), type="tertiary")
    if not key.strip():
        st.caption(
            "No other source here has this picture." if not others else "Choose one, or paste the key of anybody."
        )
    return key.strip()


def _take(key: str) -> None:
    st.session_state["person_other"] = key


def same_picture(person: StoredPerson) -> list[str]:
    """Return who has the best overlapping box in each frame that looks the same, nearest first."""
    facts = state.ask(queries.frame_facts, person.key)
    phash = facts["image_phash"].iloc[0] if len(facts) else None
    if phash is None or facts["image_phash"].isna().iloc[0] or person.bbox_xyxy is None:
        return []
    alike = state.ask(queries.same_picture, person.key, int(phash), 60)
    size = [person.width, person.height, person.width, person.height]
    return person_facts.overlapping(alike, (person.bbox_xyxy / size).tolist())[:4]


def _pair(first: _Side, second: _Side, measured: Measured | None, paths: Sequence[str | None]) -> None:
    """Draw both fits in one space, coloured by distance, and on their pictures."""
    is_predicted = any(path is not None for path in paths)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        alignment = _alignment(is_predicted)
        pictures = _PICTURES[0]
        if first.person.person_key == second.person.person_key:
            pictures = st.segmented_control(
                "Pictures", _PICTURES, default=_PICTURES[0], required=True, key="person_pictures", bind="query-params"
            )
        opacity = tiles.opacity_control("person_pair")
        parts = tiles.solid_control("person_pair_solid", "bodies")
    made = fits.difference(first.shown, second.shown, alignment, measured.root if measured else fits.pelvis)
    if made is None:
        st.info(
            "These two share no points: no bodies of one kind, and no joints of both.", icon=":material/join_inner:"
        )
        return
    limit = fits.limit_of(made.distances)
    _numbers(made, alignment, measured, paths)
    columns = st.columns([2, 3] if pictures == "overlaid" else 3, gap="medium")
    if pictures == "overlaid":
        with columns[0]:
            _overlaid(first, second, opacity)
    else:
        paint = solid.paint(made.distances, limit) if made.points == "vertices" else np.array(solid.SECOND)
        for column, side, colour in zip(columns, (first, second), (np.array(solid.FIRST), paint), strict=False):
            with column:
                _title(side, has_key=first.person.person_key != second.person.person_key)
                _picture(side, [(side, colour)], opacity)
    with columns[-1]:
        _solid(first, made, parts, limit)
    tiles.stand_in_note("mesh")


def _alignment(is_predicted: bool) -> fits.Alignment:
    """Draw how the fits are brought together; a prediction stands under a camera of its own, never as it is."""
    options = fits.ALIGNMENTS[1:] if is_predicted else fits.ALIGNMENTS
    chosen = st.segmented_control(
        "Brought together",
        options,
        default="at the root",
        required=True,
        key="person_meeting" if is_predicted else "person_alignment",
        bind="query-params",
    )
    return cast(fits.Alignment, chosen)


def _numbers(
    made: fits.Difference, alignment: fits.Alignment, measured: Measured | None, paths: Sequence[str | None]
) -> None:
    """Say how far apart the fits are, which root was brought together, and what the result says."""
    mean, median, most = fits.spread(made.distances)
    how = {"as they are": "as they are", "Procrustes": "after the best similarity (Procrustes)"}.get(alignment)
    if how is None:
        how = "with the pelvis joints brought together"
        if measured:
            how = f"with {measured.root_name} of both meshes brought together, as {measured.protocol.display_name} does"
    is_one = sum(path is not None for path in paths) == 1
    if measured and alignment == "at the root" and is_one and "PVE" in measured.protocol.measures:
        how += " (this person's PVE)"
    st.markdown(
        f"**{mean:.1f} mm** apart on average over {len(made.distances):,} {made.points}, {how}. "
        f":gray[Half of them below {median:.1f}, 95 % below {most:.1f} mm.]"
    )


def _overlaid(first: _Side, second: _Side, opacity: float) -> None:
    """Draw both on one picture."""
    st.markdown(f":blue-badge[{plain(first.title)}] :orange-badge[{plain(second.title)}]")
    _picture(first, [(first, np.array(solid.FIRST)), (second, np.array(solid.SECOND))], opacity)


def _title(side: _Side, *, has_key: bool) -> None:
    st.markdown(f":blue-badge[{plain(side.title)}]" + (f" :small[{plain(side.person.person_key)}]" if has_key else ""))


def _picture(side: _Side, drawn: Sequence[tuple[_Side, np.ndarray]], opacity: float) -> None:
    """Draw fits on the picture of one of them."""
    person = side.person
    if not tiles.may_show(person.dataset):
        st.info("The card does not allow pictures of this source to be shown.", icon=":material/visibility_off:")
        return
    others = [previews.Painted(own.drawn, colour) for own, colour in drawn if own.drawn is not None]
    tile = previews.large_picture(person, (), opacity, is_whole=False, others=others)
    st.image(tile.data, width="stretch", alt=f"{side.title} on the picture")
    st.markdown(tiles.licence_line(person.dataset))


def _solid(first: _Side, made: fits.Difference, parts: Sequence[str], limit: float) -> None:
    """Draw both fits in 3D."""
    has_vertices, camera = made.points == "vertices", _camera(first)
    stands = camera is not None and first.title.startswith(LABEL)
    scene = solid.Scene(
        (made.first, made.second),
        key=f"{first.person.person_key} {made.first.name} {made.second.name}",
        camera=camera,
        limit_mm=limit,
        has_bodies=has_vertices and "bodies" in parts,
        has_joints=not has_vertices or "joints" in parts,
        has_frustum=stands and "camera" in parts,
    )
    viewer.show(scene, key="person_pair_view")
    if "camera" in parts and not stands:
        is_label = first.title.startswith(LABEL)
        crop = "The first fit stands under the camera of its crop, tens of metres away, which is not drawn."
        st.caption("The first fit comes without a camera." if is_label else crop)


def _camera(side: _Side) -> solid.Camera | None:
    """Return the camera that a fit lies under: its own, or that of the labels."""
    person, body = side.person, side.shown.body
    K = body.K if body is not None and body.K is not None else person.K if side.title.startswith(LABEL) else None
    return solid.Camera.of(person, K)
