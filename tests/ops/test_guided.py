"""The guided filter against its definition, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.ops.guided import guided_filter, truncated_mean


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, shape))


def windows(height: int, width: int, radius: int) -> list[tuple[int, int, slice, slice]]:
    """Each pixel, and what of its window exists."""
    return [
        (i, j, slice(max(i - radius, 0), i + radius + 1), slice(max(j - radius, 0), j + radius + 1))
        for i in range(height)
        for j in range(width)
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (3, 4), (9, 13)])
@pytest.mark.parametrize("radius", [0, 1, 2, 7, 45])
def test_mean_of_what_exists(size: tuple[int, int], radius: int) -> None:
    x = random(2, 1, *size)
    actual = truncated_mean(x, radius)
    assert actual.shape == x.shape
    for i, j, rows, columns in windows(*size, radius):
        torch.testing.assert_close(actual[..., i, j], x[..., rows, columns].mean((2, 3)))


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("epsilon", [1e-6, 0.1])
def test_lines_of_the_guide(radius: int, epsilon: float) -> None:
    """In each window the least squares fit of the image by a line of the guide; each pixel takes the mean fit."""
    guide, image = random(9, 11).numpy(), random(9, 11, seed=1).numpy()
    slopes, offsets = np.zeros((2, 9, 11))
    for i, j, rows, columns in windows(9, 11, radius):
        g, p = guide[rows, columns].ravel(), image[rows, columns].ravel()
        slopes[i, j] = ((g - g.mean()) * (p - p.mean())).mean() / (g.var() + epsilon)
        offsets[i, j] = p.mean() - slopes[i, j] * g.mean()
    expected = [
        slopes[rows, columns].mean() * guide[i, j] + offsets[rows, columns].mean()
        for i, j, rows, columns in windows(9, 11, radius)
    ]
    actual = guided_filter(*(torch.from_numpy(x)[None, None] for x in (guide, image)), radius, epsilon)
    np.testing.assert_allclose(actual.flatten(), expected, atol=1e-9)


def test_an_edge_of_the_guide_stays_and_noise_goes() -> None:
    step = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    step[..., 20:] = 1
    noisy = step + 0.1 * (random(1, 1, 40, 40) - 0.5)
    smooth = guided_filter(noisy, noisy, 4, 0.01)
    assert (smooth[..., 20] - smooth[..., 19]).min() > 0.8
    assert smooth[..., :15].std() < 0.4 * noisy[..., :15].std()


def test_batch_and_channels_are_apart() -> None:
    guide, image = random(2, 3, 8, 9), random(2, 3, 8, 9, seed=1)
    together = guided_filter(guide, image, 2, 0.01)
    torch.testing.assert_close(together[1:, 2:], guided_filter(guide[1:, 2:], image[1:, 2:], 2, 0.01))
