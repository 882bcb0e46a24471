"""``ehps study``: the papers' studies, each a list of runs that a folder remembers."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import StudyError
from . import study_analyse, study_features
from .options import CatalogOption, JsonOption, PredictionsOption
from .output import emit_json, emit_table, note
from .table import Form

app = typer.Typer(
    help="The papers' studies: many networks by data set, by size, finetuned; and how alike data sets are.",
    no_args_is_help=True,
)
app.command("features")(study_features.make_features)
app.command("analyse")(study_analyse.analyse_sources)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of the study: its declaration and its training runs.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the study; the same one continues it.")]
ResultsOption = Annotated[Path, typer.Option("--results", "-r", help="Folder of results, as of ehps bench.")]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Marks results, begins the names of models; the verb's unless given.")
]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option("--protocol", "-p", help="Repeat for more; those of MPE that are converted unless given."),
]
SettingsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to every recipe.")
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Show what would run, and write nothing.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes, which share the processors.")]
DaskOption = Annotated[str | None, typer.Option("--dask", help="Hand the runs to a Dask cluster, tcp://HOST:PORT.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")]


def _verb(declare: Callable[..., tuple[Any, dict[str, Any]]]) -> Callable[..., None]:
    """Return a verb that has a study's own options and those of all studies: it declares the study and does it.

    ``declare`` takes its own options and, if it likes, some of the others; it returns the kind and what it says.
    """
    own = inspect.signature(declare).parameters
    shared = dict(inspect.signature(_declare_and_go).parameters)
    del shared["declare"]

    def verb(**given: Any) -> None:
        chosen = {name: given[name] for name in own}
        others = {name: given[name] for name in shared}
        _declare_and_go(functools.partial(declare, **chosen), **others)

    functools.update_wrapper(verb, declare)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [option.replace(kind=keyword) for option in (dict(own) | shared).values()]
    verb.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] typer reads it
    verb.__annotations__ = {option.name: option.annotation for option in parameters}
    return verb


def _declare_and_go(
    declare: Callable[..., tuple[Any, dict[str, Any]]],
    *,
    settings: SettingsArgument = None,
    catalog: CatalogOption,
    out: OutOption,
    protocol: ProtocolOption = None,
    results: ResultsOption = Path("results"),
    name: NameOption = None,
    predictions: PredictionsOption = True,
    dry_run: DryOption = False,
    jobs: JobsOption = 1,
    dask: DaskOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Write the declaration of a study and go on with it; StudyError where an option cannot be."""
    from pydantic import ValidationError

    from ..benchmark.measures import first_problem
    from ..studies.declaration import require_scorable, scorable_protocols

    kind, said = declare()
    protocols = tuple(protocol or scorable_protocols(catalog))
    require_scorable(protocols, catalog)
    said |= {"catalog": catalog, "results": results, "settings": settings or (), "protocols": protocols}
    said |= {"keeps_predictions": predictions} | ({"name": name} if name else {})
    try:
        study = kind(**said)
    except ValidationError as error:
        raise StudyError(f"this study cannot be: {first_problem(error)}") from error
    _go(study, out, dry_run, jobs, dask, device)


@app.command("datasets")
@_verb
def study_datasets(
    catalog: CatalogOption,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", "-d", help="Repeat for more; all that are converted unless given.")
    ] = None,
    mixture: Annotated[
        str, typer.Option("--mixture", help="Whose members are trained on one by one; a name, or a YAML file.")
    ] = "forty",
    recipe: Annotated[str, typer.Option("--recipe", help="What every run begins with.")] = "smplerx_s5",
) -> tuple[Any, dict[str, Any]]:
    """Train one small network on each data set alone, score all under the same protocols, and rank them by MPE.

    Example: ehps study datasets --catalog DATA --out STUDY vitpose=vitpose_small.pth
    """
    from ..studies.declaration import DatasetsStudy, converted_members

    there, absent = ((), ()) if dataset else converted_members(mixture, catalog)
    if absent:
        note(f"{len(absent)} members of {mixture} are not converted and left out: {', '.join(absent)}")
    return DatasetsStudy, {"recipe": recipe, "mixture": mixture, "datasets": dataset or there}


