"""The ``ehps`` command: a tree of verbs, each in a module of its own that imports what it needs when it runs."""

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import EhpsError
from . import (
    add,
    bench,
    card,
    catalog,
    check,
    compare,
    convert,
    dash,
    demo,
    diff,
    doctor,
    export,
    gc,
    leakage,
    list_,
    mix,
    predict,
    preview,
    protocol,
    repack,
    score,
    slice_,
    sql,
    stats,
    study,
    submit,
    table,
    train,
    verify,
)

_EXAMPLES = """
Examples:

  ehps list --has hands                      which sources label hands
  ehps card bedlam                           licence, how to get it, pitfalls
  ehps check mscoco --raw DIR                is this raw tree what the card says?
  ehps convert mscoco --raw DIR --out DATA   raw files to shards and catalog
  ehps sql --catalog DATA "select dataset, count(*) from people group by 1"
  ehps train demo --catalog DATA --out RUN   train on a mixture
  ehps bench RUN --catalog DATA --out RESULTS
  ehps score --predictions pred.npz --protocol ehf --catalog DATA --model mine
  ehps study datasets --catalog DATA --out STUDY   which data set is worth most alone?
  ehps predict clip.mp4 --checkpoint RUN --detector yolox_x.onnx --out OUT --overlays
  ehps demo                                  all of it, on built-in data
  ehps add dancefloor                        the files of a new source, to fill in
"""

app = typer.Typer(
    name="ehps",
    help="Convert, query, train on and benchmark expressive human pose and shape datasets.",
    epilog=_EXAMPLES.replace("\n", "\n\n").replace("\n\n\n\n", "\n\n"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"ehps {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool | None,
        typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True),
    ] = None,
) -> None:
    """Convert, query, train on and benchmark expressive human pose and shape datasets."""


app.command("list")(list_.list_datasets)
app.command("card")(card.show_card)
app.command("add")(add.add_source)
app.command("check")(check.check_raw)
app.command("convert")(convert.convert_raw)
app.command("repack")(repack.repack_people)
app.command("catalog")(catalog.rebuild_catalog)
app.command("sql")(sql.run_sql)
app.command("verify")(verify.verify_shards)
app.command("gc")(gc.collect_garbage)
app.command("stats")(stats.write_stats)
app.command("diff")(diff.diff_trees)
app.command("leakage")(leakage.find_shared_pictures)
app.add_typer(mix.app, name="mix")
app.add_typer(export.app, name="export")
app.command("preview")(preview.preview_people)
app.command("train")(train.train_recipe)
app.command("bench")(bench.run_benchmark)
app.command("predict")(predict.predict_pictures)
app.command("score")(score.score_file)
app.add_typer(study.app, name="study")
app.add_typer(protocol.app, name="protocol")
app.command("submit")(submit.submit_predictions)
app.command("compare")(compare.compare_results)
app.command("slice")(slice_.slice_result)
app.command("table")(table.print_table)
app.command("dash")(dash.open_dashboard)
app.command("doctor")(doctor.diagnose)
app.command("demo")(demo.run_demo)


def run() -> None:
    """Run the command line: an EhpsError becomes one sentence on stderr and exit code 2."""
    try:
        app()
    except EhpsError as error:
        if "--debug" in sys.argv:
            raise
        typer.secho(f"ehps: {error}", fg="red", err=True)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        typer.secho("ehps: stopped; what was finished is kept, the same command continues", fg="yellow", err=True)
        raise SystemExit(130) from None


if __name__ == "__main__":  # torchrun starts modules
    run()
