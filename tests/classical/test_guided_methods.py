"""GFF and VSM-WLS: the parts written out, ties, order of the sources."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.classical import gff, vsm_wls
from imfuse.models import create_model

METHODS = ("gff", "vsm_wls")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (37, 50)])
def test_an_image_with_itself_is_that_image(name: str, size: tuple[int, int]) -> None:
    image = noise(2, 1, *size)
    torch.testing.assert_close(create_model(name)(image, image), image, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_single_precision_gives_the_same_picture(name: str, scene_pair) -> None:  # type: ignore[no-untyped-def]
    pair = scene_pair(120, 160, 0)
    model = create_model(name)
    exact, fused = model(*(image.double() for image in pair)), model(*pair)
    assert ((255 * exact).round() - (255 * fused.double()).round()).abs().max() <= 1


# GFF


def test_laplacian_of_a_spot() -> None:
    spot = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    spot[..., 15, 15] = 1
    # Blurring keeps the sum: 4 in the middle, 1 on each side.
    assert gff.saliency(spot).sum().item() == pytest.approx(8)
    assert gff.saliency(torch.full((1, 1, 9, 9), 0.3)).abs().max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flat_areas_come_from_the_visible_image(dtype: torch.dtype) -> None:
    infrared, visible = torch.full((1, 1, 120, 120), 0.9, dtype=dtype), torch.full((1, 1, 120, 120), 0.2, dtype=dtype)
    torch.testing.assert_close(create_model("gff")(infrared, visible), visible)


def test_the_salient_image_is_taken() -> None:
    infrared, visible = torch.full((2, 1, 1, 200, 300), 0.5, dtype=torch.float64)
    infrared[..., :150] += 0.2 * noise(1, 1, 200, 150)
    visible[..., 150:] += 0.2 * noise(1, 1, 200, 150, seed=1)
    fused = create_model("gff")(infrared, visible)
    torch.testing.assert_close(fused[..., 20:100], infrared[..., 20:100], rtol=0, atol=0.02)
    torch.testing.assert_close(fused[..., 200:280], visible[..., 200:280], rtol=0, atol=0.02)


def test_faithful_weights_have_eight_bits() -> None:
    images, mask = noise(1, 2, 40, 50), (noise(1, 2, 40, 50, seed=5) > 0.5).double()
    steps = 255 * gff.GFF("faithful")._weights(images, mask, *gff.DETAIL)
    assert (steps - steps.round()).abs().max() > 0.01, "divided by their sum afterwards"
    total = steps[:, :1] / steps[:, 1:]
    clean = 255 * gff.GFF("clean")._weights(images, mask, *gff.DETAIL)
    assert ((clean - steps).abs().max() < 2) & (total > 0).all()


# VSM-WLS


def test_saliency_written_out() -> None:
    image = noise(1, 1, 7, 9, seed=2)
    levels = np.floor(255 * image[0, 0].numpy() + 0.5)
    rarity = np.abs(levels[:, :, None, None] - levels).sum((2, 3))
    expected = (rarity - rarity.min()) / np.ptp(rarity)
    np.testing.assert_allclose(vsm_wls.saliency(image)[0, 0], expected, atol=1e-14)


def test_saliency_of_each_image_and_channel_is_its_own() -> None:
    images = noise(2, 2, 12, 15)
    alone = [vsm_wls.saliency(images[i : i + 1, j : j + 1]) for i in range(2) for j in range(2)]
    assert torch.equal(vsm_wls.saliency(images).flatten(0, 1), torch.cat(alone)[:, 0])
    assert vsm_wls.saliency(torch.full((1, 1, 4, 4), 0.3)).abs().max() == 0


def test_layers_add_up() -> None:
    image = noise(1, 2, 40, 52)
    details, base = vsm_wls.decompose(image)
    assert len(details) == 4
    torch.testing.assert_close(sum(details) + base, image)
    # The base is blurred last, so it is the smoothest.
    assert base.diff(dim=2).abs().max() < image.diff(dim=2).abs().mean()


def test_rolling_guidance_removes_a_speck_and_keeps_an_edge() -> None:
    image = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    image[..., 32:] = 0.8
    image[..., 30, 10] = 0.5
    smooth = vsm_wls.roll(image, 2)
    assert smooth[..., 30, 10] < 0.1
    assert (smooth[..., 32] - smooth[..., 31]).mean() > 0.6


def test_weak_detail_of_the_second_source_draws_to_the_first() -> None:
    first, weak, strong = (scale * (noise(1, 1, 30, 30, seed=4) - 0.5) for scale in (0.01, 1e-5, 0.5))
    # Where the second is flat the result is the first; where it has strong detail, about that.
    torch.testing.assert_close(vsm_wls.join_details(first, 0 * first), first)
    near = vsm_wls.join_details(first, weak)
    assert (near - first).abs().max() < 1e-4
    lifted = vsm_wls.join_details(first, strong + 0.5)
    assert (lifted - strong - 0.5).abs().max() < 0.02


def test_modes_are_the_order_of_the_sources() -> None:
    pair = noise(1, 1, 30, 40), noise(1, 1, 30, 40, seed=1)
    clean, faithful = (create_model("vsm_wls", mode=mode) for mode in ("clean", "faithful"))
    torch.testing.assert_close(clean(*pair), faithful(*pair[::-1]))
    assert (clean(*pair) - faithful(*pair)).abs().max() > 1e-3
