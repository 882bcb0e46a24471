"""The page of one person: the picture with labels, the body in 3D, every field, and where all of it comes from."""

from dataclasses import replace
from typing import cast

import streamlit as st

from ...errors import PictureError, ShardError
from ...shards.stored import StoredPerson
from .. import fits, posed, previews, queries, solid, state
from ..lookup import Found
from ..plaintext import plain
from . import person_facts, tiles

_TABS = ("Picture and body", "Compare", "Fields", "Where it comes from")


def render() -> None:
    """Show the page."""
    if not state.has_catalog():
        st.markdown("Nobody is converted here yet; `ehps convert` or `ehps demo` changes that.")
        return
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
    look, compare, fields, origin = st.tabs(_TABS, key="person_tab", bind="query-params")
    if look.open:
        with look:
            _look(person)
    if compare.open:
        with compare:
            _compare(person)
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
    parts = st.pills(
        "In 3D",
        ("body", "joints", "camera"),
        selection_mode="multi",
        default=["body"],
        key="person_solid",
        bind="query-params",
    )
    body = posed.bodies([person]).get(person.person_key)
    if body is None and person.joints_3d is None:
        st.caption("The labels say too little to pose a body, and there are no joints in 3D.")
        return
    one = fits.shown(person, body if "body" in parts else None, person.person_key)
    if "joints" not in parts and (body is not None or "body" not in parts):
        one = solid.Shown(one.name, one.body)
    frustum = None
    if "camera" in parts and person.K is not None:
        frustum = solid.frustum_of(person.K, person.width, person.height, depth=_depth(person, body) * 0.6)
    made = solid.figure([one], frustum=frustum, is_transparent="joints" in parts)
    st.plotly_chart(made, key="person_figure", alt="The body in 3D", config={"displaylogo": False})
    _body_note(person, body)


def _depth(person: StoredPerson, body: posed.Body | None) -> float:
    """Return how far away somebody stands, m."""
    points = body.vertices if body is not None else person.joints_3d
    return float(max(points[:, 2].mean(), 0.2))


def _body_note(person: StoredPerson, body: posed.Body | None) -> None:
    """Say whose surface this is."""
    if body is None:
        st.caption("The labels say too little to pose a body; these are the joints that they say.")
        return
    how = "as the source ships it" if body.is_recorded else f"posed from the labels of {person.body_model}"
    metric = "" if person.transl_is_metric else " The distance from the camera is not metric in this source."
    st.caption(f"Surface {how}; x right, y up, depth from the camera.{metric}")


def _compare(person: StoredPerson) -> None:
    """Draw this person beside another fit: of the same picture elsewhere, or anybody by key."""
    others = _same_picture(person)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key = st.text_input(
            "Other fit",
            key="person_other",
            bind="query-params",
            placeholder="Key of the other person",
            width=420,
        )
        alignment = st.segmented_control(
            "Laid on each other",
            fits.ALIGNMENTS,
            default="at the pelvis",
            required=True,
            key="person_alignment",
            bind="query-params",
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
        return
    found = state.lookup().find(key.strip())
    if found is None:
        st.warning(f"Nobody in this catalog is called {plain(key)}.", icon=":material/person_off:")
        return
    _side_by_side(person, found.person, cast(fits.Alignment, alignment))


def _take(key: str) -> None:
    st.session_state["person_other"] = key


def _same_picture(person: StoredPerson) -> list[str]:
    """Return who has the best overlapping box in each frame that looks the same, nearest first."""
    facts = state.ask(queries.frame_facts, person.key)
    phash = facts["image_phash"].iloc[0] if len(facts) else None
    if phash is None or facts["image_phash"].isna().iloc[0] or person.bbox_xyxy is None:
        return []
    alike = state.ask(queries.same_picture, person.key, int(phash), 60)
    size = [person.width, person.height, person.width, person.height]
    return person_facts.overlapping(alike, (person.bbox_xyxy / size).tolist())[:4]


def _side_by_side(first: StoredPerson, second: StoredPerson, alignment: fits.Alignment) -> None:
    """Draw both pictures and both bodies in one space, coloured by distance."""
    bodies = posed.bodies([first, second])
    pair = [fits.shown(person, bodies.get(person.person_key), person.dataset) for person in (first, second)]
    made = fits.difference(pair[0], pair[1], alignment)
    if made is None:
        st.info(
            "These two share no points: no bodies of one kind, and no joints of both.", icon=":material/join_inner:"
        )
        return
    limit = fits.limit_of(made.distances)
    columns = st.columns(3, gap="medium")
    for column, person in zip(columns, (first, second), strict=False):
        with column:
            st.markdown(f":blue-badge[{person.dataset}] :small[{plain(person.person_key)}]")
            colours = {second.person_key: solid.paint(made.distances, limit)} if made.points == "vertices" else {}
            _compared_picture(person, colours)
    with columns[2]:
        numbers = made.distances
        st.markdown(f"**{numbers.mean():.1f} mm** apart on average over {len(numbers):,} {made.points}, {alignment}")
        people = [replace(made.first, joints=None), replace(made.second, joints=None)]
        if made.points == "joints":
            people = [solid.Shown("", None, made.first.joints), solid.Shown("", None, made.second.joints)]
        figure = solid.figure(people, limit_mm=limit, is_transparent=True)
        st.plotly_chart(figure, key="person_pair", alt="Both bodies in 3D", config={"displaylogo": False})
    tiles.stand_in_note("mesh")


def _compared_picture(person: StoredPerson, colours: dict) -> None:
    if not tiles.may_show(person.dataset):
        st.info("The card does not allow pictures of this source to be shown.", icon=":material/visibility_off:")
        return
    tile = previews.large_picture(person, ("mesh",), 0.85, is_whole=False, colours=colours)
    st.image(tile.data, width="stretch", alt=tile.alt)
    st.markdown(tiles.licence_line(person.dataset))
