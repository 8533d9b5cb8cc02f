"""Our metrics against numbers that others published.

``python -m scripts.evidence.metrics_truth --shared DIR`` prints two tables; DIR holds ``data`` and ``truth``. First the
per-image table of the field's MATLAB toolbox (convention ``tang2022``): three methods on 42 TNO pairs, eleven metrics,
the largest relative deviation of each. Then the rows of the RefineFuse article's Table 3 (convention ``refinefuse``),
which are means over the same pairs: paper, ours, difference. Exit 1 outside the bounds.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch

from imfuse.imaging import read_image
from imfuse.metrics import Picture, get_convention, score_images

METHODS = {"densefuse": "DenseFuse", "seafusion": "SeAFusion", "u2fusion": "U2Fusion"}
# VIF of this convention is limited by rounding: two correct programs differ by 1e-8.
BOUNDS = defaultdict(lambda: 1e-9, VIF=1e-6)
HALF_UNIT = 0.5e-4  # of the four decimals that the article prints


def triples(shared: Path) -> Iterator[tuple[str, str, tuple[Picture, Picture, Picture]]]:
    """Method, name of the image, and the pictures (fused, infrared, visible); sources are shared by the methods."""
    for infrared in sorted((shared / "data" / "tno" / "ir").glob("*.png")):
        sources = load(infrared), load(shared / "data" / "tno" / "vi" / infrared.name)
        for method in METHODS:
            yield method, infrared.stem, (load(shared / "truth" / "fused" / method / infrared.name), *sources)


def load(path: Path) -> Picture:
    """A gray 8-bit picture."""
    return Picture(torch.from_numpy(read_image(path))[None, None], data_range=255)


def deviations(shared: Path) -> dict[str, tuple[int, float]]:
    """For each metric of the toolbox's table: how many values, and the largest relative deviation."""
    with (shared / "truth" / "tang2022_tno.csv").open(newline="") as file:
        truth = {(row["method"], row["image"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
    metrics = list(dict.fromkeys(metric for _, _, metric in truth))
    found: dict[str, list[float]] = {metric: [] for metric in metrics}
    for method, image, pictures in triples(shared):
        for metric, value in score_images(*pictures, metrics=metrics, convention="tang2022").items():
            expected = truth[method, image, metric]
            found[metric].append(abs(value.item() - expected) / abs(expected))
    return {metric: (len(values), max(values)) for metric, values in found.items()}


def article(shared: Path) -> list[tuple[str, str, float, float]]:
    """Method, metric, the article's mean and ours."""
    with (shared / "truth" / "refinefuse_table3.csv").open(newline="") as file:
        printed = {row.pop("Method"): row for row in csv.DictReader(file)}
    metrics = list(get_convention("refinefuse").definitions)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for method, _, pictures in triples(shared):
        for metric, value in score_images(*pictures, metrics=metrics, convention="refinefuse").items():
            values[METHODS[method], metric].append(value.item())
    return [
        (method, metric, float(printed[method][metric]), sum(row) / len(row))
        for (method, metric), row in values.items()
    ]


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with truth/ and data/")
    shared = parser.parse_args().shared
    good = True
    print("| metric | values | largest relative deviation | bound |\n|---|---|---|---|")
    for metric, (count, deviation) in deviations(shared).items():
        good &= deviation <= BOUNDS[metric]
        print(f"| {metric} | {count} | {deviation:.1e} | {BOUNDS[metric]:.0e} |")
    print("\n| method | metric | paper | ours | difference |\n|---|---|---|---|---|")
    for method, metric, paper, ours in article(shared):
        good &= abs(ours - paper) <= HALF_UNIT
        print(f"| {method} | {metric} | {paper:.4f} | {ours:.6f} | {ours - paper:+.6f} |")
    print(f"\nall within bounds: {'yes' if good else 'NO'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
