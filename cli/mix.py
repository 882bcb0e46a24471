"""``ehps mix``: what a mixture would show to training, and how fast, before it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataOption, JsonOption, ShardsOption
from .output import emit_json, emit_table, note

if TYPE_CHECKING:
    from ..training.mixture import MixedPeople
    from ..training.mixture_plan import MemberPlan, MixturePlan
    from ..training.samples import SampleSettings
    from ..training.shuffle_quality import ShuffleQuality
    from ..training.stream_bench import Rates

app = typer.Typer(help="Plan, measure and look at training mixtures.", no_args_is_help=True)
SizeOption = Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height of a crop, px.")]
MixtureArgument = Annotated[str, typer.Argument(help="Name of a mixture, or the path of a YAML file.")]
MissingOption = Annotated[bool, typer.Option("--allow-missing", help="Although the tree lacks some members.")]
EpochsOption = Annotated[int, typer.Option("--epochs", min=1, help="Epochs of the training.")]
_PARTS = ("body", "left_hand", "right_hand", "face", "shape")


@app.command("list")
def list_mixtures(as_json: JsonOption = False) -> None:
    """List the mixtures that come with ehps.

    Example: ehps mix list
    """
    from ..training.mixture_spec import load_mixture, mixture_names

    mixtures = [load_mixture(name) for name in mixture_names()]
    rows = [{"name": m.name, "strategy": m.strategy, "members": len(m.members), "about": m.about} for m in mixtures]
    emit_json(rows) if as_json else emit_table(rows)


@app.command("plan")
def plan_mixture(
    mixture: MixtureArgument,
    data: DataOption,
    epochs: EpochsOption = 1,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="People a step, over all ranks.")] = 256,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="BENCHMARK", help="Protocol or DATASET[:SPLIT] to look for leakage from."),
    ] = None,
    shards: ShardsOption = None,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads that decode.")] = 2,
    size: SizeOption = "192x256",
    tries_rate: Annotated[bool, typer.Option("--rate/--no-rate", help="Read for a second to expect a rate.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show what a mixture will show: people, shares, labels, bytes, rate, shuffle quality, licences, leakage.

    Example: ehps mix plan five --catalog DATA --epochs 10 --against ehf
    """
    from ..shards.mirror import local_catalog
    from ..training.mixture_plan import plan
    from ..training.mixture_spec import load_mixture

    catalog = local_catalog(data)
    planned = plan(load_mixture(mixture), catalog, epochs=epochs, batch_size=batch_size)
    problems = list(planned.problems)
    if against:
        from ..training.mixture_leakage import mixture_leakage

        sources = sorted({source for member in planned.members for source in member.sources if not member.is_missing})
        problems += mixture_leakage(sources, [_benchmark(name) for name in against], catalog)
    rate = _expected(mixture, catalog, shards, epochs, threads, size) if tries_rate and planned.quality else None
    _emit_json(planned, problems, rate) if as_json else _emit_tables(planned, batch_size)
    note(f"one epoch is {planned.epoch_length:,} people" + (f", planned are {epochs}" if epochs > 1 else ""))
    if rate:
        hours = planned.epoch_length / rate / 3600
        note(f"estimate: {rate:,.0f} people/s with {threads} threads to {size} here, so {hours:.2g} h an epoch")
    if planned.length is not None:
        note(f"the order ends after {planned.length:,} people")
    for problem in problems:
        note(f"note: {problem}")


