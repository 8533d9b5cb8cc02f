"""GTF: its solver against dense equations and the minimum it looks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.classical.gtf import (
    GTF,
    SMOOTHNESS,
    conjugate_gradients,
    denoise,
    fidelity_root,
    regularity_weight,
    threshold,
    weighted_laplacian,
)

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def test_no_difference_gives_the_visible_image() -> None:
    visible = random(1, 1, 20, 30)
    assert torch.equal(GTF()(visible, visible), visible)


def test_a_constant_difference_gives_the_infrared_image() -> None:
    visible = random(1, 1, 20, 30) / 2
    assert torch.allclose(GTF()(visible + 0.25, visible), visible + 0.25)


def dense_gradient(height: int, width: int) -> Tensor:
    """Rows: differences down, then across, of a flattened picture."""
    place = torch.arange(height * width).view(height, width)
    rows = []
    for first, second in ((place[:-1], place[1:]), (place[:, :-1], place[:, 1:])):
        for i, j in zip(first.flatten(), second.flatten(), strict=True):
            row = torch.zeros(height * width, dtype=DOUBLE)
            row[i], row[j] = -1, 1
            rows.append(row)
    return torch.stack(rows)


def test_laplacian_and_solver_against_dense_equations() -> None:
    height, width = 5, 6
    u, weight, w, expected = (random(1, 1, height, width, seed=i) + 0.1 for i in range(4))
    gradient = dense_gradient(height, width)
    of_edges = torch.cat([weight[0, 0, :-1].flatten(), weight[0, 0, :, :-1].flatten()])
    laplacian = gradient.mT @ (of_edges[:, None] * gradient)
    assert torch.allclose(weighted_laplacian(u, weight).flatten(), laplacian @ u.flatten())

    root = torch.diag(w.flatten())
    matrix = torch.eye(height * width, dtype=DOUBLE) + SMOOTHNESS * root @ laplacian @ root

    def system(v: Tensor) -> Tensor:
        return v + SMOOTHNESS * w * weighted_laplacian(w * v, weight)

    x = torch.zeros_like(u)
    for _ in range(16):
        before = (expected - system(x)).norm()
        x = conjugate_gradients(system, expected, x)
        assert (expected - system(x)).norm() <= before / 5 + 1e-14
    assert torch.allclose(x.flatten(), torch.linalg.solve(matrix, expected.flatten()), atol=1e-8)


def test_an_image_that_is_done_is_left_alone_while_others_go_on() -> None:
    weight = torch.cat([torch.zeros(1, 1, 8, 8, dtype=DOUBLE), 1 + 50 * random(1, 1, 8, 8)])
    expected = random(2, 1, 8, 8, seed=1)

    def system_of(weights: Tensor):
        return lambda v: v + weighted_laplacian(v, weights)

    start = torch.zeros_like(expected)
    together = conjugate_gradients(system_of(weight), expected, start)
    for i in range(2):
        alone = conjugate_gradients(system_of(weight[i : i + 1]), expected[i : i + 1], start[i : i + 1])
        assert torch.allclose(together[i : i + 1], alone, atol=1e-12)


def objective(u: Tensor, noisy: Tensor) -> float:
    down = torch.nn.functional.pad(u.diff(dim=-2), (0, 0, 0, 1))
    across = torch.nn.functional.pad(u.diff(dim=-1), (0, 1))
    return ((u - noisy).abs() + SMOOTHNESS * torch.hypot(down, across)).sum().item()


def test_the_objective_falls() -> None:
    y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    square = ((y - 20).abs().maximum((x - 20).abs()) < 10).double()[None, None] / 2
    noisy = square + 0.1 * (random(1, 1, 40, 40) - 0.5)
    actual = denoise(noisy)
    assert objective(actual, noisy) < 0.6 * objective(noisy, noisy)
    assert objective(actual, noisy) < 1.05 * objective(square, noisy)
    assert (actual - square).abs().mean() < (noisy - square).abs().mean()


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_threshold_is_that_of_a_histogram(share: float, beyond: int) -> None:
    values = random(1, 1, 50, 61).square()
    low, high = values.min().item(), values.max().item()
    centres = np.linspace(low, high, 1000)
    edges = np.concatenate([[-np.inf], (centres[1:] + centres[:-1]) / 2, [np.inf]])
    counts, _ = np.histogram(values.numpy(), edges)
    first = np.argmax(np.cumsum(counts) / values.numel() > share)
    assert threshold(values, share, beyond).item() == pytest.approx(centres[first + beyond])


def test_weights_of_flat_images_are_finite() -> None:
    flat = torch.zeros(1, 1, 4, 4)
    assert regularity_weight(flat).isfinite().all()
    assert torch.allclose(fidelity_root(flat), torch.tensor(0.632456))
