"""What all pages share while they run: the folders, cached queries, and how to get from page to page.

Every cache is keyed by a snapshot, which is a folder and the fingerprint of what lies in it, so a new conversion or
result shows at the next rerun; within one run of a page the catalog stays the one that it began with (``steady``). A
DuckDB connection is shared by all sessions and each query takes a cursor of its own, because reruns are threads. It
reads a file that nobody changes: a build puts another in its place and waits for no reader.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import streamlit as st

from ..benchmark.results import load_results, read_people, result_files
from ..errors import EhpsError
from ..shards.catalog import open_catalog, partitions_of, query
from ..shards.catalog_files import CATALOG_FILE, catalog_dir
from . import health, inventory, queries
from .lookup import Lookup
from .settings import Folders, folders

_PAGES: dict[str, Any] = {}
_RUN = threading.local()  # ``catalog``: the state of it that the run of a page in this thread keeps to
_TRIES = 8  # runs that a catalog may change under before one is left as it is


@dataclass(frozen=True)
class Snapshot:
    """A file or folder in the state that a fingerprint identifies."""

    path: str
    fingerprint: str  # empty: nothing is there


class ErrorsOf(NamedTuple):
    """One measure of one result, a number a person."""

    path: str  # JSON of the result
    measure: str


def register_pages(pages: dict[str, Any]) -> None:
    """Remember the pages of the app by their short names, so that any page can lead to any other."""
    _PAGES.update(pages)


def page(name: str) -> Any:
    """Return a page of the app, for ``st.page_link``."""
    return _PAGES[name]


def go(name: str, **parameters: str) -> None:
    """Leave for another page, with the given values of its widgets."""
    st.switch_page(_PAGES[name], query_params=parameters)


def name_tab(*words: str) -> None:
    """Name the browser's tab, so that many of them can be told apart: what is most special comes first."""
    st.set_page_config(page_title=" \N{MIDDLE DOT} ".join([*words, "ehps"]))


def here() -> Folders:
    """Return the folders that this dashboard reads."""
    return folders()


def catalog() -> Snapshot:
    """Return the catalog as it is now, or as it was when the run of a page began."""
    return getattr(_RUN, "catalog", None) or _catalog_now()


def _catalog_now() -> Snapshot:
    out = here().catalog
    database = queries.file_fingerprint([queries.catalog_path(out)])
    listed = queries.file_fingerprint([catalog_dir(out) / CATALOG_FILE])
    return Snapshot(str(out), f"{database}-{listed}" if database else "")


@contextmanager
def steady() -> Iterator[None]:
    """Let one run of a page see one state of the catalog, whatever is built meanwhile.

    A run at whose end the catalog is another begins again, so that the page tells nothing of two.
    """
    _RUN.catalog = began = _catalog_now()
    try:
        yield
    except Exception:
        _again(began)
        raise
    finally:
        _RUN.catalog = None
    _again(began)


def _again(began: Snapshot) -> None:
    """Begin the run of the page again if the catalog is no longer the one that it began with."""
    tries = st.session_state.get("catalog_tries", 0)
    if _catalog_now() == began or tries >= _TRIES:
        st.session_state["catalog_tries"] = 0
        return
    st.session_state["catalog_tries"] = tries + 1
    st.rerun()


def has_catalog() -> bool:
    """Return whether anything is converted here."""
    return catalog().fingerprint != ""


def ask(query: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame:
    """Return the answer of a function of ``queries`` over the catalog, computed once for each state of the catalog."""
    return _ask(catalog(), query.__name__, arguments)


@st.cache_data(max_entries=512, show_spinner=False)
def _ask(snapshot: Snapshot, name: str, arguments: tuple) -> pd.DataFrame:
    return getattr(queries, name)(_connection(snapshot).cursor(), *arguments)


@st.cache_resource(max_entries=2, show_spinner=False, on_release=lambda connection: connection.close())
def _connection(snapshot: Snapshot) -> duckdb.DuckDBPyConnection:
    return open_catalog(Path(snapshot.path))


def answer(sql: str, *, is_free: bool = False, errors: ErrorsOf | None = None) -> pd.DataFrame:
    """Return the answer to a question in SQL, computed once for each state of the catalog.

    ``is_free`` sends a question that holds words of a user through a connection that can only read the catalog;
    ``errors`` fills its table person_results. QueryError says what DuckDB objects to.
    """
    path = Path(errors.path) if errors else None
    result = None if path is None else Snapshot(str(path), queries.file_fingerprint([path]))
    return _answer(catalog(), sql, is_free or errors is not None, result, errors.measure if errors else "")


@st.cache_data(max_entries=256, show_spinner=False)
def _answer(snapshot: Snapshot, sql: str, is_free: bool, result: Snapshot | None, measure: str) -> pd.DataFrame:
    if not is_free:
        return _connection(snapshot).cursor().sql(sql).df()
    tables = {} if result is None else {"person_results": queries.errors_table(_people_of_result(result), measure)}
    return query(Path(snapshot.path), sql, tables=tables)


def lookup() -> Lookup:
    """Return where the people of the catalog lie, as it is now."""
    return lookup_of(catalog())


@st.cache_resource(max_entries=2, show_spinner=False)
def lookup_of(snapshot: Snapshot) -> Lookup:
    """Return where the people of a catalog lie."""
    out = Path(snapshot.path)
    return Lookup(out, partitions_of(_connection(snapshot).cursor(), out))


def counts() -> pd.DataFrame:
    """Return what is converted, one row a source; empty when nothing is."""
    return _counts(catalog())


def _counts(snapshot: Snapshot) -> pd.DataFrame:
    return _ask(snapshot, queries.by_dataset.__name__, ()) if snapshot.fingerprint else inventory.no_counts()


def warm_up() -> None:
    """Open the catalog and read the cards before a page asks for them; an error is left to the page that meets it."""
    with suppress(EhpsError, duckdb.Error, OSError):
        sources()
        if has_catalog():
            lookup()


def sources() -> pd.DataFrame:
    """Return the table of all sources: cards, counts and state; what is on this machine comes first."""
    return _sources(catalog(), health.unfinished_datasets(live_units()))


@st.cache_data(max_entries=4, show_spinner=False)
def _sources(snapshot: Snapshot, begun: frozenset[str]) -> pd.DataFrame:
    return inventory.join_catalog(inventory.card_table(), _counts(snapshot), begun)


def live_units() -> list[health.Unit]:
    """Return the state of the units that the engine has touched, a few seconds old at most."""
    return _live_units(str(here().catalog))


@st.cache_data(ttl="5s", max_entries=4, show_spinner=False)
def _live_units(directory: str) -> list[health.Unit]:
    return health.live_units(Path(directory))


def table_key(values: Iterable[Any]) -> str:
    """Return a short name for the rows of a table: a selection made in other rows does not carry over."""
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()[:10]


def results() -> pd.DataFrame:
    """Return one row per model, revision, protocol and measure of every result."""
    directory = here().results
    return _results(Snapshot(str(directory), queries.file_fingerprint(result_files(directory))))


@st.cache_data(max_entries=4, show_spinner=False)
def _results(snapshot: Snapshot) -> pd.DataFrame:
    return load_results(Path(snapshot.path))


@st.cache_data(max_entries=32, show_spinner=False)
def _people_of_result(snapshot: Snapshot) -> pd.DataFrame:
    return read_people(Path(snapshot.path))
