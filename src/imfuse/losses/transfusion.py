"""Objectives of TransFusion's two stages (Infrared Physics & Technology 2025): rebuild an image, then fuse a pair.

The released code computes its mutual information outside the graph: a constant without a gradient, and of exchanged
marginals. ``released`` reproduces that training; the default does what the abstract describes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import bounded_information, split_identity, stronger_gradient_loss
from imfuse.ops import ssim
from imfuse.ops.filters import own_precision
from imfuse.ops.padding import crop_to, pad_to
from imfuse.ops.ssim import SCALE_WEIGHTS as SCALES

SMALLEST = 176
"""Pixels of a side below which five scales of MS-SSIM have no room."""
POSITIONS, CHANNELS = 1024, 64
"""At most so many places and channels of a level go into the mutual information."""


@dataclass(frozen=True)
class Reconstruction(WeightedObjective):
    """Stage 1: ``mse + structure (1 - MS-SSIM)`` of single images. The batch holds ``image`` (N, 1, H, W).

    Args:
        structure: weight of ``1 - MS-SSIM``.
        released: 1: MS-SSIM as the released code has it.

    Source:
        Infrared Physics & Technology 2025, and the released code.
    """

    structure: float = 100.0
    released: float = 0.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        return self.terms(model.reconstruct(batch["image"]).float(), batch["image"])

    def validate(self, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How well both images of whole pairs are rebuilt."""
        images = torch.cat([batch["infrared"], batch["visible"]])
        height, width = images.shape[2:]
        rebuilt = model.reconstruct(pad_to(images, model.spec.size))
        return self.terms(crop_to(rebuilt, height, width).float(), images)[1]

    def terms(self, rebuilt: Tensor, image: Tensor) -> Loss:
        """Loss and parts for an image and its reconstruction, (N, 1, H, W)."""
        parts = {"mse": F.mse_loss(rebuilt, image), "structure": 1 - _structure(rebuilt, image, bool(self.released))}
        return self.weighted(parts, mse=1)


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Stage 2: ``intensity mse(F, max(I, V)) + structure / 2 (2 - both MS-SSIM) + information (1 - mean NMI)``.

    NMI is the normalised mutual information of the fused features of levels 1 and 5 with those of both images.
    The batch holds ``infrared`` and ``visible`` (N, 1, H, W).

    Args:
        intensity: weight of the distance to the brighter pixel.
        structure: of the structure of both images.
        information: of the mutual information.
        texture: ours, of the distance of gradients to the larger ones of both images, with their signs.
        vif: ours, of the visual information of both images.
        identity: ours, of the distance to the image of what becomes of a pair of one image, which counts in no other
            term of the images.
        released: 1: MS-SSIM as the released code has it, and no mutual information, since there it has no gradient.

    Source:
        Infrared Physics & Technology 2025, and the released code.
    """

    intensity: float = 100.0
    structure: float = 1.0
    information: float = 1.0
    released: float = 0.0
    texture: float = 0.0
    vif: float = 0.0
    identity: float = 0.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        encoded_ir, encoded_vi = model.encode(infrared), model.encode(visible)
        selected = model.select(encoded_ir, encoded_vi)
        fused = F.relu(model.decoder(selected)).float()
        loss = self.terms(fused, infrared, visible)
        if self.released or not self.information:
            return loss
        levels = [(selected[level], encoded_ir[level], encoded_vi[level]) for level in (0, 4)]
        return self.weighted(loss.parts | {"information": information_loss(levels, shuffled=True)})

    def terms(self, fused: Tensor, infrared: Tensor, visible: Tensor) -> Loss:
        """Loss and parts of the images alone."""
        parts = {}
        if self.identity:
            parts["identity"], fused = split_identity(fused, infrared, visible)
        similar = [_structure(fused, source, bool(self.released)) for source in (infrared, visible)]
        parts["intensity"] = F.mse_loss(fused, torch.maximum(infrared, visible))
        parts["structure"] = (2 - similar[0] - similar[1]) / 2
        if self.texture:
            parts["texture"] = stronger_gradient_loss(fused, infrared, visible)
        if self.vif:
            parts["vif"] = 2 - bounded_information(fused, infrared) - bounded_information(fused, visible)
        return self.weighted(parts)


def _structure(first: Tensor, second: Tensor, released: bool) -> Tensor:
    if released:
        return released_ms_ssim(first, second)
    return ms_ssim(first, second).mean()


# Multi-scale structural similarity


def ms_ssim(first: Tensor, second: Tensor, white: float = 1.0) -> Tensor:
    """MS-SSIM (Wang 2003), one value per image (N, 1, H, W): Gaussian window 11, no border, 2x2 means between scales.

    Contrast and structure below 0 count as 0. With a side below 176 fewer scales are used, and their exponents are
    scaled to the same sum.
    """
    scales = len(SCALES)
    while scales > 1 and min(first.shape[2:]) < 11 << (scales - 1):
        scales -= 1
    exponents = [weight * sum(SCALES) / sum(SCALES[:scales]) for weight in SCALES[:scales]]
    score = first.new_ones(len(first))
    for scale, exponent in enumerate(exponents):
        contrast, similarity = (x.mean((1, 2, 3)) for x in _ssim_maps(first, second, white, _gaussian(11)))
        part = similarity if scale == scales - 1 else contrast
        # At 0 the power has no finite slope.
        score = score * part.clamp_min(1e-12) ** exponent
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
    return score


def released_ms_ssim(first: Tensor, second: Tensor, *, remapped: bool = True) -> Tensor:
    """MS-SSIM as the released code computes it, a scalar of the whole batch: not that of the literature.

    The factor of the last scale counts four times; factors are means over the batch, mapped from [-1, 1] to [0, 1]
    (``remapped``); the range is guessed from the first image; at small scales the window shrinks, off its centre where
    its length is even.
    """
    contrasts, similarities = [], []
    for _ in SCALES:
        top = 255 if first.max() > 128 else 1
        bottom = -1 if first.min() < -0.5 else 0
        window = _gaussian(min(11, *first.shape[2:]))
        contrast, similarity = (x.mean() for x in _ssim_maps(first, second, top - bottom, window))
        contrasts.append(contrast)
        similarities.append(similarity)
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
    score = first.new_ones(())
    for contrast, exponent in zip(contrasts[:-1], SCALES, strict=False):
        last = similarities[-1]
        if remapped:
            contrast, last = (contrast + 1) / 2, (last + 1) / 2
        score = score * contrast**exponent * last ** SCALES[-1]
    return score


def _gaussian(length: int) -> Tensor:
    places = torch.arange(length, dtype=torch.float64) - length // 2
    weights = torch.exp(-(places**2) / (2 * 1.5**2))
    return weights / weights.sum()


def _ssim_maps(first: Tensor, second: Tensor, white: float, window: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast and structure, and the whole similarity, of every place whose window lies within."""
    kernel = window.to(first)[None, None]

    def mean(x: Tensor) -> Tensor:
        # Variances are differences of nearly equal numbers: mixed precision must not touch them.
        with own_precision(x):
            return F.conv2d(F.conv2d(x, kernel[..., None]), kernel[..., None, :])

    moments, (c1, c2) = ssim.moments(first, second, mean), ssim.constants(white)
    contrast = ssim.contrast_structure(moments.variances, moments.covariance, c2)
    return contrast, ssim.similarity(*moments, c1, c2)


