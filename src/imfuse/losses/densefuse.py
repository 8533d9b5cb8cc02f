"""Objective of DenseFuse (IEEE TIP 2019): rebuild a single image, on gray levels of 0 to 255."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from imfuse.losses._base import Loss, WeightedObjective
from imfuse.losses.common import gaussian_mean
from imfuse.losses.transfusion import released_ms_ssim
from imfuse.ops import ssim

WHITE = 255


@dataclass(frozen=True)
class Objective(WeightedObjective):
    """``mse + ssim (1 - S) + ms_ssim (1 - M)``. The batch holds ``image`` (N, 1, H, W): infrared or visible alike.

    S is the contrast and structure of SSIM, without its luminance, as the TensorFlow code has it. Its constant is made
    for a range of ``peak``: the code has 1 where its levels go to 255. M is the MS-SSIM of the PyTorch code, whose
    training is ``ssim=0, ms_ssim=100``.

    Args:
        ssim: weight of ``1 - S``; 0: not computed.
        ms_ssim: weight of ``1 - M``; 0: not computed.
        peak: range that the constant of S is made for, in gray levels.

    Source:
        IEEE TIP 2019, and the released code.
    """

    ssim: float = 100.0
    ms_ssim: float = 0.0
    peak: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Loss:
        """Loss and its named parts."""
        return self.terms(batch["image"], model.reconstruct(batch["image"]).float())

    def terms(self, image: Tensor, rebuilt: Tensor) -> Loss:
        """Loss and parts for an image and its reconstruction, both in [0, 1]; H, W >= 11."""
        image, rebuilt = WHITE * image, WHITE * rebuilt
        mse, parts = F.mse_loss(rebuilt, image), {}
        if self.ssim:
            parts["structure"] = 1 - contrast_structure(rebuilt, image, self.peak).mean()
        if self.ms_ssim:
            parts["ms_ssim"] = 1 - released_ms_ssim(rebuilt, image)
        return self.weighted(parts | {"mse": mse}, structure=self.ssim, mse=1)


def contrast_structure(first: Tensor, second: Tensor, peak: float) -> Tensor:
    """SSIM without its luminance term, at the places whose 11x11 Gaussian window (sigma 1.5) lies within the image."""
    # Products of levels far from 0 lose the digits that a variance consists of.
    first, second = (x - x.mean((1, 2, 3), keepdim=True) for x in (first, second))
    moments = ssim.moments(first, second, lambda x: gaussian_mean(x, 11, 1.5)[..., 5:-5, 5:-5])
    return ssim.contrast_structure(moments.variances, moments.covariance, ssim.constants(peak)[1])
