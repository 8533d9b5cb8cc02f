"""Objectives of EMMA's two stages (CVPR 2024): learn what a camera sees of a fused image, then fuse so that it agrees.

The sensing networks need fused images to learn from. The paper takes those of other methods; here the methods whose
weights ship make them, batch by batch.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.inference.forms import fast_form
from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import sobel_gradient
from imfuse.models._build import create_model
from imfuse.ops.padding import crop_to, pad_to

TEACHERS = ("auif", "didfuse", "refinefuse")
"""Methods whose results the sensing networks learn from; each gets every third image of a batch."""
ANGLES = (10.0, 130.0, 250.0)
SHIFTS = 3
FLIPS = ((2,), (3,), (2, 3))


@dataclass(frozen=True)
class Sensing(WeightedObjective):
    """Stage 1: what the sensing networks make of a fused image. The batch holds ``infrared`` and ``visible``.

    Args:
        infrared: weight of the mean square distance of the sensed to the true infrared image.
        visible: that of the visible image.

    Source:
        CVPR 2024.
    """

    infrared: float = 1.0
    visible: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        return self.weighted(self.validate(model, batch))

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same of whole pairs."""
        infrared, visible = batch["infrared"], batch["visible"]
        height, width = infrared.shape[2:]
        fused = pad_to(fused_by_others(infrared, visible), SizeRule(16))
        sensed = (crop_to(judge(fused), height, width).float() for judge in (model.sensing_ir, model.sensing_vi))
        return {
            name: F.mse_loss(estimate, image)
            for name, estimate, image in zip(("infrared", "visible"), sensed, (infrared, visible), strict=True)
        }


@cache
def _teacher(name: str, device: torch.device) -> nn.Module:
    return fast_form(create_model(name)).to(device)


@torch.no_grad()
def fused_by_others(infrared: Tensor, visible: Tensor) -> Tensor:
    """Images (N, 1, H, W) that methods with shipped weights make of a batch, in turns."""
    fused = torch.empty_like(infrared)
    height, width = infrared.shape[2:]
    for turn, name in enumerate(TEACHERS):
        mine = slice(turn, None, len(TEACHERS))
        if len(infrared[mine]):
            teacher = _teacher(name, infrared.device)
            pair = (pad_to(image[mine].float(), SizeRule(16, min_size=32)) for image in (infrared, visible))
            fused[mine] = crop_to(teacher(*pair), height, width).to(fused.dtype)
    return fused


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Stage 2: what is sensed of the result is the pair, also after the result was moved, turned or mirrored.

    The batch holds ``infrared`` and ``visible`` (N, 1, H, W), sides multiples of 16.

    Args:
        infrared: weight of the distance of the sensed to the true infrared image.
        visible: that of the visible image.
        equivariance: distance of a moved result to the fusion of what is sensed of it.

    Source:
        CVPR 2024.
    """

    infrared: float = 1.0
    visible: float = 1.0
    equivariance: float = 0.1

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        # They judge as they were trained: with the statistics of then.
        for judge in (model.sensing_ir, model.sensing_vi):
            judge.eval()
        prediction = model.predict(infrared, visible)
        moved = transformed(prediction.fused, drawn_shifts(infrared))
        again = model(model.sensing_ir(moved), model.sensing_vi(moved))
        parts = {
            "infrared": distance(prediction.infrared.float(), infrared),
            "visible": distance(prediction.visible.float(), visible),
            "equivariance": distance(moved.float(), again.float()),
        }
        return self.weighted(parts)


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean distance of two images, plus that of their Sobel derivatives."""
    return F.l1_loss(first, second) + F.l1_loss(sobel_gradient(first), sobel_gradient(second))


class Shift(NamedTuple):
    """Rows and columns that leave the picture at one side come in at the other."""

    rows: int
    columns: int


def drawn_shifts(image: Tensor) -> list[Shift]:
    """Three shifts by 1 to side - 1 either way. The image decides them, so a resumed run draws what it would have."""
    seed = zlib.crc32(image.detach().float().cpu().contiguous().numpy().tobytes())
    generator = torch.Generator().manual_seed(seed)
    draws = []
    for _ in range(SHIFTS):
        steps = [int(torch.randint(1, side, (), generator=generator)) for side in image.shape[2:]]
        signs = (1 - 2 * torch.randint(2, (2,), generator=generator)).tolist()
        draws.append(Shift(steps[0] * signs[0], steps[1] * signs[1]))
    return draws


def transformed(image: Tensor, shifts: list[Shift]) -> Tensor:
    """Images (N, 1, H, W) shifted, turned by 10, 130 and 250 degrees and mirrored: (9 N, 1, H, W)."""
    shifted = [image.roll(tuple(shift), (2, 3)) for shift in shifts]
    turned = [rotated(image, angle) for angle in ANGLES]
    return torch.cat([*shifted, *turned, *(image.flip(axes) for axes in FLIPS)])


def rotated(image: Tensor, degrees: float) -> Tensor:
    """Turned counter-clockwise about the centre, bilinear, zeros outside the image.

    >>> image = torch.tensor([[[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    >>> rotated(image, 90).round().tolist()
    [[[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]
    """
    height, width = image.shape[2:]
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    cosine, sine = angle.cos().item(), angle.sin().item()
    # Of each place where in the image its value lies; y points down, and a grid counts each side from -1 to 1.
    ratio = (height - 1) / (width - 1)
    matrix = image.new_tensor([[cosine, -sine * ratio, 0.0], [sine / ratio, cosine, 0.0]])
    grid = F.affine_grid(matrix.expand(len(image), -1, -1), list(image.shape), align_corners=True)
    return F.grid_sample(image, grid, align_corners=True)
