"""The reference of the command line as Markdown, made from the help texts themselves.

``python -m ehps.cli.reference`` writes ``docs/cli.md``; a test compares the two.
"""

from pathlib import Path
from typing import Any

import typer

from .main import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"


def reference() -> str:
    """Return one section a verb: what it does, its arguments and options."""
    root = typer.main.get_command(app)
    lines = ["# Command line", "", "Made by `make docs` from `--help`; a test keeps it true.", ""]
    for path, command in _verbs(root, ("ehps",)):
        lines += [f"## `{' '.join(path)}`", "", (command.help or "").strip(), "", *_parameters(command), ""]
    return "\n".join(lines)


def _verbs(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(path, command)]
    return [found for name, child in inner.items() for found in _verbs(child, (*path, name))]


def _parameters(command: Any) -> list[str]:
    rows = ["| | |", "|---|---|"]
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        is_option = parameter.param_type_name == "option"
        name = ", ".join(parameter.opts) if is_option else (parameter.metavar or parameter.name.upper())
        rows.append(f"| `{name}` | {getattr(parameter, 'help', None) or ''} |")
    return rows


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
