"""What is checked of a file of ``torch.save`` before ``torch.load`` sees it: its directory, its pickles, its sizes.

Records of such a file are stored, never compressed, and each tensor lies in one of them. So nothing that is loaded is
larger than the file, and that is what is made sure of here.
"""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from typing import BinaryIO

from imfuse.core.pickle_scan import Refused, Scan
from imfuse.core.text import shortened

MAX_PICKLE = 8 << 20
MAX_RECORDS = 20_000
MAX_DIRECTORY = 4 << 20
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of files that PyTorch saved until 2020: a number by which they are known."""
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")


def check_torch_file(stream: BinaryIO) -> None:
    """Raise :class:`Refused` where a file is not as ``torch.save`` writes tensors, or would need more than its size."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    start = stream.read(len(_LEGACY))
    if start.startswith(b"PK\x03\x04"):
        _check_zip(stream, size)
    elif start == _LEGACY:
        _check_legacy(stream, size)
    else:
        raise Refused("it does not begin as a file of torch.save does")


def _check_zip(stream: BinaryIO, size: int) -> None:
    _check_end(stream, size)
    try:
        with zipfile.ZipFile(stream) as archive:
            # As PyTorch does: the folder of the first record is that of all.
            prefix = archive.infolist()[0].orig_filename.partition("/")[0]
            records = _records(archive, prefix, size)
            if f"{prefix}/data.pkl" not in records or f"{prefix}/constants.pkl" in records:
                raise Refused("it holds no pickle of plain tensors")
            if records[f"{prefix}/data.pkl"] > MAX_PICKLE:
                raise Refused(f"its pickle has more than {MAX_PICKLE >> 20} MiB")
            scan = Scan()
            scan.object(io.BytesIO(archive.read(f"{prefix}/data.pkl")))
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        OSError,
        ValueError,
        RuntimeError,
        struct.error,
        IndexError,
    ) as error:
        raise Refused("its zip directory is damaged") from error
    for key, needed in scan.storages.items():
        if records.get(f"{prefix}/data/{key}", -1) < needed:
            raise Refused(f"its storage {shortened(key)} is shorter than said")


def _records(archive: zipfile.ZipFile, prefix: str, size: int) -> dict[str, int]:
    """Sizes of the records by name."""
    records: dict[str, int] = {}
    for entry in archive.infolist():
        name = entry.orig_filename
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise Refused(f"its record {shortened(name)} is compressed, which torch.save never does")
        if name != entry.filename or not name.startswith(f"{prefix}/"):
            raise Refused(f"its record {shortened(name)} lies where torch.save puts none")
        records[name] = entry.file_size
    # PyTorch takes "data/a" and "data/A" for the same record.
    if len({name.lower() for name in records}) < len(archive.infolist()):
        raise Refused("it holds a record twice")
    # Records that overlap could together be far larger than the file.
    if sum(records.values()) > size:
        raise Refused("its records overlap")
    return records


def _check_end(stream: BinaryIO, size: int) -> None:
    """Make sure of the one place where the directory can be, for all who read it, and that it is of moderate size."""
    place = size - _END.size
    signature, *disks, here, count, length, start, comment = _END.unpack(_read_at(stream, place, _END.size))
    if signature != b"PK\x05\x06" or any(disks) or here != count or comment:
        raise Refused("it ends too early, or not as a zip file of torch.save does")
    if _read_at(stream, place - _LOCATOR.size, 4) == b"PK\x06\x07":
        locator = _LOCATOR.unpack(_read_at(stream, place - _LOCATOR.size, _LOCATOR.size))
        place -= _LOCATOR.size + _END64.size
        fields = _END64.unpack(_read_at(stream, place, _END64.size))
        for short, long, most in zip((count, length, start), fields[7:], (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True):
            if short not in (long, most):
                raise Refused("it says two things of its zip directory")
        if fields[0] != b"PK\x06\x06" or locator[2] != place:
            raise Refused("its zip directory is damaged")
        count, length, start = fields[7:]
    if start + length != place:
        raise Refused("its zip directory is not where it should be")
    if count == 0 or count > MAX_RECORDS or length > MAX_DIRECTORY:
        raise Refused(f"it has {count} records, 1 to {MAX_RECORDS} are expected, or very long names")


def _read_at(stream: BinaryIO, place: int, size: int) -> bytes:
    stream.seek(max(place, 0))
    data = stream.read(size)
    if place < 0 or len(data) < size:
        raise Refused("it ends too early")
    return data


def _check_legacy(stream: BinaryIO, size: int) -> None:
    """A number, a version, what machine saved it, the tensors, the keys of their storages; behind these the numbers."""
    stream.seek(0)
    pickles = io.BytesIO(stream.read(MAX_PICKLE))
    try:
        tarfile.TarInfo.frombuf(pickles.getbuffer()[:512].tobytes(), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        pass
    else:
        # torch.load would take it for an archive of the first releases, whose pickles lie elsewhere.
        raise Refused("it is a tar archive too")
    scan = Scan()
    for _ in range(3):
        scan.plain(pickles)
    scan.object(pickles)
    if scan.plain(pickles) != scan.storages.keys():
        raise Refused("the list of its storages does not fit them")
    if sum(scan.storages.values()) > size:
        raise Refused("its storages are longer than the file")
