"""How errors fall with training people, data sets and size of the network: published and measured points.

A method of the SMPLer-X kind tells its size and its number of sources by its name (SMPLer-X-L32). How many people an
epoch of so many sources draws is what the release's mixtures say (``datasets/mixtures``); the size of a network is that
of its encoder, counted from width and depth, for published and measured networks alike.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd

from ..benchmark.measures import get_measure
from ..benchmark.protocol import Protocol
from ..benchmark.results import Result
from ..benchmark.tables import newest_versions
from ..training.mixture_spec import PAPER_MIXTURES, load_mixture
from .runs import Run

# Width and depth of the encoders of Dosovitskiy et al. (2021), S of Touvron et al. (2021), which ViTPose uses.
ENCODERS = {"S": (384, 12), "B": (768, 12), "L": (1024, 24), "H": (1280, 32)}
_PATCH, _TOKENS = 16 * 16 * 3, 192  # numbers of a patch; patches of a 256 x 192 crop
_METHOD = re.compile(r"^(?P<family>SMPLer-X|SMPLest-X)-(?P<size>[SBLH])(?P<sources>\d+)?\b")
_SOURCES = re.compile(r"\b(\d+) datasets")
_INSTANCES = re.compile(r"([\d.]+)M inst")
MPE = "MPE"
AXES = {
    "people": "people an epoch draws",
    "sources": "data sets",
    "parameters": "parameters of the encoder",
}
_COLUMNS = ("curve", "line", "method", "people", "sources", "parameters", "value", "kind", "where", "note")


def encoder_parameters(width: int, depth: int) -> int:
    """Return the number of weights of a vision transformer: blocks, embedding of patches, and of their places."""
    return depth * (12 * width**2 + 13 * width) + (_PATCH + 1) * width + (_TOKENS + 1) * width


@cache
def epoch_people(sources: int) -> int | None:
    """Return how many people an epoch of the release's mixture of so many sources draws; None for other numbers."""
    return load_mixture(PAPER_MIXTURES[sources]).epoch_length if sources in PAPER_MIXTURES else None


