"""Objective of PSFusion (Information Fusion 99, 2023): segmentation, fusion and fidelity to the scene.

Images are (N, 1, H, W) in [0, 1], labels (N, H, W) class numbers, 255 for pixels without a class; a term is a scalar.
The article could not be read: the terms are those of the authors' released code, and ``legacy`` brings back what of it
looks like an oversight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import (
    IGNORE,
    bounded_information,
    box_ssim,
    correlation,
    hard_pixel_loss,
    salient_mask,
    split_identity,
    stronger_gradient_loss,
)
from imfuse.ops.filters import own_precision


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """Weights of the terms; a term of weight 0 is not computed. The defaults are the authors'.

    The batch holds ``infrared`` and ``visible``, ``colours`` (N, 3, H, W) and ``labels`` where there are any. Of images
    without labels the fusion terms alone count.

    Args:
        semantic: cross entropy of the classes, of hard pixels.
        binary: of background and things.
        boundary: of the borders of things.
        correlation: of the fused image with both sources.
        gradient: distance of gradients to the larger ones of the sources.
        intensity: distance to the source with more contrast, and to the infrared image in salient things.
        fidelity: distance of both sources to what is restored of them.
        max_intensity: ours, distance to the brighter source.
        texture: ours, distance of gradients to the larger ones of the sources, with their signs.
        ssim: ours, structural similarity to both sources.
        vif: ours, visual information of both sources.
        identity: ours, distance to the image of what becomes of a pair of one image, which counts in no other term of
            the fused image.
        background: weight of the first class of ``binary``, as :func:`class_weight` computes it; this one is of MSRS.
        foreground: that of the second class.
        legacy: as released: salient things are drawn to the visible image instead of the infrared one, and the
            correlation is that of the whole batch, without a bound.

    Source:
        Information Fusion 99, 2023, by the released code.
    """

    semantic: float = 10.0
    binary: float = 10.0
    boundary: float = 10.0
    correlation: float = 1.0
    gradient: float = 10.0
    intensity: float = 10.0
    fidelity: float = 1.0
    max_intensity: float = 0.0
    texture: float = 0.0
    ssim: float = 0.0
    vif: float = 0.0
    identity: float = 0.0
    background: float = 1.4548
    foreground: float = 19.8962
    legacy: bool = False

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        infrared, visible = batch["infrared"], batch["visible"]
        prediction = model.predict(infrared, batch.get("colours", visible))
        # In mixed precision the network returns bfloat16.
        outputs = {name: value.float() for name, value in vars(prediction).items()}
        parts = self.fusion(outputs["fused"], infrared, visible, batch.get("labels"))
        if self.fidelity:
            parts["fidelity"] = fidelity_loss(outputs["visible"], visible) + fidelity_loss(
                outputs["infrared"], infrared
            )
        labels = batch.get("labels")
        if labels is None:
            # The heads must take part in every step, or several processes could not train together.
            labels = torch.full_like(infrared[:, 0], IGNORE, dtype=torch.int64)
        parts |= self.segmentation(outputs["semantic"], outputs["binary"], outputs["boundary"], labels)
        loss = self.weighted(parts)
        # Shows an output that copies one source (1) or inverts it (-1) at once.
        loss.parts["like_infrared"] = correlation(outputs["fused"], infrared).mean().detach()
        loss.parts["like_visible"] = correlation(outputs["fused"], visible).mean().detach()
        return loss

    def fusion(
        self, fused: Tensor, infrared: Tensor, visible: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The terms of the fused image."""
        parts = {}
        if self.identity:
            parts["identity"], fused = split_identity(fused, infrared, visible)
        if self.correlation:
            parts["correlation"] = correlation_loss(fused, infrared, visible, legacy=self.legacy)
        if self.gradient:
            parts["gradient"] = gradient_loss(fused, infrared, visible)
        if self.intensity:
            salient = torch.zeros_like(fused) if labels is None else salient_mask(labels).to(fused.dtype)
            sources = (visible, infrared) if self.legacy else (infrared, visible)
            parts["intensity"] = intensity_loss(fused, *sources, salient)
        if self.max_intensity:
            parts["max_intensity"] = F.l1_loss(fused, torch.maximum(infrared, visible))
        if self.texture:
            parts["texture"] = stronger_gradient_loss(fused, infrared, visible)
        if self.ssim:
            parts["ssim"] = 2 - box_ssim(fused, infrared) - box_ssim(fused, visible)
        if self.vif:
            parts["vif"] = 2 - bounded_information(fused, infrared) - bounded_information(fused, visible)
        return parts

    def segmentation(self, semantic: Tensor, binary: Tensor, boundary: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The terms of the logits; each is 0 where no pixel has a label."""
        size = labels.shape[1:]
        semantic, binary, boundary = (x[..., : size[0], : size[1]] for x in (semantic, binary, boundary))
        parts = {}
        if self.semantic:
            parts["semantic"] = hard_pixel_loss(semantic, labels)
        if self.binary:
            parts["binary"] = two_class_loss(binary, binary_map(labels), (self.background, self.foreground))
        if self.boundary:
            parts["boundary"] = two_class_loss(boundary, boundary_map(labels))
        return parts


# Maps from labels


def binary_map(labels: Tensor) -> Tensor:
    """1 where a pixel has a class, 0 where it is unlabelled background, 255 where it has no label.

    >>> binary_map(torch.tensor([[[0, 2, 255]]])).tolist()
    [[[0, 1, 255]]]
    """
    return torch.where(labels == IGNORE, labels, (labels > 0).to(labels.dtype))


def boundary_map(labels: Tensor) -> Tensor:
    """1 where one of the eight neighbours has another class, 0 elsewhere, 255 where there is no label.

    Neighbours without a label, and those beyond the border, do not count.

    >>> boundary_map(torch.tensor([[[0, 0, 2, 255, 3]]])).tolist()
    [[[0, 1, 1, 255, 0]]]
    """
    labelled = labels != IGNORE
    values = labels.float()[:, None]
    # A pooling pads with minus infinity, which is never the maximum.
    largest = F.max_pool2d(values.masked_fill(~labelled[:, None], -math.inf), 3, 1, 1)[:, 0]
    smallest = -F.max_pool2d((-values).masked_fill(~labelled[:, None], -math.inf), 3, 1, 1)[:, 0]
    return torch.where(labelled, (largest != smallest).to(labels.dtype), labels)


def class_weight(share: float) -> float:
    """Weight of a class that covers ``share`` of all pixels: 1 / ln(1.02 + share).

    >>> round(class_weight(0.9685), 3), round(class_weight(0.0315), 1)
    (1.455, 19.9)
    """
    return 1 / math.log(1.02 + share)


# Segmentation


def two_class_loss(logits: Tensor, target: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Binary cross entropy of two independent channels, (N, 2, H, W), against class 0 or 1 of each pixel, (N, H, W).

    ``weights`` are those of the positive pixels of each channel. Pixels of 255 are left out; 0 where all are.
    """
    labelled = target != IGNORE
    one_hot = torch.stack([target == 0, target == 1], dim=1).to(logits.dtype)
    positive = logits.new_tensor(weights)[:, None, None]
    losses = F.binary_cross_entropy_with_logits(logits, one_hot, pos_weight=positive, reduction="none")
    return (losses * labelled[:, None]).sum() / (2 * labelled.sum()).clamp_min(1)


# Fusion


def correlation_loss(fused: Tensor, infrared: Tensor, visible: Tensor, legacy: bool = False) -> Tensor:
    """1 / (sum of the correlations with both sources), the sum at least 0.1, mean over the images.

    The bound keeps images of the first steps, which correlate with nothing, from drowning all other terms.
    ``legacy``: of all pixels of the batch together, plus 1e-6 and not bounded, so that an inverted image is rewarded.
    """
    if not legacy:
        return (1 / (correlation(fused, infrared) + correlation(fused, visible)).clamp_min(0.1)).mean()
    together = (x.reshape(1, 1, 1, -1) for x in (fused, infrared, visible))
    image, first, second = together
    return (1 / (correlation(image, first) + correlation(image, second) + 1e-6)).mean()


def gradient_loss(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Distance of the size of the Sobel derivatives to the larger one of the sources; blind to their sign."""
    steeper = torch.maximum(_slopes(infrared), _slopes(visible))
    return 2 * F.l1_loss(_slopes(fused), steeper)


def _slopes(image: Tensor) -> Tensor:
    """Sizes of the Sobel derivatives, zeros around the image: (N, 2, H, W), x first."""
    smooth, slope = image.new_tensor([1.0, 2.0, 1.0]), image.new_tensor([-1.0, 0.0, 1.0])
    kernel = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    with own_precision(image):
        return F.conv2d(image, kernel, padding=1).abs()


def intensity_loss(fused: Tensor, first: Tensor, second: Tensor, salient: Tensor) -> Tensor:
    """Local mean square distance to the first source where it has more contrast or is salient, else to the second.

    Contrast is the variance under a 9x9 Gaussian of sigma 1.5, the distance a mean over 9x9 pixels; zeros around the
    image. ``salient`` (N, 1, H, W) counts where it is above 0.
    """
    chosen = (local_variance(first) > local_variance(second)) | (salient > 0)
    near_first, near_second = (F.avg_pool2d((source - fused).square(), 9, 1, 4) for source in (first, second))
    return torch.where(chosen, near_first, near_second).mean()


def local_variance(image: Tensor) -> Tensor:
    """Variance under a 9x9 Gaussian of sigma 1.5, zeros around the image."""
    weights = torch.exp(-((torch.arange(9, device=image.device) - 4.0) ** 2) / (2 * 1.5**2))
    weights = (weights / weights.sum()).to(image.dtype)
    maps = torch.cat([image, image.square()])
    # Differences of nearly equal numbers: mixed precision must not touch them.
    with own_precision(image):
        maps = F.conv2d(maps, weights.view(1, 1, 9, 1), padding=(4, 0))
        mean, square = F.conv2d(maps, weights.view(1, 1, 1, 9), padding=(0, 4)).chunk(2)
    return square - mean.square()


# Fidelity


def fidelity_loss(restored: Tensor, source: Tensor) -> Tensor:
    """5 times the distance of two images, and 5 times that of their second derivatives."""
    return 5 * F.l1_loss(restored, source) + 5 * F.l1_loss(second_derivatives(restored), second_derivatives(source))


def second_derivatives(image: Tensor) -> Tensor:
    """Sum of the sizes of the three second derivatives by 5x5 Sobel filters, edge pixels repeated: (N, 1, H, W).

    Each filter is divided by the sum of its sizes: 64, 64 and, for the mixed one, 36. kornia, which the authors used,
    has 36 in release 0.6.5 and 64 in 0.9.0.
    """
    bell, bend, ramp = (
        image.new_tensor(values)
        for values in ([1.0, 4.0, 6.0, 4.0, 1.0], [1.0, 0.0, -2.0, 0.0, 1.0], [1.0, 2.0, 0.0, -2.0, -1.0])
    )
    kernels = [torch.outer(bell, bend) / 64, torch.outer(bend, bell) / 64, torch.outer(ramp, ramp) / 36]
    with own_precision(image):
        derivatives = F.conv2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), torch.stack(kernels)[:, None])
    return derivatives.abs().sum(1, keepdim=True)
