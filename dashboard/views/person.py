"""The page of one person: the picture with labels, the body in 3D, every field, and where all of it comes from."""

from typing import cast

import streamlit as st

from ...errors import PictureError, ShardError
from ...shards.stored import StoredPerson
from .. import addresses, posed, previews, solid, state, viewer
from ..loading import load
from ..lookup import Found
from ..plaintext import plain
from . import person_facts, tiles

_TABS = ("Picture and body", "Compare", "Fields", "Where it comes from")


def render() -> None:
    """Show the page."""
    if not state.has_catalog():
        st.markdown("Nobody is converted here yet; `ehps convert` or `ehps demo` changes that.")
        return
    addresses.keep("person_")
    key = _key_box()
    if not key:
        st.caption("Choose somebody on the page *People*, or paste a key above.")
        return
    found = state.lookup().find(key)
    if found is None:
        st.warning(f"Nobody in this catalog is called {plain(key)}.", icon=":material/person_off:")
        return
    try:
        _person(found)
    except (ShardError, PictureError) as error:
        st.error(f"This person cannot be read. {plain(str(error))}", icon=":material/broken_image:")
        person_facts.catalog_row(key)


def _key_box() -> str:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        key = st.text_input(
            "Person",
            key="person_key",
            bind="query-params",
            placeholder="Key of a person, such as bedlam-train-...#0",
            label_visibility="collapsed",
            icon=":material/person:",
        )
        st.page_link(
            state.page("people"),
            label="Back to people",
            icon=":material/arrow_back:",
            query_params=st.session_state.get("people_address"),
        )
    return key.strip()


def _person(found: Found) -> None:
    person = found.person
    _head(person)
    look, pair, fields, origin = st.tabs(_TABS, key="person_tab", bind="query-params")
    if look.open:
        with look:
            _look(person)
    if pair.open:
        with pair:
            load("views.compare").render(person)  # loads much of the benchmark
    if fields.open:
        with fields:
            person_facts.fields(person)
    if origin.open:
        with origin:
            person_facts.origin(found)


def _head(person: StoredPerson) -> None:
    """Draw who this is, how the parts were labelled, the licence, and the way to the others of the frame."""
    labels = vars(person.labels)
    badges = [f":blue-badge[{person.dataset}]", f":gray-badge[{person.split}]"]
    badges += [f":gray-badge[{name.replace('_', ' ')}: {origin}]" for name, origin in labels.items() if origin]
    badges += [f":gray-badge[{person.body_model} {person.gender or ''}]"] if person.body_model else []
    st.markdown(f"{' '.join(badges)} {tiles.licence_line(person.dataset)}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            state.page("card"), label="Card", icon=":material/badge:", query_params={"card_id": person.dataset}
        )
        for other in person.frame.people if len(person.frame) > 1 else []:
            _other(person, other)


def _other(person: StoredPerson, other: StoredPerson) -> None:
    """Draw the way to somebody of the same frame."""
    if other.index < 12 or other.index == person.index:
        st.page_link(
            state.page("person"),
            label=f"#{other.index}",
            disabled=other.index == person.index,
            query_params={"person_key": other.person_key},
            help="This person" if other.index == person.index else "Another person of this frame",
        )


def _look(person: StoredPerson) -> None:
    """Draw the picture with its labels beside the body in 3D."""
    left, right = st.columns(2, gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            view = st.segmented_control(
                "View", ("person", "frame"), default="person", required=True, key="person_view", bind="query-params"
            )
            marks = st.pills(
                "Overlay",
                previews.MARKS,
                selection_mode="multi",
                default=["mesh"],
                key="person_marks",
                bind="query-params",
            )
            opacity = tiles.opacity_control("person")
        chosen = cast(tuple[previews.Mark, ...], tuple(marks))
        if tiles.may_show(person.dataset):
            _picture(person.person_key, chosen, opacity, is_whole=view == "frame")
        else:
            st.info("The card does not allow pictures of this source to be shown.", icon=":material/visibility_off:")
    with right:
        _body(person)
    tiles.stand_in_note("mesh")


def _picture(key: str, marks: tuple[previews.Mark, ...], opacity: float, *, is_whole: bool) -> None:
    tile = _large(state.catalog(), key, marks, opacity, is_whole)
    st.image(tile.data, width="stretch", alt=tile.alt)
    if not tile.has_picture:
        st.caption("Only labels of this frame were converted (`--images none`), so there is no picture.")


@st.cache_data(max_entries=64, show_spinner=False)
def _large(
    snapshot: state.Snapshot, key: str, marks: tuple[previews.Mark, ...], opacity: float, is_whole: bool
) -> previews.Tile:
    person = state.lookup_of(snapshot).people((key,))[0]
    return previews.large_picture(person, marks, opacity, is_whole=is_whole)


def _body(person: StoredPerson) -> None:
    """Draw the body, its joints and the camera, to be turned."""
    parts = tiles.solid_control("person_solid", "body")
    body = posed.bodies([person]).get(person.person_key)
    if body is None and person.joints_3d is None:
        st.caption("The labels say too little to pose a body, and there are no joints in 3D.")
        return
    scene = solid.Scene(
        [solid.Shown.of(person, body, person.person_key)],
        key=person.person_key,
        camera=solid.Camera.of(person, person.K),
        has_bodies="body" in parts,
        has_joints="joints" in parts or (body is None and "body" in parts),
        has_frustum=person.K is not None and "camera" in parts,
    )
    viewer.show(scene, key="person_solid_view")
    if "camera" in parts and person.K is None:
        st.caption("The camera of this picture is not known.")
    _body_note(person, body)


def _body_note(person: StoredPerson, body: posed.Body | None) -> None:
    """Say whose surface this is."""
    if body is None:
        st.caption("The labels say too little to pose a body; these are the joints that they say.")
        return
    how = "as the source ships it" if body.is_recorded else f"posed from the labels of {person.body_model}"
    metric = "" if person.transl_is_metric else " The distance from the camera is not metric in this source."
    st.caption(f"Surface {how}; x right, y down, z away from the camera.{metric}")
