"""What the parts of a method do: short trainings of equal budget, each with one thing changed.

``python -m scripts.evidence.ablations refinefuse --data DIR -o runs/ablations`` trains every variant with the same
crops, steps and optimiser, and prints the scores on the held-out pairs. Where the article has such a table its numbers
stand beside ours: it trains longer, on other pairs, so they compare orders, not values. Finished variants are not
trained again; a variant that was stopped continues.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from imfuse.data.pairs import find_pairs
from imfuse.models import create_model
from imfuse.training.engine import train
from imfuse.training.log import read_log
from imfuse.training.recipe import Recipe, load_recipe

METRICS = ("VIF", "AG", "SCD", "Qabf", "SF", "EN", "SSIM")


class Variant(NamedTuple):
    """A row of a table: changes to the recipe, and the article's scores in the order of the metrics."""

    name: str
    changes: tuple[str, ...] = ()
    article: tuple[float, ...] = ()


class Study(NamedTuple):
    """The tables of a method. ``start``: its recipe begins with weights, those of an earlier stage."""

    recipe: str
    tables: dict[str, list[Variant]]
    metrics: tuple[str, ...] = METRICS
    changes: tuple[str, ...] = ()
    start: bool = False


def only(**weights: float) -> tuple[str, ...]:
    """RefineFuse's objective with these terms alone."""
    terms = ("intensity", "texture", "mean_intensity", "max_intensity", "signed_texture", "ssim", "scd", "vif", "hot")
    return tuple(f"loss.{term}={weights.get(term, 0.0)}" for term in terms)


OURS_8 = (1.0554, 3.8135, 1.6328, 0.7193, 11.4509, 6.6006, 0.9377)
OURS_9 = (1.06, 3.81, 1.63, 0.72, 11.45, 6.63, 0.94)
OURS_10 = (1.055, 3.813, 1.633, 0.719, 11.451, 6.601, 0.938)
REFINEFUSE = {
    "Table 8: losses": [
        Variant(
            "A: mean of both sources, texture",
            only(mean_intensity=5, texture=1),
            (0.8507, 3.2675, 1.5064, 0.5639, 10.4037, 6.4617, 0.9771),
        ),
        Variant(
            "B: maximum of both sources, texture",
            only(max_intensity=5, texture=1),
            (0.9413, 3.4603, 1.6363, 0.6196, 10.7415, 6.6240, 0.9169),
        ),
        Variant("C: mask, no texture", only(intensity=5), (0.4998, 2.9337, 1.0420, 0.3506, 8.0533, 6.3564, 0.5912)),
        Variant("article: mask, texture", only(intensity=5, texture=1), OURS_8),
        Variant("our recipe"),
    ],
    "Table 9: modules": [
        Variant("I: 1 level", ("options.levels=1", "options.sfim=off"), (1.01, 3.63, 1.50, 0.69, 11.29, 6.57, 0.93)),
        Variant("II: 1 level, SFIM", ("options.levels=1",), (1.00, 3.77, 1.54, 0.65, 11.19, 6.61, 0.92)),
        Variant(
            "III: 2 levels, SFIM",
            ("options.levels=2", "options.psim=off"),
            (1.00, 3.76, 1.55, 0.65, 11.20, 6.64, 0.90),
        ),
        Variant("IV: 2 levels, SFIM, PSIM", ("options.levels=2",), (1.02, 3.82, 1.52, 0.72, 11.74, 6.59, 0.91)),
        Variant("V: 4 levels, SFIM, PSIM", ("options.fim=off",), (1.04, 3.84, 1.59, 0.69, 11.29, 6.95, 0.93)),
        Variant("whole: 4 levels, SFIM, PSIM, FIM", (), OURS_9),
    ],
    "Table 10: levels": [
        Variant("A: 3 levels", ("options.levels=3",), (1.003, 3.815, 1.633, 0.692, 11.433, 6.562, 0.943)),
        Variant("B: 5 levels", ("options.levels=5",), (1.025, 3.745, 1.628, 0.704, 11.352, 6.554, 0.923)),
        Variant("whole: 4 levels", (), OURS_10),
    ],
}
PSFUSION = {
    "PSFusion, compact": [
        Variant("whole"),
        Variant("without semantic injection", ("options.injection=off",)),
        Variant("without fidelity heads", ("loss.fidelity=0",)),
        Variant(
            "without the semantic branch",
            ("options.injection=off", "loss.semantic=0", "loss.binary=0", "loss.boundary=0"),
        ),
    ]
}
TRANSFUSION = {
    "TransFusion, compact, stage 2": [
        Variant("whole: guided maps, channel perception, mutual information"),
        Variant("independent maps", ("options.guidance=independent",)),
        Variant("without channel perception", ("options.perception=off",)),
        Variant("without mutual information", ("loss.information=0",)),
        Variant(
            "as released: independent maps, no mutual information", ("options.guidance=independent", "loss.released=1")
        ),
    ]
}
STUDIES = {
    "refinefuse": Study("refinefuse_roadscene", REFINEFUSE),
    "psfusion": Study("psfusion_compact", PSFUSION, (*METRICS, "mIoU"), ("data.rendered=40",)),
    "transfusion": Study("transfusion_compact_stage2", TRANSFUSION, start=True),
}


