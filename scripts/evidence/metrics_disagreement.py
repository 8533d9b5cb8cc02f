"""How far conventions of metrics are apart on real images.

``python -m scripts.evidence.metrics_disagreement --shared DIR`` prints a table; DIR holds ``data`` and ``truth``. The
fused pictures that SeAFusion published of 42 TNO pairs are scored under every convention. For each metric the table has
the means that differ from the plain one by more than rounding, how many times the plain mean they are (for PSNR, a
logarithm, how much more), and what the convention does: an accident in words, else the constants it takes.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import torch

from imfuse.imaging import read_image
from imfuse.metrics import CONVENTIONS, METRICS, Picture, score_images

METHOD = "seafusion"
ROUNDING = 1e-9
Means = dict[str, dict[str, float]]


def load(path: Path) -> Picture:
    """A gray 8-bit picture."""
    return Picture(torch.from_numpy(read_image(path))[None, None], data_range=255)


def own(convention: str) -> list[str]:
    """Metrics that a convention defines in its own way."""
    plain, definitions = (CONVENTIONS[name].definitions for name in ("plain", convention))
    return [symbol for symbol in definitions if definitions[symbol] != plain[symbol]]


def means(shared: Path) -> Means:
    """Mean over the pairs by convention and metric, of what is not plain and of its plain form."""
    tno = shared / "data" / "tno"
    names = sorted(path.name for path in (tno / "ir").glob("*.png"))
    wanted = {convention: own(convention) for convention in CONVENTIONS}
    wanted["plain"] = [symbol for symbol in METRICS if any(symbol in symbols for symbols in wanted.values())]
    total: Means = {convention: defaultdict(float) for convention in wanted}
    for name in names:
        triple = [load(folder / name) for folder in (shared / "truth" / "fused" / METHOD, tno / "ir", tno / "vi")]
        for convention, symbols in wanted.items():
            for symbol, value in score_images(*triple, metrics=symbols, convention=convention).items():
                total[convention][symbol] += value.item() / len(names)
    return total


def rows(mean: Means) -> list[str]:
    """Lines of the table; conventions that do the same share one."""
    lines: dict[str, list[str]] = defaultdict(list)
    for symbol in METRICS:
        for convention, values in mean.items():
            if convention == "plain" or symbol not in values:
                continue
            plain, value = mean["plain"][symbol], values[symbol]
            if abs(value - plain) <= ROUNDING * abs(plain):
                continue
            definition = CONVENTIONS[convention].definitions[symbol]
            what = definition.accident or ", ".join(f"`{key}={entry}`" for key, entry in definition.constants.items())
            apart = f"{value - plain:+.3f}" if symbol == "PSNR" else f"x {value / plain:.7g}"
            lines[f"| {symbol} | {plain:.6g} | {{}} | {value:.6g} | {apart} | {what} |"].append(convention)
    return [line.format(", ".join(conventions)) for line, conventions in lines.items()]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with truth/ and data/")
    mean = means(parser.parse_args().shared)
    print("| metric | plain | convention | value | against plain | what it is |\n|---|---|---|---|---|---|")
    print("\n".join(rows(mean)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
