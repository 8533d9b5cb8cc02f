"""Structural similarity: luminance, contrast and structure in windows, on one scale or five."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Image, Picture, at_least, average, mean_of_parts, pictures
from imfuse.ops.windows import box, filter_separable, gaussian

_LUMINANCE, _CONTRAST = 0.01, 0.03
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True)
class Window:
    """Weights of the pixels around one: a Gaussian, or equal ones where there is no ``sigma``.

    Attributes:
        size: rows and columns.
        sigma: of the Gaussian.
        border: ``valid`` keeps whole windows.
    """

    size: int = 11
    sigma: float | None = 1.5
    border: Literal["valid", "replicate"] = "valid"

    def moments(self, picture: Picture) -> tuple[Tensor, Tensor]:
        """Mean and variance around each pixel; remembered."""

        def compute() -> tuple[Tensor, Tensor]:
            mean = self._mean(picture.levels)
            return mean, self._mean(picture.levels.square()).addcmul_(mean, mean, value=-1)

        return picture.once((self, "moments"), compute)

    def covariance(self, first: Picture, second: Picture) -> Tensor:
        """Covariance around each pixel; ``first`` remembers it."""

        def compute() -> Tensor:
            mean = self._mean(first.levels * second.levels)
            return mean.addcmul_(self.moments(first)[0], self.moments(second)[0], value=-1)

        return first.once((self, "covariance", second), compute)

    def _mean(self, x: Tensor) -> Tensor:
        taps = box(self.size) if self.sigma is None else gaussian(self.size, self.sigma)
        return filter_separable(x, taps, border=self.border)


GAUSSIAN = Window()
"""The window of Wang et al."""
UNIFORM = Window(size=7, sigma=None)
"""The window that scikit-image takes where none is given."""


def structural_similarity(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    window: Window = GAUSSIAN,
    peak: float = 255,
    sample: bool = False,
    total: bool = False,
) -> Tensor:
    """SSIM, mean of both sources, in [-1, 1]. Higher is better.

    Mean over the windows of ``(2 m1 m2 + C1) (2 v12 + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2))``, with
    ``C1 = (0.01 peak)^2`` and ``C2 = (0.03 peak)^2``. Wang, Bovik, Sheikh and Simoncelli, TIP 2004. H, W >= the size of
    the window, 11. Constant images have a value too.

    Args:
        fused: (N, 1, H, W).
        infrared: as ``fused``.
        visible: as ``fused``.
        data_range: highest value of the images.
        window: in which moments are taken.
        peak: what counts as the range of the levels. Anything but 255 is an accident: a library took 1 or 2 for the
            range of floats, though these were levels.
        sample: variances are those of a sample (n - 1), not of a population.
        total: sum of both sources instead of their mean.

    >>> import torch
    >>> source = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> round(structural_similarity(source, source, source).item(), 9)
    1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, window.size, "SSIM")
    mean = average(lambda source, f: _similarity(source, f, window, peak, sample), f, a, b)
    return 2 * mean if total else mean


def multi_scale_structural_similarity(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """MS-SSIM, mean of both sources, in [0, 1]. Higher is better.

    Product over five scales, each half the size of the one before, of the mean of ``(2 v12 + C2) / (v1 + v2 + C2)``, in
    the last of the whole SSIM, to the powers 0.0448, 0.2856, 0.3001, 0.2363 and 0.1333; negative means count as 0.
    Windows and constants are those of :func:`structural_similarity`. Wang, Simoncelli and Bovik, Asilomar 2003.
    H, W > 160.

    >>> import torch
    >>> source = torch.rand(1, 1, 161, 176, generator=torch.Generator().manual_seed(0))
    >>> round(multi_scale_structural_similarity(source, source, source).item(), 9)
    1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 161, "MS-SSIM")
    return average(_similarity_of_scales, f, a, b)


def half(picture: Picture) -> Picture:
    """The picture at half the size, remembered: means of 2x2 pixels, an odd last row or column repeated.

    Its levels are no longer whole numbers.
    """

    def compute() -> Picture:
        levels = picture.levels
        mean = F.avg_pool2d(F.pad(levels, (0, levels.shape[3] % 2, 0, levels.shape[2] % 2), "replicate"), 2)
        smaller = Picture(mean.detach(), 255)
        smaller.levels = mean
        return smaller

    return picture.once("half", compute)


def power(x: Tensor, exponent: float) -> Tensor:
    """A power, 0 of what is not positive, without a slope there."""
    return torch.where(x > 0, x.where(x > 0, 1) ** exponent, 0)


def similarity(
    mean_1: Tensor, var_1: Tensor, mean_2: Tensor, var_2: Tensor, covariance: Tensor, c1: float, c2: float
) -> Tensor:
    """SSIM at each pixel, by the moments of the window around it."""
    above = (mean_1 * mean_2).add_(c1 / 2) * (covariance + c2 / 2)
    below = (mean_1 * mean_1).addcmul_(mean_2, mean_2).add_(c1) * (var_1 + var_2).add_(c2)
    return above.mul_(4) / below


def _similarity(
    source: Picture, fused: Picture, window: Window = GAUSSIAN, peak: float = 255, sample: bool = False
) -> Tensor:
    c1, c2 = (_LUMINANCE * peak) ** 2, (_CONTRAST * peak) ** 2
    if sample:
        # The factor n / (n - 1) of all second moments, taken out of the fraction.
        c2 *= 1 - window.size**-2
    moments = *window.moments(source), *window.moments(fused), window.covariance(fused, source)
    return mean_of_parts(partial(similarity, c1=c1, c2=c2), *moments)


def _similarity_of_scales(source: Picture, fused: Picture) -> Tensor:
    product = fused.levels.new_ones(())
    for weight in _SCALE_WEIGHTS[:-1]:
        product = product * power(_structure(source, fused), weight)
        source, fused = half(source), half(fused)
    return product * power(_similarity(source, fused), _SCALE_WEIGHTS[-1])


def _structure(source: Picture, fused: Picture) -> Tensor:
    """Mean of (2 v12 + C2) / (v1 + v2 + C2)."""
    c2 = (_CONTRAST * 255) ** 2

    def compute(var_1: Tensor, var_2: Tensor, covariance: Tensor) -> Tensor:
        return (2 * covariance).add_(c2) / (var_1 + var_2).add_(c2)

    moments = GAUSSIAN.moments(source)[1], GAUSSIAN.moments(fused)[1], GAUSSIAN.covariance(fused, source)
    return mean_of_parts(compute, *moments)
