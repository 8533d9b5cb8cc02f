"""Fuse the sources of every published image with the authors' weights, and compare.

``python -m scripts.evidence.parity METHOD --shared DIR`` prints, for each data set, pictures, exact pictures, largest
difference in gray levels and the share of pixels that differ. Exit 1 where a picture is outside the bounds of the
method's fact sheet.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scripts.authors import AUTHORS, converted

from imfuse.imaging import read_image
from imfuse.inference.forms import fast_form
from imfuse.models import create_model

Gray = NDArray[np.uint8]
SETS = {"tno": "tno", "nir": "nir_country", "flir": "flir_gray_test"}
PUBLISHED = ("auif", "densefuse", "didfuse", "lrrnet", "seafusion", "u2fusion")
"""Methods whose published pictures can be compared, where they are at hand."""
# The authors' visible image differs from the public one, so no picture can be compared (fact sheet, section 7).
LEFT_OUT = "IR40.bmp"


@dataclass(frozen=True)
class Sample:
    """A published picture and its sources."""

    group: str
    published: Path
    infrared: Gray
    visible: Gray


def samples(shared: Path, method: str) -> Iterator[Sample]:
    """Published pictures whose sources are in ``shared/data``.

    Those of the comparison methods have the names of their sources, others are joined by the SHA-1 of the pixels.
    """
    if (named := shared / "truth" / "fused" / method).is_dir():
        for published in sorted(named.iterdir()):
            infrared, visible = (read_image(shared / "data" / "tno" / side / published.name) for side in ("ir", "vi"))
            yield Sample("tno", published, infrared, visible)
        return
    by_content = {group: _by_content(shared / "data" / folder) for group, folder in SETS.items()}
    with (shared / "official" / "auif_didfuse_sources.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            published = shared / "official" / row["fused_file"]
            if row["method"] != method or not published.is_file() or row["infrared_file"] == LEFT_OUT:
                continue
            sources = by_content[row["set"]]
            yield Sample(row["set"], published, sources[row["sha1_ir"]], sources[row["sha1_vi"]])


def _by_content(folder: Path) -> dict[str, Gray]:
    images = (read_image(path) for side in ("ir", "vi") for path in sorted((folder / side).iterdir()))
    gray = (image if image.ndim == 2 else image[..., 0] for image in images)
    return {hashlib.sha1(np.ascontiguousarray(image).tobytes()).hexdigest(): image for image in gray}


def load(shared: Path, method: str, plain: bool) -> torch.nn.Module:
    """The method with the authors' weights, as inference runs it or as published (``plain``)."""
    with tempfile.TemporaryDirectory() as folder:
        model = create_model(method, converted(shared, method, Path(folder)), **AUTHORS[method].options)
    if plain:
        if method == "auif":
            model.form = "plain"
        return model
    return fast_form(model)


def difference(network: torch.nn.Module, sample: Sample) -> tuple[int, float]:
    """Largest difference in gray levels from the published picture, and the share of pixels that differ."""
    infrared, visible = (
        torch.from_numpy(image.astype(np.float32) / 255)[None, None] for image in (sample.infrared, sample.visible)
    )
    with torch.inference_mode():
        fused = network(infrared, visible)[0, 0].numpy()
    ours = np.rint(fused.astype(np.float64) * 255).astype(np.int16)
    apart = np.abs(ours - read_image(sample.published).astype(np.int16))
    return int(apart.max()), float((apart > 0).mean())


def main() -> int:
    """Print the table; 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=sorted(PUBLISHED))
    parser.add_argument("--shared", type=Path, required=True, help="folder with official/ and data/")
    parser.add_argument("--plain", action="store_true", help="the network as published instead of its inference form")
    parser.add_argument("--sample", type=int, default=0, help="only so many pictures of each set")
    parser.add_argument("--pairs", default="", help="only the published pictures of these names, such as 08,37")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = load(args.shared, args.method, args.plain)
    rows: dict[str, list[tuple[int, float, int]]] = {}
    for sample in samples(args.shared, args.method):
        if args.pairs and sample.published.stem not in args.pairs.split(","):
            continue
        group = rows.setdefault(sample.group, [])
        if not args.sample or len(group) < args.sample:
            group.append((*difference(network, sample), sample.infrared.size))
    options = ", ".join(f"{name}={value}" for name, value in AUTHORS[args.method].options.items())
    print(f"{args.method}, {'plain' if args.plain else 'inference'} form, authors' weights, {options}")
    print("| set | pictures | exact | largest difference | pixels that differ | worst picture |")
    print("|---|---|---|---|---|---|")
    for group, results in rows.items():
        levels, shares, sizes = (np.array(column) for column in zip(*results, strict=True))
        share = (shares * sizes).sum() / sizes.sum()
        print(
            f"| {group} | {len(results)} | {(levels == 0).sum()} | {levels.max()} | {share:.4%} | {shares.max():.4%} |"
        )
    bound = AUTHORS[args.method].bound
    broken = [r for results in rows.values() for r in results if r[0] > 1 or r[1] >= bound]
    print(f"bounds: 1 level, {bound:.2%} of the pixels of any picture: {'BROKEN' if broken else 'kept'}")
    return 1 if broken or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
