"""``ehps protocol``: the protocols of the benchmark, listed and told in words."""

from typing import Annotated

import typer

from .options import JsonOption
from .output import emit_json, emit_table

app = typer.Typer(
    name="protocol",
    help="List the protocols of the benchmark, or show one in words.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_protocols(as_json: JsonOption = False) -> None:
    """List every protocol: data set, truth, headline, and whether there is a converter.

    Example: ehps protocol list
    """
    from ..benchmark.protocol import protocols
    from ..converters import converter_ids

    known = set(converter_ids())
    rows = [
        {
            "protocol": protocol.id,
            "version": protocol.version,
            "dataset": protocol.dataset,
            "split": protocol.split,
            "truth": protocol.ground_truth,
            "primary": protocol.primary,
            "converter": protocol.dataset in known,
        }
        for protocol in protocols().values()
    ]
    emit_json(rows) if as_json else emit_table(rows)


@app.command("show")
def show_protocol(name: Annotated[str, typer.Argument(help="Its id, or the path of your own file.")]) -> None:
    """Show a protocol in words: who is asked, what is compared and how.

    Example: ehps protocol show pw3d_h36m14
    """
    from ..benchmark.describe import describe
    from ..benchmark.protocol import load_protocol
    from ..converters import converter_ids

    protocol = load_protocol(name)
    typer.echo(describe(protocol))
    if protocol.dataset not in converter_ids():
        typer.echo(f"There is no converter of {protocol.dataset} yet, so nobody can be scored.")
