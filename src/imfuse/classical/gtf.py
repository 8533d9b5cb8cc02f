"""GTF: the intensities of the infrared image with the gradients of the visible one, by total variation minimisation.

Ma, Chen, Li and Huang, "Infrared and visible image fusion via gradient transfer and total variation minimization",
Information Fusion 2016. The solver is the iteratively reweighted norm of Rodriguez and Wohlberg, "Efficient
minimization method for a generalized total variation functional", IEEE Transactions on Image Processing 2009.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Paper, SizeRule
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="gtf",
    title="GTF",
    paper=Paper(
        title="Infrared and visible image fusion via gradient transfer and total variation minimization",
        venue="Information Fusion",
        year=2016,
        doi="10.1016/j.inffus.2016.02.001",
    ),
    summary="infrared intensities, visible gradients: total variation minimised by reweighted least squares",
    size=SizeRule(
        not_tileable="it solves one system of equations for the whole picture",
    ),
    memory_per_pixel=160,
    training_free=True,
)

SMOOTHNESS = 4.0
LOOPS = 5
BINS = 1000
MOST_STEPS = 500


class GTF(FusionModel):
    """Gradient transfer fusion."""

    spec = SPEC

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return (visible + denoise(infrared - visible)).clamp(0, 1)


def denoise(noisy: Tensor) -> Tensor:
    """The image U (N, 1, H, W) that minimises ``|U - noisy| + 4 |gradient of U|``, summed over pixels.

    Weights that depend on U turn both terms into squares. Five times, U is computed with the weights of its last
    iterate. The substitution U = w V makes the system symmetric.
    """
    u = noisy
    for _ in range(LOOPS):
        fidelity, regularity = fidelity_root(u - noisy), regularity_weight(u)

        def system(v: Tensor, w: Tensor = fidelity, weight: Tensor = regularity) -> Tensor:
            return v + SMOOTHNESS * w * weighted_laplacian(w * v, weight)

        u = fidelity * conjugate_gradients(system, noisy / fidelity, u / fidelity)
    return u


def fidelity_root(error: Tensor) -> Tensor:
    """Square root of the inverse weight of the fidelity term, from the error of U: large where the error is."""
    error = error.abs()
    weight = torch.sqrt(torch.maximum(error, threshold(error, 0.05, beyond=1)) / 2)
    # At the first iteration U equals the image, so the error is 0 everywhere.
    tiny = 0.05 / error[0].numel()
    return torch.where(error.sum((1, 2, 3), keepdim=True) < tiny, 2 * math.sqrt(0.1), weight)


def regularity_weight(u: Tensor) -> Tensor:
    """Weight of the squared gradient of U: small where the gradient is large."""
    down, across = u.diff(dim=-2), u.diff(dim=-1)
    strength = F.pad(down.square(), (0, 0, 0, 1)) + F.pad(across.square(), (0, 1))
    least = threshold(strength, 0.01, beyond=0)
    least = torch.where(least > 0, least, threshold(strength, 0.01, beyond=1))
    # In a constant image the threshold is 0.
    return 2 * torch.maximum(strength, least.clamp(min=1e-12)).rsqrt()


def threshold(values: Tensor, share: float, beyond: int) -> Tensor:
    """Quantile of each image, as published: a centre of a histogram with 1000 bins.

    Args:
        values: (N, 1, H, W); the least and the largest of each image are the centres of the first and the last bin.
        share: of the pixels. The first bin whose cumulative share exceeds it is that of one order statistic.
        beyond: number of bins by which the result lies above that bin.

    Returns:
        (N, 1, 1, 1).
    """
    flat = values.flatten(1)
    least = flat.amin(1)
    step = (flat.amax(1) - least) / (BINS - 1)
    rank = int(share * flat.shape[1]) + 1
    position = (flat.kthvalue(rank, 1).values - least) / step
    position = torch.where(step > 0, position, 0)
    index = (torch.ceil(position - 0.5) + beyond).clamp(max=BINS - 1)
    return (least + index * step)[:, None, None, None]


def weighted_laplacian(u: Tensor, weight: Tensor) -> Tensor:
    """Adjoint of the gradient, applied to the weighted gradient of ``u``; differences across the border are 0."""
    down = weight[..., :-1, :] * u.diff(dim=-2)
    across = weight[..., :-1] * u.diff(dim=-1)
    out = F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1))
    return out + F.pad(across, (1, 0)) - F.pad(across, (0, 1))


def conjugate_gradients(system: Callable[[Tensor], Tensor], target: Tensor, x: Tensor) -> Tensor:
    """Solves ``system(x) = target`` for each image of a batch until its residual is a fifth of the initial one.

    Args:
        system: a linear, symmetric and positive definite operator.
        target: (N, 1, H, W).
        x: initial value, (N, 1, H, W).

    Returns:
        The solution; images that have converged stay as they are while others continue.
    """
    residual = target - system(x)
    energy = inner(residual, residual)
    converged = energy / 25
    direction = residual
    for _ in range(MOST_STEPS):
        active = energy > converged
        if not active.any():
            break
        product = system(direction)
        length = torch.where(active, energy / inner(direction, product), 0)
        x = x + length * direction
        residual = residual - length * product
        last, energy = energy, inner(residual, residual)
        direction = residual + torch.where(active, energy / last, 0) * direction
    return x


def inner(first: Tensor, second: Tensor) -> Tensor:
    """Inner product of each image of a batch, (N, 1, 1, 1)."""
    return (first * second).sum((1, 2, 3), keepdim=True)
