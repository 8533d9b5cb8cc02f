"""Terms that more than one objective uses. Images are (N, 1, H, W) in [0, 1]; a term is a scalar tensor."""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.ops import ssim, vif
from imfuse.ops.filters import own_precision
from imfuse.ops.windows import gaussian

SALIENT_CLASSES = (1, 2, 3)
"""Cars, people and bikes among the nine classes of MSRS."""
IGNORE = 255
"""Label of pixels without a class."""


@cache
@torch.inference_mode(False)  # What validation makes first must serve training too.
def _blur_matrix(length: int, window: int, sigma: float) -> Tensor:
    """Gaussian blur of ``length`` values as a matrix, the mirrored border included."""
    offsets, weights = torch.arange(window) - (window - 1) // 2, gaussian(window, sigma)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    for place in range(length):
        mirrored = (place + offsets).abs()
        mirrored = torch.where(mirrored < length, mirrored, 2 * (length - 1) - mirrored)
        matrix[place].index_add_(0, mirrored, weights)
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
    moments = ssim.moments(first, second, partial(gaussian_mean, window=window, sigma=sigma))
    return ssim.similarity(*moments, *ssim.constants(1))


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
    """The window of a scale of VIF, without a border, at every ``step``-th place, as a matrix (places, length)."""
    starts = torch.arange(0, length - window + 1, step)
    matrix = torch.zeros(len(starts), length, dtype=torch.float64)
    for row, start in enumerate(starts.tolist()):
        matrix[row, start : start + window] = vif.window_taps(window)
    return matrix


def visual_information(fused: Tensor, source: Tensor) -> Tensor:
    """Visual information fidelity of images in [0, 1], one value per image; H, W >= 41.

    That of :func:`imfuse.metrics.visual_information_fidelity` for one source, by the same formulas, in the precision of
    the images and without rounding to levels, so that it can be trained.
    """

    def filtered(x: Tensor, window: int, step: int = 1) -> Tensor:
        down, across = (_blur_and_halve_matrix(length, window, step).to(x) for length in x.shape[-2:])
        return down @ x @ across.t()

    kept = total = source.new_zeros(len(source))
    with own_precision(source):
        # Differences of nearly equal numbers follow: a mean of 0 keeps more digits.
        centre = source.mean((1, 2, 3), keepdim=True)
        x, y = 255 * (source - centre), 255 * (fused - centre)
        for scale, window in enumerate(vif.WINDOWS):
            if scale:
                x, y = filtered(torch.cat([x, y]), window, 2).chunk(2)
            m_x, m_y, s_xx, s_yy, s_xy = filtered(torch.cat([x, y, x * x, y * y, x * y]), window).chunk(5)
            v_x, v_y = vif.without_noise(s_xx - m_x * m_x), vif.without_noise(s_yy - m_y * m_y)
            gain, noise = vif.gain_and_noise(v_x, v_y, s_xy - m_x * m_y)
            kept = kept + vif.information(vif.signal_to_noise(gain, noise, v_x))
            total = total + vif.information(v_x / vif.EYE)
    return kept / (total + 1e-10)


def box_ssim(first: Tensor, second: Tensor, window: int = 7) -> Tensor:
    """Mean structural similarity under a box, without a border, moments of the population, dynamic range 1."""
    moments = ssim.moments(first, second, partial(F.avg_pool2d, kernel_size=window, stride=1))
    return ssim.similarity(*moments, *ssim.constants(1)).mean()


def bounded_information(fused: Tensor, source: Tensor) -> Tensor:
    """Mean of ``visual_information``, at most 2: a crop with next to nothing in it would count a hundredfold."""
    return visual_information(fused, source).clamp_max(2).mean()


def split_identity(fused: Tensor, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """For pairs of one image: the distance to it, a scalar, and the fused images with it in place of theirs.

    Most other terms reward more contrast than there is; of what is perfect already they change nothing.
    """
    same = (infrared == visible).all(3).all(2)[..., None, None]
    return (same * (fused - infrared).abs()).mean(), torch.where(same, infrared, fused)


def larger_gradient(first: Tensor, second: Tensor) -> Tensor:
    """Of two gradients, per axis, the larger one with its sign; of equal sizes the second."""
    return torch.where(first.abs() > second.abs(), first, second)


def stronger_gradient_loss(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Distance of the gradient to that of the source where it is larger, per axis, with its sign."""
    return F.l1_loss(sobel_gradient(fused), larger_gradient(sobel_gradient(infrared), sobel_gradient(visible)))


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
