"""Bytes of tars that were read ahead, and frames that take theirs from them."""

from collections.abc import Callable, Sequence

from ..errors import ShardError
from .stored import TarFile
from .ustar import Place


class Part:
    """Some bytes of a tar that one or more people need."""

    __slots__ = ("data", "place", "users")

    def __init__(self, place: Place) -> None:
        self.place, self.data, self.users = place, b"", 0


class HeldTar(TarFile):
    """A tar some of whose bytes are in memory; others, and those that did not come, are read from the tar itself."""

    def __init__(self, tar: TarFile, parts: Sequence[Part], missed: Callable[[], None]) -> None:
        """``missed`` is called for each read of bytes that are not among the parts."""
        super().__init__(tar.path, tar.size)
        self._tar, self._parts, self._missed = tar, parts, missed

    def _pread(self, place: Place) -> bytes:
        for part in self._parts:
            first = place.offset - part.place.offset
            if 0 <= first <= len(part.data) - place.size:
                return part.data if len(part.data) == place.size else part.data[first : first + place.size]
        self._missed()
        return self._tar.unchecked(place.offset, place.offset + place.size)

    def _damaged(self, offset: int, size: int) -> ShardError:
        return self._tar._damaged(offset, size)
