"""Choosing people of the catalog: facets, bounds and an SQL condition become one WHERE clause.

Nothing here knows Streamlit, and nothing asks: every function returns the SQL text, which the page shows, runs and
exports as it is. Facets are counted from one small table of how many people share their answers (``profile_sql``).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import yaml

from ..shards.catalog_schema import literal
from ..training.mixture_spec import Mixture
from .facets import Choice, Facet

PAGE = 32  # four rows of eight: what fits on a screen
MOST_PAGES = 1000
MOST_ROWS = 200_000  # of an export from the page
_QUERY = re.compile(r"\s*(select|with|from)\b", re.IGNORECASE)

# The answer of each facet, as SQL over the table people.
ANSWERS: dict[str, str] = {
    "split": "split",
    "origin": "coalesce(label_body, 'none')",
    "has_body": "label_body IS NOT NULL",
    "has_hands": "(label_left_hand IS NOT NULL AND label_right_hand IS NOT NULL)",
    "has_face": "label_face IS NOT NULL",
    "has_shape": "label_shape IS NOT NULL",
    "has_points": "label_keypoints_2d IS NOT NULL",
    "source": "dataset",
}
_FLAGS = {
    "has_body": "body",
    "has_hands": "both hands",
    "has_face": "face",
    "has_shape": "shape",
    "has_points": "2D points",
}
_ORIGINS = ("measured", "fitted", "pseudo", "synthetic", "none")


@dataclass(frozen=True)
class Bound:
    """One end of a number that every person may have."""

    key: str  # in the address
    title: str
    column: str
    is_lower: bool


BOUNDS: tuple[Bound, ...] = (
    Bound("height", "box height from (px)", "box_height_px", is_lower=True),
    Bound("truncation", "cut off up to (0\N{EN DASH}1)", "quality_truncation", is_lower=False),
    Bound("occlusion", "covered up to (0\N{EN DASH}1)", "quality_occlusion", is_lower=False),
    Bound("reprojection", "reprojection up to (px)", "quality_reprojection_px", is_lower=False),
    Bound("distance", "distance up to (m)", "quality_distance_m", is_lower=False),
)

SHUFFLED, CATALOG_ORDER = "shuffled", "catalog order"


@dataclass(frozen=True)
class Wanted:
    """Whom a page shows, apart from the facets."""

    bounds: tuple[tuple[str, float], ...] = ()  # key of a Bound, its number
    condition: str = ""  # SQL condition over people, or a query that yields person_key
    error: str = ""  # measure of person_results that everyone must have; empty: none

    @property
    def is_free(self) -> bool:
        """Whether it needs a connection of its own: it holds text of a user, or results."""
        return bool(self.condition.strip() or self.error)


@dataclass(frozen=True)
class Order:
    """In which order people come."""

    column: str = SHUFFLED  # of people, ``error``, SHUFFLED or CATALOG_ORDER
    is_descending: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Selection:
    """What the page asks about: bounds and condition, and what is chosen in the facets."""

    wanted: Wanted = field(default_factory=Wanted)
    choice: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, wanted: Wanted, choice: Choice) -> "Selection":
        """Return the selection of the choice that the facets make."""
        return cls(wanted, tuple((key, tuple(options)) for key, options in choice.items() if options))


def facets_of(sources: Sequence[str]) -> tuple[Facet, ...]:
    """Return the facets of people, the last of which are the sources."""
    flags = (Facet(key, "", {key: label}) for key, label in _FLAGS.items())
    return (
        *flags,
        Facet("origin", "Body labelled", {name: name for name in _ORIGINS}, "origin"),
        Facet("split", "Split", {name: name for name in ("train", "val", "test")}, "split"),
        Facet("source", "Source", {name: name for name in sources}, "source"),
    )


def profile_sql(wanted: Wanted) -> str:
    """Return the question how many people share their answers to all facets: a row for each combination.

    Where nothing but facets chooses people, the build has counted them already (``label_counts``).
    """
    answers = ", ".join(f"{sql} AS {name}" for name, sql in ANSWERS.items())
    if wanted == Wanted():
        return f"SELECT {answers}, sum(people)::BIGINT AS people\nFROM label_counts\nGROUP BY ALL"
    return f"SELECT {answers}, count(*) AS people\n{_rows(wanted)}{_where(_conditions(wanted))}\nGROUP BY ALL"


def page_sql(selection: Selection, order: Order, page: int) -> str:
    """Return the question who stands on a page, with the number that they are sorted by (``value``)."""
    value = "NULL" if order.column in (SHUFFLED, CATALOG_ORDER) else _column(order.column)
    return (
        f"SELECT person_key, dataset, split, box_height_px, {value} AS value\n"
        f"{_rows(selection.wanted)}{_where(_all_conditions(selection))}{_order_by(order)}\n"
        f"LIMIT {PAGE} OFFSET {PAGE * (page - 1)}"
    )


def table_sql(selection: Selection, order: Order, measures: Sequence[str]) -> str:
    """Return the question for the facts of everyone who is selected, for an export."""
    facts = "person_key, dataset, split, unit, sequence, frame_index, person, body_model, gender, bbox_x0, bbox_y0, "
    facts += "bbox_x1, bbox_y1, box_height_px, label_body, label_left_hand, label_right_hand, label_face, label_shape, "
    facts += "provenance_file, provenance_row, " + ", ".join(measures)
    error = f", {_column('error')} AS error" if selection.wanted.error else ""
    return (
        f"SELECT {facts.removesuffix(', ')}{error}\n"
        f"{_rows(selection.wanted)}{_where(_all_conditions(selection))}{_order_by(order)}\nLIMIT {MOST_ROWS}"
    )


def _rows(wanted: Wanted) -> str:
    return "FROM people" + (" JOIN person_results USING (person_key)" if wanted.error else "")


def _column(name: str) -> str:
    return "nullif(person_results.value, 'nan')" if name == "error" else name


def _order_by(order: Order) -> str:
    if order.column == CATALOG_ORDER:
        return ""
    if order.column == SHUFFLED:
        return f"\nORDER BY hash(person_id + {1_000_003 * (order.seed + 1)})"
    return f"\nORDER BY {_column(order.column)} {'DESC' if order.is_descending else 'ASC'} NULLS LAST"


def _where(conditions: Sequence[str]) -> str:
    return "\nWHERE " + "\n  AND ".join(conditions) if conditions else ""


def _all_conditions(selection: Selection) -> list[str]:
    return _choice_conditions(selection) + _conditions(selection.wanted)


def _choice_conditions(selection: Selection, without: Sequence[str] = ()) -> list[str]:
    """Return what the facets say as SQL: AND across facets, OR within one."""
    found = []
    for key, options in selection.choice:
        if key in without:
            continue
        if key in _FLAGS:
            found.append(ANSWERS[key])
        elif len(options) == 1:
            found.append(f"{ANSWERS[key]} = {literal(options[0])}")
        else:
            found.append(f"{ANSWERS[key]} IN ({', '.join(map(literal, options))})")
    return found


def _conditions(wanted: Wanted) -> list[str]:
    """Return bounds and condition as SQL."""
    bounds = {bound.key: bound for bound in BOUNDS}
    found = [f"{bounds[k].column} {'>=' if bounds[k].is_lower else '<='} {number:g}" for k, number in wanted.bounds]
    text = wanted.condition.strip().rstrip(";").strip()
    if _QUERY.match(text):
        found.append(f"person_key IN (SELECT chosen.person_key FROM (\n{text}\n) AS chosen)")
    elif text:
        found.append(f"({text}\n)" if "--" in text else f"({text})")
    return found


def mixture_yaml(name: str, selection: Selection, profile: pd.DataFrame) -> str:
    """Return the people of a selection as the YAML of a mixture, a member for each source and split.

    ``profile`` holds the rows of ``profile_sql`` that pass the facets. Results are no part of a mixture: what an error
    demands is left out.
    """
    where = " AND ".join(_choice_conditions(selection, ("source", "split")) + _conditions(selection.wanted))
    people = Counter[tuple[str, str]]()
    for row in profile.to_dict("records"):
        people[row["source"], row["split"]] += row["people"]
    members = [_member(dataset, split, where) for (dataset, split), count in sorted(people.items()) if count]
    content = {
        "name": name,
        "about": f"{sum(people.values()):,} people chosen on the page People of the dashboard.",
        "strategy": "concat",
        "members": members,
    }
    Mixture.model_validate(content)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


def _member(dataset: str, split: str, where: str) -> dict[str, Any]:
    member: dict[str, Any] = {"name": f"{dataset} {split}", "dataset": dataset, "split": split}
    return member | ({"where": where} if where else {})


def measure_titles(columns: Mapping[str, str]) -> dict[str, str]:
    """Return short names of the columns that people can be sorted by; ``columns`` tells their meanings by name."""
    names = ["box_height_px", *sorted(name for name in columns if name.startswith("quality_"))]
    return {name: name.removeprefix("quality_").replace("_", " ") for name in names if name in columns}
