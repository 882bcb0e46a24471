"""A dashboard in a real browser, for tests, measurements and the pictures of the documentation."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from ehps.body.models import ENVIRONMENT
from ehps.dashboard import launch, settings

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
_ANSWERS_WITHIN = 60.0  # seconds
Command = Callable[[int], list[str]]  # words, given a port


@dataclass(frozen=True)
class Server:
    """A dashboard that runs."""

    address: str
    process: subprocess.Popen
    started_s: float  # until it answered


@contextmanager
def serving(catalog: Path, results: Path, runs: Path = Path("runs"), folder: Path = Path()) -> Iterator[str]:
    """Start ``ehps dash`` over some folders and yield its address; it ends with the block.

    Relative paths begin in ``folder``, and pages show them as they are.
    """
    names = {settings.CATALOG: catalog, settings.RESULTS: results, settings.RUNS: runs}
    variables = {name: str(value) for name, value in names.items()}
    with served(lambda port: launch.command(port, True, "127.0.0.1"), variables, folder) as server:
        yield server.address


@contextmanager
def served(command: Command, variables: Mapping[str, str] | None = None, folder: Path = Path()) -> Iterator[Server]:
    """Start a server by the command that a port makes, and yield it; it ends with the block.

    Bodies are the stand-in's, whatever this machine has. RuntimeError holds what the server said if it does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start, address = time.perf_counter(), f"http://127.0.0.1:{port}"
    environment = os.environ | {ENVIRONMENT: "standin", **(variables or {})}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command(port), env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            if not _answers(f"{address}/_stcore/health", process):
                log.seek(0)
                raise RuntimeError(f"the server does not answer: {log.read()}")
            yield Server(address, process, time.perf_counter() - start)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _answers(address: str, process: subprocess.Popen) -> bool:
    """Return whether the server comes up."""
    end = time.monotonic() + _ANSWERS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            with urlopen(address, timeout=2):
                return True
        except URLError:
            time.sleep(0.02)
    return False


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a headless browser of Playwright, the system's own Chromium; a test without one is skipped."""
    if not Path(CHROMIUM).is_file():
        pytest.skip("Chromium is not installed: run make browser as root, or apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


# Streamlit says on its root whether a run is under way; what is still to be drawn is stale or has a placeholder, and a
# view in 3D says so once it is drawn.
_AT_REST = """
(() => {
  const app = document.querySelector('[data-testid=stApp]');
  const pending = '[data-testid=stSkeleton], [data-testid=stAppSkeleton], [data-testid=stSpinner], [data-stale=true], '
    + '[data-testid=stBidiComponentIsolated]:not([data-drawn])';  // a view in 3D says so once it is drawn
  return app && app.dataset.testConnectionState === 'CONNECTED' && app.dataset.testScriptState === 'notRunning'
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
    && !document.querySelector(pending) && [...document.images].every(image => image.complete);
})()
"""


def settle(page: Any) -> None:
    """Wait until the app has finished its run and drawn it; an exception on the page fails."""
    page.wait_for_selector("[data-testid=stMain]", timeout=60_000)
    for _ in range(2):  # a rerun may begin in between
        page.wait_for_function(_AT_REST, timeout=60_000)
        page.wait_for_timeout(400)
    trouble = page.locator("[data-testid=stException]")
    assert trouble.count() == 0, trouble.first.inner_text()
