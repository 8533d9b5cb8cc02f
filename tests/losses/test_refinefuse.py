"""The objective of RefineFuse: golden values of the fact sheet, and small images whose values are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from imfuse.losses import refinefuse
from imfuse.losses.common import box_ssim, correlation, visual_information
from imfuse.losses.refinefuse import (
    Objective,
    Window,
    contrast_mask,
    edge_loss,
    hot_loss,
    local_variance,
    mask_intensity_loss,
    signed_texture_loss,
    sobel,
    texture_loss,
    with_salient,
)
from imfuse.metrics import visual_information_fidelity

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


@pytest.fixture
def images(formula_pair: FormulaPair) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fused, infrared and visible image, and labels with a person."""
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    labels = torch.zeros(1, 64, 80, dtype=torch.int64)
    labels[:, 20:40, 30:60] = 2
    return 0.3 + 0.4 * infrared * visible, infrared, visible, labels


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Golden values


def test_golden_contrast(images: tuple[Tensor, ...]) -> None:
    _, infrared, visible, labels = images
    variance = local_variance(infrared)
    found = [variance.mean(), variance[0, 0, 0, 0], variance[0, 0, 31, 40]]
    assert [value.item() for value in found] == pytest.approx([0.012768492, 0.010323959, 0.019571858], rel=1e-7)
    variance = local_variance(visible)
    assert variance.mean().item() == pytest.approx(0.018438476, rel=1e-7)
    assert variance[0, 0, 31, 40].item() == pytest.approx(0.0089750239, rel=1e-7)
    counts: dict[Window, tuple[int, int]] = {"gaussian": (1443, 1871), "box": (1744, 2134), "pixel": (2595, 2885)}
    for window, wanted in counts.items():
        mask = contrast_mask(infrared, visible, window)
        assert (mask.sum().item(), with_salient(mask, labels).sum().item()) == wanted


@pytest.mark.parametrize(
    ("weights", "labelled", "wanted"),
    [
        ({"intensity": 1, "texture": 0}, False, 0.14918976),
        ({"intensity": 1, "texture": 0}, True, 0.15364378),
        ({"intensity": 0, "texture": 1}, True, 0.85829208),
        ({"intensity": 1, "texture": 5}, True, 4.4451042),
        ({"intensity": 5, "texture": 1}, True, 1.6265110),
        ({"intensity": 0, "texture": 0, "mean_intensity": 1}, True, 0.17434039),
        ({"intensity": 0, "texture": 5, "mean_intensity": 1}, True, 4.4658008),
        ({"intensity": 0, "texture": 0, "max_intensity": 1}, True, 0.24689378),
        ({"intensity": 0, "texture": 5, "max_intensity": 1}, True, 4.5383542),
    ],
    ids=str,
)
def test_golden_losses(images: tuple[Tensor, ...], weights: dict[str, float], labelled: bool, wanted: float) -> None:
    *triple, labels = images
    loss, _ = Objective(**weights).terms(*triple, labels if labelled else None)
    assert loss.item() == pytest.approx(wanted, rel=1e-7)
    single, _ = Objective(**weights).terms(*(image.float() for image in triple), labels if labelled else None)
    assert single.item() == pytest.approx(wanted, rel=1e-5)


def test_golden_gradient(images: tuple[Tensor, ...]) -> None:
    assert sobel(images[0]).abs().mean((0, 2, 3)).tolist() == pytest.approx([0.13121928, 0.10570597], rel=1e-7)


# Small images


def test_contrast_is_the_variance_under_a_gaussian() -> None:
    image = noise(1, 1, 12, 15)
    mean, square = (
        ndimage.gaussian_filter(x[0, 0].numpy(), 1.5, mode="mirror", radius=4) for x in (image, image.square())
    )
    torch.testing.assert_close(local_variance(image)[0, 0], torch.from_numpy(square - mean**2))


def test_what_the_mask_says_is_taken() -> None:
    infrared, visible = noise(1, 1, 9, 9, seed=1), noise(1, 1, 9, 9, seed=2)
    mask = (noise(1, 1, 9, 9, seed=3) > 0.5).double()
    composite = torch.where(mask > 0, infrared, visible)
    assert mask_intensity_loss(composite, infrared, visible, mask) == 0
    assert mask_intensity_loss(infrared, infrared, visible, mask) > 0


@pytest.mark.parametrize(("label", "salient"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 0), (8, 0), (255, 0)])
def test_people_and_vehicles_are_salient(label: int, salient: int) -> None:
    mask = with_salient(torch.zeros(1, 1, 2, 2), torch.full((1, 2, 2), label))
    assert mask.unique().tolist() == [salient]


def test_texture_is_blind_to_the_sign_and_the_signed_one_is_not() -> None:
    flat, ramp = torch.full((1, 1, 8, 8), 0.5), torch.linspace(0, 1, 8).expand(1, 1, 8, 8)
    assert texture_loss(1 - ramp, ramp, flat) < 1e-6 > texture_loss(ramp, ramp, flat)
    assert signed_texture_loss(ramp, ramp, flat) < 1e-6
    assert signed_texture_loss(1 - ramp, ramp, flat) > 0.5
    assert signed_texture_loss(ramp, 0.5 * ramp, flat, gain=2) < 1e-6


