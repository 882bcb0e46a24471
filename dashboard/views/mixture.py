"""The mixture builder: which people a network would see, in which shares, and what speaks against it."""

from pathlib import Path
from typing import Any, cast

import pandas as pd
import streamlit as st

from ...errors import EhpsError
from ...training.mixture_plan import PARTS, MixturePlan
from ...training.mixture_spec import Mixture, load_mixture, mixture_names
from .. import curve_charts, figures, inventory, mixtures, queries, readings, scored, state
from ..amounts import several
from ..plaintext import plain

_OWN = "my own"
_ABOUT = {
    "concat": "as many as there are",
    "balance": "the same from each",
    "weighted": "in proportion to weights",
    "temperature": "people to the power 1 / temperature",
    "explicit": "so many an epoch from each",
}
_TABS = ("Members", "What speaks against it", "File and command")
_LICENCE = "licence: "  # how problems of licences begin
_SHOWN_PROBLEMS = 40
_HALF = 480  # px, below which two halves stand one over the other


def render() -> None:
    """Show the page."""
    if not state.has_catalog():
        _welcome()
        return
    here = state.ask(queries.splits)
    start, epochs = _start()
    if said := st.session_state.pop("mix_said", ""):
        st.caption(f":orange[:material/info:] {plain(said)}")
    try:
        mixture = _own(here) if start == _OWN else _chosen(start)
        if mixture is not None:
            _planned(mixture, start, epochs, here)
    except EhpsError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _welcome() -> None:
    """Say which command to run where nothing is converted."""
    out = state.here().catalog
    st.markdown("##### No catalog here yet")
    st.markdown("A mixture is made of converted sources. Convert some, and choose among them here:")
    st.code(f"ehps convert DATASET --raw DIR --out {out}", language="shell")


def _start() -> tuple[str, int]:
    """Draw the choice between an own mixture, saved ones and those that come with ehps, and how long training is."""
    options = [_OWN, *mixtures.saved(_folder()), *mixture_names()]
    if st.session_state.get("mix_start", _OWN) not in options:
        del st.session_state["mix_start"]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        start = st.selectbox(
            "Mixture", options, key="mix_start", bind="query-params", width=220,
            help=f"Put your own together, or look at a file in {_folder()} or at a mixture that comes with ehps.",
        )  # fmt: skip
        epochs = st.number_input("Epochs of the training", 1, 1000, 1, key="mix_epochs", bind="query-params", width=170)
        if start != _OWN:
            st.button("Edit a copy", icon=":material/edit:", on_click=_copy, args=(start,))
    return start, int(epochs)


def _folder() -> Path:
    """Return where the page saves mixtures."""
    return state.here().runs / "mixtures"


def _loaded(start: str) -> Mixture:
    """Return a mixture that was saved or comes with ehps."""
    return load_mixture(mixtures.saved(_folder()).get(start, start))


def _chosen(start: str) -> Mixture:
    """Return a mixture by its name, and say what it is."""
    mixture = _loaded(start)
    st.caption(f"{plain(mixture.about)} Strategy: {mixture.strategy} ({_ABOUT[mixture.strategy]}).")
    return mixture


def _copy(start: str) -> None:
    """Make the widgets say what a mixture says, as far as its sources are here."""
    session = st.session_state
    try:
        mixture = _loaded(start)
    except EhpsError:
        return  # the page says what is wrong with the file
    found, have = mixtures.editable(mixture), set(_places(state.ask(queries.splits)))
    if found is None:
        session["mix_said"] = f"{start} has more than this table can hold (schedules, queries, ...): edit its file."
        return
    rows = [row for row in found if _place(row) in have]
    gone = [_place(row) for row in found if _place(row) not in have]
    session["mix_said"] = f"Not converted here, and left out of the copy: {', '.join(gone)}." if gone else ""
    session["mix_has"], session["mix_box"] = [], 0
    session["mix_start"], session["mix_strategy"] = _OWN, mixture.strategy
    session["mix_sources"] = [_place(row) for row in rows]
    session["mix_kept"] = {_place(row): row for row in rows}
    session["mix_epoch"], session["mix_seed"] = mixture.epoch_length or 0, mixture.seed
    session["mix_temperature"] = mixture.temperature or 2.0
    session["mix_round"] = session.get("mix_round", 0) + 1


def _place(row: Any) -> str:
    return f"{row['dataset']}/{row['split']}"


def _places(here: pd.DataFrame) -> list[str]:
    return [_place(row) for row in here.to_dict("records")]


