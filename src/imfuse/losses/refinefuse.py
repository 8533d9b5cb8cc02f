"""Objective of RefineFuse (Visual Intelligence 2025): intensity by a mask, texture, and terms of our own recipe.

Images are (N, 1, H, W) in [0, 1], a term is a scalar. The article's norm, window and place of lambda are lost or not
stated; ``docs/methods/refinefuse.md`` tells what was chosen, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import (
    bounded_information,
    box_ssim,
    correlation,
    gaussian_mean,
    larger_gradient,
    salient_mask,
    split_identity,
)
from imfuse.ops.filters import box_mean, own_precision, reflect_pad

Window = Literal["gaussian", "box", "pixel"]


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Weights of the terms; a term of weight 0 is not computed. The defaults are the article's two terms.

    The batch holds ``infrared`` and ``visible`` (N, 1, H, W) in [0, 1], and ``labels`` (N, H, W) where there are any.

    Args:
        intensity: distance to the source with more contrast, and to the infrared image in salient things (eqs. 6, 7).
        texture: distance of gradients to the larger ones of the sources (eq. 8).
        mean_intensity: distance to both sources alike, setting A of Table 8, instead of ``intensity``.
        max_intensity: distance to the brighter source, setting B of Table 8.
        signed_texture: ours, as ``texture``, with the signs of the gradients.
        edges: ours, as ``signed_texture``, of the whole gradient of the source where it is steeper, not per axis.
        gain: of ``signed_texture`` and ``edges``: how many times steeper the gradients are to be.
        ssim: ours, structural similarity to both sources.
        scd: ours, correlations of differences.
        vif: ours, visual information of both sources.
        hot: ours, distance to the infrared image where that is far above its mean.
        identity: ours, distance to the image of what becomes of a pair of one image. Such pairs count in no other
            term: most of those reward more contrast than there is.

    Source:
        Visual Intelligence 2025, equations 6 to 8 and Table 8.
    """

    intensity: float = 5.0
    texture: float = 1.0
    mean_intensity: float = 0.0
    max_intensity: float = 0.0
    signed_texture: float = 0.0
    edges: float = 0.0
    gain: float = 1.0
    ssim: float = 0.0
    scd: float = 0.0
    vif: float = 0.0
    hot: float = 0.0
    identity: float = 0.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        fused = model(batch["infrared"], batch["visible"]).float()
        return self.terms(fused, batch["infrared"], batch["visible"], batch.get("labels"), batch.get("contrast"))

    def maps(self, infrared: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """What is computed of whole pairs, before they are cropped: a crop's border would bend the window."""
        return {"contrast": contrast_mask(infrared, visible)} if self.intensity else {}

    def terms(
        self,
        fused: Tensor,
        infrared: Tensor,
        visible: Tensor,
        labels: Tensor | None = None,
        contrast: Tensor | None = None,
    ) -> Loss:
        """Loss and parts for a fused image. ``labels`` are class numbers (N, H, W), ``contrast`` a contrast mask."""
        parts = {}
        if self.identity:
            parts["identity"], fused = split_identity(fused, infrared, visible)
        if self.intensity:
            mask = contrast_mask(infrared, visible) if contrast is None else contrast
            parts["intensity"] = mask_intensity_loss(fused, infrared, visible, with_salient(mask, labels))
        if self.mean_intensity:
            parts["mean_intensity"] = (F.l1_loss(fused, infrared) + F.l1_loss(fused, visible)) / 2
        if self.max_intensity:
            parts["max_intensity"] = F.l1_loss(fused, torch.maximum(infrared, visible))
        if self.texture:
            parts["texture"] = texture_loss(fused, infrared, visible)
        if self.signed_texture:
            parts["signed_texture"] = signed_texture_loss(fused, infrared, visible, self.gain)
        if self.edges:
            parts["edges"] = edge_loss(fused, infrared, visible, self.gain)
        if self.ssim:
            parts["ssim"] = 2 - box_ssim(fused, infrared) - box_ssim(fused, visible)
        if self.scd:
            parts["scd"] = 2 - (correlation(fused - visible, infrared) + correlation(fused - infrared, visible)).mean()
        if self.vif:
            parts["vif"] = 2 - bounded_information(fused, infrared) - bounded_information(fused, visible)
        if self.hot:
            parts["hot"] = hot_loss(fused, infrared)
        loss = self.weighted(parts)
        # Shows an output that copies one source (1) or inverts it (-1) at once.
        loss.parts["like_infrared"] = correlation(fused, infrared).mean().detach()
        loss.parts["like_visible"] = correlation(fused, visible).mean().detach()
        return loss


def local_variance(image: Tensor, window: Window = "gaussian") -> Tensor:
    """Contrast of each pixel with its surroundings, mirrored border; H, W >= 5.

    "gaussian": variance under a 9x9 Gaussian of sigma 1.5. "box": variance in 3x3. "pixel": squared difference of the
    pixel and the mean of its 3x3 neighbours, as the article words it; noisy.
    """
    if window == "pixel":
        return (image - box_mean(image, 3)).square()
    if window == "box":
        return box_mean(image * image, 3) - box_mean(image, 3).square()
    mean, square = gaussian_mean(torch.cat([image, image * image]), 9, 1.5).chunk(2)
    return square - mean * mean


def contrast_mask(infrared: Tensor, visible: Tensor, window: Window = "gaussian") -> Tensor:
    """1 where the infrared image has more contrast than the visible one, else 0."""
    return (local_variance(infrared, window) > local_variance(visible, window)).to(infrared.dtype)


def with_salient(mask: Tensor, labels: Tensor | None) -> Tensor:
    """The mask of eq. 6: 1 also where the labels (N, H, W) are car, person or bike."""
    if labels is None:
        return mask
    return torch.where(salient_mask(labels), torch.ones_like(mask), mask)


def mask_intensity_loss(fused: Tensor, infrared: Tensor, visible: Tensor, mask: Tensor) -> Tensor:
    """Distance to the infrared image where the mask is 1, to the visible one elsewhere (eq. 7, with the L1 norm)."""
    return (mask * (fused - infrared).abs()).mean() + ((1 - mask) * (fused - visible).abs()).mean()


def sobel(image: Tensor) -> Tensor:
    """Sobel derivatives, not divided, mirrored border: (N, 1, H, W) to (N, 2, H, W), x first."""
    smooth, slope = image.new_tensor([1.0, 2.0, 1.0]), image.new_tensor([-1.0, 0.0, 1.0])
    kernel = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    with own_precision(image):
        return F.conv2d(reflect_pad(image, 1), kernel)


def texture_loss(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Distance of the gradient's magnitude to the larger one of the sources, per axis (eq. 8); blind to its sign."""
    stronger = torch.maximum(sobel(infrared).abs(), sobel(visible).abs())
    return 2 * F.l1_loss(sobel(fused).abs(), stronger)


def signed_texture_loss(fused: Tensor, infrared: Tensor, visible: Tensor, gain: float = 1.0) -> Tensor:
    """Distance of the gradient to ``gain`` times that of the source where it is larger, per axis, with its sign."""
    return 2 * F.l1_loss(sobel(fused), gain * larger_gradient(sobel(infrared), sobel(visible)))


def edge_loss(fused: Tensor, infrared: Tensor, visible: Tensor, gain: float = 1.0) -> Tensor:
    """Distance of the gradient to ``gain`` times that of the source where it is steeper, with its direction."""
    gradient_ir, gradient_vi = sobel(infrared), sobel(visible)
    steepness_ir, steepness_vi = (x.square().sum(1, keepdim=True) for x in (gradient_ir, gradient_vi))
    steeper = torch.where(steepness_ir > steepness_vi, gradient_ir, gradient_vi)
    return 2 * F.l1_loss(sobel(fused), gain * steeper)


def hot_loss(fused: Tensor, infrared: Tensor) -> Tensor:
    """Distance to the infrared image where that is more than two standard deviations above its mean."""
    deviation, mean = torch.std_mean(infrared, dim=(1, 2, 3), keepdim=True)
    return ((infrared > mean + 2 * deviation) * (fused - infrared).abs()).mean()