def scores_of(study: Study, variant: Variant, recipe: Recipe, args: argparse.Namespace) -> list[float]:
    """Train a variant, or find it trained; its scores on the held-out pairs, nan for one it does not have."""
    folder = args.output / (re.sub(r"[^\w.=-]+", "_", "_".join(variant.changes)) or "whole")
    if not (folder / "weights.safetensors").is_file():
        start = args.start if study.start else None
        train(recipe, find_pairs(args.data), folder, start=start, resume=folder.is_dir(), progress=False)
    last = [row for row in read_log(folder / "log.jsonl") if row["split"] == "validation"][-1]
    return [last.get(metric, float("nan")) for metric in study.metrics]


def table(title: str, variants: list[Variant], study: Study, args: argparse.Namespace) -> str:
    """One table in Markdown: two lines for each variant that the article has too."""
    lines = [f"### {title}", "", "| variant | parameters | scores of | " + " | ".join(study.metrics) + " |"]
    lines.append("|" + "---|" * (3 + len(study.metrics)))
    budget = (f"epochs={args.epochs}", f"validate_every={args.epochs}", f"data.crop.size={args.crop}")
    for variant in variants:
        recipe = load_recipe(study.recipe, [*budget, *study.changes, *variant.changes])
        scores = scores_of(study, variant, recipe, args)
        network = create_model(recipe.model, weights=None, **recipe.options)
        size = f"{sum(parameter.numel() for parameter in network.parameters()):,}"
        lines.append(f"| {variant.name} | {size} | ours | " + " | ".join(f"{score:.4f}" for score in scores) + " |")
        if variant.article:
            lines.append("| | | article | " + " | ".join(f"{score:g}" for score in variant.article) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=STUDIES, help="whose parts are studied")
    parser.add_argument("--data", type=Path, required=True, help="training pairs, as of imfuse train")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/ablations"), help="folder of the runs")
    parser.add_argument("--start", type=Path, help="weights to begin with: stage 1 of transfusion_compact")
    parser.add_argument("--tables", nargs="+", type=int, help="numbers of the tables, from 1; all where left out")
    parser.add_argument("--epochs", type=int, default=12, help="of each variant")
    parser.add_argument("--crop", type=int, default=64, help="side in pixels")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    args = parser.parse_args()
    study = STUDIES[args.method]
    if study.start and args.start is None:
        parser.error(f"{args.method}: give the weights of its stage 1 as --start")
    torch.set_num_threads(args.threads)
    recipe = load_recipe(study.recipe, list(study.changes))
    items = round(len(find_pairs(args.data)) * 0.9) + round(recipe.data.rendered * 0.9)
    batches = -(-items // recipe.batch_size)
    print(f"{args.epochs * batches} steps of {recipe.batch_size} crops of {args.crop}x{args.crop} for each variant\n")
    for number, (title, variants) in enumerate(study.tables.items(), 1):
        if args.tables is None or number in args.tables:
            print(table(title, variants, study, args), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
