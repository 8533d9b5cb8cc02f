"""RefineFuse's ablations (Tables 8, 9 and 10 of its article) as short trainings of equal budget, beside the article's.

``python benchmarks/ablations.py --data shared/data/roadscene/train -o runs/ablations`` trains every variant with the
same crops, steps and optimiser, and prints the scores on the held-out pairs. The article trains for 300 epochs on MSRS
and scores MSRS: its numbers stand beside ours to compare orders, not values. Finished variants are not trained again;
a variant that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from imfuse.core.registry import create_model
from imfuse.data.pairs import find_pairs
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import load_recipe

METRICS = ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM")
TERMS = ("intensity", "texture", "mean_intensity", "max_intensity", "signed_texture", "ssim", "scd", "vif", "hot")


class Variant(NamedTuple):
    """A row of a table: what is changed, and the article's scores in the order of ``METRICS``."""

    name: str
    options: dict[str, str]
    article: tuple[float, ...]
    loss: dict[str, float] | None = None


OURS_8 = (1.0554, 3.8135, 1.6328, 0.7193, 11.4509, 6.6006, 0.9377)
OURS_9 = (1.06, 3.81, 1.63, 0.72, 11.45, 6.63, 0.94)
OURS_10 = (1.055, 3.813, 1.633, 0.719, 11.451, 6.601, 0.938)
ARTICLE_LOSS = {"intensity": 5.0, "texture": 1.0}
TABLES = {
    "Table 8: losses": [
        Variant(
            "A: mean of both sources, texture",
            {},
            (0.8507, 3.2675, 1.5064, 0.5639, 10.4037, 6.4617, 0.9771),
            {"mean_intensity": 5.0, "texture": 1.0},
        ),
        Variant(
            "B: maximum of both sources, texture",
            {},
            (0.9413, 3.4603, 1.6363, 0.6196, 10.7415, 6.6240, 0.9169),
            {"max_intensity": 5.0, "texture": 1.0},
        ),
        Variant(
            "C: mask, no texture", {}, (0.4998, 2.9337, 1.0420, 0.3506, 8.0533, 6.3564, 0.5912), {"intensity": 5.0}
        ),
        Variant("article: mask, texture", {}, OURS_8, ARTICLE_LOSS),
        Variant("our recipe", {}, ()),
    ],
    "Table 9: modules": [
        Variant("I: 1 level", {"levels": "1", "sfim": "off"}, (1.01, 3.63, 1.50, 0.69, 11.29, 6.57, 0.93)),
        Variant("II: 1 level, SFIM", {"levels": "1"}, (1.00, 3.77, 1.54, 0.65, 11.19, 6.61, 0.92)),
        Variant("III: 2 levels, SFIM", {"levels": "2", "psim": "off"}, (1.00, 3.76, 1.55, 0.65, 11.20, 6.64, 0.90)),
        Variant("IV: 2 levels, SFIM, PSIM", {"levels": "2"}, (1.02, 3.82, 1.52, 0.72, 11.74, 6.59, 0.91)),
        Variant("V: 4 levels, SFIM, PSIM", {"fim": "off"}, (1.04, 3.84, 1.59, 0.69, 11.29, 6.95, 0.93)),
        Variant("whole: 4 levels, SFIM, PSIM, FIM", {}, OURS_9),
    ],
    "Table 10: levels": [
        Variant("A: 3 levels", {"levels": "3"}, (1.003, 3.815, 1.633, 0.692, 11.433, 6.562, 0.943)),
        Variant("B: 5 levels", {"levels": "5"}, (1.025, 3.745, 1.628, 0.704, 11.352, 6.554, 0.923)),
        Variant("whole: 4 levels", {}, OURS_10),
    ],
}


def run(variant: Variant, data: Path, out: Path, epochs: int, crop: int, rendered: int) -> list[float]:
    """Train a variant, or find it trained; its scores on the held-out pairs."""
    parts = [f"{name}-{value}" for name, value in variant.options.items()]
    parts += [f"{name}{weight:g}" for name, weight in (variant.loss or {}).items()]
    folder = out / ("_".join(parts) or "whole")
    changes = [f"epochs={epochs}", f"validate_every={epochs}", f"data.crop.size={crop}", f"data.rendered={rendered}"]
    changes += [f"options.{name}={value}" for name, value in variant.options.items()]
    if variant.loss is not None:
        changes += [f"loss.{term}={variant.loss.get(term, 0.0)}" for term in TERMS]
    if not (folder / "weights.safetensors").is_file():
        recipe = load_recipe("refinefuse_roadscene", changes)
        train(recipe, find_pairs(data), folder, resume=folder.is_dir(), progress=False)
    last = [row for row in read_log(folder / "log.jsonl") if row["split"] == "validation"][-1]
    return [last[metric] for metric in METRICS]


def table(title: str, variants: list[Variant], args: argparse.Namespace) -> str:
    """One table in Markdown: two lines for each variant."""
    lines = [f"### {title}", "", "| variant | parameters | scores of | " + " | ".join(METRICS) + " |"]
    lines.append("|" + "---|" * (3 + len(METRICS)))
    for variant in variants:
        scores = run(variant, args.data, args.out, args.epochs, args.crop, args.rendered)
        network = create_model("refinefuse", weights=None, **variant.options)
        size = f"{sum(parameter.numel() for parameter in network.parameters()):,}"
        lines.append(f"| {variant.name} | {size} | ours | " + " | ".join(f"{score:.4f}" for score in scores) + " |")
        if variant.article:
            lines.append("| | | article | " + " | ".join(f"{score:g}" for score in variant.article) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="training pairs, as of imfuse train")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/ablations"), help="folder of the runs")
    parser.add_argument("--tables", nargs="+", choices=("8", "9", "10"), default=("8", "9", "10"))
    parser.add_argument("--epochs", type=int, default=12, help="of each variant")
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--rendered", type=int, default=0, help="rendered scenes among the pairs")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    batches = -(-(round(len(find_pairs(args.data)) * 0.9) + args.rendered) // 4)
    print(f"{args.epochs * batches} steps of 4 crops of {args.crop}x{args.crop} for each variant\n")
    for title, variants in TABLES.items():
        if title.split(":")[0].split()[1] in args.tables:
            print(table(title, variants, args), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
