"""Timing a page of the dashboard as its reader sees it, in a headless browser, and what the server spent on it.

A page counts as settled when the browser is connected, no script runs, nothing on it is stale or a placeholder, all of
its pictures are there, and what it shows stays the same for 0.4 seconds; the time is that of the last change before.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ehps.tests.dashboard.browsing import Command, Server

_TICKS = os.sysconf("SC_CLK_TCK")
_WITHIN = 120_000  # ms
_WATCH = """
(() => {
  const busy = '[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-testid=stAppSkeleton], '
    + '[data-testid=stSpinner], [data-stale=true], [data-testid=stBidiComponentIsolated]:not([data-drawn])';
  const watch = window.__watch = {asked: 0, before: null, look: '', since: 0, settled: null};
  const isCalm = app => app && app.dataset.testConnectionState === 'CONNECTED'
    && app.dataset.testScriptState === 'notRunning' && !document.querySelector(busy)
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
    && [...document.images].every(image => image.complete);
  const lookOf = app => [app.textContent, app.querySelectorAll('*').length,
    ...[...document.images].map(image => image.src),
    ...[...document.querySelectorAll('[data-drawn]')].map(view => view.dataset.drawn),
    ...[...document.querySelectorAll('canvas')].map(canvas => `${canvas.width}x${canvas.height}`)].join('|');
  window.addEventListener('pointerdown', () => { watch.asked = performance.now(); }, true);
  window.addEventListener('input', () => { watch.asked = performance.now(); }, true);
  setInterval(() => {
    const app = document.querySelector('[data-testid=stApp]');
    const look = isCalm(app) ? lookOf(app) : '';
    if (look !== watch.look) { watch.look = look; watch.since = performance.now(); watch.settled = null; }
    else if (look && look !== watch.before && performance.now() - watch.since > 400)
      watch.settled = watch.since - watch.asked;
  }, 25);
})()
"""


@dataclass(frozen=True)
class Opened:
    """How long somebody waited, and what it cost the server."""

    wall_s: float
    cpu_s: float
    browser_cpu_s: float


def _stat(pid: int) -> list[str]:
    """Return what Linux says of a process, from its parent on; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _used(stat: list[str]) -> float:
    return (int(stat[10]) + int(stat[11])) / _TICKS if stat else 0.0


def cpu_s(server: Server) -> float:
    """Return how many seconds of processors a server has used."""
    return _used(_stat(server.process.pid))


def _browser_cpu_s(server: Server) -> float:
    """Return how many seconds of processors everything that this process has started has used, but for the server."""
    stats = {int(path.name): _stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    wanted, found = {os.getpid()}, 0.0
    while more := {pid for pid, stat in stats.items() if stat and int(stat[0]) in wanted} - {server.process.pid}:
        found += sum(_used(stats.pop(pid)) for pid in more)
        wanted = more
    return found


def dash(catalog: Path, results: Path, runs: Path) -> Command:
    """Return the command that a user types to open the dashboard."""
    folders = ["--catalog", str(catalog), "--results", str(results), "--runs", str(runs)]
    words = [str(Path(sys.executable).with_name("ehps")), "dash", *folders, "--headless"]
    return lambda port: [*words, "--port", str(port)]


def new_page(context: Any) -> Any:
    """Return a page of a browser that watches itself."""
    page = context.new_page()
    page.add_init_script(_WATCH)
    return page


def opened(page: Any, server: Server, path: str) -> Opened:
    """Open an address and wait until the page has settled."""
    return _timed(page, server, lambda: page.goto(server.address + path, wait_until="commit"))


def acted(page: Any, server: Server, act: Any) -> Opened:
    """Do something on a settled page and wait until it has settled on something else."""
    page.evaluate("window.__watch.before = window.__watch.look; window.__watch.settled = null")
    return _timed(page, server, act)


def _timed(page: Any, server: Server, act: Any) -> Opened:
    before, browser = cpu_s(server), _browser_cpu_s(server)
    act()
    settled = page.wait_for_function("window.__watch?.settled ?? false", timeout=_WITHIN, polling=50)
    wall = settled.json_value() / 1000
    trouble = page.locator("[data-testid=stException]")
    assert trouble.count() == 0, trouble.first.inner_text()
    return Opened(wall, cpu_s(server) - before, _browser_cpu_s(server) - browser)
