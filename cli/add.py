"""``ehps add``: the files of a new source, which work from the start and say what to fill in.

Card, converter, fake raw tree and tests are written from ``templates/`` into a checkout of ehps. They are about a
made-up tree, so the contract that every source keeps is green before the first line is changed, and stays the guide
while they become those of the real one. docs/adding_a_dataset.md goes the whole way.
"""

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from ..errors import CardError
from .options import JsonOption
from .output import emit_json, note

TEMPLATES = Path(__file__).resolve().parent / "templates"
# Template -> where its text goes in a checkout.
FILES = {
    "card.yaml.txt": "datasets/$id/card.yaml",
    "converter.py.txt": "converters/$id.py",
    "fake_tree.py.txt": "tests/raw/$id.py",
    "test.py.txt": "tests/converters/test_$id.py",
    "test_mutations.py.txt": "tests/converters/test_mutations_$id.py",
}
MARK = "FILL IN"


def add_source(
    dataset: Annotated[str, typer.Argument(help="Id of the new source: lower case letters, digits and _.")],
    name: Annotated[str | None, typer.Option("--name", help="What its owner calls it; without, the id.")] = None,
    splits: Annotated[
        list[str] | None, typer.Option("--split", help="train, val or test; repeat for more. Without, train and val.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Checkout of ehps to write into; without, the one that runs.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write card, converter, fake raw tree and tests of a new source, which pass and say what to fill in.

    docs/adding_a_dataset.md leads through all of it. Nothing that exists is overwritten.

    Example: ehps add dancefloor --name "Dance Floor" --split train --split test
    """
    root = Path(__file__).resolve().parents[1] if into is None else into.resolve()
    written = write_source(dataset, root, name=name or dataset, splits=tuple(splits or ("train", "val")))
    if as_json:
        emit_json({"file": str(path)} for path in written)
        return
    for path in written:
        typer.echo(path)
    note(
        f"\n{len(places_to_fill(dataset, root))} places say {MARK}; the test of the source lists them. In {root}:\n\n"
        f"  python -m pytest tests/converters/test_contract.py tests/converters/test_{dataset}.py -k {dataset} -rs\n"
        f"  ehps card {dataset}\n\n"
        "docs/adding_a_dataset.md goes on from here."
    )


def write_source(dataset: str, root: Path, *, name: str, splits: tuple[str, ...]) -> list[Path]:
    """Return the files of a new source, written into a checkout; CardError when it is none or the id will not do."""
    places = {TEMPLATES / template: root / Template(place).substitute(id=dataset) for template, place in FILES.items()}
    _refuse(dataset, root, splits, list(places.values()))
    values = {
        "id": dataset,
        "name": name,
        "split": splits[0],
        "splits": ", ".join(splits),
        "quoted_splits": ", ".join(f'"{split}"' for split in splits) + ("," if len(splits) == 1 else ""),
        "tree": "\n".join(f"    - {path}" for path in _tree(splits)),
    }
    for template, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    return list(places.values())


def _tree(splits: tuple[str, ...]) -> list[str]:
    """Return one file of each kind of the made-up tree."""
    labels = [f"labels/{split}/take_{number:02d}.npz" for number, split in enumerate(splits)]
    return [*labels, "images/take_00/000000.jpg"]


def _refuse(dataset: str, root: Path, splits: tuple[str, ...], places: list[Path]) -> None:
    """Raise CardError unless the id can name a source, is free, and the folder is a checkout of ehps."""
    card = places[0]
    if not all((root / folder).is_dir() for folder in ("converters/formats", "datasets", "tests/raw")):
        raise CardError(
            root, "is no checkout of ehps: clone the repository, install it with pip install -e, or name it by --into"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", dataset) or keyword.iskeyword(dataset):
        problem = f"{dataset!r} cannot name a source and its module: lower case letters, digits and _, a letter first"
        raise CardError(card, problem)
    taken = [path for path in places if path.exists()]
    if taken:
        raise CardError(taken[0], f"is there already, so {dataset!r} is taken; nothing was written")
    if unknown := set(splits) - {"train", "val", "test"}:
        raise CardError(card, f"splits are train, val and test, not {', '.join(sorted(unknown))}")
    if len(set(splits)) < len(splits):
        raise CardError(card, f"a split is named twice: {', '.join(splits)}")


def places_to_fill(dataset: str, root: Path) -> list[str]:
    """Return file, line and text of every place of a source that still waits for its facts."""
    files = [root / Template(place).substitute(id=dataset) for place in FILES.values()]
    return [
        f"{path.relative_to(root)}:{number} {line.strip()}"
        for path in files
        if path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MARK in line
    ]
