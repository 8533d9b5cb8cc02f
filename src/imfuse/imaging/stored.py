"""What a picture that imfuse wrote says about itself, and whether all of it is still there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import BinaryIO

from imfuse.core.errors import ImageError
from imfuse.core.files import open_input
from imfuse.imaging import _png, _tiff
from imfuse.imaging._support import quiet

MAX_METADATA = 2**20
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SEAL = b"\nimfuse:sha256:"
_SEALED = len(_SEAL) + 64
# Metadata of ours stand before the pixels, and so survive most damage. Programs that store a picture again, metadata
# included, mostly put them behind the pixels of a TIFF file, or leave out the first of them, which says who made it.
_HEAD = 8192
_OURS = re.compile(rb'(?:tEXtSoftware\0|"Software": ")imfuse [0-9]|(?:tEXt|")imfuse:[a-z-]+(?:\0|": ")')
_BLOCK = 1 << 20


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read back what `write_image` stored, without decoding pixels.

    Args:
        path: a file.

    Returns:
        The metadata; empty where there are none, or they are damaged, or the file cannot be read.

    Example:
        ```python
        print(read_metadata("fused.png")["imfuse:infrared-range"])
        ```
    """
    try:
        with open_input(path, ImageError, "an image file") as stream, quiet():
            start = stream.read(8)
            if start == _png.SIGNATURE:
                return _png.texts(stream, MAX_METADATA)
            return _read_description(stream) if start.startswith(_TIFF_STARTS) else {}
    except Exception:
        return {}


def _read_description(stream: BinaryIO) -> dict[str, str]:
    stream.seek(0)
    entries = json.loads(_tiff.description(stream, 2 * MAX_METADATA))
    if isinstance(entries, dict) and all(isinstance(value, str) for value in entries.values()):
        return entries
    return {}


def sealed(data: bytes) -> bytes:
    """A TIFF file with its SHA-256 behind it, where readers do not look: the format has no checksums of its own."""
    return data + _SEAL + hashlib.sha256(data).hexdigest().encode()


def is_whole(path: Path) -> bool:
    """Whether a picture with metadata is to the last byte as `write_image` wrote it."""
    try:
        with open_input(path, ImageError, "an image file") as stream, quiet():
            start = stream.read(8)
            stream.seek(0)
            if start == _png.SIGNATURE:
                return _is_whole_png(stream)
            return start.startswith(_TIFF_STARTS) and _is_whole_tiff(stream)
    except Exception:
        return False


def _is_whole_png(stream: BinaryIO) -> bool:
    end = 0
    for _, offset, length in _png.chunks(stream):
        _png.body(stream, offset, length)
        end = offset + length + 4
    return stream.seek(0, os.SEEK_END) == end


def _is_whole_tiff(stream: BinaryIO) -> bool:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _SEALED))
    seal = stream.read()
    stream.seek(0)
    digest, left = hashlib.sha256(), size - _SEALED
    while left > 0 and (block := stream.read(min(_BLOCK, left))):
        digest.update(block)
        left -= len(block)
    return seal == _SEAL + digest.hexdigest().encode()


def is_ours(path: Path) -> bool:
    """Whether a file, damaged or not, says that imfuse made it, or holds nothing that could be lost: no byte but 0."""
    try:
        with path.open("rb") as stream:
            block = stream.read(_HEAD)
            if block.startswith((_png.SIGNATURE, *_TIFF_STARTS)):
                return _OURS.search(block) is not None
            while block and not block.strip(b"\0"):
                block = stream.read(_BLOCK)
            return not block
    except OSError:
        return False
