"""Reads TensorFlow checkpoints without TensorFlow: ``NAME.index`` and ``NAME.data-00000-of-00001`` ("TensorBundle" v2).

The index is a sorted string table (as of LevelDB) of one protocol buffer per tensor; the data file is their raw bytes.
Every length is checked before it is used, and nothing is larger in memory than the files are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from imfuse.core.errors import WeightsError
from imfuse.core.files import read_input
from imfuse.core.text import printable, shortened

INDEX = ".index"
DATA = ".data-00000-of-00001"
MAGIC = 0xDB4775248B80FB57
FOOTER = 48
MAX_INDEX = 2 << 20
MAX_DATA = 512 << 20
MAX_ENTRIES = 10_000
MAX_VALUE = 4096
MAX_RANK = 8
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
Message = dict[int, list[Any]]


class _Damaged(Exception):
    """What is wrong with the bytes."""


def data_file(index: Path) -> Path:
    """The file that holds the numbers of an index."""
    return index.with_name(index.name.removesuffix(INDEX) + DATA)


def read_bundle(index: Path) -> dict[str, NDArray[Any]]:
    """Tensors of a checkpoint by name, as stored (kernels are height, width, inputs, outputs). Raises ``WeightsError``.

    All checksums are verified.
    """
    table = read_input(index, WeightsError, "a TensorFlow index", MAX_INDEX, fixed=True)
    try:
        entries = dict(_tensors(table))
    except _Damaged as error:
        raise WeightsError(f"{printable(index)}: not a readable TensorFlow index ({error})") from None
    source = data_file(index)
    if not source.exists():
        pair = f"*{INDEX} and *{DATA}"
        raise WeightsError(f"{printable(source)}: no such file; a TensorFlow checkpoint is a pair of files, {pair}")
    data = read_input(source, WeightsError, "a TensorFlow data file", MAX_DATA, fixed=True) if entries else b""
    found, left = {}, len(data)
    for name, message in entries.items():
        try:
            found[name] = _tensor(_message(message), data, left)
        except _Damaged as error:
            raise WeightsError(f"{printable(source)}: {shortened(name)}: {error}") from None
        # Tensors do not overlap, so that together they are no larger than the file.
        left -= found[name].nbytes
    return found


# The table


def _tensors(table: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and message of every tensor of the index."""
    if len(table) < FOOTER:
        raise _Damaged(f"{len(table)} bytes are too few")
    footer = table[-FOOTER:]
    if struct.unpack_from("<Q", footer, 40)[0] != MAGIC:
        raise _Damaged("it does not end as one does")
    place = 0
    for _ in range(2):
        _, place = _varint(footer, place)
    offset, place = _varint(footer, place)
    size, _ = _varint(footer, place)
    names: set[str] = set()
    shards, end = 0, 0
    for _, handle in _entries(_block(table, offset, size)):
        offset, place = _varint(handle, 0)
        size, _ = _varint(handle, place)
        if offset < end:
            raise _Damaged("its blocks overlap")
        end = offset + size
        for key, value in _entries(_block(table, offset, size)):
            if not key:
                header = _message(value)
                shards = _number(header, 1)
                if _number(header, 2) != 0:
                    raise _Damaged("its numbers are big-endian")
                continue
            try:
                name = key.decode()
            except UnicodeDecodeError:
                raise _Damaged("a name is not UTF-8") from None
            if name in names:
                raise _Damaged(f"{shortened(name)} is there twice")
            names.add(name)
            if len(names) > MAX_ENTRIES:
                raise _Damaged("too many names")
            yield name, value
    if shards != 1:
        raise _Damaged(f"its numbers lie in {shards} files; only one is read")


