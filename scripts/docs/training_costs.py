"""What each recipe costs on one GPU, by arithmetic: a table for ``docs/training/costs.md``.

``python -m scripts.docs.training_costs -o docs/training/costs.md`` counts the operations of a forward and a backward
pass of each recipe and multiplies. Nothing here was measured on a GPU.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from imfuse.benchmark.complexity import COUNTED
from imfuse.imaging import write_file
from imfuse.training.module import FusionTraining
from imfuse.training.objective import wants_colour
from imfuse.training.recipe import Recipe, list_recipes, load_recipe, load_stages

ROADSCENE, MSRS, HARVARD = {"RoadScene": 180}, {"MSRS": 1083}, {"Harvard atlas": 80}
MIXED = {"RoadScene": 180, "MSRS": 1083, "M2VD": 93}
VIDEO = {"M2VD": 93}
PAIRS: dict[str, dict[str, int]] = {
    "auif_mixed": MIXED,
    "cddfuse_stage1": MSRS,
    "cddfuse_stage2": MSRS,
    "didfuse_mixed": MIXED,
    "emma_stage1": MSRS,
    "emma_stage2": MSRS,
    "lrrnet": {"KAIST": 20_000},
    "psfusion": MSRS,
    "refinefuse": MSRS,
    "refinefuse_medical": HARVARD,
    "psfusion_compact_mixed_stage1": MIXED,
    "psfusion_compact_mixed_stage2": MIXED,
    "refinefuse_mixed": MIXED,
    "refinefuse_permissive": VIDEO,
    "rfn_nest_stage1": {"MS-COCO, by twos": 40_000},
    "rfn_nest_stage2": {"KAIST": 80_000},
    "seafusion_semantic_stage1": MSRS,
    "seafusion_semantic_stage2": MSRS,
    "seafusion_semantic_stage3": MSRS,
    "swinfusion": MSRS,
    "transfusion_compact_stage1": MIXED,
    "transfusion_compact_stage2": MIXED,
    "transfusion_stage1": {"MS-COCO, by twos": 20_000},
    "transfusion_stage2": {"MS-COCO, by twos": 20_000},
}
"""Pairs by data set that a recipe's comment names; RoadScene's for all others."""
WITHOUT_VGG = {"lrrnet": "loss.vgg=0"}
"""Objectives whose VGG-16 of ImageNet is not here: it is not counted."""


_COUNTED: dict[str, float] = {}
"""Operations of one crop, by what decides them."""


@dataclass(frozen=True)
class Cost:
    """What a recipe costs, whatever machine it runs on."""

    name: str
    data: str
    steps: int
    flops: float
    """Of one step."""


def steps_of(recipe: Recipe, pairs: Mapping[str, int]) -> int:
    """Steps of the optimiser in a whole training, on one device.

    >>> steps_of(load_recipe("refinefuse_roadscene"), {"RoadScene": 180})
    12054
    """
    counts = [*pairs.values(), recipe.data.rendered]
    kept = sum(count - round(count * recipe.data.validation) for count in counts)
    items = 2 * kept if recipe.data.kind == "images" else kept
    return math.ceil(math.ceil(items / recipe.batch_size) / recipe.accumulate) * recipe.epochs


def flops_of(recipe: Recipe) -> float:
    """Operations of one step: a forward and a backward pass of one crop, times the crops of a step."""
    # Of recipes that differ in nothing else one is counted.
    what = (recipe.model, recipe.options, recipe.objective, recipe.frozen, recipe.data.kind, recipe.data.crop.size)
    key = repr((*what, sorted(term for term, weight in recipe.loss.items() if weight)))
    if key not in _COUNTED:
        _COUNTED[key] = _flops_of_a_crop(recipe)
    return _COUNTED[key] * recipe.batch_size * recipe.accumulate


def _flops_of_a_crop(recipe: Recipe) -> float:
    module = FusionTraining(recipe.model_copy(update={"compile": False}))
    # Products of matrices are counted, fused attention is not.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss, _ = module.objective(module.network, _batch(recipe))
        loss.backward()
    return float(counter.get_total_flops())


def _batch(recipe: Recipe) -> dict[str, Tensor]:
    side = recipe.data.crop.size
    if recipe.data.kind == "images":
        return {"image": torch.rand(1, 1, side, side)}
    batch = {name: torch.rand(1, 1, side, side) for name in ("infrared", "visible")}
    batch["labels"] = torch.randint(0, 9, (1, side, side))
    return batch | ({"colours": torch.rand(1, 3, side, side)} if wants_colour(recipe) else {})


def cost_of(name: str) -> Cost:
    """The cost of one recipe."""
    recipe = load_recipe(name, [WITHOUT_VGG[name]] if name in WITHOUT_VGG else [])
    pairs = PAIRS.get(name, ROADSCENE)
    parts = [f"{count:,} {data}" for data, count in pairs.items()]
    parts += [f"{recipe.data.rendered} rendered scenes"] if recipe.data.rendered else []
    return Cost(name, ", ".join(parts), steps_of(recipe, pairs), flops_of(recipe))


def minutes_of(cost: Cost, rate: float, shortest: float) -> float:
    """Time at a rate in FLOP/s, no step shorter than so many seconds.

    >>> minutes_of(Cost("", "", 1200, 1e12), rate=1e13, shortest=0.05)
    2.0
    """
    return cost.steps * max(cost.flops / rate, shortest) / 60


def page_of(costs: list[Cost], rate: float, shortest: float, choices: str = "") -> str:
    """The page as Markdown; ``choices`` are the arguments of the command that name what is in it."""
    rows = [
        f"| `{cost.name}`{' *' if cost.name in WITHOUT_VGG else ''} | {cost.data} | {cost.steps:,}"
        f" | {cost.flops / 1e12:.3g} | {_number(cost.flops * cost.steps / 1e15)}"
        f" | {_time(minutes_of(cost, rate, shortest))} |"
        for cost in costs
    ]
    return "\n".join([
        "# What a training costs on one GPU",
        "",
        f"Printed by `python -m scripts.docs.training_costs -o docs/training/costs.md{choices}`. **This is arithmetic,"
        " not a measurement**: no GPU was at hand. Recipes name no device and run on one unchanged (`--device cuda`).",
        "",
        "- Steps: of the data that the recipe's comment names, what it holds out left out, on one device.",
        f"- TFLOP a step: forward and backward pass, a multiplication and an addition are two; counted by"
        f" `torch.utils.flop_counter` in {COUNTED}.",
        f"- Time: {rate / 1e12:g} TFLOP/s, an assumption of what a GPU sustains on these layers, and no step shorter"
        f" than {1000 * shortest:g} ms, an assumption too: crops have to be cut and kernels launched. `--rate` and"
        " `--shortest` take others. Validations, decoding and compiling are not in it.",
        "",
        "| recipe | pairs | steps | TFLOP a step | PFLOP in all | time |",
        "|---|---|---:|---:|---:|---:|",
        *rows,
        "",
        "\\* without the VGG-16 of its objective, whose weights are not part of this library.",
        "",
    ])  # fmt: skip


def _number(value: float) -> str:
    """
    >>> _number(0.01234), _number(12345.6)
    ('0.0123', '12,346')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(minutes: float) -> str:
    """
    >>> _time(0.2), _time(12.3), _time(200)
    ('1 min', '13 min', '3.3 h')
    """
    return f"{minutes / 60:,.1f} h" if minutes > 90 else f"{math.ceil(minutes)} min"


def main() -> int:
    """Count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--rate", type=float, default=10.0, help="TFLOP/s that the GPU sustains (default: 10)")
    parser.add_argument("--shortest", type=float, default=50.0, help="ms of the shortest step (default: 50)")
    single = [name for name in list_recipes() if list(load_stages(name)) == [name]]
    parser.add_argument("--recipes", nargs="+", choices=single, default=single, help="these alone")
    arguments = parser.parse_args()
    costs = []
    for name in arguments.recipes:
        costs.append(cost_of(name))
        print(costs[-1], file=sys.stderr)
    choices = "" if arguments.recipes == single else f" --recipes {' '.join(arguments.recipes)}"
    page = page_of(costs, arguments.rate * 1e12, arguments.shortest / 1000, choices)
    write_file(arguments.output, page.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
