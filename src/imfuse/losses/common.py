"""Terms that more than one objective uses. Images are (N, 1, H, W) in [0, 1]; a term is a scalar tensor."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops.filters import own_precision

SALIENT_CLASSES = (1, 2, 3)
"""Cars, people and bikes among the nine classes of MSRS."""
IGNORE = 255
"""Label of pixels without a class."""


@cache
@torch.inference_mode(False)  # What validation makes first must serve training too.
def _blur_matrix(length: int, window: int, sigma: float) -> Tensor:
    """Gaussian blur of ``length`` values as a matrix, the mirrored border included."""
    offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    matrix = torch.zeros(length, length, dtype=torch.float64)
    for place in range(length):
        mirrored = (place + offsets.long()).abs()
        mirrored = torch.where(mirrored < length, mirrored, 2 * (length - 1) - mirrored)
        matrix[place].index_add_(0, mirrored, weights / weights.sum())
    return matrix


def gaussian_mean(x: Tensor, window: int, sigma: float) -> Tensor:
    """Gaussian mean of each pixel's neighbours, mirrored border; H and W must exceed ``window // 2``."""
    height, width = x.shape[-2:]
    down, across = (_blur_matrix(length, window, sigma).to(x) for length in (height, width))
    # Products with two matrices: training steps are many times faster than with one-channel convolutions.
    # The variances are differences of nearly equal numbers: mixed precision must not touch them.
    with own_precision(x):
        return down @ x @ across.t()


def ssim_map(first: Tensor, second: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity at every pixel (Wang 2004, eq. 13): Gaussian window, mirrored border, dynamic range 1.

    Moments are those of the population. H and W must exceed ``window // 2``.
    """
    c1, c2 = 0.01**2, 0.03**2
    # One pass over five maps: the filter is linear.
    stacked = torch.cat([first, second, first * first, second * second, first * second])
    m1, m2, s11, s22, s12 = gaussian_mean(stacked, window, sigma).chunk(5)
    luminance = (2 * m1 * m2 + c1) / (m1 * m1 + m2 * m2 + c1)
    return luminance * (2 * (s12 - m1 * m2) + c2) / (s11 - m1 * m1 + s22 - m2 * m2 + c2)


def dssim(first: Tensor, second: Tensor, window: int = 11) -> Tensor:
    """Mean of ``clip(1 - SSIM, 0, 1) / 2``: at most 1/2, without a gradient where SSIM is negative.

    This is the form of the library release that AUIF-Net and DIDFuse were trained with; later ones halve before they
    clip.

    >>> image = torch.rand(1, 1, 16, 16)
    >>> dssim(image, image).item() < 1e-6
    True
    """
    return (1 - ssim_map(first, second, window)).clamp(0, 1).mean() / 2


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation, one value per image; 0 where one of the two is constant."""
    a, b = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in (first, second))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).clamp_min(1e-12).sqrt()


def salient_mask(labels: Tensor) -> Tensor:
    """Where the labels (N, H, W) are car, person or bike: (N, 1, H, W), boolean."""
    return torch.isin(labels, torch.tensor(SALIENT_CLASSES, device=labels.device))[:, None]


def sobel_gradient(image: Tensor) -> Tensor:
    """Sobel derivatives divided by 8, edge pixels repeated: (N, 1, H, W) to (N, 2, H, W), x first."""
    smooth, slope = image.new_tensor([1.0, 2.0, 1.0]), image.new_tensor([-1.0, 0.0, 1.0])
    kernel = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None] / 8
    with own_precision(image):
        return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel)


def sobel_magnitude(image: Tensor) -> Tensor:
    """Sum of the magnitudes of both Sobel derivatives, not divided, zeros outside: (N, 1, H, W)."""
    across = image.new_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    with own_precision(image):
        return F.conv2d(image, torch.stack([across, across.t()])[:, None], padding=1).abs().sum(1, keepdim=True)


@cache
@torch.inference_mode(False)
def _blur_and_halve_matrix(length: int, window: int, step: int) -> Tensor:
    """Gaussian mean without a border, of every ``step``-th place, as a matrix (places, length)."""
    offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    weights = torch.exp(-(offsets**2) / (2 * (window / 5) ** 2))
    starts = torch.arange(0, length - window + 1, step)
    matrix = torch.zeros(len(starts), length, dtype=torch.float64)
    for row, start in enumerate(starts.tolist()):
        matrix[row, start : start + window] = weights / weights.sum()
    return matrix


def visual_information(fused: Tensor, source: Tensor) -> Tensor:
    """Visual information fidelity of images in [0, 1], one value per image; H, W >= 41.

    That of :func:`imfuse.metrics.visual_information_fidelity` (pixel domain, four scales) for one source, in the
    precision of the images and without rounding to levels, so that it can be trained.
    """

    def filtered(x: Tensor, window: int, step: int = 1) -> Tensor:
        down, across = (_blur_and_halve_matrix(length, window, step).to(x) for length in x.shape[-2:])
        return down @ x @ across.t()

    told = known = source.new_zeros(len(source))
    with own_precision(source):
        # Differences of nearly equal numbers follow: a mean of 0 keeps more digits.
        centre = source.mean((1, 2, 3), keepdim=True)
        x, y = 255 * (source - centre), 255 * (fused - centre)
        for window in (17, 9, 5, 3):
            if window != 17:
                x, y = filtered(torch.cat([x, y]), window, 2).chunk(2)
            m_x, m_y, s_xx, s_yy, s_xy = filtered(torch.cat([x, y, x * x, y * y, x * y]), window).chunk(5)
            s_xx, s_yy = (s_xx - m_x * m_x).clamp_min(0), (s_yy - m_y * m_y).clamp_min(0)
            # What the fused image keeps of the source is not less than nothing.
            gain = ((s_xy - m_x * m_y) / (s_xx + 1e-10)).clamp_min(0)
            noise = (s_yy - 2 * gain * (s_xy - m_x * m_y) + gain * gain * s_xx).clamp_min(1e-10)
            told = told + torch.log1p(gain * gain * s_xx / (noise + 2)).sum((1, 2, 3))
            known = known + torch.log1p(s_xx / 2).sum((1, 2, 3))
    return told / (known + 1e-10)


def hard_pixel_loss(
    logits: Tensor, labels: Tensor, least: int | None = None, probability: float = 0.75, share: float = 0.25
) -> Tensor:
    """Mean cross entropy of the pixels whose true class is less probable than ``probability`` (OHEM).

    Where fewer than ``least`` pixels are that hard it is of the ``least`` hardest: ``share`` of the labelled ones if
    not given. 0 where no pixel has a label. (N, C, H, W) and (N, H, W).
    """
    losses = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    losses = losses[labels != IGNORE]
    if not len(losses):
        return logits.sum() * 0
    least = min(max(1, int(share * len(losses)) if least is None else least), len(losses))
    hard = losses[losses > -math.log(probability)]
    return hard.mean() if len(hard) > least else losses.topk(least).values.mean()
