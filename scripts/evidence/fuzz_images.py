"""Damaged pictures of every format, read under limits: none may crash, take long or take much memory.

``python -m scripts.evidence.fuzz_images --files 2500`` damages small pictures by a seed, reads them in a process for
each format, and prints a table: how many files were read, refused, and what must not be. That is anything raised other
than an ``ImageError``, a message of several lines, a picture that breaks the promises of ``read_image``, more than a
second of processor time, more than 1 GiB, a crash, or a hang. ``--keep DIR`` writes such files there. Exit 1 if there
were any.
"""

from __future__ import annotations

import argparse
import io
import itertools
import multiprocessing
import random
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import image_size, read_image, read_metadata

FORMATS = ("png", "jpeg", "tiff", "bmp", "webp")
SECONDS, MEBIBYTES, HANG = 1.0, 1024, 30
ADDRESS_SPACE = 6 << 30
HEAD = "| format | files | read | refused | must not be | longest (s) | most memory (MiB) |\n" + 7 * "|---" + "|"
DTYPES = ("uint8", "uint16", "int16", "int32", "uint32", "float32")
NUMBERS = (0, 1, 2, 3, 255, 256, 10_000, 50_000, 65_535, 65_536, 10**8, 1 << 28, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339,
        347, 530, 34712, 42113)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one file: ``read``, ``refused``, or what must not be; processor time, and growth in MiB."""

    kind: str
    seconds: float = 0.0
    mebibytes: int = 0

    @property
    def bad(self) -> bool:
        """Whether this must not be."""
        return self.kind not in ("read", "refused") or self.seconds > SECONDS or self.mebibytes > MEBIBYTES


def whole_files(kind: str) -> list[bytes]:
    """Sound pictures, one for each way in which the format is often written."""
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (37, 53, 3), dtype=np.uint8), (5, 5), 0)
    if kind == "tiff":
        return tiff_files(rgb)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    modes = {
        "png": ("RGB", "L", "P", "1", "LA", "RGBA"),
        "jpeg": ("RGB", "L", "CMYK"),
        "bmp": ("RGB", "L", "P", "1", "RGBA"),
    }
    files = [saved(Image.fromarray(rgb).convert(mode), kind) for mode in modes.get(kind, ("RGB", "RGBA"))]
    image = Image.fromarray(rgb)
    if kind == "png":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("a", "b" * 50, zip=True)
        files += [saved(image, kind, exif=exif, icc_profile=b"x" * 300), saved(image, kind, pnginfo=texts)]
        files += [cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes() for pixels in (rgb, rgb[..., 0])]
    elif kind == "jpeg":
        files += [
            saved(image, kind, progressive=True, exif=exif),
            saved(image, kind, subsampling=2, icc_profile=b"x" * 300),
        ]
        files.append(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes())
        files.append(radiometric(saved(image, kind), rgb[..., 0].astype(np.uint16) * 30))
    elif kind == "bmp":
        files += [run_lengths()]
    else:
        files += [saved(image, kind, lossless=True), saved(image, kind, quality=50, exif=exif)]
    return files


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind.upper(), **options)
    return stream.getvalue()


def tiff_files(rgb: np.ndarray[Any, Any]) -> list[bytes]:
    files = []
    layouts = ({}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"})
    for dtype, options in itertools.product(DTYPES, layouts):
        stream = io.BytesIO()
        tifffile.imwrite(stream, rgb.astype(dtype), photometric="rgb", **options)
        files.append(stream.getvalue())
    packings = {
        "RGB": ("tiff_lzw", "packbits", "jpeg"),
        "L": ("tiff_lzw",),
        "1": ("group3", "group4", "raw"),
        "P": ("raw",),
    }
    image = Image.fromarray(rgb)
    files += [
        saved(image.convert(m), "tiff", compression=packing) for m, kinds in packings.items() for packing in kinds
    ]
    return [*files, saved(image.convert("YCbCr"), "tiff"), saved(image.convert("CMYK"), "tiff")]


def radiometric(jpeg: bytes, counts: np.ndarray[Any, Any]) -> bytes:
    """A JPEG file with a thermal plane in the segments of FLIR."""
    record = struct.pack("<HHH", 2, *counts.shape[::-1]).ljust(32, b"\0") + counts.astype("<u2").tobytes()
    directory = struct.pack(">HHIIII", 1, 2, 100, 0, 96, len(record)).ljust(32, b"\0")
    fff = (b"FFF\0".ljust(20, b"\0") + struct.pack(">III", 100, 64, 1)).ljust(64, b"\0") + directory + record
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 10 + len(fff)) + b"FLIR\0\1\0\0" + fff + jpeg[2:]


def run_lengths() -> bytes:
    """A BMP file of 20 x 10 pixels, coded as runs."""
    palette = bytes(value for index in range(256) for value in (index, 255 - index, index, 0))
    data = b"".join(bytes((10, row, 0, 4, 1, 2, 3, 4, 6, 9, 0, 0)) for row in range(10)) + b"\0\1"
    info = struct.pack("<IiiHHIIiiII", 40, 20, 10, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(data), 0, 0, 54 + len(palette)) + info + palette + data


def damaged(kind: str, files: list[bytes], seed: int, number: int) -> bytes:
    """File ``number`` of a run; the same for the same seed."""
    chance = random.Random(f"{kind} {seed} {number}")
    data = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if data:
            hurt(data, chance, files)
    if kind == "tiff" and chance.random() < 0.4:
        change_entry(data, chance)
    return with_checksums(data) if kind == "png" and chance.random() < 0.75 else bytes(data)


def hurt(data: bytearray, chance: random.Random, files: list[bytes]) -> None:
    """One damage, more often in the first bytes, where headers are."""
    at, length = chance.randrange(min(len(data), chance.choice((32, 64, 200, len(data))))), chance.randrange(1, 64)
    way, other = chance.randrange(9), chance.choice(files)
    if way == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif way == 1:
        data[at] = chance.randrange(256)
    elif way in (2, 3):
        form = chance.choice("<>") + ("I" if way == 2 else "H")
        data[at : at + struct.calcsize(form)] = struct.pack(form, chance.choice(NUMBERS) % 256 ** struct.calcsize(form))
    elif way == 4 and chance.random() < 0.5:
        del data[at:]
    elif way == 5:
        data[at:at] = data[at : at + length]
    elif way == 6:
        del data[at : at + length]
    elif way == 7:
        start = chance.randrange(len(other))
        data[at : at + length] = other[start : start + length]
    else:
        data[at : at + length] = bytes([chance.choice((0, 127, 128, 255))]) * length


def change_entry(data: bytearray, chance: random.Random) -> None:
    """Another tag, type, count or value in an entry of the first page, or another page behind it."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        at = start + 2 + 12 * chance.randrange(max(1, count))
        field = chance.randrange(5)
        if field == 0:
            struct.pack_into(order + "H", data, at, chance.choice(TAGS))
        elif field == 1:
            struct.pack_into(order + "H", data, at + 2, chance.randrange(19))
        elif field == 4:
            struct.pack_into(
                order + "I", data, start + 2 + 12 * count, chance.choice((start, 8, start + 12, 2**32 - 1))
            )
        else:
            struct.pack_into(order + "I", data, at + 4 * (field - 1), chance.choice((*NUMBERS, start, len(data) - 1)))
    except struct.error:
        return