@app.command("bench")
def bench_mixture(
    mixture: MixtureArgument,
    data: DataOption,
    people: Annotated[int, typer.Option("--people", "-n", min=1, help="People that are read, each time.")] = 512,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="People a batch.")] = 64,
    threads: Annotated[
        list[int] | None, typer.Option("--threads", min=0, help="Threads that read ahead, once or more.")
    ] = None,
    size: SizeOption = "192x256",
    allow_missing: MissingOption = False,
    shards: ShardsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast a mixture streams on this machine, stage by stage, and say what limits it.

    Example: ehps mix bench five --catalog s3://bucket/converted --threads 2 --threads 4
    """
    import cv2

    from ..shards.mirror import local_catalog
    from ..shards.reader import PeopleIndex
    from ..training.stream_bench import STAGES, measure

    catalog = local_catalog(data)
    cv2.setNumThreads(1)  # as in training, where each thread cuts a person of its own
    mixed, settings = _mixed(mixture, catalog, allow_missing), _settings(size)
    counts = tuple(sorted({0, 1, *(threads or [2])}))
    load = PeopleIndex.open(catalog, shards=shards).load
    found = measure(mixed, load, settings, count=people, batch_size=batch_size, threads=counts)
    if as_json:
        stages = {stage.name: vars(stage) for stage in found.stages}
        reading = {number: vars(ahead) for number, ahead in found.reading.items()}
        emit_json([vars(found) | {"stages": stages, "reading": reading}])
        return
    total = sum(stage.milliseconds for stage in found.stages)
    rows = [
        {
            "stage": stage.name,
            "ms a person": stage.milliseconds,
            "of it computing": stage.processor_milliseconds,
            "share": f"{stage.milliseconds / total:.0%}",
            "what": STAGES[stage.name],
        }
        for stage in found.stages
    ]
    emit_table(rows, title=f"One thread, {found.people:,} people of {found.bytes_per_person / 1e3:.0f} kB")
    typer.echo()
    emit_table([_rate_row(found, number) for number in found.by_threads])
    note(f"the first batch took {found.first_batch_s:.2f} s; the limit is {found.limit}")


def _rate_row(found: "Rates", number: int) -> dict:
    """Return the row of a number of threads in the table of rates."""
    row, ahead = {"threads": number, "people/s": found.by_threads[number]}, found.reading.get(number)
    if not found.reading:
        return row
    numbers = (None,) * 4 if ahead is None else (ahead.mb_per_s, ahead.mb_per_run, ahead.used, ahead.waited)
    return row | dict(zip(("MB/s read", "MB a run", "used", "waited"), numbers, strict=True))


@app.command("preview")
def preview_mixture(
    mixture: MixtureArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")] = Path("batch.png"),
    people: Annotated[int, typer.Option("--people", "-n", min=1, max=24, help="How many.")] = 24,
    position: Annotated[int, typer.Option("--position", min=0, help="Where in the training order.")] = 0,
    epochs: EpochsOption = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the augmentation.")] = 0,
    size: SizeOption = "192x256",
    allow_missing: MissingOption = False,
    shards: ShardsOption = None,
) -> None:
    """Draw the first batch as a network would see it, augmented, with its targets on top.

    Example: ehps mix preview five --catalog DATA --out batch.png
    """
    from dataclasses import replace

    from ..shards.mirror import local_catalog
    from ..shards.reader import PeopleIndex
    from ..training.sheet import write_first_batch
    from ..training.stream import Stream

    catalog = local_catalog(data)
    mixed, settings = _mixed(mixture, catalog, allow_missing, epochs), replace(_settings(size), seed=seed)
    load = PeopleIndex.open(catalog, shards=shards).load
    stream = Stream(mixed, load, settings, batch_size=people, position=position, keeps_tail=True)
    batch = next(iter(stream), None)
    if batch is None:
        raise typer.BadParameter(f"the mixture ends after {mixed.length} people, before position {position}")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_first_batch(out, batch)
    note(f"wrote {out}: p pose, b betas, 3 3D joints are labelled")


def _expected(name: str, catalog: Path, shards: str | None, epochs: int, threads: int, size: str) -> float | None:
    """Return the people per second of a short trial; None, with a note, where nothing can be read here."""
    from ..errors import EhpsError

    try:
        import cv2

        from ..shards.reader import PeopleIndex
        from ..training.stream_bench import expected_rate

        cv2.setNumThreads(1)
        load = PeopleIndex.open(catalog, shards=shards).load
        return expected_rate(_mixed(name, catalog, True, epochs), load, _settings(size), workers=threads)
    except (EhpsError, ImportError) as error:
        note(f"no rate is expected: {error}")
        return None


def _mixed(name: str, catalog: Path, allow_missing: bool, epochs: int = 1) -> "MixedPeople":
    """Return the people of a mixture in the order of a training of some epochs."""
    from ..training.mixture import epoch_length_of, load_mixture, mix
    from ..training.selection import select_all

    mixture = load_mixture(name)
    total = epochs * epoch_length_of(mixture, select_all(mixture, catalog))
    return mix(mixture, catalog, total=total, allow_missing=allow_missing)


def _settings(size: str) -> "SampleSettings":
    """Return the settings of samples with crops of WxH px."""
    from ..training.samples import SampleSettings

    width, by, height = size.partition("x")
    if not by or not width.isdecimal() or not height.isdecimal() or not int(width) * int(height):
        raise typer.BadParameter(f"--size should look like 192x256, found {size!r}")
    return SampleSettings(crop_size=(int(width), int(height)))


def _benchmark(name: str) -> tuple[str, str]:
    """Return dataset and split of a protocol, or of DATASET[:SPLIT], by default its test."""
    from ..benchmark.protocol import protocols

    known = protocols()
    if name in known:
        return known[name].dataset, known[name].split
    dataset, _, split = name.partition(":")
    return dataset, split or "test"


def _emit_tables(planned: "MixturePlan", batch_size: int) -> None:
    """Print the plan for people."""
    emit_table([_row(member) for member in planned.members])
    if planned.quality:
        typer.echo()
        title = f"Shuffling, in batches of {batch_size:,} (in brackets: a full shuffle)"
        emit_table([_quality_row(quality) for quality in planned.quality], title=title)
    if planned.schedule:
        typer.echo()
        rows = [
            {"from": at.position} | {name: f"{share:.1%}" for name, share in at.shares.items()}
            for at in planned.schedule
        ]
        emit_table(rows, title="Shares at positions of the training")


def _row(member: "MemberPlan") -> dict:
    """Return a member's row of the first table."""
    size = member.bytes_per_epoch
    return {
        "member": member.name,
        "split": " ".join(sorted({split for _, split in member.sources})),
        "people": member.people,
        "share": f"{member.share:.1%}",
        "per epoch": member.people_per_epoch,
        "passes": round(member.passes_per_epoch, 2),
        "unique": f"{member.unique:.1%}",
        "reached": f"{member.reached:.1%}",
        "MB per epoch": None if size is None else round(size / 1e6, 1),
        **{part.replace("_", " "): member.num_labelled[part] for part in _PARTS},
        "commercial": member.is_commercial,
    }


