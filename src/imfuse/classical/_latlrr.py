"""Latent low-rank representation: learns the projection of ``mdlatlrr`` from patches.

Liu and Yan, "Latent Low-Rank Representation for Subspace Segmentation and Feature Extraction", ICCV 2011; the solver is
the inexact augmented Lagrange multiplier method.
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
    """Columns to learn from, (side^2, up to 2 ``count``) float64, of gray pictures (H, W) in [0, 1].

    Of the patches that tile the pictures, ``count`` random ones with detail (their distance to their mean exceeds 1/2)
    and as many smooth ones, none of them black. A column is a patch row by row. The tiles of each picture begin at a
    random place: those of a JPEG file would lie on its blocks and never show what its coder left out. ``seed`` decides.
    """
    random = torch.Generator().manual_seed(seed)
    blocks = []
    for picture in pictures:
        top, left = (int(torch.randint(min(side, size), (), generator=random)) for size in picture.shape)
        inside = picture[top:, left:].double()
        if min(inside.shape) >= side:
            blocks.append(inside.unfold(0, side, side).unfold(1, side, side).reshape(-1, side * side))
    patches = torch.cat(blocks)
    detailed = (patches - patches.mean(1, keepdim=True)).norm(dim=1) > 0.5
    smooth = ~detailed & (patches != 0).any(1)
    chosen = []
    for kind in (detailed, smooth):
        places = kind.nonzero()[:, 0]
        chosen.append(places[torch.randperm(len(places), generator=random)[:count]])
    places = torch.cat(chosen)
    return patches[places[torch.randperm(len(places), generator=random)]].mT.contiguous()


def learn_projection(
    samples: Tensor, dictionary: Tensor | None = None, report: Callable[[int, float], None] | None = None
) -> tuple[Tensor, int]:
    """L of ``min |Z| + |L| + 0.4 sum|E|`` with ``X = A Z + L X + E``, nuclear norms of Z and L, and the steps it took.

    X are ``samples`` (d, n) float64, one a column; L is (d, d). The dictionary A (d, r) is X itself in the method. Left
    out, it is ``U diag(s)`` of the singular value decomposition ``X = U diag(s) V'``: that only turns Z, so L stays the
    same, and Z has as many rows as X has rank instead of n. ``report`` is called with each step and its largest error.
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
        rest = x - a @ z - projection @ x
        e = torch.nn.functional.softshrink(rest + y1 / penalty, SPARSITY / penalty)
        errors = rest - e, z - j, projection - s
        largest = max(error.abs().max().item() for error in errors)
        if report is not None:
            report(step, largest)
        if largest < TOLERANCE:
            return projection, step
        y1, y2, y3 = (y + penalty * error for y, error in zip((y1, y2, y3), errors, strict=True))
        penalty = min(GROWTH * penalty, LAST_PENALTY)
    raise ModelError(f"no solution within {MOST_STEPS} steps: the largest error is still {largest:.1e}")


def reduced(x: Tensor) -> Tensor:
    """``U diag(s)`` of (d, n), without what has no share: (d, rank)."""
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    kept = s > s[0] * max(x.shape) * torch.finfo(x.dtype).eps
    result: Tensor = u[:, kept] * s[kept]
    return result


def shrink_values(x: Tensor, limit: float) -> Tensor:
    """The matrix with singular values less by ``limit``, as far as they exceed it."""
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    kept = s > limit
    result: Tensor = (u[:, kept] * (s[kept] - limit)) @ v[kept]
    return result
