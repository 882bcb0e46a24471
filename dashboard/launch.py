"""Starting the dashboard: Streamlit in place of this process, bound to this machine unless told otherwise.

Pictures of licensed data must not be served to a network by accident, hence the default address. All settings are
flags and variables of that process; no configuration file is written.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from ..errors import MissingExtraError
from .settings import environment
from .theme import OPTIONS

APP = Path(__file__).with_name("app.py")

_SERVER: dict[str, str | int | bool] = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorLinks": False,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
}


def launch(
    catalog_dir: Path,
    results_dir: Path,
    port: int = 8501,
    headless: bool = False,
    address: str = "127.0.0.1",
    runs_dir: Path = Path("runs"),
) -> NoReturn:
    """Become the server of the dashboard: this process turns into Streamlit and ends when that is interrupted."""
    if find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "dash")
    arguments = command(port, headless, address)
    os.execve(arguments[0], arguments, {**os.environ, **environment(catalog_dir, results_dir, runs_dir)})


def command(port: int, headless: bool, address: str) -> list[str]:
    """Return the command line that serves the dashboard."""
    options = {**OPTIONS, **_SERVER, "server.port": port, "server.address": address, "server.headless": headless}
    flags = [f"--{name}={_flag(value)}" for name, value in options.items()]
    return [sys.executable, "-m", f"{__package__}.serve", "run", str(APP), *flags]


def _flag(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