def _quality_row(quality: "ShuffleQuality") -> dict:
    """Return a member's row of the second table."""

    def beside(name: str, form: str) -> str:
        return f"{getattr(quality.found, name):{form}} ({getattr(quality.ideal, name):{form}})"

    moved = quality.displacement
    return {
        "member": quality.name,
        "displacement": None if moved is None else f"{moved:.3f} (0.333)",
        "shards a batch": beside("shards_per_batch", ".1f"),
        "neighbours": beside("neighbours", ".1%"),
        "pieces read per MB": beside("runs_per_mb", ".2f"),
    }


def _emit_json(planned: "MixturePlan", problems: list[str], rate: float | None) -> None:
    """Print the plan for programs: an object a member, and last one of all together."""
    quality = {row.name: row for row in planned.quality}
    rows = [_member_json(member, quality.get(member.name)) for member in planned.members]
    everyone = {
        "member": "all",
        "people": sum(member.people for member in planned.members),
        "epoch_length": planned.epoch_length,
        "epochs": planned.epochs,
        "length": planned.length,
        "bytes_per_epoch": sum(member.bytes_per_epoch or 0 for member in planned.members),
        "people_per_s_estimated": rate,
        "quality": _quality_json(quality.get("all")),
        "schedule": [{"position": at.position, "shares": at.shares} for at in planned.schedule],
        "problems": problems,
    }
    emit_json([*rows, everyone])


def _member_json(member: "MemberPlan", quality: "ShuffleQuality | None") -> dict:
    """Return what is planned of a member."""
    sources = [f"{dataset}/{split}" for dataset, split in member.sources]
    return {"member": member.name, **vars(member), "sources": sources, "quality": _quality_json(quality)}


def _quality_json(quality: "ShuffleQuality | None") -> dict | None:
    """Return the measures of an order."""
    if quality is None:
        return None
    beside = {"found": quality.found._asdict(), "ideal": quality.ideal._asdict()}
    return {"displacement": quality.displacement, "bytes_per_person": quality.bytes_per_person, **beside}
