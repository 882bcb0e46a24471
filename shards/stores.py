"""Filesystems of fsspec by URL: ``s3://bucket/folder``, ``gs://``, ``http://``, ``file://``, ``memory://``, ...

Keys, endpoints and the like come from fsspec's configuration (~/.config/fsspec, FSSPEC_S3_KEY, ...) and from what the
store's own tools read (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ~/.aws).
"""

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError, ShardError

CONNECTIONS = 64  # to an object store at once; the default of its library is 10
_S3 = ("s3", "s3a")
_OURS = (*_S3, "http", "https")  # what ehps[remote] brings


def is_url(place: Path | str) -> bool:
    """Return whether a place is a URL, and not a path."""
    return "://" in str(place)


@lru_cache(maxsize=4096)
def _opened(url: str, _process: int) -> tuple[Any, str]:
    """Return the filesystem of a URL and the path in it; connections are not shared with other processes."""
    import fsspec

    protocol = url.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in _S3:
        known = configured(protocol).get("config_kwargs", {})
        options["config_kwargs"] = {"max_pool_connections": CONNECTIONS, "retries": {"max_attempts": 0}} | known
    try:
        store, path = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        if protocol in _OURS:
            raise MissingExtraError("s3fs" if protocol.startswith("s3") else "aiohttp", "remote") from error
        raise ShardError(url, f"fsspec cannot read {protocol} here", f"install what it names: {error}") from error
    except ValueError as error:
        raise ShardError(url, f"fsspec knows no such place ({error})", "give a URL like s3://bucket/folder") from error
    if protocol in _S3:
        store.retries = 1  # remote.tried asks again
    return store, path


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL in this process and the path in it; MissingExtraError, ShardError."""
    return _opened(url, os.getpid())


def configured(protocol: str) -> dict[str, Any]:
    """Return what fsspec's configuration says about a protocol."""
    from fsspec.config import conf

    return conf.get(protocol, {})


def store_errors() -> tuple[type[Exception], ...]:
    """Return the errors that stores raise, of the libraries that are in use."""
    kinds: list[type[Exception]] = [OSError, EOFError]
    for module, name in (("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError")):
        if module in sys.modules:
            kinds.append(getattr(sys.modules[module], name))
    return tuple(kinds)
