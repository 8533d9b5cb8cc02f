"""Which places of a detector are trained to find which object: of one stride by size, around the object's centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imfuse.core.boxes import Boxes

OBJECT_STRIDES = 4.0
"""An object is found at the stride of which it is about so many wide and high."""
RADIUS = 1.5
"""Its places lie so many strides from its centre at most, in either direction ("centre sampling" of FCOS)."""


@dataclass(frozen=True)
class Targets:
    """What a detector should say at each place of each picture.

    ``positive`` (N, places) says where there is an object; ``classes`` (N, places) and ``boxes`` (N, places, 4) hold
    there.
    """

    positive: Tensor
    classes: Tensor
    boxes: Tensor


def places_of(size: Sequence[int], strides: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Middles of the places of all strides, (places, 2) as x and y in pixels, and the stride of each, (places, 1).

    >>> places_of((9, 17), (8,), torch.device("cpu"))[0].tolist()
    [[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [4.0, 12.0], [12.0, 12.0], [20.0, 12.0]]
    """
    points, steps = [], []
    for stride in strides:
        rows, columns = (torch.arange(-(-side // stride), device=device) * stride + stride / 2 for side in size)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()], dim=1))
        steps.append(torch.full((x.numel(), 1), float(stride), device=device))
    return torch.cat(points), torch.cat(steps)


def assign(boxes: Sequence[Boxes], size: Sequence[int], strides: Sequence[int], device: torch.device) -> Targets:
    """Targets of pictures of one size: a place that several objects want gets the smallest."""
    places, steps = places_of(size, strides, device)
    parts = [_assign_one(one, places, steps[:, 0], strides) for one in boxes]
    positive, classes, corners = (torch.stack(values) for values in zip(*parts, strict=True))
    return Targets(positive, classes, corners)


def _assign_one(boxes: Boxes, places: Tensor, steps: Tensor, strides: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    count = len(places)
    if not len(boxes):
        nothing = torch.zeros(count, dtype=torch.bool, device=places.device)
        return nothing, nothing.long(), places.new_zeros(count, 4)
    corners = torch.from_numpy(boxes.corners).to(places)
    classes = torch.from_numpy(boxes.classes).to(places.device)
    sides = corners[:, 2:] - corners[:, :2]
    areas = sides.prod(1)
    known = places.new_tensor(strides)
    best = (areas.sqrt().clamp(min=1)[:, None] / (OBJECT_STRIDES * known)).log().abs().argmin(1)
    # (objects, places, 2)
    away = places[None] - (corners[:, None, :2] + corners[:, None, 2:]) / 2
    own = steps[None] == known[best][:, None]
    near = own & (away.abs() < RADIUS * steps[None, :, None]).all(2) & (away.abs() * 2 < sides[:, None]).all(2)
    # However small an object is, the place nearest to its centre is its own.
    nearest = away.square().sum(2).masked_fill(~own, torch.inf).argmin(1)
    near[torch.arange(len(corners), device=places.device), nearest] = True
    wanted = areas[:, None].expand(-1, count).masked_fill(~near, torch.inf).min(0)
    chosen = wanted.indices
    return wanted.values.isfinite(), classes[chosen], corners[chosen]
