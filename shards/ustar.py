"""Tar files as strict and repeatable as the format allows.

USTAR (POSIX.1-1988) only: names of at most 100 bytes, owner 0, mode 0644, time 0, members of a sample adjacent.
"""

import ctypes
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from .digest import new_digest
from .native import library

library.ehps_crc32.restype = ctypes.c_uint32
library.ehps_crc32.argtypes = [ctypes.c_char_p, ctypes.c_int64]

BLOCK = 512
_END = bytes(2 * BLOCK)
_PORTION = 1 << 20  # bytes that are handed to the system at once
_FLUSH = 64 << 20  # bytes after which they go on to the disk
_SMALL = 1 << 14  # bytes of a part that is joined to its neighbours rather than handed over as it is
_MAX_IN_FLIGHT = 8  # portions that may wait to be written


class Place(NamedTuple):
    """Where a member lies in its tar."""

    offset: int
    size: int
    crc32: int


_FIXED = b"0000644\0" + b"0000000\0" * 2  # mode, user, group
_REST = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)  # a regular file, no link, magic and version
# The checksum counts its own field as eight spaces; the time is eleven digits of zero.
_FIXED_SUM = sum(_FIXED) + sum(b"00000000000") + sum(b" " * 8) + sum(_REST)


def tar_header(name: str, size: int) -> bytes:
    """Return the USTAR header of a regular file; mode 0644, owner 0, time 0."""
    encoded, octal = name.encode("ascii"), b"%011o" % size
    checksum = _FIXED_SUM + sum(encoded) + sum(octal)
    return b"%s%s%s\0%s\0%06o\0 %s" % (encoded.ljust(100, b"\0"), _FIXED, octal, b"00000000000", checksum, _REST)


def crc32(data: bytes) -> int:
    """Return the CRC-32 of bytes as zlib has it, several times as fast."""
    return library.ehps_crc32(data, len(data))


def sample_size(members: Mapping[str, bytes]) -> int:
    """Return the bytes that a sample takes in a tar."""
    return sum(BLOCK + len(data) + -len(data) % BLOCK for data in members.values())


class TarWriter:
    """One new tar; a thread of its own writes it while the next samples are made.

    Large members are handed over as they are, so they are not copied on the way to the system.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._file = path.open("xb", buffering=0)
        self._hash = new_digest()
        self._flushed = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ehps-tar")
        self._in_flight: deque[Future[None]] = deque()

    def add(self, key: str, members: Mapping[str, bytes]) -> list[Place]:
        """Append one sample, given its members by extension; return where each of them lies."""
        places = []
        for ext, data in members.items():
            header, padding = tar_header(f"{key}.{ext}", len(data)), _END[: -len(data) % BLOCK]
            places.append(Place(self.size + BLOCK, len(data), crc32(data)))
            self._put([header, data, padding])
        return places

    def _put(self, parts: list[bytes]) -> None:
        """Take in bytes, and hand over what has come together."""
        size = sum(map(len, parts))
        self._waiting += parts
        self._waiting_bytes += size
        self.size += size
        if self._waiting_bytes >= _PORTION:
            self._hand_over()

    def _hand_over(self) -> None:
        """Hash the bytes that wait and give them to the thread; an error that it met before is raised here."""
        while len(self._in_flight) >= _MAX_IN_FLIGHT:
            self._in_flight.popleft().result()
        parts = list(_merged(self._waiting))
        self._in_flight.append(self._thread.submit(self._write, parts))
        for part in parts:
            self._hash.update(part)
        self._waiting, self._waiting_bytes = [], 0

    def _write(self, parts: list[bytes]) -> None:
        """Write bytes, and let the disk begin before the shard is full."""
        _write_all(self._file.fileno(), parts)
        if self._file.tell() - self._flushed >= _FLUSH:
            os.fsync(self._file.fileno())
            self._flushed = self._file.tell()

    def close(self) -> str:
        """End the archive, bring it to the disk and return its BLAKE3."""
        self._put([_END])
        self._hand_over()
        while self._in_flight:
            self._in_flight.popleft().result()
        os.fsync(self._file.fileno())
        self.abandon()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._thread.shutdown(cancel_futures=True)
        self._file.close()


def _merged(parts: list[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in fewer parts: one system call takes a limited number of them."""
    for is_small, run in groupby(parts, lambda part: len(part) < _SMALL):
        if is_small:
            yield b"".join(run)
        else:
            yield from run


def _write_all(descriptor: int, parts: list[bytes]) -> None:
    """Write buffers one after the other; the system may take fewer bytes at a time than it is given."""
    left = sum(map(len, parts)) - os.writev(descriptor, parts)
    if left:
        rest = memoryview(b"".join(parts))[-left:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