def _block(table: bytes, offset: int, size: int) -> bytes:
    """Contents of a block: behind it are the way it is compressed and a checksum."""
    if offset + size + 5 > len(table):
        raise _Damaged("a block lies outside the file")
    if table[offset + size] != 0:
        raise _Damaged("it is compressed")
    _check(table[offset : offset + size + 1], struct.unpack_from("<I", table, offset + size + 1)[0])
    return table[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of a block's entries; a key is stored as what differs from the key before it."""
    if len(block) < 8:
        raise _Damaged("a block is too short")
    restarts = struct.unpack_from("<I", block, len(block) - 4)[0]
    end = len(block) - 4 - 4 * restarts
    if restarts < 1 or end < 0:
        raise _Damaged("a block's list of restarts does not fit")
    key: bytes | None = None
    place = count = letters = 0
    while place < end:
        shared, place = _varint(block, place)
        added, place = _varint(block, place)
        length, place = _varint(block, place)
        if shared > len(key or b"") or place + added + length > end:
            raise _Damaged("an entry does not fit into its block")
        previous, key = key, (key or b"")[:shared] + block[place : place + added]
        if previous is not None and key <= previous:
            raise _Damaged("its names are not in order")
        count, letters = count + 1, letters + len(key)
        # Keys that share a long beginning could together be far larger than the file.
        if count > MAX_ENTRIES or letters > MAX_INDEX or length > MAX_VALUE:
            raise _Damaged("too many names, or too much about one")
        yield key, block[place + added : place + added + length]
        place += added + length


# Protocol buffers


def _message(data: bytes) -> Message:
    """Values of each field: numbers, or bytes of nested messages."""
    fields: Message = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(data, place)
        elif kind in (1, 2, 5):
            length = {1: 8, 5: 4}.get(kind)
            if length is None:
                length, place = _varint(data, place)
            if place + length > len(data):
                raise _Damaged("a field does not fit into its entry")
            value = data[place : place + length]
            place += length
            if kind != 2:
                value = int.from_bytes(value, "little")
        else:
            raise _Damaged(f"a field of unknown kind {kind}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(message: Message, field: int) -> int:
    """Value of a field, 0 where it was left out."""
    value = message.get(field, [0])[-1]
    if not isinstance(value, int):
        raise _Damaged(f"field {field} is not a number")
    return value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number, seven bits a byte, the low ones first, and the place behind it."""
    value = 0
    for i in range(10):
        if place + i >= len(data):
            raise _Damaged("it ends within a number")
        byte = data[place + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, place + i + 1
    raise _Damaged("a number is too long")


# Tensors


def _tensor(message: Message, data: bytes, left: int) -> NDArray[Any]:
    """The numbers of a tensor; at most ``left`` bytes of the data are not taken yet."""
    if 7 in message or _number(message, 3) != 0:
        raise _Damaged("it lies in parts")
    number = _number(message, 1)
    if number not in DTYPES:
        raise _Damaged(f"numbers of type {number} are not read; float16, 32, 64 and int32, 64 are")
    dtype = np.dtype(DTYPES[number])
    shape = _shape(message)
    offset, size = _number(message, 4), _number(message, 5)
    needed = dtype.itemsize
    for side in shape:
        needed *= side
    if needed != size or size > left or offset + size > len(data):
        raise _Damaged(f"{size} bytes at {offset} do not fit its shape or the file")
    raw = data[offset : offset + size]
    _check(raw, _number(message, 6))
    return np.frombuffer(raw, dtype).reshape(shape)


def _shape(message: Message) -> tuple[int, ...]:
    stored = message.get(2, [b""])[-1]
    if not isinstance(stored, bytes):
        raise _Damaged("its shape cannot be read")
    shape = _message(stored)
    sides = [_number(_message(side), 1) if isinstance(side, bytes) else 0 for side in shape.get(2, [])]
    # An empty tensor would be no weight, and its other sides could be of any length.
    if _number(shape, 3) or len(sides) > MAX_RANK or 0 in sides:
        raise _Damaged("its shape cannot be used")
    return tuple(sides)


# Checksums: CRC-32C, turned and moved so that a checksum of checksums is safe


def masked(value: int) -> int:
    """A checksum as it is stored."""
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _check(data: bytes, stored: int) -> None:
    if masked(crc32c(data)) != stored:
        raise _Damaged("damaged: a checksum does not fit")