def _own(here: pd.DataFrame) -> Mixture | None:
    """Draw the builder and return its mixture; None while it has no member."""
    bound: dict[str, Any] = {"bind": "query-params"}
    places = _places(here)
    st.session_state.setdefault("mix_sources", [place for place in places if place.endswith("/train")])
    with st.container(border=True):
        sources = st.multiselect("Sources", places, key="mix_sources", placeholder="Choose sources", **bound)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            strategy = st.segmented_control(
                "Strategy", mixtures.STRATEGIES, default="balance", required=True, key="mix_strategy", **bound
            )
            temperature = None
            if strategy == "temperature":
                temperature = st.number_input("Temperature", 0.1, 100.0, 2.0, key="mix_temperature", width=120, **bound)
            st.caption(f"Shares: {_ABOUT[strategy]}.", width="content")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            has = st.pills("Only people with", PARTS, selection_mode="multi", key="mix_has", format_func=_part, **bound)
            box = st.number_input("Box at least (px)", 0, 4000, 0, step=10, key="mix_box", width=120, **bound)
            length = st.number_input(
                "Epoch (people)", 0, None, 0, step=1000, key="mix_epoch", width=140, disabled=strategy == "explicit",
                help="0: as many as there are.", **bound,
            )  # fmt: skip
            seed = st.number_input("Seed", 0, None, 0, key="mix_seed", width=90, **bound)
        if not sources:
            st.caption("Choose at least one source.")
            return None
        members = _editor(here, sources, strategy)
    name = st.session_state.get("mix_name") or "my_mixture"
    draft = mixtures.Draft(
        name, strategy, members, temperature, length or None, int(seed), has=tuple(has), min_box_px=int(box)
    )  # fmt: skip
    return mixtures.mixture_of(draft)


def _part(name: str) -> str:
    return inventory.PARTS[name]


def _editor(here: pd.DataFrame, sources: list[str], strategy: str) -> list[dict[str, Any]]:
    """Draw the members as a table to edit, and return its rows; what was typed outlives another choice of sources."""
    session = st.session_state
    kept: dict[str, dict] = session.setdefault("mix_kept", {})
    key = state.table_key([*sources, strategy, str(session.get("mix_round", 0))])
    if session.get("mix_rows_key") != key:
        session["mix_rows_key"], session["mix_rows"] = key, _rows(here, sources, kept)
    number = st.column_config.NumberColumn
    asked = {"weighted": ["weight"], "explicit": ["per_epoch"]}.get(strategy, [])
    edited = st.data_editor(
        session["mix_rows"],
        key=f"mix_editor_{key}",
        hide_index=True,
        disabled=["dataset", "split", "people"],
        column_order=["dataset", "split", "people", *asked, "stride", "has", "where"],
        column_config={
            "dataset": st.column_config.TextColumn("Source", pinned=True),
            "split": "Split",
            "people": number("People", format="localized"),
            "weight": number("Weight", min_value=0.001, required=True),
            "per_epoch": number("People an epoch", min_value=1, step=1, required=True),
            "stride": number("Stride", min_value=1, step=1, required=True, help="Keep every n-th person."),
            "has": st.column_config.MultiselectColumn("Only with", options=list(PARTS), width=230),
            "where": st.column_config.TextColumn(
                "SQL condition", width=280, help="Over the catalog's table people, such as quality_occlusion < 0.5"
            ),
        },
        alt="Members of the mixture, to edit",
    )
    rows = cast(list[dict[str, Any]], edited.to_dict("records"))
    kept |= {_place(row): row for row in rows}
    return rows


def _rows(here: pd.DataFrame, sources: list[str], kept: dict[str, dict]) -> pd.DataFrame:
    """Return the rows to start from: as they were edited before, or whole sources with weight one."""
    people = dict(zip(_places(here), here["people"].tolist(), strict=True))
    names = ("weight", "per_epoch", "stride", "has", "where")
    rows = []
    for place in sources:
        dataset, split = place.split("/")
        default = {"weight": 1.0, "per_epoch": max(int(people[place]), 1), "stride": 1, "has": [], "where": ""}
        before = {name: value for name, value in kept.get(place, {}).items() if name in names and value is not None}
        rows.append({"dataset": dataset, "split": split, "people": int(people[place])} | default | before)
    return pd.DataFrame(rows)


def _planned(mixture: Mixture, start: str, epochs: int, here: pd.DataFrame) -> None:
    """Draw what a mixture will show."""
    text = mixture.model_dump_json()
    found = readings.planned(text, mixture.name, epochs)
    sizes = state.ask(queries.person_bytes).set_index(["dataset", "split"])["bytes"].to_dict()
    members = mixtures.member_table(found, sizes)
    _numbers(found, members)
    _warnings(found)
    tabs = st.tabs(_TABS, key="mix_tab", bind="query-params")
    if tabs[0].open:
        with tabs[0]:
            _members(members, found)
    if tabs[1].open:
        with tabs[1]:
            _against(text, mixture.name, epochs, found, here)
    if tabs[2].open:
        with tabs[2]:
            _file(mixture, start, found, epochs)