@app.command("scaling")
@_verb
def study_scaling(
    mixture: Annotated[
        list[str] | None,
        typer.Option("--mixture", "-m", help="5, 10, 20, 32 or 40 sources, or with --recipe any; repeat for more."),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option("--size", "-s", help="s, b, l, h or WIDTHxDEPTHxHEADS; repeat for more.")
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", help="smplestx or smplerx: the published runs; or any recipe.")
    ] = "smplestx",
) -> tuple[Any, dict[str, Any]]:
    """Train networks of several sizes on several amounts of data: errors by parameters and by people.

    Example: ehps study scaling --catalog DATA --out STUDY -s s -s b -m 5 -m 10 vitpose=vitpose_{size}.pth
    """
    from ..studies.declaration import ScalingStudy

    given = {"mixtures": mixture, "sizes": size, "recipe": recipe}
    return ScalingStudy, {name: value for name, value in given.items() if value}


@app.command("finetune")
@_verb
def study_finetune(
    checkpoint: Annotated[Path, typer.Option("--from", help="The generalist: a checkpoint, or a run's folder.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="agora, pw3d, ...; repeat for more, all unless given.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="Of a target, whose name is put in.")] = "finetune_{target}",
) -> tuple[Any, dict[str, Any]]:
    """Finetune a generalist for each benchmark, and score it before and after.

    Example: ehps study finetune --from smpler_x_h32.pth.tar --catalog DATA --out STUDY -t agora -t egobody
    """
    from ..studies.declaration import FinetuneStudy
    from ..training.recipes import SPECIALISTS

    return FinetuneStudy, {"recipe": recipe, "checkpoint": checkpoint, "targets": target or SPECIALISTS}


@app.command("run")
def continue_study(
    folder: FolderArgument, jobs: JobsOption = 1, dask: DaskOption = None, device: DeviceOption = "auto"
) -> None:
    """Go on with a study as its folder declares it.

    Example: ehps study run STUDY --jobs 2
    """
    from ..studies.declaration import read_study

    _go(read_study(folder), folder, False, jobs, dask, device)


@app.command("status")
def show_status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Show how every run of a study stands, and what is left to do.

    Example: ehps study status STUDY
    """
    from ..studies.declaration import read_study
    from ..studies.standing import standings

    study = read_study(folder)
    _show(standings(study, folder), len(study.protocols), as_json=as_json)


@app.command("table")
def show_table(
    folder: FolderArgument,
    form: Annotated[Form, typer.Option("--format", "-f", help="json: one object a finished number.")] = Form.text,
) -> None:
    """Print what a study found so far: the matrix in order of rank; errors by size; the gains of finetuning.

    Example: ehps study table STUDY --format latex
    """
    from ..studies.declaration import read_study
    from ..studies.printing import printed
    from ..studies.standing import standings

    study = read_study(folder)
    typer.echo(printed(study, standings(study, folder), form.value), nl=False)


@app.command("demo")
def study_demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Its folder; it can be deleted.")] = Path("demo_out/study"),
    jobs: JobsOption = 2,
) -> None:
    """Make raw trees of eight sources, convert them, and rank them by a study: five minutes on two processors.

    Everything is drawn from our own stand-in body. A demo that was stopped continues where it was.

    Example: ehps study demo --out demo_out/study
    """
    from .demo_study import run

    run(out, jobs=jobs)


def _go(study: Any, folder: Path, dry_run: bool, jobs: int, dask: str | None, device: str) -> None:
    """Show what is left of a study, do it unless it is only to be shown, and print what came out."""
    from ..studies.declaration import write_study
    from ..studies.printing import printed
    from ..studies.standing import standings

    if not dry_run:
        for change in write_study(study, folder):
            note(f"the declaration has changed: {change}")
    _show(standings(study, folder), len(study.protocols))
    if dry_run:
        return
    from ..studies.engine import carry_out  # loads torch, which whoever only looks need not wait for

    carry_out(study, folder, jobs=jobs, scheduler=dask, device=device, tell=note, ended=_say_ended)
    typer.echo(printed(study, standings(study, folder), Form.text.value), nl=False)
    note(f"look at it: ehps dash --catalog {study.catalog} --results {study.results} --runs {folder}")


def _say_ended(report: Any) -> None:
    """Say what became of a run."""
    note(f"{report.name}: {report.scored} scored" + "".join(f"\n  {problem}" for problem in report.problems))


def _show(found: list[Any], cells: int, *, as_json: bool = False) -> None:
    """Print how runs stand, and below it what is left."""
    from ..studies.standing import left

    rows = [
        {
            "run": one.run.name,
            "state": one.state,
            "step": f"{one.step:,}/{one.steps:,}" if one.steps else "as it is",
            "people": one.people,
            "scored": f"{len(one.scored)}/{cells}",
            "people to train on": one.people_left,
        }
        for one in found
    ]
    if as_json:
        emit_json(one.facts() for one in found)
        return
    emit_table(rows)
    note(left(found))
    for one in found:
        for remark in one.remarks:
            note(f"note: {one.run.name}: {remark}")
