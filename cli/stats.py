"""``ehps stats``: count what a converted source holds."""

from typing import Annotated

import typer

from .options import CatalogOption, JsonOption
from .output import emit_json, emit_table, note, progress


def write_stats(
    catalog: CatalogOption,
    datasets: Annotated[
        list[str] | None, typer.Argument(help="Ids of sources; all that are converted if none.")
    ] = None,
    card: Annotated[bool, typer.Option("--card", help="Also keep them beside the card, for ehps card.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write OUT/DATASET/stats.json: people, labels, sizes, quantiles of every measure, rejects; by split.

    Example: ehps stats ochuman --catalog DATA
    """
    from ..cards import load_card
    from ..errors import ShardError
    from ..shards.statistics import source_statistics
    from ..shards.statistics_file import STATS_FILE, card_statistics_path, statistics_text
    from ..shards.tree import unit_dirs

    chosen = datasets or sorted({folder.relative_to(catalog).parts[0] for folder in unit_dirs(catalog)})
    if not chosen:
        raise ShardError(catalog, "holds no converted unit", "run ehps convert first")
    rows = []
    with progress("counting", len(chosen)) as advance:
        for dataset in chosen:
            paths = [card_statistics_path(load_card(dataset).id)] if card else []
            statistics = source_statistics(catalog, dataset)
            for path in [catalog / dataset / STATS_FILE, *paths]:
                path.write_text(statistics_text(statistics), encoding="utf-8")
                note(f"wrote {path}")
            splits = {"all": statistics.total, **statistics.splits}
            rows += [_row(dataset, split, part, as_json) for split, part in splits.items()]
            advance()
    emit_json(rows) if as_json else emit_table(rows)


def _row(dataset: str, split: str, part, as_json: bool) -> dict:
    """Return a split as a line of the table, or everything that is known of it."""
    if as_json:
        return {"dataset": dataset, "split": split, **part.model_dump()}
    row = {"dataset": dataset, "split": split, "people": part.people, "frames": part.frames}
    row |= {"sequences": part.sequences, "gigabytes": round(part.bytes / 1e9, 3)}
    row |= {"rejected": f"{part.reject_share:.2%}"}
    row |= {name.replace("_", " "): f"{part.shares[name]:.0%}" for name in ("body", "both_hands", "face", "shape")}
    for title, name in (("box px", "box_height_px"), ("distance m", "distance_m"), ("reproj. px", "reprojection_px")):
        row[title] = part.measures[name].median if name in part.measures else None
    return row
