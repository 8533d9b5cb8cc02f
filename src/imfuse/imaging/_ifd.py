"""Directories of TIFF files, and of EXIF data, which have the same form: every entry is bounded before it is read."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from imfuse.imaging._support import DamagedError

Order = Literal["<", ">"]
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ORIENTATION = 274
# A picture with its thumbnails needs few pages, and a page few entries; a chain of them can be long or endless.
_MAX_PAGES = 64
_MAX_ENTRIES = 1000
# Pairs of numbers (rationals) are not needed.
_TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4", 16: "u8",
    17: "i8", 18: "u8",
}  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    dtype: np.dtype[Any]
    count: int
    offset: int


class Directory:
    """The entries of one page. Their values are read from the file when they are asked for."""

    def __init__(self, file: BinaryIO, order: Order, entries: dict[int, _Entry]) -> None:
        self.order = order
        self._file, self._entries = file, entries

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    @property
    def largest(self) -> int:
        """Bytes of the longest entry."""
        return max((entry.count * entry.dtype.itemsize for entry in self._entries.values()), default=0)

    def count(self, tag: int) -> int:
        """How many values an entry has; 0 where there is no such entry."""
        entry = self._entries.get(tag)
        return 0 if entry is None else entry.count

    def numbers(self, tag: int, most: int) -> npt.NDArray[Any]:
        """The first ``most`` values of an entry, or as many as it has; none where there is no such entry."""
        entry = self._entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint32)
        size = min(entry.count, most) * entry.dtype.itemsize
        self._file.seek(entry.offset)
        data = self._file.read(size)
        if len(data) < size:
            raise DamagedError(f"it ends before the values of entry {tag} do (truncated)")
        return np.frombuffer(data, entry.dtype)

    def number(self, tag: int, default: int) -> int:
        """The value of an entry that holds one number."""
        values = self.numbers(tag, 1)
        return int(values[0]) if values.size and values.dtype.kind in "iu" else default

    def data(self, tag: int, most: int) -> bytes:
        """The bytes of an entry; none where there is no such entry, or it has more than ``most`` values."""
        entry = self._entries.get(tag)
        return b"" if entry is None or entry.count > most else self.numbers(tag, most).tobytes()


def directories(file: BinaryIO) -> Iterator[Directory]:
    """Yield the pages of a TIFF file, as far as they are looked at."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head[:4] not in SIGNATURES:
        raise DamagedError("its header holds impossible values")
    order: Order = "<" if head[:2] == b"II" else ">"
    big = head[:4] in SIGNATURES[2:]
    (start,) = _unpack(order + ("Q" if big else "I"), head[8:] if big else head[4:])
    seen: set[int] = set()
    while start and len(seen) < _MAX_PAGES:
        if start in seen:
            raise DamagedError("its pages go round in a circle")
        if start >= end:
            raise DamagedError("it ends before its directory does (truncated)")
        seen.add(start)
        file.seek(start)
        directory, start = _directory(file, order, big, end)
        yield directory


def orientation(exif: bytes) -> int:
    """The orientation in EXIF data, 1 to 8; damaged data must not make a good picture unreadable."""
    try:
        first = next(directories(io.BytesIO(exif.removeprefix(b"Exif\0\0"))))
        value = first.number(ORIENTATION, 1)
    except (DamagedError, StopIteration):
        return 1
    return value if 1 <= value <= 8 else 1


def text(exif: bytes, tag: int, most: int) -> str:
    """A text of the first directory of EXIF data; nothing where it is missing, too long or damaged."""
    try:
        found = next(directories(io.BytesIO(exif.removeprefix(b"Exif\0\0")))).data(tag, most)
    except (DamagedError, StopIteration):
        return ""
    return found.split(b"\0")[0].decode("latin-1").strip()


def _unpack(form: str, data: bytes) -> tuple[Any, ...]:
    if len(data) < struct.calcsize(form):
        raise DamagedError("it ends too early (truncated)")
    return struct.unpack_from(form, data)


def _directory(file: BinaryIO, order: Order, big: bool, end: int) -> tuple[Directory, int]:
    """The directory at the place where the file stands, and the offset of the next one."""
    counter, form, link = (order + part for part in (("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")))
    (count,) = _unpack(counter, file.read(struct.calcsize(counter)))
    if count > _MAX_ENTRIES:
        raise DamagedError(f"a page has {count} entries, at most {_MAX_ENTRIES} are read")
    first, size, inline = file.tell(), struct.calcsize(form), struct.calcsize(link)
    table, rest = file.read(count * size), file.read(inline)
    if len(table) < count * size:
        raise DamagedError("it ends before its directory does (truncated)")
    entries: dict[int, _Entry] = {}
    tags: set[int] = set()
    for number, (tag, kind, values, offset) in enumerate(struct.iter_unpack(form, table)):
        if tag in tags:
            raise DamagedError(f"a page has entry {tag} twice")
        tags.add(tag)
        if kind in _TYPES:
            dtype = np.dtype(_TYPES[kind]).newbyteorder(order)
            if values * dtype.itemsize <= inline:
                offset = first + (number + 1) * size - inline
            entries[tag] = _Entry(dtype, values, min(offset, end))
    # Some writers leave out the link behind the last page.
    return Directory(file, order, entries), struct.unpack(link, rest)[0] if len(rest) == inline else 0
