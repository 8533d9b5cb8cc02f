"""ADF and FPDE: their diffusions against plain loops, the weights against eigenvectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.classical import adf, fpde
from imfuse.classical._weights import principal_weights
from imfuse.models import create_model


def gray(height: int, width: int, seed: int = 0) -> Tensor:
    return 255 * torch.rand(1, 1, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("border", ["replicate", "zero"])
def test_anisotropic_diffusion_is_that_of_the_paper(border: str) -> None:
    picture = gray(5, 7)
    x = picture[0, 0].numpy()
    for _ in range(adf.STEPS):
        framed = np.pad(x, 1, mode="edge" if border == "replicate" else "constant")
        change = np.zeros_like(x)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                neighbour = framed[1 + down : 6 + down, 1 + across : 8 + across]
                difference = neighbour - x
                change += np.exp(-((difference / 30) ** 2)) * difference / max(abs(down) + abs(across), 1)
        x = x + 0.15 * change
    assert np.allclose(adf.diffuse(picture, border)[0, 0].numpy(), x, atol=1e-10)  # type: ignore[arg-type]


def test_nothing_flows_over_the_border() -> None:
    picture = gray(16, 16) / 8
    kept = adf.diffuse(picture, "replicate")
    assert kept.mean().item() == pytest.approx(picture.mean().item(), rel=1e-12)
    assert kept.std() < picture.std() / 3
    assert adf.diffuse(picture, "zero").mean() < picture.mean()


def test_edges_stay() -> None:
    step = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    step[..., 4:] = 200
    assert torch.allclose(adf.diffuse(step, "replicate"), step, atol=1e-6)


def test_fourth_order_diffusion_is_that_of_the_paper() -> None:
    picture = gray(6, 9)
    x = picture[0, 0].numpy()
    for _ in range(fpde.STEPS):
        down = np.gradient(np.gradient(x, axis=0), axis=0)
        across = np.gradient(np.gradient(x, axis=1), axis=1)
        c = 1 / (1 + (down**2 + across**2) / 16)
        bend = np.gradient(np.gradient(c * down, axis=0), axis=0) + np.gradient(np.gradient(c * across, axis=1), axis=1)
        x = x - 0.9 * bend
    assert np.allclose(fpde.diffuse(picture)[0, 0].numpy(), x, atol=1e-10)


def test_a_plane_stays_a_plane() -> None:
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    plane = (3 * y + 5 * x + 7)[None, None].double()
    # At the border the slope is one-sided, but that of a plane is the same everywhere.
    assert torch.allclose(fpde.diffuse(plane), plane)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2)])
def test_small_pictures(size: tuple[int, int]) -> None:
    for name in ("adf", "fpde"):
        for mode in ("clean", "faithful"):
            fused = create_model(name, mode=mode)(torch.rand(1, 1, *size), torch.rand(1, 1, *size))
            assert fused.isfinite().all()


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_the_principal_component(seed: int) -> None:
    first, second = gray(8, 8, seed), gray(8, 8, seed + 100)
    second = second + (1 if seed % 2 else -0.5) * first
    values, vectors = np.linalg.eigh(np.cov(first.numpy().ravel(), second.numpy().ravel()))
    vector = vectors[:, values.argmax()]
    for faithful in (False, True):
        expected = vector if faithful else np.abs(vector)
        actual = [weight.item() for weight in principal_weights(first, second, faithful)]
        assert actual == pytest.approx(list(expected / expected.sum()))


def test_maps_that_oppose_each_other() -> None:
    first = gray(8, 8)
    for faithful, expected in ((False, (2 / 3, 1 / 3)), (True, (2.0, -1.0))):
        actual = [weight.item() for weight in principal_weights(first, -first / 2, faithful)]
        assert actual == pytest.approx(expected)


def test_weights_of_maps_that_are_equally_strong() -> None:
    flat = torch.full((1, 1, 4, 4), 0.3)
    wave = torch.tensor([[1.0, -1.0], [1.0, -1.0]])[None, None]
    for first, second in ((flat, flat), (wave, wave.mT)):
        for faithful in (False, True):
            one, other = principal_weights(first, second, faithful)
            assert (one.item(), other.item()) == (0.5, 0.5)
    assert [w.item() for w in principal_weights(wave, flat[..., :2, :2], faithful=False)] == [1.0, 0.0]


def test_halves_of_an_odd_base_are_rounded_up() -> None:
    model = fpde.FPDE(mode="faithful")
    odd, even = torch.tensor(3.0), torch.tensor(4.0)
    assert [model.mean(odd, odd).item(), model.mean(odd, even).item()] == [4.0, 4.0]
    assert model.mean(torch.tensor(255.0), torch.tensor(255.0)).item() == 255
    assert math.isclose(fpde.FPDE().mean(odd, even).item(), 3.5)
