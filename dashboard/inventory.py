"""The table of all sources: what their cards say, joined with what the catalog counts.

One row a source that has a card or lies in the catalog. The state of a source on this machine is ``converted``,
``partly`` (a split of the card is missing, or a conversion has begun and not ended), ``stale`` (the converter has a
newer version than the shards) or ``absent``.
"""

import re
from pathlib import Path

import pandas as pd

from ..cards import Card, PaperSource, card_ids, load_card, the_forty

_CONVERTERS = Path(__file__).resolve().parents[1] / "converters"
_VERSION = re.compile(r"^VERSION\b[^=\n]*=\s*(\d+)", re.MULTILINE)
STATES = {"converted": "converted", "partly": "partly converted", "stale": "stale", "absent": "not converted"}
_SPLITS = "train val test"  # in the order in which people name them
PLANNED = "planned"  # a source of the paper that has no card yet
PARTS = {
    "body": "body",
    "left_hand": "left hand",
    "right_hand": "right hand",
    "face": "face",
    "shape": "shape",
    "keypoints_2d": "2D points",
}


def card_table() -> pd.DataFrame:
    """Return the facts of every card that tables and facets use, one row a source, sorted by name."""
    cards = sorted((load_card(name) for name in card_ids()), key=lambda card: card.name.lower())
    return pd.DataFrame([_facts(card) for card in cards], columns=_COLUMNS)


_COLUMNS = (
    ["id", "name", "summary", "kind", "year", "scene", "people_per_image", "body_model", "labels", "splits", "licence"]
    + ["has_hands", "has_face", "has_shape", "is_video", "has_test", "is_commercial", "is_redistributable", "is_open"]
    + ["paper_mix", "mix", "search_text"]
)


def _facts(card: Card) -> dict:
    """Return one row of ``card_table``."""
    labels, licence = card.labels, card.licence
    return {
        **card.model_dump(include={"id", "name", "summary", "kind", "year", "paper_mix"}),
        "mix": str(card.paper_mix or ""),
        "scene": card.images.scene,
        "people_per_image": card.images.people,
        "body_model": card.conventions.body_model,
        "labels": labelled_parts(card),
        "splits": list(card.splits),
        "licence": licence.name,
        "has_hands": labels.left_hand is not None or labels.right_hand is not None,
        "has_face": labels.face is not None,
        "has_shape": labels.shape is not None,
        "is_video": card.images.video,
        "has_test": "test" in card.splits,
        "is_commercial": licence.commercial,
        "is_redistributable": licence.redistribute,
        "is_open": licence.access == "open",
        "search_text": " ".join(_searched(card)).lower(),
    }


def _searched(card: Card) -> list[str]:
    """Return the texts of a card that the search looks into."""
    return [card.id, card.name, card.summary, card.licence.name, card.citation, *card.pitfalls]


def labelled_parts(card: Card) -> list[str]:
    """Return the labelled parts in short: both hands are one word."""
    labels = card.labels
    hands = {"left_hand": "left hand", "right_hand": "right hand"}
    both = labels.left_hand is not None and labels.right_hand is not None
    parts = ["body"] if labels.body else []
    parts += ["hands"] if both else [word for name, word in hands.items() if getattr(labels, name)]
    return parts + [name for name in ("face", "shape") if getattr(labels, name)]


def converter_version(dataset: str) -> int | None:
    """Return the version of a converter as its file states it, or None where there is no converter.

    The file is read and not imported: the dashboard shows data and starts without what makes it.
    """
    path = _CONVERTERS / f"{dataset}.py"
    found = _VERSION.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return int(found[1]) if found else None


def with_planned(sources: pd.DataFrame) -> pd.DataFrame:
    """Return the table of ``join_catalog`` with the sources of the paper that have no card yet, last.

    Of those only name, kind, size and membership are known; the state of each is ``planned``.
    """
    known = set(sources["id"])
    members = [member for member in the_forty().values() if member.id not in known]
    rows = [_planned(member) for member in sorted(members, key=lambda member: member.name.lower())]
    return pd.concat([sources, pd.DataFrame(rows)], ignore_index=True) if rows else sources


def _planned(member: PaperSource) -> dict:
    """Return the row of a source of the paper without a card."""
    row = _joined(_without_card(member.id), _COUNTS, is_begun=False)
    size = f", {member.instances:,} people" if member.instances else ""
    summary = f"One of the paper's forty sources ({member.membership}){size}; there is no converter yet."
    row |= {
        "name": member.name,
        "kind": member.kind,
        "paper_mix": member.mix,
        "mix": str(member.mix),
        "summary": summary,
    }
    return row | {"state": PLANNED, "search_text": f"{member.id} {member.name} {summary}".lower()}


def no_counts() -> pd.DataFrame:
    """Return the table of ``queries.by_dataset`` where nothing is converted."""
    return pd.DataFrame(columns=["dataset", *_COUNTS], dtype=object)


def join_catalog(cards: pd.DataFrame, counts: pd.DataFrame, begun: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Return the table of cards with what ``queries.by_dataset`` counts, and the state of each source here.

    What is on this machine comes first, sources in the catalog that have no card among it. ``begun`` names the sources
    with unfinished units.
    """
    counted = {row["dataset"]: row for row in counts.to_dict("records")}
    known = {row["id"]: row for row in cards.to_dict("records")}
    facts = known | {dataset: _without_card(dataset) for dataset in counted if dataset not in known}
    rows = [_joined(row, counted.get(dataset, _COUNTS), dataset in begun) for dataset, row in facts.items()]
    rows.sort(key=lambda row: row["units"] == 0)
    return pd.DataFrame(rows)


_COUNTS = {"done_splits": (), "units": 0, "frames": 0, "people": 0, "rejected": 0, "bytes": 0, "version": None}


def _joined(facts: dict, counts: dict, is_begun: bool) -> dict:
    """Return one row of ``join_catalog``."""
    row = facts | {name: counts[name] for name in _COUNTS}
    everybody = row["people"] + row["rejected"]
    row["done_splits"] = sorted(row["done_splits"], key=_SPLITS.find)
    row["reject_share"] = row["rejected"] / everybody if everybody else None
    row["current_version"] = converter_version(row["id"])
    return row | {"state": _state(row, is_begun)}


def _without_card(dataset: str) -> dict:
    """Return the row of a source that is in the catalog and has no card."""
    row = dict.fromkeys(_COLUMNS, False) | dict.fromkeys(("year", "paper_mix"))
    row |= dict.fromkeys(("summary", "kind", "mix", "scene", "people_per_image", "body_model", "licence"), "")
    return row | {"id": dataset, "name": dataset, "labels": [], "splits": [], "search_text": dataset}


def _state(row: dict, is_begun: bool) -> str:
    """Return what can be said about a source on this machine; the more urgent fact wins."""
    if not row["units"]:
        return "partly" if is_begun else "absent"
    current, written = row["current_version"], row["version"]
    if current is not None and pd.notna(written) and written < current:
        return "stale"
    return "converted" if set(row["splits"]) <= set(row["done_splits"]) and not is_begun else "partly"
