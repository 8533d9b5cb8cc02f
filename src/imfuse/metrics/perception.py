"""Metrics that look at images through a model of the eye: a filter of its contrast sensitivity, then what stands out.

Both stretch the levels of each image to 0..255 first, halves rounded up: they are blind to a gain and an offset, hang
on single hot pixels, and are undefined for constant images. Their filters count cycles per image: never resize before.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Image, Picture, pictures, ratio_or_nan
from imfuse.metrics._sobel import strength
from imfuse.ops.windows import filter_separable

_BLOCK = 16


def chen_blum_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Chen and Blum's contrast quality QCB: mean of ``l q_a + (1 - l) q_b``. Higher is better.

    Of each image, stretched to 0..255 and filtered by ``exp(-(r / 15.387)^2) - 0.7622 exp(-(r / 1.3456)^2)`` with r in
    cycles per image / 15, the local contrast is ``c = |g2 / g4 - 1|`` with Gaussians of sigma 2 and 4 (31x31, zero
    border, not renormalised), masked to ``c^3 / (c^2 + 0.0001)``. q is the smaller by the greater of the masked
    contrasts of source and f, ``l = c_a^2 / (c_a^2 + c_b^2)``.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64 in [0, 1], without a unit: 1 where all three images are the same, nan where an
        image is constant, or two contrasts are zero at a pixel.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Chen and Blum, Image and Vision Computing 2009, as computed by the VIFB benchmark and by Liu et al., IEEE TPAMI
        2012.

    Example:
        >>> picture = torch.rand(1, 1, 32, 32)
        >>> round(chen_blum_quality(picture, picture, picture).item(), 9)
        1.0
    """
    f, a, b = (_contrast(image) for image in pictures(fused, infrared, visible, data_range))
    kept_a, kept_b = (torch.minimum(source, f) / torch.maximum(source, f) for source in (a, b))
    square = a * a
    return torch.lerp(kept_b, kept_a, square / (square + b * b)).mean((1, 2, 3))


def chen_varshney_error(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Chen and Varshney's weighted error QCV: ``sum(l_a d_a + l_b d_b) / sum(l_a + l_b)``. Lower is better.

    Over blocks of 16x16 pixels, with zeros for those beyond the image: l is the sum of the Sobel strength (zero border)
    of a source to the fifth power, d the mean square of the difference of source and f, filtered by the contrast
    sensitivity ``2.6 (0.0192 + 0.144 r) exp(-(0.144 r)^1.1)`` with r in cycles per image / 4. Few blocks with strong
    edges dominate.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range].
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64, at least 0, in squared gray levels; 0 where all three images are the same.
        nan where an image is constant; a black one is left as it is, and only two black sources are undefined.

    Raises:
        MetricError: an image is not what ``Picture`` takes, or the shapes differ.

    Source:
        Chen and Varshney, Information Fusion 2007, as computed by the VIFB benchmark and by Liu et al., IEEE TPAMI
        2012.

    Example:
        >>> picture = torch.rand(1, 1, 32, 32)
        >>> chen_varshney_error(picture, picture, picture).item()
        0.0
    """
    f, a, b = (_stretched(image) for image in pictures(fused, infrared, visible, data_range))
    error, total = _weighted_error(a, f), _saliency(a).sum((1, 2))
    return ratio_or_nan(error + _weighted_error(b, f), total + _saliency(b).sum((1, 2)))


def _stretched(image: Picture) -> Picture:
    """The picture with its levels spread over 0..255: nan if it is constant, unchanged if it is black."""

    def compute() -> Picture:
        levels = image.levels
        low, high = levels.amin((2, 3), keepdim=True), levels.amax((2, 3), keepdim=True)
        span = torch.where(high > low, high - low, torch.where(high > 0, torch.nan, 1))
        spread = (levels - low).mul_(255) / span
        whole = (spread.detach() + 0.5).floor_()
        # Rounding has no slope; the gradient is that of the levels before it.
        return Picture.of_levels(spread + (whole - spread.detach()) if spread.requires_grad else whole)

    return image.once("stretched for the eye", compute)


def _filtered(stretched: Picture, response: Tensor) -> Tensor:
    """Multiply the spectrum, as if the image went on periodically."""
    spectrum = stretched.once("spectrum", lambda: torch.fft.rfft2(stretched.levels))
    filtered: Tensor = torch.fft.irfft2(spectrum * response, stretched.levels.shape[2:])
    return filtered


def _contrast(image: Picture) -> Tensor:
    """Masked local contrast, (N, 1, H, W)."""

    def compute() -> Tensor:
        stretched = _stretched(image)
        filtered = _filtered(stretched, _centre_surround(*stretched.levels.shape[2:], stretched.levels.device))
        near, far = (filter_separable(filtered, _surround(sigma), border="zero") for sigma in (2, 4))
        contrast = (near / far - 1).abs()
        square = contrast * contrast
        return contrast * square / (square + 1e-4)

    return image.once("masked contrast", compute)


def _weighted_error(source: Picture, fused: Picture) -> Tensor:
    square = (_perceived(source) - _perceived(fused)).square()
    return (_saliency(source) * _block_sums(square)).sum((1, 2)) / _BLOCK**2


def _perceived(stretched: Picture) -> Tensor:
    """What passes the contrast sensitivity. The filter is linear: differences need not be filtered one by one."""

    def compute() -> Tensor:
        return _filtered(stretched, _sensitivity(*stretched.levels.shape[2:], stretched.levels.device))

    return stretched.once("perceived", compute)


def _saliency(stretched: Picture) -> Tensor:
    """Weight of each block, (N, rows, columns)."""

    def compute() -> Tensor:
        edges = strength(stretched, "zero")
        square = edges * edges
        return _block_sums(square * square * edges)

    return stretched.once("saliency of blocks", compute)


def _block_sums(x: Tensor) -> Tensor:
    """(N, 1, H, W) to (N, rows, columns) of blocks, zeros beyond the image."""
    x = F.pad(x, (0, -x.shape[3] % _BLOCK, 0, -x.shape[2] % _BLOCK))
    count, _, height, width = x.shape
    rows = x.reshape(count, height // _BLOCK, _BLOCK, width).sum(2)
    return rows.reshape(count, height // _BLOCK, width // _BLOCK, _BLOCK).sum(3)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _centre_surround(height: int, width: int, device: torch.device) -> Tensor:
    radius = _cycles(height, width) / 15
    return (torch.exp(-((radius / 15.3870) ** 2)) - 0.7622 * torch.exp(-((radius / 1.3456) ** 2))).to(device)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _sensitivity(height: int, width: int, device: torch.device) -> Tensor:
    radius = 0.144 * _cycles(height, width) / 4
    return (2.6 * (0.0192 + radius) * torch.exp(-(radius**1.1))).to(device)


def _cycles(height: int, width: int) -> Tensor:
    """Cycles per image of each entry of ``rfft2``, (H, W // 2 + 1)."""
    down = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)
    return torch.hypot(down[:, None], torch.arange(width // 2 + 1, dtype=torch.float64))


@lru_cache
@torch.inference_mode(False)
def _surround(sigma: float) -> Tensor:
    """One axis of a Gaussian whose sum is 1 only if it went on forever, (31,)."""
    place = torch.arange(-15, 16, dtype=torch.float64)
    return torch.exp(-((place / sigma) ** 2) / 2) / (math.sqrt(2 * math.pi) * sigma)
