"""Bayesian fusion: a hierarchical model of the differences to both images, with a total variation prior.

Zhao, Xu, Zhang, Liu and Zhang, "Bayesian fusion for infrared and visible images", Signal Processing 2020. The model has
Laplacian priors on the differences of the fused image to its sources; expectation maximisation solves it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="bayesian",
    title="Bayesian fusion",
    paper=Paper(
        title="Bayesian fusion for infrared and visible images",
        venue="Signal Processing",
        year=2020,
        doi="10.1016/j.sigpro.2020.107734",
    ),
    summary="Laplacian priors on both differences and total variation, solved by expectation maximisation",
    size=SizeRule(
        not_tileable="the Fourier transform and the scales of the priors are of the whole picture",
    ),
    memory_per_pixel=160,
    options=(Option("mode", ("clean", "faithful"), "clean", "faithful: gradients of the wrong sign, as published"),),
    training_free=True,
)

LOOPS, INNER_LOOPS = 15, 2
SMOOTHNESS = 0.5
TINY = 1e-6


class Bayesian(FusionModel):
    """Bayesian fusion. Mode ``faithful`` shrinks the negative, non-periodic gradient, as published."""

    spec = SPEC

    def __init__(self, mode: str = "clean") -> None:
        super().__init__()
        self.faithful = mode == "faithful"

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return (visible + self.share(infrared - visible)).clamp(0, 1)

    def share(self, difference: Tensor) -> Tensor:
        """X, the part of the difference Y = infrared - visible that is added to the visible image, (N, 1, H, W).

        C weights the distance of X to Y, D that of X to 0, each with the scale tau of its prior. H is a smooth copy of
        X, the two F are its soft-thresholded gradients, and rho weights the distance of H to X.
        """
        y = difference
        c = d = rho = torch.ones_like(y)
        tau_c = tau_d = torch.ones_like(y[:, :, :1, :1])
        h = f_down = f_across = torch.zeros_like(y)
        x, gain = y, smooth_gain(y)
        for _ in range(LOOPS):
            for _ in range(INNER_LOOPS):
                x = (2 * c * y + rho * h) / (2 * c + 2 * d + rho)
                # Least squares: H near X, with the gradients F.
                target = x - f_down.diff(dim=-2, prepend=f_down[..., -1:, :])
                target = target - f_across.diff(dim=-1, prepend=f_across[..., -1:])
                h = torch.fft.irfft2(gain * torch.fft.rfft2(target), s=y.shape[-2:])
                f_down, f_across = (shrink(g, SMOOTHNESS / rho) for g in self.gradients(h))
            d = torch.sqrt(2 / (tau_d * (x.square() + TINY)))
            c = torch.sqrt(2 / tau_c) / self.distance(y - x)
            d = torch.minimum(d, 2 * c)
            rho = (c + d) / 2
            tau_d = mean(1 / (d + TINY)) + tau_d / 2
            tau_c = mean(1 / (c + TINY)) + tau_c / 2
        return x

    def gradients(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Periodic differences of each pixel to the next, down and across."""
        if self.faithful:
            return -h.diff(dim=-2, append=torch.zeros_like(h[..., :1, :])), -h.diff(dim=-1, append=0 * h[..., :1])
        return h.diff(dim=-2, append=h[..., :1, :]), h.diff(dim=-1, append=h[..., :1])

    def distance(self, error: Tensor) -> Tensor:
        """Positive magnitude of an error; the published formula is 0 at -1e-6."""
        return (error + TINY).abs() if self.faithful else torch.sqrt(error.square() + TINY)


def smooth_gain(image: Tensor) -> Tensor:
    """Inverse of 1 minus the Laplacian at each frequency of ``torch.fft.rfft2``, (H, W // 2 + 1)."""
    height, width = image.shape[-2:]
    down = torch.fft.fftfreq(height, dtype=image.dtype, device=image.device)
    across = torch.fft.rfftfreq(width, dtype=image.dtype, device=image.device)
    power = [2 - 2 * torch.cos(2 * torch.pi * frequency) for frequency in (down, across)]
    return 1 / (1 + power[0][:, None] + power[1])


def shrink(x: Tensor, limit: Tensor) -> Tensor:
    """Soft threshold: values move towards 0 by ``limit``, and smaller ones become 0."""
    return x.sign() * (x.abs() - limit).clamp(min=0)


def mean(x: Tensor) -> Tensor:
    """Mean of each image, (N, 1, 1, 1)."""
    return x.mean((-2, -1), keepdim=True)
