"""Bayesian fusion: its smoothing step against dense periodic equations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imfuse.classical.bayesian import Bayesian, shrink, smooth_gain

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(5, 6), (6, 5), (1, 4)])
def test_fourier_solution_against_dense_periodic_equations(size: tuple[int, int]) -> None:
    height, width = size
    cells = height * width
    place = torch.arange(cells).view(size)
    one = torch.eye(cells, dtype=DOUBLE)
    steps = [one[place.roll(-1, axis).flatten()] - one for axis in (0, 1)]
    matrix = one + sum(step.mT @ step for step in steps)
    x = random(1, 1, *size)
    actual = torch.fft.irfft2(smooth_gain(x) * torch.fft.rfft2(x), s=size)
    assert torch.allclose(actual.flatten(), torch.linalg.solve(matrix, x.flatten()))
    # The gradients of the clean mode are those of these equations.
    for gradient, step in zip(Bayesian().gradients(x), steps, strict=True):
        assert torch.allclose(gradient.flatten(), step @ x.flatten())


def test_published_gradients_have_the_other_sign_and_black_outside() -> None:
    h = torch.tensor([[1.0, 4.0], [2.0, 8.0]])[None, None]
    down, across = Bayesian(mode="faithful").gradients(h)
    assert down[0, 0].tolist() == [[-1, -4], [2, 8]]
    assert across[0, 0].tolist() == [[-3, 4], [-6, 8]]


def test_shrink() -> None:
    values = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert shrink(values, torch.tensor(1.0)).tolist() == [-2, 0, 0, 0, 2]


def test_equal_images_are_kept() -> None:
    image = random(1, 1, 20, 30)
    assert torch.allclose(Bayesian()(image, image), image)


def test_result_lies_between_the_images() -> None:
    infrared, visible = random(1, 1, 24, 24), random(1, 1, 24, 24, seed=1)
    fused = Bayesian()(infrared, visible)
    between = (fused - visible) / (infrared - visible)
    assert between.median().item() == pytest.approx(0.5, abs=0.4)
    assert (fused - torch.minimum(infrared, visible)).min() > -0.2