def _warnings(found: MixturePlan) -> None:
    """Say at first sight how much speaks against the mixture; a tab tells what."""
    tested = mixtures.trained_benchmarks(found, scored.known_protocols())
    licences = [said for said in found.problems if said.startswith(_LICENCE)]
    notes = len(found.problems) - len(licences) + len(mixtures.unknown_sources(found))
    badges = [
        ("red-badge[:material/water_drop:", len(tested), "test set is trained on", "test sets are trained on"),
        ("orange-badge[:material/gavel:", len(licences), "licence conflict", "licence conflicts"),
        ("orange-badge[:material/rule:", notes, "note on members", "notes on members"),
    ]
    said = [f":{how} {several(count, one, many)}]" for how, count, one, many in badges if count]
    if said:
        st.markdown(" ".join(said))


def _numbers(found: MixturePlan, members: pd.DataFrame) -> None:
    """Draw the totals: people, length, and which share of the samples has hands and face."""
    covered = mixtures.coverage(members)
    with st.grid(6, min_column_width=120, gap="small"):
        st.metric("People", f"{members['people'].sum():,}", border=True)
        st.metric("Epoch", f"{found.epoch_length:,}", help="People an epoch", border=True)
        st.metric("Both hands", f"{covered['hands']:.0%}", help="Of the samples of an epoch", border=True)
        st.metric("Face", f"{covered['face']:.0%}", help="Of the samples of an epoch", border=True)
        st.metric("Shape", f"{covered['shape']:.0%}", help="Of the samples of an epoch", border=True)
        size = f"{members['bytes'].sum() / 1e9:,.2f} GB"
        st.metric(
            "To read", size, border=True,
            help="In an epoch, by the mean size of the pictures and labels of each source",
        )  # fmt: skip


def _members(members: pd.DataFrame, found: MixturePlan) -> None:
    """Draw shares and epochs of each member."""
    st.html(figures.STYLE)
    with st.grid(2, min_column_width=_HALF, gap="medium") as grid:
        with grid.cell():
            about = "Share of each member of the samples, and of the people"
            st.html(figures.shares(members, "share_of_people", ("of the samples", "of the people"), about))
            st.caption("A bar beyond its mark: people of this member come more often than they would by their number.")
        with grid.cell():
            _table(members)
    if found.schedule:
        _schedule(found)


def _table(members: pd.DataFrame) -> None:
    """Draw the members as a table."""
    number = st.column_config.NumberColumn
    percent = {name: 100 * members[name] for name in ("share", "reached", "hands", "face", "body")}
    st.dataframe(
        members.assign(**percent),
        hide_index=True,
        column_order=["member", "people", "share", "per_epoch", "passes", "reached", "body", "hands", "face",
                      "commercial", "licence"],
        column_config={
            "member": st.column_config.TextColumn("Member", pinned=True),
            "people": number("People", format="localized"),
            "share": number("Share", format="%.1f%%"),
            "per_epoch": number("In an epoch", format="localized"),
            "passes": number("Epochs of it", format="%.2f", help="How often each of its people comes in an epoch."),
            "reached": number("Reached", format="%.0f%%", help="Of its people, in the whole training."),
            "body": number("Body", format="%.0f%%"),
            "hands": number("Hands", format="%.0f%%", help="People with both hands labelled."),
            "face": number("Face", format="%.0f%%"),
            "commercial": st.column_config.TextColumn("Commercial"),
            "licence": st.column_config.TextColumn("Licence", width="large"),
        },
        alt="Members with people, shares, passes and labels",
    )  # fmt: skip


def _schedule(found: MixturePlan) -> None:
    """Draw how shares change."""
    rows = [(at.position, name, share) for at in found.schedule for name, share in at.shares.items()]
    table = pd.DataFrame(rows, columns=["people", "member", "share"])
    st.markdown("###### Shares while training goes on")
    st.altair_chart(curve_charts.schedule(table), alt="Shares of the members over the training")


