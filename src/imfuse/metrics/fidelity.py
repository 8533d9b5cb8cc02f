"""Visual information fidelity: how much of what the eye sees in a source it also sees in the fused image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.metrics._pictures import Image, Picture, at_least, pictures, ratio_or_nan
from imfuse.ops.windows import filter_separable, gaussian

_SCALES = (1, 2, 3, 4)
_MIN_SIZE = 41  # 41, 17, 7 and 3 pixels meet windows of 17, 9, 5 and 3
_SMALLEST = 1e-10  # variances below it count as none
_EYE = 2.0  # variance of the noise in the eye, in gray levels squared
_EYE_FOR_FUSION = 0.005 * 255**2
_WEIGHTS_FOR_FUSION = {1: 1 / 2.15, 3: 0.15 / 2.15, 4: 1 / 2.15}  # by scale; the second has none


def visual_information_fidelity(
    fused: Image,
    infrared: Image,
    visible: Image,
    data_range: float = 1.0,
    *,
    saturated: bool = False,
    undefined: float = math.nan,
) -> Tensor:
    """VIF in the domain of pixels, sum of both sources, usually in [0, 2]. Higher is better; contrast added lifts it.

    A source of variance v1 in a Gaussian window appears in the fused image with gain ``g = v12 / v1`` and noise
    ``sv = v2 - g v12``. Of each source: ``sum log(1 + g^2 v1 / (sv + 2)) / sum log(1 + v1 / 2)``, over the windows of
    four scales. Sheikh and Bovik, TIP 2006; Han et al., Information Fusion 2013. H, W >= 41. nan where a source is
    constant; 0 where the fused image is.

    Args:
        fused: (N, 1, H, W).
        infrared: as ``fused``.
        visible: as ``fused``.
        data_range: highest value of the images.
        saturated: an accident: products of levels end at 255 on the finest scale, as those of 8-bit numbers do in
            MATLAB, so that only dark areas count there.
        undefined: share of a constant source instead of nan.

    >>> import torch
    >>> source = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    >>> round(visual_information_fidelity(source, source, source).item(), 6)
    2.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, _MIN_SIZE, "VIF")
    shares = torch.stack([_share(source, f, saturated) for source in (a, b)])
    return shares.where(~shares.isnan(), undefined).sum(0)


def visual_information_fidelity_for_fusion(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """VIFF, after Han, Cai, Cao and Xu, Information Fusion 2013; usually in [0, 1]. Higher is better.

    Not compared with any published value: the definition follows an outline of the paper. Gains and noise are those of
    :func:`visual_information_fidelity`, with an eye of variance 325.125. In each window counts the source that appears
    with the smaller gain (the visible one where they are equal): ``sum(log10(1 + g^2 v1 / (sv + 325.125)) + 1e-7) /
    sum(log10(1 + v1 / 325.125) + 1e-7)``; the scales weigh (1, 0, 0.15, 1) / 2.15, the finest first. H, W >= 41. 1
    where all images are constant.

    >>> import torch
    >>> source = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    >>> round(visual_information_fidelity_for_fusion(source, source, source).item(), 6)
    1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, _MIN_SIZE, "VIFF")
    ratios = [weight * _ratio_for_fusion(a, b, f, scale) for scale, weight in _WEIGHTS_FOR_FUSION.items()]
    return torch.stack(ratios).sum(0)


def _share(source: Picture, fused: Picture, saturated: bool) -> Tensor:
    """Information on the source that is seen in the fused image, as a share of that seen in the source itself."""

    def seen(scale: int) -> Tensor:
        gain, noise, variance = _channel(source, fused, scale, saturated)
        return _sum_of_logs(1 + gain.square() * variance / (noise + _EYE))

    def there(scale: int) -> Tensor:
        return _sum_of_logs(1 + _moments(source, scale, saturated)[1] / _EYE)

    information = source.once(("VIF information", saturated), lambda: _sum_over_scales(there))
    return ratio_or_nan(_sum_over_scales(seen), information)


def _ratio_for_fusion(infrared: Picture, visible: Picture, fused: Picture, scale: int) -> Tensor:
    channels = _channel(infrared, fused, scale), _channel(visible, fused, scale)
    infrared_is_less = channels[0][0] < channels[1][0]
    gain, noise, variance = (torch.where(infrared_is_less, *parts) for parts in zip(*channels, strict=True))
    seen = torch.log10(1 + gain.square() * variance / (noise + _EYE_FOR_FUSION))
    there = torch.log10(1 + variance / _EYE_FOR_FUSION)
    return (seen + 1e-7).sum((1, 2, 3)) / (there + 1e-7).sum((1, 2, 3))


def _channel(source: Picture, fused: Picture, scale: int, saturated: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Gain of the source in the fused image, variance of the noise there, and variance of the source.

    There is no gain where either is flat, nor where one is the negative of the other.
    """
    (m1, v1), (m2, v2) = _moments(source, scale, saturated), _moments(fused, scale, saturated)
    mean = _window_mean(_at_scale(source, scale) * _at_scale(fused, scale), scale, saturated)
    covariance = torch.addcmul(mean, m1, m2, value=-1).clamp_(min=0).mul_(v1.sign()).mul_(v2.sign())
    gain = covariance / (v1 + _SMALLEST)
    return gain, torch.addcmul(v2, gain, covariance, value=-1).clamp_(min=_SMALLEST), v1


def _moments(picture: Picture, scale: int, saturated: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance in the windows of a scale."""

    def compute() -> tuple[Tensor, Tensor]:
        levels = _at_scale(picture, scale)
        mean = filter_separable(levels, _taps(scale))
        variance = _window_mean(levels.square(), scale, saturated).addcmul_(mean, mean, value=-1)
        return mean, F.threshold(variance, _SMALLEST, 0)

    return picture.once(("VIF moments", scale, saturated and scale == 1), compute)


def _window_mean(products: Tensor, scale: int, saturated: bool) -> Tensor:
    return filter_separable(products.clamp(max=255) if saturated and scale == 1 else products, _taps(scale))


def _at_scale(picture: Picture, scale: int) -> Tensor:
    """Levels at a scale: each is the finer one, seen through its own window at every second pixel."""
    if scale == 1:
        return picture.levels
    finer = _at_scale(picture, scale - 1)
    return picture.once(
        ("VIF levels", scale), lambda: filter_separable(finer, _taps(scale))[..., ::2, ::2].contiguous()
    )


def _taps(scale: int) -> Tensor:
    size = 2 ** (5 - scale) + 1
    return gaussian(size, size / 5)


def _sum_over_scales(term: Callable[[int], Tensor]) -> Tensor:
    return torch.stack([term(scale) for scale in _SCALES]).sum(0)


def _sum_of_logs(x: Tensor) -> Tensor:
    """Sum of ``ln x`` over each image, x in [1, 1e18].

    Logarithms are slow in float64, products are not: the logarithm of 16 values at a time.
    """
    groups = x[0].numel() // 16
    whole, rest = x.flatten(1).tensor_split([16 * groups], 1)
    return whole.view(len(x), 16, groups).prod(1).log().sum(1) + rest.log().sum(1)
