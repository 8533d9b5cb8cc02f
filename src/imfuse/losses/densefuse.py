"""Objective of DenseFuse (IEEE TIP 2019): rebuild a single image, on gray levels of 0 to 255."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from imfuse.losses.common import gaussian_mean
from imfuse.losses.transfusion import released_ms_ssim
from imfuse.ops import ssim

WHITE = 255


@dataclass(frozen=True)
class Objective:
    """``mse + ssim (1 - S) + ms_ssim (1 - M)``. The batch holds ``image`` (N, 1, H, W): infrared or visible alike.

    S is the contrast and structure of SSIM, without its luminance, as the TensorFlow code has it. Its constant is made
    for a range of ``peak``: the code says 1 where its levels go to 255. M is the MS-SSIM of the PyTorch code, whose
    training is ``ssim=0, ms_ssim=100``.
    """

    ssim: float = 100.0
    ms_ssim: float = 0.0
    peak: float = 1.0

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its named parts."""
        return self.terms(batch["image"], model.reconstruct(batch["image"]).float())

    def terms(self, image: Tensor, rebuilt: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and parts for an image and its reconstruction, both in [0, 1]; H, W >= 11."""
        wanted, found = WHITE * image, WHITE * rebuilt
        parts = {"mse": F.mse_loss(found, wanted)}
        if self.ssim:
            parts["structure"] = 1 - contrast_structure(found, wanted, self.peak).mean()
        if self.ms_ssim:
            parts["ms_ssim"] = 1 - released_ms_ssim(found, wanted)
        loss = parts["mse"] + sum(
            weight * parts[name]
            for name, weight in (("structure", self.ssim), ("ms_ssim", self.ms_ssim))
            if name in parts
        )
        return loss, parts


def contrast_structure(first: Tensor, second: Tensor, peak: float) -> Tensor:
    """SSIM without its luminance term, at the places whose 11x11 Gaussian window (sigma 1.5) lies within the image."""
    # Products of levels far from 0 lose the digits that a variance consists of.
    first, second = (x - x.mean((1, 2, 3), keepdim=True) for x in (first, second))
    moments = ssim.moments(first, second, lambda x: gaussian_mean(x, 11, 1.5)[..., 5:-5, 5:-5])
    return ssim.contrast_structure(moments.variances, moments.covariance, ssim.constants(peak)[1])
