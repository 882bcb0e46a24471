"""``ehps export``: converted data as files that other programs read."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import CatalogOption, JsonOption, SplitOption
from .output import emit_json, emit_table, note

app = typer.Typer(no_args_is_help=True, help="Write converted data as files of other programs.")


@app.callback()
def _root() -> None:
    """Write converted data as files of other programs."""


@app.command("humandata")
def export_humandata(
    file: Annotated[Path, typer.Argument(help="The npz to write; pictures go into a folder of its name beside it.")],
    catalog: CatalogOption,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Only this source.")] = None,
    split: SplitOption = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only these people, in SQL over the table people.")
    ] = None,
    body: Annotated[
        Literal["smplx", "smpl", "smplh"], typer.Option("--body", help="The one body model of the file.")
    ] = "smplx",
    parts: Annotated[
        str | None,
        typer.Option("--parts", help="hands, face, transl: leave out people without them instead of these labels."),
    ] = None,
    hands: Annotated[
        Literal["deviation", "absolute"],
        typer.Option("--hands", help="absolute: for classes of the loaders that subtract the mean hand themselves."),
    ] = "deviation",
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Copy the pictures as well.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write an npz that the loaders of SMPLer-X, SMPLest-X and MMHuman3D read. What it holds: docs/humandata.md.

    Example: ehps export humandata DIR/agora_train.npz --catalog DATA --dataset agora --split train
    """
    from ..converters.humandata_out import Wishes, export

    if file.suffix != ".npz":
        raise typer.BadParameter(f"{file} should end in .npz")
    chosen = tuple(part for part in (parts or "").split(",") if part)
    wishes = Wishes(body=body, parts=chosen, hands=hands, pictures=pictures)
    done = export(catalog, file, wishes, dataset=dataset, split=split, wanted=_people(catalog, where))
    row = {"file": str(file), "people": done.people, "left out": sum(done.left_out.values()), "pictures": done.pictures}
    row |= {"MB": file.stat().st_size / 1e6}
    if as_json:
        emit_json([row | {"reasons": dict(done.left_out), "partly": done.partly, "points": done.points}])
        return
    emit_table([row])
    for text in _remarks(done):
        note(text)


def _people(catalog: Path, where: str | None) -> list[int] | None:
    """Return the numbers of the people of a condition; None without one."""
    if where is None:
        return None
    from ..shards.catalog import query_arrow

    return query_arrow(catalog, f"select person_id from people where {where}")["person_id"].to_pylist()


def _remarks(done: Any) -> list[str]:
    """Return what is not in the file, in sentences."""
    out = [f"left out: {count} people, {reason.replace('_', ' ')}" for reason, count in done.left_out.items()]
    out += [
        f"{name} of {count} people is not in the file, because the other {done.people - count} lack it (see --parts)"
        for name, count in done.partly.items()
    ]
    out += [f"{name} of {count} people are cut to 10 numbers" for name, count in done.cut.items() if count]
    if done.points < 144:
        out.append(f"{done.points} of 144 points are known of everyone; the masks of the file leave the others out")
    if done.without_picture:
        out.append(f"no picture of {done.without_picture} people is stored (--images none); put them at image_path")
    return out