def published_points(published: pd.DataFrame, known: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return the published numbers of networks that tell how they were trained, one row a number.

    ``curve`` is what is measured (a test set and measure), ``line`` what is the same along a line but for the axis,
    then the three axes (NaN where it is not told), ``value`` (mm), ``kind``, ``where`` (paper and table), ``note``.
    """
    rows = []
    for number in published.to_dict("records"):
        name = _METHOD.match(number["method"])
        if name is None or number["unit"] != "mm" or "finetune" in f"{number['method']} {number['train_set']}".lower():
            continue
        sources = _first(_SOURCES, number["train_set"]) or (name["sources"] and float(name["sources"]))
        instances = _first(_INSTANCES, number["train_set"])
        rows.append(
            {
                "curve": _curve(number, known),
                "family": name["family"],
                "size": name["size"],
                "method": number["method"],
                "sources": sources or None,
                "people": instances * 1e6 if instances else epoch_people(int(sources or 0)),
                "parameters": encoder_parameters(*ENCODERS[name["size"]]),
                "value": number["value"],
                "kind": "published",
                "where": f"{number['paper']}, {number['table']}",
                "note": number["note"],
            }
        )
    return _table(rows)


def _first(pattern: re.Pattern, text: str) -> float | None:
    found = pattern.search(text)
    return float(found[1]) if found else None


def _curve(number: Mapping[str, Any], known: Mapping[str, Protocol]) -> str:
    """Return what a published number measures, under our names where we have one."""
    if number["metric"] == MPE:
        return MPE
    protocol, measure = number["protocol"], number["measure"]
    if protocol in known and isinstance(measure, str):
        return f"{known[protocol].display_name} {get_measure(measure).display_name}"
    part = "" if number["part"] == "all" else f" {number['part']}"
    return f"{number['test_set']} {number['metric']}{part}"


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return points as a table of the columns of ``published_points``, lines named."""
    table = pd.DataFrame(rows, columns=["curve", "family", "size", *_COLUMNS[2:]])
    return table.assign(line=table["family"])


def measured_points(
    results: Sequence[Result], runs: Sequence[Run], people: Mapping[str, int], known: Mapping[str, Protocol]
) -> pd.DataFrame:
    """Return the measured numbers as rows like those of ``published_points``.

    A network's run, found by its recipe's name, tells its size and how many people an epoch draws; without it, these
    are the people of its training sets in the catalog (``people`` by data set), where all of them are there.
    """
    by_name = {run.recipe["name"]: run for run in runs}
    return _table([row for result in results for row in _measured_rows(result, by_name, people, known)])


def _measured_rows(
    result: Result, runs: Mapping[str, Run], people: Mapping[str, int], known: Mapping[str, Protocol]
) -> list[dict[str, Any]]:
    """Return the rows of one result."""
    run, name = runs.get(result.model), _METHOD.match(result.model)
    network = run.recipe["network"] if run else None
    size = (network["embed_dim"], network["depth"]) if network else ENCODERS[name["size"]] if name else None
    facts = {
        "family": "measured here",
        "size": name["size"] if name else "",
        "method": f"{result.model} ({result.revision})",
        "sources": len(result.trained_on) or None,
        "people": _people_of(result, run, people),
        "parameters": encoder_parameters(*size) if size else None,
        "kind": "measured",
        "where": f"{result.date:%Y-%m-%d}",
        "note": ", ".join(result.trained_on),
    }
    title = known[result.protocol].display_name if result.protocol in known else result.protocol
    return [
        facts | {"curve": f"{title} {get_measure(measure).display_name}", "value": numbers.mean}
        for measure, numbers in result.measures.items()
        if numbers.mean is not None and get_measure(measure).unit == "mm"
    ]


def _people_of(result: Result, run: Run | None, people: Mapping[str, int]) -> int | None:
    """Return how many people an epoch of a network's training draws, as far as that is known."""
    mixture = run.recipe["mixture"] if run else ""
    if mixture in PAPER_MIXTURES.values() and (length := load_mixture(mixture).epoch_length):
        return length
    return (
        sum(people.get(dataset, 0) for dataset in result.trained_on) if set(result.trained_on) <= set(people) else None
    )


def curves_along(points: pd.DataFrame, axis: str) -> list[str]:
    """Return what can be shown along an axis, what has the most different places first; MPE before all others."""
    told = points.loc[points[axis].notna()]
    places = told.groupby("curve")[axis].nunique()
    return sorted(places.index, key=lambda curve: (curve != MPE, -places[curve], curve))


def along(points: pd.DataFrame, curve: str, axis: str) -> pd.DataFrame:
    """Return the points of a curve that tell their place on an axis, with ``x`` and the line they belong to.

    Along people and data sets a line is a network of one size, along its size it is one set of training data.
    """
    chosen = points.loc[(points["curve"] == curve) & points[axis].notna()].copy()
    chosen["x"] = chosen[axis].astype(float)
    name = _line_by_sources if axis == "parameters" else _line_by_size
    chosen["line"] = [name(row) for row in chosen.to_dict("records")]
    return chosen.sort_values(by=["line", "x", "value"], ignore_index=True)


def _line_by_sources(row: Mapping[str, Any]) -> str:
    sources = row["sources"]
    return row["family"] if row["kind"] == "measured" or pd.isna(sources) else f"{row['family']}, {sources:.0f} sets"


def _line_by_size(row: Mapping[str, Any]) -> str:
    return row["family"] if row["kind"] == "measured" else f"{row['family']}-{row['size']}"


def line_through(points: pd.DataFrame) -> pd.DataFrame:
    """Return the best point of each line at each place: a line does not run through somebody's worse variants."""
    return points.sort_values(by="value").drop_duplicates(["line", "x"]).sort_values(by=["line", "x"])


def newest(results: pd.DataFrame, read: Callable[[str], Result]) -> list[Result]:
    """Return each result of the newest version of its protocol once, read from its file."""
    paths = dict.fromkeys(newest_versions(results)["path"]) if len(results) else ()
    return [read(path) for path in paths]