def with_checksums(data: bytearray) -> bytes:
    """PNG with checksums that fit again, so that damage reaches what is behind them."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


def look(path: Path) -> str:
    """Read one file in every way there is."""
    try:
        with collected():
            pixels = read_image(path)
        read_metadata(path)
        promised = pixels.dtype.name in DTYPES and pixels.ndim in (2, 3) and pixels.shape[2:] in ((), (3,), (4,))
        if not promised or not pixels.flags.c_contiguous or not pixels.flags.writeable:
            return f"not as promised: {pixels.dtype} {pixels.shape}"
        if image_size(path) != pixels.shape[:2]:
            return f"size {image_size(path)} is told of {pixels.shape}"
    except ImageError as error:
        return "refused" if str(error).isprintable() else f"not one printable line: {str(error)!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def peak(reset: bool = False) -> int:
    """Largest memory of this process so far, or since it was reset, in MiB; 0 where the system does not say."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
    except OSError:  # only Linux tells it of single files
        return 0


def limit_memory() -> None:
    """Let this process fail before it takes the memory of others."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def work(channel: Connection, kind: str, folder: Path, seed: int, numbers: range) -> None:
    """Read some of the files, and send what became of each."""
    files, path = whole_files(kind), folder / f"file.{kind}"
    for data in files:  # warms up the decoders
        path.write_bytes(data)
        if (found := look(path)) != "read":
            raise SystemExit(f"{kind}: a sound file is not read: {found}")
    limit_memory()
    for number in numbers:
        path.write_bytes(damaged(kind, files, seed, number))
        before, start = peak(reset=True), time.process_time()
        found = look(path)
        channel.send((number, Outcome(found, time.process_time() - start, peak() - before)))


def run(kind: str, count: int, seed: int, worker: Callable[..., None] = work) -> Iterator[tuple[int, Outcome]]:
    """What became of each file; a process that crashes or hangs is replaced."""
    context, number = multiprocessing.get_context("spawn"), 0
    with tempfile.TemporaryDirectory() as folder:
        while number < count:
            here, there = context.Pipe(duplex=False)
            process = context.Process(
                target=worker, args=(there, kind, Path(folder), seed, range(number, count)), daemon=True
            )
            process.start()
            there.close()
            try:
                while number < count:
                    hung = not here.poll(HANG)
                    outcome = Outcome("hang") if hung else here.recv()[1]
                    yield number, outcome
                    number += 1
                    if hung:
                        break
            except EOFError:
                process.join()
                if process.exitcode == 1:
                    raise SystemExit(f"{kind}: the files cannot be made") from None
                yield number, Outcome(f"crash {process.exitcode}")
                number += 1
            finally:
                process.kill()
                process.join()


def print_row(kind: str, outcomes: dict[int, Outcome]) -> None:
    """One line of the table."""
    kinds = Counter(outcome.kind for outcome in outcomes.values())
    bad = sum(outcome.bad for outcome in outcomes.values())
    longest, most = (max(getattr(o, name) for o in outcomes.values()) for name in ("seconds", "mebibytes"))
    counts = f"{len(outcomes)} | {kinds['read']} | {kinds['refused']} | {bad}"
    print(f"| {kind} | {counts} | {longest:.2f} | {most} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2500, help="files of each format (default: %(default)s)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write the files that must not be there into this folder"
    )
    options = parser.parse_args()
    print(HEAD)
    found: list[str] = []
    for kind in options.formats:
        outcomes = dict(run(kind, options.files, options.seed))
        bad = {number: outcome for number, outcome in outcomes.items() if outcome.bad}
        print_row(kind, outcomes)
        for number, outcome in bad.items():
            found.append(f"{kind} {number}: {outcome.kind}, {outcome.seconds:.2f} s, {outcome.mebibytes} MiB")
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                file = damaged(kind, whole_files(kind), options.seed, number)
                (options.keep / f"{number}.{kind}").write_bytes(file)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
