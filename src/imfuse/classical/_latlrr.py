"""Latent low-rank representation, which learns the projection of ``mdlatlrr`` from patches.

Liu and Yan, "Latent Low-Rank Representation for Subspace Segmentation and Feature Extraction", ICCV 2011. The problem
is solved by the inexact augmented Lagrange multiplier method.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from imfuse.core.errors import ModelError

SPARSITY = 0.4
FIRST_PENALTY, GROWTH, LAST_PENALTY = 1e-6, 1.1, 1e6
TOLERANCE = 1e-6
MOST_STEPS = 1000


def choose_patches(pictures: list[Tensor], side: int, count: int, seed: int) -> Tensor:
    """Training samples: random patches with detail, and as many smooth ones.

    The patches tile each image from a random position, since otherwise those of a JPEG file would coincide with its
    blocks and never show what its coder left out. A patch has detail if its distance to its mean exceeds 1/2; black
    patches are not taken.

    Args:
        pictures: grey images (H, W) in [0, 1].
        side: of a patch, in pixels.
        count: largest number of patches of each kind.
        seed: of the random numbers.

    Returns:
        (side^2, up to 2 ``count``) float64, one patch a column, row by row.
    """
    random = torch.Generator().manual_seed(seed)
    blocks = []
    for picture in pictures:
        top, left = (int(torch.randint(min(side, size), (), generator=random)) for size in picture.shape)
        tiled = picture[top:, left:].double()
        if min(tiled.shape) >= side:
            blocks.append(tiled.unfold(0, side, side).unfold(1, side, side).reshape(-1, side * side))
    patches = torch.cat(blocks)
    detailed = (patches - patches.mean(1, keepdim=True)).norm(dim=1) > 0.5
    smooth = ~detailed & (patches != 0).any(1)
    chosen = []
    for kind in (detailed, smooth):
        indices = kind.nonzero()[:, 0]
        chosen.append(indices[torch.randperm(len(indices), generator=random)[:count]])
    indices = torch.cat(chosen)
    return patches[indices[torch.randperm(len(indices), generator=random)]].mT.contiguous()


def learn_projection(
    samples: Tensor, dictionary: Tensor | None = None, report: Callable[[int, float], None] | None = None
) -> tuple[Tensor, int]:
    """Minimises ``|Z| + |L| + 0.4 sum|E|`` subject to ``X = A Z + L X + E``, with nuclear norms of Z and L.

    Args:
        samples: X, (d, n) float64, one sample a column.
        dictionary: A, (d, r); the article's is X itself. Left out, it is ``U diag(s)`` of the singular value
            decomposition ``X = U diag(s) V'``: that rotates Z and leaves L the same, and Z has as many rows as X has
            rank, instead of n.
        report: is called with the number of each step and its largest residual.

    Returns:
        L, (d, d), and the number of steps.

    Raises:
        ModelError: the solver does not converge.
    """
    x = samples
    a = reduced(x) if dictionary is None else dictionary
    left = torch.linalg.inv(a.mT @ a + torch.eye(a.shape[1]).to(x))
    right = torch.linalg.inv(x @ x.mT + torch.eye(len(x)).to(x))
    z, y2 = x.new_zeros(a.shape[1], x.shape[1]), x.new_zeros(a.shape[1], x.shape[1])
    projection, y3 = x.new_zeros(len(x), len(x)), x.new_zeros(len(x), len(x))
    e, y1 = torch.zeros_like(x), torch.zeros_like(x)
    penalty = FIRST_PENALTY
    for step in range(1, MOST_STEPS + 1):
        j = shrink_values(z + y2 / penalty, 1 / penalty)
        s = shrink_values(projection + y3 / penalty, 1 / penalty)
        z = left @ (a.mT @ (x - projection @ x - e + y1 / penalty) + j - y2 / penalty)
        projection = ((x - a @ z - e + y1 / penalty) @ x.mT + s - y3 / penalty) @ right
        error = x - a @ z - projection @ x
        e = torch.nn.functional.softshrink(error + y1 / penalty, SPARSITY / penalty)
        residuals = error - e, z - j, projection - s
        largest = max(residual.abs().max().item() for residual in residuals)
        if report is not None:
            report(step, largest)
        if largest < TOLERANCE:
            return projection, step
        y1, y2, y3 = (y + penalty * residual for y, residual in zip((y1, y2, y3), residuals, strict=True))
        penalty = min(GROWTH * penalty, LAST_PENALTY)
    raise ModelError(f"no solution within {MOST_STEPS} steps: the largest residual is still {largest:.1e}")


def reduced(x: Tensor) -> Tensor:
    """``U diag(s)`` of (d, n), without the columns of vanishing singular values: (d, rank)."""
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    positive = s > s[0] * max(x.shape) * torch.finfo(x.dtype).eps
    product: Tensor = u[:, positive] * s[positive]
    return product


def shrink_values(x: Tensor, limit: float) -> Tensor:
    """Singular value thresholding: the matrix with its singular values reduced by ``limit``, to 0 at least."""
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    above = s > limit
    product: Tensor = (u[:, above] * (s[above] - limit)) @ v[above]
    return product
