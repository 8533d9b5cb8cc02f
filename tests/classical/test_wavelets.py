"""Haar and dual-tree wavelets: against PyWavelets, exact reconstruction, shifts, and which coefficients are taken."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from imfuse.classical import _dual_tree, dwt
from imfuse.classical._dual_tree import Bands
from imfuse.models import create_model

WAVELETS = ("dwt", "dtcwt")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (6, 4), (37, 50), (64, 80)])
def test_an_image_with_itself_is_that_image(name: str, size: tuple[int, int]) -> None:
    image = noise(2, 1, *size)
    torch.testing.assert_close(create_model(name)(image, image), image, rtol=0, atol=1e-12)


def test_haar_bands_are_those_of_pywavelets() -> None:
    image = noise(1, 1, 30, 44)
    low, rows, columns, both = (band[0, 0].numpy() for band in dwt.analyse(image))
    expected = pywt.dwt2(image[0, 0].numpy(), "haar", mode="periodization")
    for actual, right in zip((low, rows, columns, both), (expected[0], *expected[1]), strict=True):
        np.testing.assert_allclose(actual, right, atol=1e-14)


def test_haar_synthesis_undoes_analysis() -> None:
    image = noise(2, 3, 6, 10)
    torch.testing.assert_close(dwt.synthesise(*dwt.analyse(image)), image)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(2, 2), (8, 30), (46, 64), (54, 90)])
def test_dual_tree_reconstructs(levels: int, size: tuple[int, int]) -> None:
    image = noise(2, 1, *size)
    bands, low = _dual_tree.analyse(image, levels)
    assert len(bands) == levels
    torch.testing.assert_close(_dual_tree.synthesise(bands, low), image, rtol=0, atol=1e-12)


def test_dual_tree_keeps_energy_on_its_coarse_scales() -> None:
    """The q-shift filters are orthonormal: what goes in is in low band and bands, of two trees per axis."""
    image = noise(1, 1, 64, 64, seed=3)
    (_, *coarse), low = _dual_tree.analyse(image, 4)
    _, first_low = _dual_tree.analyse(image, 1)
    parts = [part.square().sum() for bands in coarse for part in bands]
    assert (low.square().sum() + sum(parts)).item() == pytest.approx(first_low.square().sum().item(), rel=0.02)


def test_moduli_hardly_change_under_shifts() -> None:
    """What the trees are for: an edge that moves has about the same energy in a band; a Haar band may lose it all."""
    step = torch.zeros(1, 1, 64, 256, dtype=torch.float64)
    step[..., 128:] = 1

    def energies(shift: int) -> tuple[float, float]:
        low = image = step.roll(shift, 3)
        for _ in range(3):
            low, _, haar, _ = dwt.analyse(low)
        tree = _dual_tree.analyse(image, 3)[0][2].modulus
        # Away from the border, where the rolled image has a second edge.
        return haar[..., 8:-8].square().sum().item(), tree[..., 8:-8].square().sum().item()

    haar, tree = zip(*(energies(shift) for shift in range(8)), strict=True)
    assert min(tree) > 0.5 * max(tree)
    assert min(haar) == 0


def test_six_directions() -> None:
    """A grating at -45 degrees is in one of the two diagonal bands, its mirror image in the other."""
    y, x = np.mgrid[:64, :64]
    actual = []
    for slope in (1, -1):
        grating = torch.from_numpy(np.sin(2 * np.pi * (x + slope * y) / 6))[None, None]
        modulus = _dual_tree.analyse(grating, 2)[0][1].modulus[:, 1, ..., 4:-4, 4:-4]
        actual.append(modulus.square().mean((1, 2, 3, 4)))
    assert actual[0].max() > 20 * actual[0].min()
    assert actual[0].argmax() != actual[1].argmax()


def test_trees_and_complex_bands_are_two_ways_to_say_one_thing() -> None:
    quads = noise(3, 1, 2, 6, 8)
    bands = _dual_tree._to_complex(quads)
    assert isinstance(bands, Bands)
    assert bands.modulus.shape == (2, 3, 1, 2, 3, 4)
    torch.testing.assert_close(_dual_tree._to_quads(bands), quads)
    torch.testing.assert_close(bands.modulus.square().sum(), quads.square().sum())


@pytest.mark.parametrize("name", WAVELETS)
def test_detail_is_taken_from_where_it_is(name: str) -> None:
    infrared, visible = torch.full((2, 1, 1, 64, 64), 0.5, dtype=torch.float64)
    infrared[..., 8:24, 20:44:2] = 0.7
    visible[..., 40:56, 20:44:2] = 0.3
    fused = create_model(name)(infrared, visible)
    assert fused[..., 16, 24:40].diff().abs().min() > 0.15
    assert fused[..., 48, 24:40].diff().abs().min() > 0.15


@pytest.mark.parametrize("name", WAVELETS)
def test_the_low_band_is_the_mean(name: str) -> None:
    fused = create_model(name)(torch.full((1, 1, 32, 48), 0.2), torch.full((1, 1, 32, 48), 0.6))
    torch.testing.assert_close(fused, torch.full_like(fused, 0.4))


def test_equal_coefficients_are_taken_from_the_visible_image() -> None:
    """Exactly equal on gray levels, not in [0, 1]: the negative of an image has the same magnitudes."""
    levels = torch.randint(60, 190, (1, 1, 32, 32), generator=torch.Generator().manual_seed(0)).float()
    visible = levels / 255
    fused = 255 * create_model("dwt")((250 - levels) / 255, visible)
    mean = torch.full((1, 1, 2, 2), 125.0)
    low = torch.nn.functional.avg_pool2d(levels, 16)
    expected = levels + torch.nn.functional.interpolate(mean - low, scale_factor=16)
    torch.testing.assert_close(fused, expected.clamp(0, 255), rtol=0, atol=1e-3)
