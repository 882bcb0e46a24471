"""The process behind ``ehps dash``: which command it is, and what it loads before somebody looks."""

import subprocess
import sys
import threading
import time

import pytest

from ehps.dashboard import launch, loading, serve, shell, state
from ehps.dashboard.settings import Folders


def test_the_command_is_streamlits_with_the_thread_that_loads():
    words = launch.command(1234, True, "127.0.0.1")
    assert words[:4] == [sys.executable, "-m", "ehps.dashboard.serve", "run"]
    assert words[4].endswith("app.py")


def test_the_overview_and_then_every_other_page_is_loaded(monkeypatch):
    loaded = []
    monkeypatch.setattr("streamlit.runtime.exists", lambda: True)
    monkeypatch.setattr(serve, "load", lambda name: loaded.append(name) or (state if name == "state" else shell))
    monkeypatch.setattr(state, "warm_up", lambda: loaded.append("warm"))
    serve._warm_up()
    pages = [f"views.{place.name}" for places in shell.MENU.values() for place in places]
    assert loaded == ["shell", "state", "warm", *pages]
    assert pages[0] == "views.overview"  # where people arrive


def test_what_nobody_waits_for_stands_back_while_a_page_is_drawn_and_looked_at(monkeypatch):
    monkeypatch.setattr(loading, "_LOOK", 0.1)
    went_on = []
    thread = threading.Thread(target=lambda: (loading.wait_until_calm(), went_on.append(time.monotonic())))
    with loading.drawing():
        thread.start()
        time.sleep(0.15)
        assert not went_on
    ended = time.monotonic()
    thread.join(timeout=5)
    assert went_on[0] - ended >= 0.09


def test_a_page_that_breaks_is_drawn_no_more():
    with pytest.raises(ZeroDivisionError), loading.drawing():
        raise ZeroDivisionError
    assert not loading._DRAWING.threads


def test_a_catalog_is_open_before_somebody_looks(tree, monkeypatch):
    monkeypatch.setattr(state, "folders", lambda: Folders(tree.catalog, tree.results, tree.results))
    state.warm_up()
    asked = []
    monkeypatch.setattr(state, "open_catalog", lambda path: asked.append(path))
    assert state.counts()["people"].sum() == 28
    assert asked == []


@pytest.mark.parametrize("catalog", ["nothing", "damaged"])
def test_a_catalog_that_cannot_be_opened_is_left_to_the_page(tmp_path, monkeypatch, catalog):
    if catalog == "damaged":
        (tmp_path / "catalog.duckdb").write_bytes(b"no database")
    monkeypatch.setattr(state, "folders", lambda: Folders(tmp_path, tmp_path, tmp_path))
    state.warm_up()


def test_the_first_page_waits_for_no_body():
    """SciPy, which benchmarks measure bodies with and which builds the stand-in, is not needed to look around."""
    pages = [f"views.{place.name}" for places in shell.MENU.values() for place in places if place.name != "person"]
    code = f"import sys; from ehps.dashboard.loading import load; [*map(load, {pages})]; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_two_threads_load_one_after_the_other(monkeypatch):
    inside, most = [], []

    def slow(name, _package):
        inside.append(name)
        most.append(len(inside))
        time.sleep(0.02)
        inside.remove(name)
        return sys

    monkeypatch.setattr(loading, "import_module", slow)
    threads = [threading.Thread(target=loading.load, args=(f"views.{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_module_that_is_not_there_is_an_error():
    with pytest.raises(ModuleNotFoundError):
        loading.load("views.nothing")
