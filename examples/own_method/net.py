"""A fusion method of one's own, outside the package: a small network, its loss, its specification.

    imfuse fuse INFRARED VISIBLE --model examples/own_method/net.py:TinyFuse
    imfuse train examples/own_method/recipe.yaml --data DIR
    python -m imfuse.testing examples/own_method/net.py:TinyFuse

README.md beside this file walks through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import imfuse
from imfuse.losses import Loss, WeightedObjective

SPEC = imfuse.ModelSpec(
    name="tinyfuse",
    title="TinyFuse",
    paper=imfuse.Paper("An example of a fusion method", venue="unpublished", year=2026),
    summary="two convolutions weigh the two images, pixel by pixel; the brighter one has a lead",
    # Two 3x3 convolutions look one pixel far each; a mirrored border needs two pixels.
    size=imfuse.SizeRule(min_size=2, halo=2),
    memory_per_pixel=160,
    parameters=298,
    options=(imfuse.Option("sharp", (False, True), False, "a steeper choice between the two images"),),
    weights=(
        imfuse.WeightsSpec(
            name="default",
            file=str(Path(__file__).with_name("tinyfuse.safetensors")),
            sha256="0ff5b61760f8ca9bd09a89cbd1f1afc04d21ad1481a47883be62ca69a2beff36",
            recipe="recipe.yaml",
            data="8 rendered scenes",
            date="2026-11-30",
        ),
    ),
)


@imfuse.register_method(SPEC)
class TinyFuse(imfuse.FusionModel):
    """``weight * infrared + (1 - weight) * visible``; a pixel's weight comes from its brightness and its neighbours."""

    def __init__(self, sharp: bool = False) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 8, 3, padding=1, padding_mode="reflect")
        self.choose = nn.Conv2d(8, 2, 3, padding=1, padding_mode="reflect")
        self.steepness = 40.0 if sharp else 20.0

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1] of two such images."""
        images = torch.cat([infrared, visible], dim=1)
        # The brighter image wins, unless what lies around says otherwise.
        scores = self.steepness * images + self.choose(F.relu(self.look(images)))
        return (torch.softmax(scores, dim=1) * images).sum(1, keepdim=True)


@dataclass(frozen=True)
class TinyLoss(WeightedObjective):
    """Bright things of both images, and the stronger edges. Its fields are weights, which a recipe may set."""

    intensity: float = 1.0
    edges: float = 5.0

    def __call__(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Loss:
        """Loss of a batch and its parts, which the log shows."""
        infrared, visible = batch["infrared"], batch["visible"]
        fused = model(infrared, visible)
        return self.weighted(
            {
                "intensity": F.l1_loss(fused, torch.maximum(infrared, visible)),
                "edges": F.l1_loss(slope(fused), torch.maximum(slope(infrared), slope(visible))),
            }
        )


def slope(image: Tensor) -> Tensor:
    """Size of the differences between neighbours, (N, 1, H - 1, W - 1)."""
    return image.diff(dim=2)[..., :-1].abs() + image.diff(dim=3)[..., :-1, :].abs()
