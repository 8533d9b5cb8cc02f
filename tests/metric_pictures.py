"""Pictures for tests of metrics: published ones, noise, related ones, and levels that are not rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imfuse.imaging import read_image
from imfuse.metrics import Picture

Triple = tuple[Tensor, Tensor, Tensor]


def tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (N, H, W) to (N, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image)).reshape(-1, 1, *image.shape[-2:])


def triple(shared: Path, method: str, image: str, crop: str = "full") -> Triple:
    files = (shared / "truth" / "fused" / method, shared / "data" / "tno" / "ir", shared / "data" / "tno" / "vi")
    images = [tensor(read_image(folder / f"{image}.png")) for folder in files]
    if crop != "full":
        top, left, height, width = map(int, crop.split(":"))
        images = [x[..., top : top + height, left : left + width] for x in images]
    return images[0], images[1], images[2]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return tensor(np.random.default_rng(seed).integers(0, 256, shape).astype(np.float64))


def smooth(height: int, width: int, seed: int) -> Triple:
    """Three related pictures, the first a mix of the others."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    first, second = (128 + 90 * np.sin(y / random.uniform(3, 9) + x / random.uniform(3, 9)) for _ in range(2))
    grain = random.normal(0, 8, (3, height, width))
    images = np.clip(np.stack([0.6 * first + 0.4 * second, first, second]) + grain, 0, 255).round()
    return tensor(images[0]), tensor(images[1]), tensor(images[2])


def levels(image: Tensor) -> Picture:
    """A picture whose levels are not rounded."""
    picture = Picture(image.detach(), 255)
    picture.levels = image
    return picture
