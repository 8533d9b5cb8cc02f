"""Objectives of TransFusion: golden values of the fact sheet, and the properties of mutual information."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from imfuse.losses import transfusion
from imfuse.losses.transfusion import (
    Objective,
    Reconstruction,
    _ssim_maps,
    information_loss,
    ms_ssim,
    mutual_information,
    released_ms_ssim,
)

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]
Images = dict[str, Tensor]


def images(formula_pair: FormulaPair, height: int, width: int) -> Images:
    ir, vis = (image.double() for image in formula_pair(height, width))
    return {"ir": ir, "vis": vis, "mean": (ir + vis) / 2, "max": torch.maximum(ir, vis)}


def noise(rows: int, samples: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Structural similarity


@pytest.mark.parametrize(
    ("size", "first", "second", "released", "plain", "correct"),
    [
        ((256, 256), "mean", "ir", 0.75665346, 0.53267829, 0.61718126),
        ((256, 256), "mean", "vis", 0.79137627, 0.59674855, 0.70970536),
        ((256, 256), "max", "ir", 0.76948842, 0.55613260, 0.63644285),
        ((256, 256), "max", "vis", 0.68469461, 0.40647188, 0.53444052),
        ((256, 256), "ir", "vis", 0.39864628, 0.0058730983, 0.033405248),
        ((192, 240), "mean", "ir", 0.76697108, 0.55206931, 0.63944430),
        ((192, 240), "max", "vis", 0.68307553, 0.40380792, 0.52815650),
        ((64, 96), "mean", "ir", 0.80875592, 0.62758683, None),
        ((64, 96), "ir", "vis", 0.41879795, 0.010561593, None),
    ],
)
def test_golden_ms_ssim(
    formula_pair: FormulaPair,
    size: tuple[int, int],
    first: str,
    second: str,
    released: float,
    plain: float,
    correct: float | None,
) -> None:
    given_images = images(formula_pair, *size)
    a, b = given_images[first], given_images[second]
    assert released_ms_ssim(a, b).item() == pytest.approx(released, rel=1e-7)
    assert released_ms_ssim(a, b, remapped=False).item() == pytest.approx(plain, rel=1e-7)
    assert released_ms_ssim(255 * a, 255 * b).item() == pytest.approx(released, rel=1e-7)
    if correct is not None:
        assert ms_ssim(a, b).item() == pytest.approx(correct, rel=1e-7)
        assert ms_ssim(255 * a, 255 * b, 255).item() == pytest.approx(correct, rel=1e-7)


def test_released_form_depends_on_the_batch_and_ours_does_not(formula_pair: FormulaPair) -> None:
    x = images(formula_pair, 256, 256)
    first, second = torch.cat([x["mean"], x["max"]]), torch.cat([x["ir"], x["vis"]])
    assert released_ms_ssim(first, second).item() == pytest.approx(0.7206122, abs=1e-7)
    assert ms_ssim(first, second).tolist() == pytest.approx([0.61718126, 0.53444052], rel=1e-7)
    assert ms_ssim(first, first).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(("side", "scales"), [(175, 4), (176, 5), (44, 3), (11, 1)])
def test_small_images_get_fewer_scales(side: int, scales: int) -> None:
    a, b = (noise(1, side * side, seed).view(1, 1, side, side) for seed in (1, 2))
    b = (a + b) / 2
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfusion, "_ssim_maps", lambda *given: seen.append(given[0].shape[-1]) or _ssim_maps(*given))
        assert 0 < ms_ssim(a, b).item() < 1
    assert seen == [side >> scale for scale in range(scales)]
    assert ms_ssim(a, a).item() == pytest.approx(1)


def test_golden_totals(formula_pair: FormulaPair) -> None:
    x = images(formula_pair, 256, 256)
    assert Reconstruction(released=1).terms(x["mean"], x["ir"])[0].item() == pytest.approx(24.359427, rel=1e-6)
    assert Reconstruction().terms(x["mean"], x["ir"])[0].item() == pytest.approx(38.306646, rel=1e-6)
    for released, structure in ((1.0, 0.22598514), (0.0, 0.33655669)):
        loss, parts = Objective(released=released).terms(x["mean"], x["ir"], x["vis"])
        assert 100 * parts["intensity"].item() == pytest.approx(2.4772473, rel=1e-6)
        assert parts["structure"].item() == pytest.approx(structure, rel=1e-6)
        assert loss.item() == pytest.approx(2.4772473 + structure, rel=1e-6)


# Mutual information


@pytest.mark.parametrize(
    ("bins", "values"),
    [
        (8, (0.0001817433993, 0.4779270552, 0.3275917371, 0.3216838263, 1.155185768, 1.116184821)),
        (16, (0.00276285321, 0.800259656, 0.5528746763, 0.4167476792, 1.847205916, 1.778297007)),
        (32, (0.02329496114, 1.152742594, 0.8125454717, 0.465534532, 2.550161756, 2.465186314)),
    ],
)
def test_golden_mutual_information(formula_pair: FormulaPair, bins: int, values: tuple[float, ...]) -> None:
    x = {name: image.view(1, -1) for name, image in images(formula_pair, 64, 96).items()}
    x["square"] = x["ir"] ** 2
    pairs = ("ir vis", "max ir", "max vis", "mean ir", "ir ir", "ir square")
    for pair, value in zip(pairs, values, strict=True):
        a, b = (x[name] for name in pair.split())
        assert mutual_information(a, b, bins).mutual.item() == pytest.approx(value, rel=1e-8)
    same = mutual_information(x["ir"], -3 * x["ir"] + 7, bins)
    assert same.mutual.item() == pytest.approx(values[4], rel=1e-9)


def test_golden_loss(formula_pair: FormulaPair) -> None:
    def level(height: int, width: int, channels: int) -> tuple[Tensor, Tensor, Tensor]:
        x, c = images(formula_pair, height, width), torch.arange(channels).double()[None, :, None, None]
        return x["max"] ** (1 + c / 8) - 0.2, x["ir"] ** (1 + c / 4), x["vis"] ** (1 + c / 4)

    # Features are taken in float32, as networks give them.
    assert information_loss([level(64, 96, 8), level(16, 24, 72)]).item() == pytest.approx(0.7297103163, abs=1e-6)


@given(st.integers(0, 2**31), st.sampled_from([64, 256, 1024]), st.floats(0, 1))
def test_symmetric_bounded_and_blind_to_scale(seed: int, samples: int, mix: float) -> None:
    a = noise(3, samples, seed)
    b = mix * a + (1 - mix) * noise(3, samples, seed + 1)
    found, turned = mutual_information(a, b), mutual_information(b, a)
    torch.testing.assert_close(found.mutual, turned.mutual, atol=1e-12, rtol=0)
    bins = min(16, max(4, int(math.sqrt(samples)) // 2))
    assert (found.mutual >= -1e-12).all()
    assert (found.mutual <= torch.minimum(found.entropy_a, found.entropy_b) + 1e-12).all()
    assert (found.entropy_a <= math.log(bins) + 1e-12).all()
    assert ((found.normalised >= -1e-12) & (found.normalised <= 1 + 1e-12)).all()
    torch.testing.assert_close(mutual_information(0.5 - 2 * a, b).mutual, found.mutual, atol=1e-9, rtol=0)


def test_values_on_the_centres_give_the_histograms() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 8, (2, 5000))
    a[:2], b[:2] = (0, 7), (0, 7)
    joint = np.histogram2d(a, b, bins=8)[0] / 5000
    p, q = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    wanted = np.sum(joint * np.log(np.maximum(joint, 1e-300) / (p * q)))
    x, y = (torch.from_numpy(values / 7.0)[None] for values in (a, b))
    assert mutual_information(x, y, 8).mutual.item() == pytest.approx(wanted, abs=1e-12)
    found = mutual_information(x, x, 8)
    assert found.mutual.item() == pytest.approx(found.entropy_a.item(), abs=1e-12)


@pytest.mark.parametrize(("samples", "bins"), [(1024, 16), (1024, 8), (256, 16), (6144, 16)])
def test_independent_samples_tell_little(samples: int, bins: int) -> None:
    found = mutual_information(noise(200, samples, 1), noise(200, samples, 2), bins)
    assert found.mutual.mean() < 0.8 * (bins - 1) ** 2 / (2 * samples)


def test_gradient() -> None:
    a, b = (0.02 + 0.96 * noise(3, 40, seed) for seed in (1, 2))
    # The extremes have no gradient of their own: they are held.
    a[:, 0], a[:, 1], b[:, 0], b[:, 1] = 0, 1, 0, 1

    def mutual(u: Tensor, v: Tensor) -> Tensor:
        first, second = (torch.cat([x[:, :2], inner], 1) for x, inner in ((a, u), (b, v)))
        return mutual_information(first, second, 8).mutual

    inputs = (a[:, 2:].clone().requires_grad_(), b[:, 2:].clone().requires_grad_())
    assert torch.autograd.gradcheck(mutual, inputs, eps=1e-7, atol=1e-6)


def test_constant_channels_are_left_out() -> None:
    a = noise(1, 256, 1).view(1, 1, 16, 16).float()
    flat = torch.full_like(a, 0.3)
    alone = information_loss([(a, a, a)])
    with_flat = information_loss([(torch.cat([a, flat], 1), torch.cat([a, a], 1), torch.cat([a, flat], 1))])
    assert with_flat.item() == pytest.approx(alone.item())
    fused = flat.clone().requires_grad_()
    loss = information_loss([(fused, a, a)])
    assert loss.item() == 1
    loss.backward()
    assert fused.grad is not None
    assert not fused.grad.any()


def test_term_leads_towards_the_sources() -> None:
    a, b = (noise(1, 4 * 32 * 32, seed).view(1, 4, 32, 32).float() for seed in (1, 2))
    fused = (0.5 * noise(1, 4 * 32 * 32, 3).view(1, 4, 32, 32).float() + 0.5 * a).requires_grad_()
    before = information_loss([(fused, a, b)])
    (slope,) = torch.autograd.grad(before, fused)
    after = information_loss([(fused - 0.05 * slope / slope.abs().max(), a, b)])
    assert after < before


def test_a_pair_of_one_image_is_to_stay_as_it_is() -> None:
    image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    fused = (1.2 * image).requires_grad_()
    total, parts = transfusion.Objective(texture=1, vif=1, identity=2).terms(fused, image, image)
    (slope,) = torch.autograd.grad(total, fused)
    assert bool((slope > 0).all()), "back to the image, at every pixel"
    assert parts["identity"].item() == pytest.approx((0.2 * image).mean().item(), rel=1e-4)
    assert parts["intensity"].item() == 0
