"""Mixtures for the pages: a draft becomes a mixture, what it would show to training, and its YAML.

Only those modules of ``training`` are used that start without torch.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from ..benchmark.protocol import Protocol
from ..cards import card_ids
from ..errors import RecipeError, UnknownNameError
from ..training.mixture_leakage import mixture_leakage
from ..training.mixture_plan import PARTS, MixturePlan, plan
from ..training.mixture_spec import Mixture, leaves, load_mixture
from ..training.selection import select_all
from ..training.shares import shares_over

STRATEGIES = ("concat", "balance", "weighted", "temperature", "explicit")
# Recipes of training/recipes.py that take any mixture, by network and size; its module would load torch.
NETWORKS = {"SMPLest-X": "smplestx", "SMPLer-X": "smplerx"}
SIZES = {"S": "small", "B": "base", "L": "large", "H": "huge"}
BATCH_SIZES = {"smplestx": dict.fromkeys("SBLH", 256), "smplerx": {"S": 512, "B": 512, "L": 512, "H": 256}}
_NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True)
class Draft:
    """What the builder's widgets say."""

    name: str
    strategy: str
    members: Sequence[Mapping[str, Any]]  # dataset, split, and of the other fields of a member those that are set
    temperature: float | None = None
    epoch_length: int | None = None
    seed: int = 0
    has: Sequence[str] = ()  # parts that everyone must have labelled
    min_box_px: int = 0
    about: str = field(default="Put together on the dashboard.")


def mixture_of(draft: Draft) -> Mixture:
    """Return the mixture of a draft; RecipeError says in a sentence what is wrong with it."""
    values: dict[str, Any] = {"name": draft.name, "about": draft.about, "strategy": draft.strategy}
    values |= {"temperature": draft.temperature} if draft.strategy == "temperature" else {}
    values |= {"epoch_length": draft.epoch_length} if draft.strategy != "explicit" else {}
    members = [_member(member, draft) for member in draft.members]
    names = [member["dataset"] for member in members]
    for member in members:
        if names.count(member["dataset"]) > 1:
            member["name"] = f"{member['dataset']} {member['split']}"
    try:
        return Mixture.model_validate(values | {"seed": draft.seed, "members": members})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}") from error


def _member(member: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    """Return a member with the filters that hold for all, and without what its strategy has no use for."""
    out: dict[str, Any] = {"dataset": member["dataset"], "split": member["split"]}
    has = [part for part in PARTS if part in {*draft.has, *(member.get("has") or ())}]
    conditions = [text for text in (str(member.get("where") or "").strip(),) if text]
    conditions += [f"box_height_px >= {draft.min_box_px}"] if draft.min_box_px else []
    out |= {"has": has} if has else {}
    out |= {"where": " AND ".join(f"({c})" if len(conditions) > 1 else c for c in conditions)} if conditions else {}
    out |= {"stride": int(member["stride"])} if _is_set(member.get("stride"), 1) else {}
    if draft.strategy == "weighted" and _is_set(member.get("weight"), 1):
        out["weight"] = float(member["weight"])
    if draft.strategy == "explicit" and _is_set(member.get("per_epoch"), None):
        out["per_epoch"] = int(member["per_epoch"])
    return out


def _is_set(value: Any, default: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value)) and value != default


def editable(mixture: Mixture) -> list[dict[str, Any]] | None:
    """Return the members of a mixture as rows of a draft; None where it has more than a table can hold."""
    places = {(member.dataset, member.split) for member in mixture.members}
    if mixture.exhaustion != "repeat" or mixture.locality is not None or len(places) < len(mixture.members):
        return None
    if any(not m.dataset or m.schedule is not None or m.on_failure != "fail" for m in mixture.members):
        return None
    names = ("dataset", "split", "weight", "per_epoch", "stride", "has", "where")
    rows = [{name: getattr(member, name) for name in names} for member in mixture.members]
    return [row | {"has": list(row["has"]), "where": "" if row["where"] == "true" else row["where"]} for row in rows]


def yaml_text(mixture: Mixture) -> str:
    """Return a mixture as the text of a file: a member a line, and nothing that is as by default."""
    values = mixture.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    values.pop("members")
    lines = [yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120), "members:\n"]
    for member in mixture.members:
        row = member.model_dump(mode="json", exclude_defaults=True)
        if member.dataset:
            row = {"dataset": member.dataset, "split": member.split} | row
        lines.append(f"  - {yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=10**6)}")
    return "".join(lines)


