"""Damaged files of real sensors: each must end in a picture or in an error of one line, within a second.

``python -m scripts.evidence.fuzz_sensors --shared DIR`` damages the files of ``DIR/data/sensors`` by a seed, reads all
that is in them, and prints a table as ``fuzz_images`` does, one line for each family. ``--keep DIR`` writes files that
must not be there. Exit 1 if there were any.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from scripts.evidence.fuzz_images import HEAD, Outcome, hurt, limit_memory, peak, print_row, run

from imfuse.core.errors import ImageError
from imfuse.core.notes import collected
from imfuse.imaging import describe, image_size
from imfuse.imaging.inputs import read_both

FAMILIES = {
    "flir": ("flir_e40bx.jpg", "flir_b60.jpg", "flir_one.jpg", "flir_ax8.jpg", "flir_i7_be.jpg"),
    "dji": ("dji_m3t_T.jpg", "dji_h20t_T.jpg", "dji_m30t_T.jpg"),
    "tiff": ("duo_pro_r_tlinear.tiff", "flir_e40bx_celsius.tif", "geo_float_nodata.tif"),
    "dicom": ("ct_small.dcm", "mr_multiframe.dcm"),
    "nifti": ("functional.nii",),
}
FLIR = b"FLIR\0"


def damaged(family: str, files: list[bytes], seed: int, number: int) -> bytes:
    """File ``number`` of a run; the same for the same seed."""
    chance = random.Random(f"{family} {seed} {number}")
    whole = chance.choice(files)
    # Half of the damage to a JPEG file goes where its records begin.
    start = whole.find(FLIR) if family == "flir" and chance.random() < 0.5 else 0
    data = bytearray(whole[start:])
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if data:
            hurt(data, chance, files)
    return whole[:start] + bytes(data)


def look(path: Path, family: str) -> str:
    """Read one file in every way there is."""
    try:
        facts = describe(path)
        if image_size(path) != (facts["height"], facts["width"]):
            return f"size {image_size(path)} is told of {facts['width']}x{facts['height']}"
        if family == "flir":
            with collected():
                read_both(path, 10**8)
    except ImageError as error:
        return "refused" if str(error).isprintable() else f"not one printable line: {str(error)!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def work(source: Path, channel: Connection, family: str, folder: Path, seed: int, numbers: range) -> None:
    """Read some of the files, and send what became of each."""
    files, path = [(source / name).read_bytes() for name in FAMILIES[family]], folder / "file"
    for data in files:  # warms up the decoders
        path.write_bytes(data)
        look(path, family)
    limit_memory()
    for number in numbers:
        path.write_bytes(damaged(family, files, seed, number))
        before, start = peak(reset=True), time.process_time()
        found = look(path, family)
        channel.send((number, Outcome(found, time.process_time() - start, peak() - before)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/sensors")
    parser.add_argument("--files", type=int, default=500, help="files of each family (default: %(default)s)")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the files that must not be there")
    options = parser.parse_args()
    source = options.shared / "data" / "sensors"
    print(HEAD)
    found: list[str] = []
    for family in options.families:
        outcomes = dict(run(family, options.files, options.seed, partial(work, source)))
        print_row(family, outcomes)
        for number, outcome in outcomes.items():
            if not outcome.bad:
                continue
            found.append(f"{family} {number}: {outcome.kind}, {outcome.seconds:.2f} s, {outcome.mebibytes} MiB")
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                files = [(source / name).read_bytes() for name in FAMILIES[family]]
                (options.keep / f"{family}_{number}").write_bytes(damaged(family, files, options.seed, number))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