# Mutual information


class Information(NamedTuple):
    """Mutual information and entropies of samples, in nat, one value per row; ``alive``: neither is constant."""

    mutual: Tensor
    entropy_a: Tensor
    entropy_b: Tensor
    alive: Tensor

    @property
    def normalised(self) -> Tensor:
        """``2 MI / (H_a + H_b)``, in [0, 1]; 0 for constant samples."""
        total = self.entropy_a + self.entropy_b
        return torch.where(self.alive, 2 * self.mutual / torch.where(self.alive, total, 1), 0)


def mutual_information(a: Tensor, b: Tensor, bins: int | None = None) -> Information:
    """Differentiable mutual information of samples (rows, S), by a soft histogram with a triangular window.

    Each row is brought to [0, 1] by its own minimum and maximum, which have no gradient. A sample counts for the two
    nearest of ``bins`` centres, by its distances. ``bins`` is half the root of S, within 4 and 16, where left out.
    """
    samples = a.shape[1]
    bins = bins or min(16, max(4, math.isqrt(samples) // 2))
    (u, varies_a), (v, varies_b) = _unit(a), _unit(b)
    alive = varies_a & varies_b
    (i, f), (j, g) = _place(u, bins), _place(v, bins)
    cells, shares = [], []
    for di, wi in ((0, 1 - f), (1, f)):
        for dj, wj in ((0, 1 - g), (1, g)):
            cells.append((i + di) * bins + j + dj)
            shares.append(wi * wj)
    joint = u.new_zeros(len(u), bins * bins).scatter_add(1, torch.cat(cells, 1), torch.cat(shares, 1) / samples)
    joint = joint.view(-1, bins, bins)
    entropy_a, entropy_b = _entropy(joint.sum(2)), _entropy(joint.sum(1))
    mutual = entropy_a + entropy_b - _entropy(joint.flatten(1))
    mutual, entropy_a, entropy_b = (torch.where(alive, part, 0) for part in (mutual, entropy_a, entropy_b))
    return Information(mutual, entropy_a, entropy_b, alive)


def _unit(samples: Tensor) -> tuple[Tensor, Tensor]:
    low, high = samples.detach().amin(1, keepdim=True), samples.detach().amax(1, keepdim=True)
    varies = high - low > 1e-6
    return (samples - low) / torch.where(varies, high - low, 1), varies[:, 0]


def _place(unit: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """The lower of the two centres beside each sample, and how far it is from that, in bins."""
    scaled = unit * (bins - 1)
    lower = scaled.detach().floor().clamp(0, bins - 2)
    return lower.long(), scaled - lower


def _entropy(shares: Tensor) -> Tensor:
    return -(shares * shares.clamp_min(1e-12).log()).sum(1)


def information_loss(levels: list[tuple[Tensor, Tensor, Tensor]], *, shuffled: bool = False) -> Tensor:
    """``1 - `` the mean normalised mutual information of fused features with those of each image, in [0, 1].

    ``levels`` are (fused, infrared, visible) features (N, C, H, W). Of each level at most 1024 places and 64 channels
    count: evenly spread ones, or, of the places, ``shuffled`` ones. Channels that are constant are left out.
    """
    scores = []
    for fused, *sources in levels:
        size, channels = fused.shape[2] * fused.shape[3], fused.shape[1]
        number = min(size, POSITIONS)
        places = torch.randperm(size)[:number] if shuffled else torch.arange(number) * size // number
        chosen = torch.arange(min(channels, CHANNELS)) * channels // min(channels, CHANNELS)

        def samples(x: Tensor, places: Tensor = places, chosen: Tensor = chosen) -> Tensor:
            return x.flatten(2)[..., places.to(x.device)][:, chosen.to(x.device)].flatten(0, 1).float()

        of_fused = samples(fused)
        for source in sources:
            information = mutual_information(of_fused, samples(source))
            scores.append(information.normalised.sum() / information.alive.sum().clamp_min(1))
    return 1 - torch.stack(scores).mean()
