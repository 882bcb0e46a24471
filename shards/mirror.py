"""The catalog of a tree on a store, kept in the local cache: it is small, and SQL and mapped arrays need local files.

What lies at a URL is looked at once; a partition, whose folder is named by the fingerprint of its shards, is fetched
when it is not there yet, and checked against its checksums. The tars stay where they are (``origin``).
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from ..errors import ShardError
from .catalog_files import CATALOG, CATALOG_FILE, FOLDER, LAYOUT, PARTITION_FILE
from .digest import file_digest
from .remote import child, copy_file, is_url, read_file
from .tree import read_sealed, sealed_text, temporary_folder

ORIGIN_FILE = "origin.json"


def local_catalog(data: Path | str) -> Path:
    """Return a local folder with the catalog of a converted tree: the tree itself, or for a URL a copy in the cache.

    The copy knows where the tars are, so it can be given to everything that reads a converted tree (``mixture.mix``,
    ``catalog.query``, ``PeopleIndex.open``). ShardError when there is no catalog at the URL or a file of it is damaged.
    """
    if not is_url(data):
        return Path(data)
    url = str(data).rstrip("/")
    out = _cache() / hashlib.sha256(url.encode()).hexdigest()[:16]
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    listed = f"{url}/{FOLDER}/{CATALOG_FILE}"
    with temporary_folder(out, "fetch") as folder:
        found = _listed(url, listed)
        (folder / CATALOG_FILE).write_bytes(found)
        content = _sealed(folder / CATALOG_FILE, listed)
        if content["layout"] != LAYOUT:
            raise ShardError(listed, "was written by another version of ehps", "run ehps catalog and upload it again")
        for partition in content["partitions"]:
            _fetch_partition(url, out, partition["folder"], folder)
        if _is_new(out, found):
            (folder / ORIGIN_FILE).write_text(sealed_text({"url": url}), encoding="utf-8")
            (folder / ORIGIN_FILE).replace(out / ORIGIN_FILE)
            _fetch(url, content["files"], folder / "files")
            for name in content["files"]:
                (folder / "files" / name).replace(out / name)
            (folder / CATALOG_FILE).replace(out / FOLDER / CATALOG_FILE)
    return out


def origin(out: Path) -> str | None:
    """Return the URL of the tars where a folder is the copy of a catalog in the cache, else None."""
    try:
        return read_sealed(Path(out) / ORIGIN_FILE)["url"]
    except FileNotFoundError:
        return None


def _cache() -> Path:
    """Return the folder of all copies."""
    return Path(os.environ.get("EHPS_CACHE") or platformdirs.user_cache_dir("ehps")) / "catalogs"


def _listed(url: str, listed: str) -> bytes:
    """Return the list of the catalog's files at a URL."""
    try:
        return read_file(listed)
    except ShardError as error:
        if error.problem == "is not there":
            hint = "run ehps catalog where the tree was converted and upload the whole folder"
            raise ShardError(url, "there is no catalog of a converted tree here", hint) from error
        raise


def _is_new(out: Path, listed: bytes) -> bool:
    """Return whether the copy is of another catalog, or of none yet."""
    there = [out / FOLDER / CATALOG_FILE, out / ORIGIN_FILE, out / CATALOG]
    return not all(path.is_file() for path in there) or there[0].read_bytes() != listed


def _fetch_partition(url: str, out: Path, name: str, folder: Path) -> None:
    """Fetch a partition that is not there yet."""
    target = out / FOLDER / name
    if target.is_dir():
        return
    source, built = f"{url}/{FOLDER}/{name}", folder / name
    built.mkdir(parents=True)
    copy_file(f"{source}/{PARTITION_FILE}", built / PARTITION_FILE)
    _fetch(source, _sealed(built / PARTITION_FILE, f"{source}/{PARTITION_FILE}")["files"], built)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        built.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise
        shutil.rmtree(built)


def _fetch(url: str, files: Mapping[str, str], folder: Path) -> None:
    """Fetch files, given their checksums by their paths."""
    for name, blake3 in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy_file(str(child(url, name)), folder / name)
        if file_digest(folder / name) != blake3:
            raise ShardError(f"{url}/{name}", "its bytes are not what its checksum says", "upload the tree again")


def _sealed(path: Path, url: str) -> dict[str, Any]:
    """Return the content of a fetched file that carries its own checksum."""
    try:
        return read_sealed(path)
    except ShardError as error:
        raise ShardError(url, error.problem, "upload the tree again") from error
