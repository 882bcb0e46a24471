"""Files on any store that fsspec can reach: ranged reads, retries, and errors in one sentence.

A tree may lie at ``s3://bucket/folder``, ``gs://``, ``http://``, ``file://``, ``memory://``. Keys, endpoints and the
like come from fsspec's configuration (~/.config/fsspec, FSSPEC_S3_KEY, ...) and from what the store's own tools read
(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ~/.aws).
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import EhpsError, ShardError
from .direct import direct_range
from .stored import TarFile
from .stores import filesystem, is_url, store_errors
from .ustar import Place

RETRIES = 6  # after the first try
FIRST_PAUSE = 0.1  # s before the first of them; each pause is twice the one before
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or key and secret in fsspec's configuration"

Answer = TypeVar("Answer")


def child(root: Path | str, path: str) -> Path | str:
    """Return the place of a file below a folder or a URL."""
    return f"{str(root).rstrip('/')}/{path}" if is_url(root) else Path(root) / path


def _lasting(url: str, error: Exception) -> EhpsError | None:
    """Return what to say of an error that another try would not mend; None for all others."""
    said, kind = " ".join(str(error).split()) or type(error).__name__, type(error).__name__
    if "bucket does not exist" in said:
        return ShardError(url, "there is no such bucket", "look at the URL, and at the endpoint that is asked")
    if isinstance(error, FileNotFoundError):
        return ShardError(url, "is not there", "look at the URL, or upload the tree again")
    if "not satisfiable" in said:
        return ShardError(url, "ends before the bytes that are asked for", "upload the tree again")
    if kind in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound"):
        return ShardError(url, f"there are no credentials for this store ({said})", _CREDENTIALS)
    if isinstance(error, PermissionError):
        return ShardError(url, f"the store refuses to let you read it ({said})", _CREDENTIALS)
    return None


def tried(url: str, ask: Callable[[], Answer]) -> Answer:
    """Return the answer of a store, asking again with growing pauses where an error may pass; ShardError at last."""
    pause = FIRST_PAUSE
    for attempt in range(1 + RETRIES):
        try:
            return ask()
        except EhpsError:
            raise
        except store_errors() as error:
            if (lasting := _lasting(url, error)) is not None:
                raise lasting from error
            if attempt == RETRIES:
                said = " ".join(str(error).split()) or type(error).__name__
                raise ShardError(
                    url, f"cannot be read, tried {attempt + 1} times ({said})", "try again later"
                ) from error
        time.sleep(pause)
        pause *= 2
    raise AssertionError("the last attempt returns or raises")


def read_range(url: str, start: int, end: int) -> bytes:
    """Return bytes [start, end) of a file; ShardError when the store does not give them all."""
    return tried(url, lambda: _asked(url, start, end))


def _asked(url: str, start: int, end: int) -> bytes:
    """Return bytes of a file, asked for once; EOFError where some are missing."""
    data = direct_range(url, start, end) if end > start else b""
    if data is None:
        store, path = filesystem(url)
        data = store.cat_file(path, start=start, end=end)
    if len(data) != end - start:
        raise EOFError(f"the store gave {len(data)} of the {end - start} bytes at {start}")
    return data


def read_file(url: str) -> bytes:
    """Return a whole small file."""
    store, path = filesystem(url)
    return tried(url, lambda: store.cat_file(path))


def copy_file(url: str, target: Path) -> None:
    """Write a file of any size to a local path."""
    store, path = filesystem(url)
    tried(url, lambda: store.get_file(path, str(target)))


class RemoteTar(TarFile):
    """Reads members of one tar on a store by their places, each with a request of its own."""

    def is_at_hand(self, place: Place) -> bool:  # noqa: ARG002 - as in a local tar
        """Return that every byte has to be asked for."""
        return False

    def _pread(self, place: Place) -> bytes:
        end = place.offset + place.size
        if self.size is not None and end > self.size:
            raise self._damaged(place.offset, place.size)
        try:
            return read_range(str(self.path), place.offset, end)
        except ShardError as error:
            raise self._changed() or error from error

    def _damaged(self, offset: int, size: int) -> ShardError:
        return self._changed() or super()._damaged(offset, size)

    def _changed(self) -> ShardError | None:
        """Return what to say where the file is not of the size that its sidecar says."""
        with contextlib.suppress(EhpsError, *store_errors()):
            store, path = filesystem(str(self.path))
            found = store.info(path)["size"]
            if self.size is not None and found is not None and found != self.size:
                problem = f"has {found} bytes, the catalog says {self.size}: it has changed since"
                return ShardError(str(self.path), problem, "upload the tree again, with its catalog")
        return None


def tar_at(place: Path | str, size: int | None = None) -> TarFile:
    """Return the reader of a tar at a path or a URL."""
    return RemoteTar(str(place), size) if is_url(place) else TarFile(Path(place), size)
