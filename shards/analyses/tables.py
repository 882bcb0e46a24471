"""Everything that the analyses say, as tables by name: what the command prints and the dashboard draws."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ...errors import ShardError
from .clouds import Cloud, feature_clouds, pose_clouds
from .components import plane
from .distances import distance_table
from .feature_files import feature_sets, group_features
from .hands import finger_table, hand_table
from .samples import Group, PoseSample, draw_sample, groups_of
from .sphere import direction_cells, lean_table, orientation_table

TABLES = {
    "distances": "how far apart sources are, by pairs",
    "map": "people in the plane of two components that the sources share",
    "orientation": "from where the camera sees people: shares by source",
    "directions": "the same in cells of one area on the sphere",
    "lean": "how far people lean: shares by source",
    "hands": "distance of hands from the relaxed hand: quantiles by source",
    "fingers": "the same by joint, means",
}


class Question(NamedTuple):
    """What is asked of the people of a catalog."""

    table: str = "distances"
    by: str = "body"  # a name of clouds.TITLES
    distance: str = "energy"
    side: str = "both"
    by_split: bool = False
    features: str | None = None  # name of a set; the only one when None


def answer(catalog: Path, question: Question) -> pd.DataFrame:
    """Return a table of ``TABLES``; ShardError where there is no catalog or no such set of features."""
    groups = groups_of(catalog, by_split=question.by_split)
    if question.by == "features" and question.table in ("distances", "map"):
        return of_clouds(features_of(catalog, groups, question.features), question)
    samples = {group.name: draw_sample(catalog, group) for group in groups}
    if question.table in ("distances", "map"):
        return of_clouds(pose_clouds(samples, question.by), question)
    return of_samples(samples, question)


def of_clouds(clouds: Mapping[str, Cloud], question: Question) -> pd.DataFrame:
    """Return distances or the map of points."""
    return plane(clouds)[0] if question.table == "map" else distance_table(clouds, question.distance)


def of_samples(samples: Mapping[str, PoseSample], question: Question) -> pd.DataFrame:
    """Return a table of orientations or hands."""
    if question.table in ("hands", "fingers"):
        return (hand_table if question.table == "hands" else finger_table)(samples, question.side)
    makers = {"orientation": orientation_table, "directions": direction_cells, "lean": lean_table}
    return makers[question.table](samples)


def features_of(catalog: Path, groups: Sequence[Group], name: str | None) -> dict[str, Cloud]:
    """Return the image features of groups that have current ones; ShardError where it is not clear which set."""
    found = feature_sets(catalog)
    make = f"ehps study features --catalog {catalog} --checkpoint RUN"
    if not found or name not in (None, *found):
        problem = f"has no image features {name or ''}".rstrip() + (f"; it has {', '.join(found)}" if found else "")
        raise ShardError(catalog, problem, f"make them with {make}")
    if name is None and len(found) > 1:
        raise ShardError(catalog, f"has several sets of image features: {', '.join(found)}", "name one with --features")
    numbers = {group.name: group_features(catalog, name or found[0], group)[0] for group in groups}
    return feature_clouds({group: cloud for group, cloud in numbers.items() if cloud is not None})