def test_identical_images_cost_nothing() -> None:
    image = noise(2, 1, 48, 48)
    weights = dict.fromkeys(("mean_intensity", "max_intensity", "signed_texture", "ssim", "vif", "hot"), 1.0)
    loss, parts = Objective(**weights).terms(image, image, image)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert parts.keys() == {"intensity", "texture", *weights, "like_infrared", "like_visible"}


def test_sum_of_the_sources_has_all_differences() -> None:
    infrared, visible = noise(2, 1, 16, 16, seed=1), noise(2, 1, 16, 16, seed=2)
    _, parts = Objective(scd=1).terms(infrared + visible, infrared, visible)
    assert parts["scd"].item() == pytest.approx(0, abs=1e-6)


def test_box_ssim_and_correlation_of_an_inverted_image() -> None:
    image = noise(1, 1, 20, 20)
    assert box_ssim(image, image).item() == pytest.approx(1)
    assert box_ssim(1 - image, image) < -0.5
    assert correlation(1 - image, image).item() == pytest.approx(-1)
    assert correlation(torch.ones_like(image), image).item() == 0


def test_hot_pixels_alone_count() -> None:
    infrared = torch.zeros(1, 1, 10, 10)
    infrared[..., 4, 4] = 1
    fused = torch.full_like(infrared, 0.25)
    assert hot_loss(fused, infrared).item() == pytest.approx(0.75 / 100)


def test_visual_information_is_the_metric() -> None:
    source, other = noise(2, 1, 60, 75, seed=1), noise(2, 1, 60, 75, seed=2)
    source, other = ((255 * image).round() / 255 for image in (source, other))
    fused = ((0.7 * source + 0.3 * other) * 255).round() / 255
    wanted = visual_information_fidelity(fused, source, other)
    found = visual_information(fused, source) + visual_information(fused, other)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    single = visual_information(fused.float(), source.float()) + visual_information(fused.float(), other.float())
    torch.testing.assert_close(single.double(), wanted, rtol=1e-4, atol=0)


def test_information_of_an_empty_crop_is_bounded() -> None:
    empty, lively = 0.5 + 1e-4 * noise(1, 1, 48, 48, seed=1), noise(1, 1, 48, 48, seed=2)
    assert visual_information(empty + 0.1 * (empty - 0.5) * 1e4, empty) > 2
    _, parts = Objective(vif=1).terms(empty + 0.1 * (empty - 0.5) * 1e4, empty, lively)
    assert -2 <= parts["vif"] <= 2


TERMS = ("signed_texture", "edges", "ssim", "scd", "vif", "hot", "mean_intensity", "max_intensity")


@pytest.mark.parametrize("name", TERMS)
def test_each_term_leads_to_better_pictures(name: str) -> None:
    # The power makes some pixels hot.
    infrared, visible = noise(1, 1, 48, 48, seed=1) ** 4, noise(1, 1, 48, 48, seed=2)
    fused = noise(1, 1, 48, 48, seed=3).requires_grad_()
    objective = Objective(intensity=0, texture=0, **{name: 1.0})
    before, _ = objective.terms(fused, infrared, visible)
    (slope,) = torch.autograd.grad(before, fused)
    assert slope.isfinite().all()
    after, _ = objective.terms(fused - 1e-3 * slope / slope.norm(), infrared, visible)
    assert after < before


def test_edges_keep_their_direction() -> None:
    line = torch.linspace(0, 1, 16)
    down, across = line[:, None].expand(1, 1, 16, 16), line.expand(1, 1, 16, 16)
    # At a mirrored border a slope is 0, and the other image has the steeper one.
    assert edge_loss(down, down, 0.4 * across) < 0.03
    assert signed_texture_loss(down, down, 0.4 * across) > 0.15, "per axis both are wanted"
    assert edge_loss(down, 0.5 * down, 0.1 * across, gain=2) < 0.1 * edge_loss(down, 0.5 * down, 0.1 * across)


def test_a_pair_of_one_image_is_to_stay_as_it_is() -> None:
    image, other = noise(1, 1, 48, 48, seed=1), noise(1, 1, 48, 48, seed=2)
    objective = Objective(intensity=0, texture=0, signed_texture=1, gain=1.5, vif=1, scd=1, identity=1)
    fused = (1.2 * image).requires_grad_()
    total, parts = objective.terms(fused, image, image)
    assert parts["identity"].item() == pytest.approx((0.2 * image).mean().item(), rel=1e-4)
    (slope,) = torch.autograd.grad(total, fused)
    assert bool((slope > 0).all()), "back to the image, at every pixel"
    first, second = torch.cat([image, image]), torch.cat([image, other])
    twice = (1.2 * first).requires_grad_()
    (slopes,) = torch.autograd.grad(objective.terms(twice, first, second).total, twice)
    assert torch.allclose(slopes[0], slope[0] / 2)


def test_masks_of_the_whole_pair_are_used_where_given() -> None:
    infrared, visible = noise(1, 1, 40, 40, seed=1), noise(1, 1, 40, 40, seed=2)
    objective = refinefuse.Objective(intensity=1, texture=0)
    whole = objective.maps(infrared, visible)
    part = (..., slice(10, 30), slice(5, 25))
    found, _ = objective.terms(visible[part], infrared[part], visible[part], contrast=whole["contrast"][part])
    assert found.item() == pytest.approx((whole["contrast"] * (visible - infrared).abs())[part].mean().item())
    assert not Objective(intensity=0).maps(infrared, visible)
