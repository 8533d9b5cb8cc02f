"""Visual information fidelity: how much of what the eye sees in a source it also sees in the fused image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imfuse.metrics._fidelity import channel, information_share
from imfuse.metrics._pictures import Image, Picture, at_least, pictures
from imfuse.ops import vif

_EYE_FOR_FUSION = 0.005 * 255**2
_WEIGHTS_FOR_FUSION = {0: 1 / 2.15, 2: 0.15 / 2.15, 3: 1 / 2.15}  # by scale; the second has none


def visual_information_fidelity(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0, *, undefined: float = math.nan
) -> Tensor:
    """Visual information fidelity VIF in the domain of pixels, sum of both sources. Higher is better.

    A source of variance v1 in a Gaussian window appears in the fused image with gain ``g = v12 / v1`` and noise
    ``sv = v2 - g v12``. Of each source: ``sum log(1 + g^2 v1 / (sv + 2)) / sum log(1 + v1 / 2)``, over the windows of
    four scales. Contrast that is added lifts it.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 41.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.
        undefined: the share of a source that is constant.

    Returns:
        One value per image, (N,) float64, usually in [0, 2], without a unit: 0 where the fused image is constant, nan
        where a source is, unless ``undefined`` says otherwise.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Sheikh and Bovik, IEEE Transactions on Image Processing 2006; summed over the sources as by Han, Cai, Cao and
        Xu, Information Fusion 2013.

    Example:
        >>> source = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
        >>> round(visual_information_fidelity(source, source, source).item(), 6)
        2.0
    """
    f, *sources = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, vif.MIN_SIZE, "VIF")
    shares = torch.stack([information_share(source, f) for source in sources])
    return shares.where(~shares.isnan(), undefined).sum(0)


def visual_information_fidelity_for_fusion(
    fused: Image, infrared: Image, visible: Image, data_range: float = 1.0
) -> Tensor:
    """Visual information fidelity for fusion VIFF. Higher is better. Not compared with any published value.

    Gains and noise are those of ``visual_information_fidelity``, with an eye of variance 325.125. In each window
    counts the source that appears with the smaller gain (the visible one where they are equal):
    ``sum(log10(1 + g^2 v1 / (sv + 325.125)) + 1e-7) / sum(log10(1 + v1 / 325.125) + 1e-7)``; the scales weigh
    (1, 0, 0.15, 1) / 2.15, the finest first.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 41.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64, usually in [0, 1], without a unit; 1 where all images are constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Han, Cai, Cao and Xu, Information Fusion 2013; the definition follows an outline of the paper.

    Example:
        >>> source = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
        >>> round(visual_information_fidelity_for_fusion(source, source, source).item(), 6)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, vif.MIN_SIZE, "VIFF")
    ratios = [weight * _ratio_for_fusion(a, b, f, scale) for scale, weight in _WEIGHTS_FOR_FUSION.items()]
    return torch.stack(ratios).sum(0)


def _ratio_for_fusion(infrared: Picture, visible: Picture, fused: Picture, scale: int) -> Tensor:
    channels = channel(infrared, fused, scale), channel(visible, fused, scale)
    infrared_is_less = channels[0][0] < channels[1][0]
    gain, noise, variance = (torch.where(infrared_is_less, *parts) for parts in zip(*channels, strict=True))
    in_fused = torch.log10(1 + vif.signal_to_noise(gain, noise, variance, _EYE_FOR_FUSION))
    in_source = torch.log10(1 + variance / _EYE_FOR_FUSION)
    return (in_fused + 1e-7).sum((1, 2, 3)) / (in_source + 1e-7).sum((1, 2, 3))