def save(mixture: Mixture, folder: Path) -> Path:
    """Write the file of a mixture and return its path; RecipeError when another one has its name."""
    if not _NAME.fullmatch(mixture.name):
        raise RecipeError(f"{mixture.name!r} cannot name a file: use letters, digits, - and _")
    path, text = folder / f"{mixture.name}.yaml", yaml_text(mixture)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise RecipeError(f"{path} holds another mixture; choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path


def planned(text: str, name: str, out: Path, epochs: int) -> MixturePlan:
    """Return what so many epochs of a mixture, given as JSON, will show of a converted tree, but for its shuffling."""
    mixture = Mixture.model_validate_json(text).model_copy(update={"name": name})
    return plan(mixture, out, epochs=epochs, batch_size=None)


def member_table(found: MixturePlan, person_bytes: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """Return one row a member: people, shares, people an epoch, passes, bytes, shares with hands and face, licence.

    ``person_bytes`` is what is read for a person of a source and split; of several sources the mean is taken.
    """
    rows = []
    everyone = max(sum(member.people for member in found.members), 1)
    for member in found.members:
        row = {
            "member": member.name,
            "people": member.people,
            "share_of_people": member.people / everyone,
            "share": member.share if member.people else 0.0,
            "per_epoch": member.people_per_epoch,
            "passes": member.passes_per_epoch,
            "reached": member.reached,
            "bytes": member.people_per_epoch * _mean([person_bytes.get(place, 0.0) for place in member.sources]),
            "commercial": {True: "yes", False: "no", None: "unknown"}[member.is_commercial],
            "licence": "; ".join(member.licences),
        }
        labelled = {part: member.num_labelled[part] / max(member.people, 1) for part in (*PARTS, "hands")}
        rows.append(row | labelled)
    return pd.DataFrame(rows)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def coverage(members: pd.DataFrame) -> dict[str, float]:
    """Return the share of the training samples whose body, hands (both), face, shape and 2D points are labelled."""
    names = ("body", "hands", "face", "shape", "keypoints_2d")
    return {name: float(members["share"].to_numpy() @ members[name].to_numpy()) for name in names}


def leakage(found: MixturePlan, benchmarks: Sequence[tuple[str, str]], out: Path) -> list[str]:
    """Return sentences on pictures that the sources of a mixture share with benchmarks."""
    sources = sorted({source for member in found.members for source in member.sources if not member.is_missing})
    return [text.removeprefix("leakage: ") for text in mixture_leakage(sources, list(benchmarks), out)]


def saved(folder: Path) -> dict[str, Path]:
    """Return the mixture files of a folder by their names, such as ``mine.yaml``; hidden ones are half-written."""
    return {path.name: path for path in sorted(folder.glob("[!.]*.yaml"))}


def unknown_sources(found: MixturePlan) -> list[str]:
    """Return a sentence for each source that is neither converted nor known, with the names that are like it."""
    names = {leaf.member.dataset for leaf in leaves(found.mixture) if leaf.member.dataset}
    here = {dataset for member in found.members for dataset, _ in member.sources if not member.is_missing}
    return [str(UnknownNameError("source", name, card_ids())) for name in sorted(names - here - set(card_ids()))]


def trained_benchmarks(found: MixturePlan, known: Mapping[str, Protocol]) -> list[str]:
    """Return a sentence for each source and split of a mixture that protocols measure: it is no test any more."""
    used = {source for member in found.members for source in member.sources if not member.is_missing}
    titles: dict[tuple[str, str], list[str]] = {}
    for protocol in known.values():
        titles.setdefault((str(protocol.dataset), str(protocol.split)), []).append(protocol.display_name)
    return [
        f"the mixture trains on {dataset}/{split}, which {', '.join(sorted(titles[dataset, split]))} measures"
        for dataset, split in sorted(used & titles.keys())
    ]


def benchmarks_here(known: Mapping[str, Protocol], splits: Sequence[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return the protocols whose source and split lie in the tree, with both."""
    have = set(splits)
    places = {name: (str(protocol.dataset), str(protocol.split)) for name, protocol in known.items()}
    return {name: place for name, place in places.items() if place in have}


def train_command(network: str, size: str, mixture: str, steps: int, catalog: Path, out: Path) -> str:
    """Return the command that trains on a mixture; networks and sizes are those of ``NETWORKS`` and ``SIZES``."""
    recipe = f"{network}_{size.lower()}32"
    return (
        f"ehps train {recipe} --catalog {catalog} --out {out} \\\n"
        f"  mixture={mixture} steps={steps} vitpose=vitpose_{SIZES[size]}.pth"
    )


def steps_of(epochs: int, epoch_length: int, batch_size: int) -> int:
    """Return the steps of some epochs, each of whole batches."""
    return epochs * -(-epoch_length // batch_size)


def sources_in(name: str, everything: Sequence[str]) -> list[str]:
    """Return the data sets that a mixture, by name or path, may take people from; a query may from everything."""
    found = {leaf.member.dataset for leaf in leaves(load_mixture(name))}
    return sorted((found | set(everything) if "" in found else found) - {""})


def wanted_shares(name: str, out: Path, positions: Sequence[int], total: int) -> dict[str, float]:
    """Return each member's share of the samples, as the mean over some positions of a training of ``total`` people."""
    mixture = load_mixture(name)
    selections = select_all(mixture, out)
    sizes = np.array([len(selection) for selection in selections], np.int64)
    shares = shares_over(mixture, sizes, total)(np.array(positions, float), sizes > 0).mean(axis=0)
    return {selection.label: float(share) for selection, share in zip(selections, shares, strict=True)}
