"""``ehps leakage``: pictures that training sets share with a benchmark."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .options import JsonOption
from .output import emit_json, emit_table, note, progress

if TYPE_CHECKING:
    from ..shards.leakage import Leakage, PictureTable

_FORMATS = (".csv", ".json", ".jsonl", ".parquet")


class Source(NamedTuple):
    """One source and split of a converted tree."""

    tree: Path
    dataset: str
    split: str


def _known_format(out: Path | None) -> Path | None:
    """Refuse a file whose name says no format before anything is read."""
    if out is not None and out.suffix not in _FORMATS:
        raise typer.BadParameter(f"{out} should end in one of {', '.join(_FORMATS)}")
    return out


def find_shared_pictures(
    train: Annotated[
        list[str] | None, typer.Option("--train", metavar="[DIR:]SOURCE[/SPLIT]", help="A training set, or a folder.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", metavar="[DIR:]SOURCE[/SPLIT]", help="A benchmark, or a folder.")
    ] = None,
    mixture: Annotated[
        list[str] | None, typer.Option("--mixture", help="Train on its members; a name or YAML.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", "-c", help="Folder of sources without DIR.", envvar="EHPS_CATALOG")
    ] = None,
    distance: Annotated[int, typer.Option(min=0, max=15, help="Bits of 64 in which near pictures may differ.")] = 4,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Pairs as .csv, .json or .parquet.", callback=_known_format)
    ] = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="A PNG of near pairs, side by side.")] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 when pictures are shared.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List pictures of benchmarks that are in training sets: exactly, nearly, or under the same distinctive name.

    Exact is the owner's file, near the picture recompressed or rescaled; equal names are hints, no proof. Pictures that
    cannot be judged are counted.

    Example: ehps leakage --catalog DATA --mixture five --test ehf --test ochuman/test --out pairs.csv --fail
    """
    from ..shards.leakage import find_leakage, write_pairs

    tests = [source for text in test or [] for source in _sources(text, catalog)]
    trains = [source for text in train or [] for source in _sources(text, catalog)]
    trains += [source for name in mixture or [] for source in _members(name, catalog)]
    if not tests or not trains:
        raise typer.BadParameter("give --test, and --train or --mixture")
    with progress("comparing", len(set(trains))) as advance:
        labels = _labels([*trains, *tests])
        tables = _tables(trains, labels, advance)
        found = find_leakage(tables, list(_tables(tests, labels, lambda: None)), distance)
    if out is not None:
        write_pairs(found.pair_table(), out)
        note(f"wrote {out}")
    if sheet is not None:
        from .leakage_sheet import write_sheet

        write_sheet(found, {label: (source.tree, source.dataset) for label, source in labels.items()}, sheet)
    _show(found, as_json)
    if fail and found.is_found:
        raise typer.Exit(1)


def _sources(text: str, catalog: Path | None) -> list[Source]:
    """Return the sources and splits that an argument names; ShardError when nothing of it is converted."""
    from ..errors import ShardError
    from ..shards.tree import list_shards

    folder, _, name = text.rpartition(":")
    if not folder and (not name or Path(name).is_dir()):
        folder, name = name, ""
    tree = Path(folder) if folder else catalog
    if tree is None:
        raise typer.BadParameter(f"{text!r} names no folder; give --catalog, or DIR:{text}")
    dataset, _, split = name.partition("/")
    found = {Source(tree, s.dataset, s.split) for s in list_shards(tree, dataset or None, split or None)}
    if not found:
        raise ShardError(tree, f"holds nobody of {name or 'anything'}", "run ehps convert first, or see ehps list")
    return sorted(found)


def _members(name: str, catalog: Path | None) -> list[Source]:
    """Return the sources of a mixture that are converted, and say which are not, or are no plain source."""
    from ..shards.tree import list_shards
    from ..training.mixture_spec import leaves, load_mixture

    if catalog is None:
        raise typer.BadParameter("--mixture needs --catalog")
    found = set()
    for label, member in leaves(load_mixture(name)):
        if member.dataset and list_shards(catalog, member.dataset, member.split):
            found.add(Source(catalog, member.dataset, member.split))
        else:
            reason = "is not converted" if member.dataset else "is an SQL query; give its sources with --train"
            note(f"member {label} of {name} {reason}: not judged")
    return sorted(found)


def _labels(sources: list[Source]) -> dict[str, Source]:
    """Return what to call each source: by its folder too, where there are several."""
    several = len({source.tree for source in sources}) > 1
    return {f"{f'{s.tree}:' if several else ''}{s.dataset}/{s.split}": s for s in sources}


def _tables(sources: list[Source], labels: dict[str, Source], advance: Any) -> "Iterator[PictureTable]":
    """Yield the pictures of each source once."""
    from ..shards.leakage import read_pictures

    chosen = set(sources)
    for label, source in sorted(labels.items()):
        for table in read_pictures(*source) if source in chosen else ():
            yield replace(table, dataset=label.removesuffix(f"/{source.split}"))
            advance()


def _show(found: "Leakage", as_json: bool) -> None:
    """Print what is shared, and what could not be judged."""
    rows = [shared._asdict() for shared in found.shared]
    if as_json:
        emit_json([*rows, *({"unjudged": side, **counts._asdict()} for side, counts in found.unjudged)])
    elif rows:
        emit_table([row | {"test_share": f"{row['test_share']:.1%}"} for row in rows])
    for side, counts in found.unjudged:
        lacking = {"BLAKE3": counts.without_blake3, "hash": counts.without_hash, "contrast": counts.without_contrast}
        texts = [f"{number:,} without {what}" for what, number in lacking.items() if number]
        if texts:
            note(f"{side} {counts.source}: of {counts.pictures:,} pictures {', '.join(texts)}: not fully judged")
    if not found.is_found:
        note("of the pictures that could be judged, none is shared")