def _against(text: str, name: str, epochs: int, found: MixturePlan, here: pd.DataFrame) -> None:
    """Draw problems, licence conflicts and leakage."""
    licences = [said for said in found.problems if said.startswith(_LICENCE)]
    others = mixtures.unknown_sources(found)
    others += [said for said in found.problems if not said.startswith(_LICENCE)]
    st.markdown("###### :material/gavel: Licences")
    for said in licences:
        st.markdown(f":orange[:material/warning:] {plain(said.removeprefix(_LICENCE))}")
    if not licences:
        st.caption("No conflict between the licences of these sources. Each still binds you: read their cards.")
    st.markdown("###### :material/rule: Members")
    for said in others[:_SHOWN_PROBLEMS]:
        st.markdown(f":orange[:material/warning:] {plain(said)}")
    if len(others) > _SHOWN_PROBLEMS:
        st.caption(f"And {len(others) - _SHOWN_PROBLEMS} more: `ehps mix plan` tells all.")
    if not others:
        st.caption("Everybody has a box, every member is here and is reached.")
    st.markdown("###### :material/water_drop: Pictures shared with benchmarks")
    for said in mixtures.trained_benchmarks(found, scored.known_protocols()):
        st.markdown(f":red[:material/error:] {plain(said)}")
    _leakage(text, name, epochs, here)


def _leakage(text: str, name: str, epochs: int, here: pd.DataFrame) -> None:
    """Draw what the sources share with benchmarks, when asked: every picture is compared."""
    known = scored.known_protocols()
    splits = list(zip(here["dataset"], here["split"], strict=True))
    choices = mixtures.benchmarks_here(known, splits)
    if not choices:
        st.caption("No benchmark's source is converted here.")
        return
    chosen = st.pills(
        "Compare with", list(choices), selection_mode="multi", key="mix_leak", bind="query-params",
        format_func=lambda protocol: known[protocol].display_name,
    )  # fmt: skip
    if not chosen:
        st.caption("Choose benchmarks: the pictures of all sources are compared with theirs, byte by byte and by look.")
        return
    said_all = readings.leakage(text, name, epochs, [choices[protocol] for protocol in chosen])
    for said in said_all:
        is_well = said.startswith("no picture")
        said = f"{said} by the other sources" if is_well and len(said_all) > 1 else said
        st.markdown(f"{':green[:material/check:]' if is_well else ':red[:material/error:]'} {plain(said)}")


def _file(mixture: Mixture, start: str, found: MixturePlan, epochs: int) -> None:
    """Draw the file, ways to keep it, and the command to train on it."""
    name = start if start in mixture_names() else str(_folder() / f"{mixture.name}.yaml")
    with st.grid(2, min_column_width=_HALF, gap="large") as grid:
        with grid.cell():
            text = mixtures.yaml_text(mixture)
            st.code(text, language="yaml", wrap_lines=True)
            if start == _OWN:
                _keep(mixture, text, _folder())
        with grid.cell():
            if start == _OWN:
                _say_whether_saved(Path(name), text)
            _command(name, found, epochs)


def _say_whether_saved(path: Path, text: str) -> None:
    """Say so where the file that the commands name is not this mixture."""
    if not path.is_file():
        st.caption(":orange[:material/info:] Save the mixture first: these commands read its file.")
    elif path.read_text(encoding="utf-8") != text:
        st.caption(f":orange[:material/info:] {plain(path.name)} holds another mixture: save this one by another name.")


def _keep(mixture: Mixture, text: str, folder: Path) -> None:
    """Draw the name of the file, and the buttons that write it."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input("Name", "my_mixture", key="mix_name", bind="query-params", width=200)
        st.download_button("Download", text, f"{mixture.name}.yaml", icon=":material/download:", on_click="ignore")
        wants = st.button("Save", icon=":material/save:", key="mix_save", help=f"Writes into {folder}")
    if wants:
        path = mixtures.save(mixture, folder)
        st.success(f"Saved as {plain(str(path))}", icon=":material/check:")


def _command(name: str, found: MixturePlan, epochs: int) -> None:
    """Draw the commands that plan and train."""
    bound: dict[str, Any] = {"bind": "query-params", "required": True}
    with st.container(horizontal=True, gap="medium"):
        network = st.segmented_control(
            "Network", list(mixtures.NETWORKS), default="SMPLest-X", key="mix_network", **bound
        )
        size = st.segmented_control("Size", list(mixtures.SIZES), default="L", key="mix_size", **bound)
    family = mixtures.NETWORKS[network]
    steps = mixtures.steps_of(epochs, max(found.epoch_length, 1), mixtures.BATCH_SIZES[family][size])
    folders = state.here()
    out = folders.runs / Path(name).stem
    st.markdown("###### Train")
    st.code(mixtures.train_command(family, size, name, steps, folders.catalog, out), language="shell", wrap_lines=True)
    st.caption(f"{steps:,} steps of {mixtures.BATCH_SIZES[family][size]} people are {several(epochs, 'epoch')}.")
    st.markdown("###### The same plan in a terminal")
    st.code(f"ehps mix plan {name} --catalog {folders.catalog} --epochs {epochs}", language="shell", wrap_lines=True)
