"""How errors fall with training instances, data sets and size of the network: published and measured points.

A method of the SMPLer-X kind tells its size and its number of sources by its name (SMPLer-X-L32). The sizes of these
networks are those of ``PARAMETERS``; a measured network was counted when it was scored. Published instances are what an
epoch draws, as the papers count them; measured ones are the different people of the training set.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from .measures import get_measure, means
from .protocol import Protocol
from .results import Result

# Millions. SMPLer-X: model zoo of its readme. SMPLest-X: H as in its paper, all four counted on the network of
# the release.
PARAMETERS = {
    "SMPLer-X": {"S": 32, "B": 103, "L": 327, "H": 662},
    "SMPLest-X": {"S": 37.4, "B": 116.6, "L": 346.1, "H": 687.2},
}
_METHOD = re.compile(r"^(?P<family>SMPLer-X|SMPLest-X)-(?P<size>[SBLH])(?P<sources>\d+)?\b")
_SOURCES = re.compile(r"\b(\d+) datasets")
_INSTANCES = re.compile(r"([\d.]+)M inst")
MPE = "MPE"
MEASURED = "measured here"
AXES = {
    "people": "training instances",
    "sources": "data sets",
    "parameters": "parameters of the network",
}
_COLUMNS = ("curve", "family", "size", "method", *AXES, "value", "kind", "where", "note")


def published_points(
    published: pd.DataFrame, known: Mapping[str, Protocol], epoch_people: Mapping[int, int]
) -> pd.DataFrame:
    """Return the published numbers (mm) of networks that tell how they were trained, one row a number.

    ``curve`` is what is measured (a test set and measure), then ``family`` and ``size`` of the network, ``method``, the
    three axes (NaN where it is not told), ``value``, ``kind``, ``where`` (paper and table), ``note``. ``epoch_people``
    says how many people an epoch of the release draws from so many sources.
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
                "curve": _published_curve(number, known),
                "family": name["family"],
                "size": name["size"],
                "method": number["method"],
                "sources": sources or None,
                "people": instances * 1e6 if instances else epoch_people.get(int(sources or 0)),
                "parameters": 1e6 * PARAMETERS[name["family"]][name["size"]],
                "value": number["value"],
                "kind": "published",
                "where": f"{number['paper']}, {number['table']}",
                "note": number["note"],
            }
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _first(pattern: re.Pattern, text: str) -> float | None:
    found = pattern.search(text)
    return float(found[1]) if found else None


def _published_curve(number: Mapping[str, Any], known: Mapping[str, Protocol]) -> str:
    """Return what a published number measures, under our names where we have one."""
    if number["metric"] == MPE:
        return MPE
    protocol, measure = number["protocol"], number["measure"]
    if protocol in known and isinstance(measure, str):
        return curve_name(protocol, measure, known)
    part = "" if number["part"] == "all" else f" {number['part']}"
    return f"{number['test_set']} {number['metric']}{part}"


def curve_name(protocol: str, measure: str, known: Mapping[str, Protocol]) -> str:
    """Return what a measure under a protocol is called."""
    title = known[protocol].display_name if protocol in known else protocol
    return f"{title} {get_measure(measure).display_name}"


def measured_points(results: Sequence[Result], known: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return the measured numbers (mm) as rows like those of ``published_points``; means where all parts are measured.

    Results of an older version of a protocol than the newest among them are left out.
    """
    newest: dict[str, int] = {}
    for result in results:
        newest[result.protocol] = max(newest.get(result.protocol, 0), result.protocol_version)
    current = [result for result in results if result.protocol_version == newest[result.protocol]]
    rows = [row for own in current for row in _measured_rows(own, known)]
    return pd.DataFrame([*_measured_means(current), *rows], columns=list(_COLUMNS))


def _measured_means(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Yield a row for each mean of primaries of each model that was measured under all of its protocols."""
    models: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        models.setdefault((result.model, result.revision), {})[result.protocol] = result
    for own in models.values():
        for mean in means().values():
            if mean.measure is None and set(mean.protocols) <= own.keys():
                parts = [own[protocol] for protocol in mean.protocols]
                values = [value for part in parts if (value := part.measures[part.primary].mean) is not None]
                if len(values) == len(parts):
                    yield _facts(parts[-1]) | {"curve": mean.display_name, "value": sum(values) / len(values)}


def _facts(result: Result) -> dict[str, Any]:
    """Return what a result tells about its network."""
    return {
        "family": MEASURED,
        "size": "",
        "method": f"{result.model} ({result.revision})",
        "sources": len(result.trained_on) or None,
        "people": result.training_people,
        "parameters": result.network_parameters,
        "kind": "measured",
        "where": f"{result.date:%Y-%m-%d}",
        "note": ", ".join(result.trained_on),
    }


def _measured_rows(result: Result, known: Mapping[str, Protocol]) -> list[dict[str, Any]]:
    """Return the rows of one result."""
    facts = _facts(result)
    return [
        facts | {"curve": curve_name(result.protocol, measure, known), "value": numbers.mean}
        for measure, numbers in result.measures.items()
        if numbers.mean is not None and get_measure(measure).unit == "mm"
    ]


def curves_along(points: pd.DataFrame, axis: str) -> list[str]:
    """Return what can be shown along an axis, what has the most different places first; MPE before all others."""
    told = points.loc[points[axis].notna()]
    places = told.groupby("curve")[axis].nunique()
    return sorted(places.index, key=lambda curve: (curve != MPE, -places[curve], curve))


def along(points: pd.DataFrame, curve: str, axis: str) -> pd.DataFrame:
    """Return the points of a curve that tell their place on an axis, with ``x`` and the ``line`` they belong to.

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


def scaling_table(points: pd.DataFrame, curve: str) -> pd.DataFrame:
    """Return a curve by size of the network (rows, parameters) and by people trained on (columns), best of each.

    Points that do not tell both are left out; NaN where there is none.
    """
    told = points.loc[points["curve"] == curve].dropna(subset=["parameters", "people"])
    keys = ["parameters", "people"]
    return told.astype({"value": float}).groupby(keys)["value"].min().unstack()
