"""The process behind ``ehps dash``: which command it is, and what it loads before somebody looks."""

import sys
import threading
import time

import pytest

from ehps.dashboard import launch, loading, serve, shell


def test_the_command_is_streamlits_with_the_thread_that_loads():
    words = launch.command(1234, True, "127.0.0.1")
    assert words[:4] == [sys.executable, "-m", "ehps.dashboard.serve", "run"]
    assert words[4].endswith("app.py")


def test_the_overview_and_then_every_other_page_is_loaded(monkeypatch):
    loaded = []
    monkeypatch.setattr("streamlit.runtime.exists", lambda: True)
    monkeypatch.setattr(serve, "load", lambda name: loaded.append(name) or shell)
    serve._warm_up()
    pages = [f"views.{place.name}" for places in shell.MENU.values() for place in places]
    assert loaded == ["shell", *pages]
    assert pages[0] == "views.overview"  # where people arrive


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
