"""Tar files as strict and repeatable as the format allows.

USTAR (POSIX.1-1988) only: names of at most 100 bytes, owner 0, mode 0644, time 0, members of a sample adjacent.
"""

import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

BLOCK = 512
_END = bytes(2 * BLOCK)


class Place(NamedTuple):
    """Where a member lies in its tar."""

    offset: int
    size: int
    crc32: int


def tar_header(name: str, size: int) -> bytes:
    """Return the USTAR header of a regular file; mode 0644, owner 0, time 0."""
    header = bytearray(BLOCK)
    encoded = name.encode("ascii")
    header[: len(encoded)] = encoded
    header[100:124] = b"0000644\0" + b"0000000\0" * 2  # mode, user, group
    header[124:148] = b"%011o\0" % size + b"00000000000\0"  # size, time
    header[148:157] = b"        0"  # the checksum counts its own field as spaces; 0 is a regular file
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sample_size(members: Mapping[str, bytes]) -> int:
    """Return the bytes that a sample takes in a tar."""
    return sum(BLOCK + len(data) + -len(data) % BLOCK for data in members.values())


class TarWriter:
    """One new tar, hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._file = path.open("xb", buffering=1 << 20)
        self._hash = hashlib.sha256()

    def add(self, key: str, members: Mapping[str, bytes]) -> list[Place]:
        """Append one sample, given its members by extension; return where each of them lies."""
        places, parts, offset = [], [], self.size
        for ext, data in members.items():
            padding = bytes(-len(data) % BLOCK)
            parts += [tar_header(f"{key}.{ext}", len(data)), data, padding]
            places.append(Place(offset + BLOCK, len(data), zlib.crc32(data)))
            offset += BLOCK + len(data) + len(padding)
        self._put(b"".join(parts))
        return places

    def _put(self, data: bytes) -> None:
        """Write and hash bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def close(self) -> str:
        """End the archive, bring it to the disk and return its SHA-256."""
        self._put(_END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.close()
