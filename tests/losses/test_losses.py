"""Objectives against the golden tables of the fact sheets, other implementations and cases that are known exactly."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imfuse.losses import auif, didfuse
from imfuse.losses.common import dssim, sobel_gradient, ssim_map
from imfuse.models.auif import AUIF
from imfuse.models.didfuse import DIDFuse

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]

# Golden values carry eight digits; in float32 the variances of SSIM cancel.
PRECISION = [pytest.param(torch.float64, 1e-7, id="float64"), pytest.param(torch.float32, 1e-4, id="float32")]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# Golden tables


@pytest.mark.parametrize(("dtype", "precision"), PRECISION)
def test_golden_auif(formula_pair: FormulaPair, dtype: torch.dtype, precision: float) -> None:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    rebuilt = 0.9 * visible + 0.1 * infrared
    for second, wanted in (
        (rebuilt, (9.9144536e-4, 6.7557933e-3, 0.034770412)),
        (infrared, (0.099144536, 0.43942115, 2.2962503)),
    ):
        loss, parts = auif.Objective().terms(visible.to(dtype), second.to(dtype))
        assert loss.dtype == dtype
        assert (parts["mse"].item(), parts["dssim"].item(), loss.item()) == pytest.approx(wanted, rel=precision)


def test_golden_map_of_ssim(formula_pair: FormulaPair) -> None:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    small = ssim_map(visible, infrared, window=3)
    assert small.mean().item() == pytest.approx(0.046142036, rel=1e-7)
    assert (small < 0).double().mean().item() == pytest.approx(0.3828, abs=5e-5)
    assert ssim_map(visible, 0.9 * visible + 0.1 * infrared, window=3).mean().item() == pytest.approx(
        0.98648841, rel=1e-7
    )
    large = ssim_map(visible, infrared)
    assert (large < 0).double().mean().item() == pytest.approx(0.3697, abs=5e-5)
    assert dssim(visible, infrared).item() == pytest.approx(0.47244501, rel=1e-7)
    # Later libraries halve before they clip, which gives another number: the table tells them apart.
    assert ((1 - large) / 2).clamp(0, 1).mean().item() == pytest.approx(0.48870701, rel=1e-7)


@pytest.mark.parametrize(("dtype", "precision"), PRECISION)
def test_golden_didfuse(formula_pair: FormulaPair, dtype: torch.dtype, precision: float) -> None:
    ir, vi = (image.double() for image in formula_pair(64, 80))
    rebuilt_vi, rebuilt_ir = 0.9 * vi + 0.1 * ir, 0.8 * ir + 0.05
    loss, parts = didfuse.Objective().terms(
        tuple(x.to(dtype) for x in (ir, rebuilt_ir, ir, ir - 0.5)),
        tuple(x.to(dtype) for x in (vi, rebuilt_vi, vi, 2 * vi - 1)),
    )
    wanted = {
        "visible": 0.031252974,
        "infrared": 0.077921249,
        "background": 0.25144503,
        "detail": 0.39495751,
        "gradient": 6.9620732e-3,
    }
    assert {name: value.item() for name, value in parts.items()} == pytest.approx(wanted, rel=precision)
    assert loss.item() == pytest.approx(0.34193546, rel=precision)


def test_golden_terms_of_didfuse(formula_pair: FormulaPair) -> None:
    ir, vi = (image.double() for image in formula_pair(64, 80))
    assert dssim(vi, 0.9 * vi + 0.1 * ir).item() == pytest.approx(6.0523056e-3, rel=1e-7)
    assert dssim(ir, 0.8 * ir + 0.05).item() == pytest.approx(0.014505522, rel=1e-7)


# SSIM


def reference_ssim(first: np.ndarray, second: np.ndarray, window: int) -> np.ndarray:
    """By OpenCV's filters, term by term as in Wang 2004."""
    kernel = cv2.getGaussianKernel(window, 1.5, cv2.CV_64F)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)

    m1, m2 = mean(first), mean(second)
    v1, v2, cov = mean(first * first) - m1**2, mean(second * second) - m2**2, mean(first * second) - m1 * m2
    return (2 * m1 * m2 + 1e-4) * (2 * cov + 9e-4) / ((m1**2 + m2**2 + 1e-4) * (v1 + v2 + 9e-4))


@pytest.mark.parametrize("window", [3, 11])
@pytest.mark.parametrize("size", [(6, 6), (7, 30), (24, 17)])
def test_ssim_is_that_of_opencv(window: int, size: tuple[int, int]) -> None:
    first, second = noise(2, 1, *size), noise(2, 1, *size, seed=1)
    found = ssim_map(first, second, window=window)
    assert found.shape == first.shape
    for i in range(2):
        wanted = reference_ssim(first[i, 0].numpy(), second[i, 0].numpy(), window)
        assert np.abs(found[i, 0].numpy() - wanted).max() < 1e-10


def test_ssim_of_constants() -> None:
    """Without variance only the luminance term is left."""
    first, second = torch.full((1, 1, 12, 12), 0.2, dtype=torch.float64), torch.full((1, 1, 12, 12), 0.6).double()
    wanted = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    torch.testing.assert_close(ssim_map(first, second), torch.full_like(first, wanted), rtol=1e-7, atol=0)


def test_dssim_of_equals_and_of_opposites() -> None:
    image = noise(1, 1, 20, 20)
    assert dssim(image, image).item() == pytest.approx(0, abs=1e-12)
    assert dssim(image, noise(1, 1, 20, 20, seed=3)).item() == pytest.approx(
        dssim(noise(1, 1, 20, 20, seed=3), image).item(), rel=1e-12
    )
    opposite = (1 - image).requires_grad_()
    loss = dssim(image, opposite)
    assert 0.4 < loss.item() <= 0.5
    # Where SSIM is negative the clip holds the term at its most, without a gradient.
    everywhere = ssim_map(image, opposite)
    assert (everywhere < 0).all()
    assert loss.item() == 0.5
    loss.backward()
    assert torch.equal(opposite.grad, torch.zeros_like(image))


def test_dssim_gradient() -> None:
    first, second = noise(1, 1, 7, 8), (noise(1, 1, 7, 8) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dssim(first, x, window=3), (second,))


def test_ssim_needs_more_pixels_than_half_the_window() -> None:
    with pytest.raises((RuntimeError, IndexError)):
        ssim_map(noise(1, 1, 5, 20), noise(1, 1, 5, 20))


def test_ssim_stays_accurate_under_mixed_precision() -> None:
    first = 0.8 + 0.02 * noise(2, 1, 24, 24, dtype=torch.float32)
    second = first + 0.01 * noise(2, 1, 24, 24, seed=1, dtype=torch.float32)
    exact = dssim(first.double(), second.double()).item()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dssim(first, second)
    assert mixed.dtype == torch.float32
    assert mixed.item() == pytest.approx(exact, rel=1e-3)
    assert mixed.item() == dssim(first, second).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_validation_before_training_leaves_gradients_alone(dtype: torch.dtype) -> None:
    """The blur of a size is remembered; first made in inference mode, it must still serve training."""
    side = 37 if dtype == torch.float32 else 41
    first, second = noise(1, 1, side, side + 1, dtype=dtype), noise(1, 1, side, side + 1, seed=1, dtype=dtype)
    with torch.inference_mode():
        dssim(first, second)
    dssim(first, second.requires_grad_()).backward()
    assert second.grad.abs().sum() > 0


# Sobel


def test_sobel_of_ramps() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    gradient = sobel_gradient((2 * x - 3 * y)[None, None])
    assert gradient.shape == (1, 2, 6, 7)
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(gradient[:, 0][inner], torch.full((1, 4, 5), 2.0))
    torch.testing.assert_close(gradient[:, 1][inner], torch.full((1, 4, 5), -3.0))
    # Edge pixels are repeated: one of two differences is zero there.
    torch.testing.assert_close(gradient[0, 0, 1:-1, 0], torch.full((4,), 1.0))


def test_sobel_is_that_of_opencv() -> None:
    image = noise(1, 1, 9, 12)
    found = sobel_gradient(image)[0].numpy()
    for i, (dx, dy) in enumerate([(1, 0), (0, 1)]):
        wanted = cv2.Sobel(image[0, 0].numpy(), cv2.CV_64F, dx, dy, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
        assert np.abs(found[i] - wanted).max() < 1e-14


def test_sobel_stays_accurate_under_mixed_precision() -> None:
    image = noise(1, 1, 9, 12, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = sobel_gradient(image)
    assert torch.equal(mixed, sobel_gradient(image))


# Objectives


def test_auif_perfect_reconstruction_costs_nothing() -> None:
    image = noise(2, 1, 16, 16)
    loss, parts = auif.Objective().terms(image, image)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert set(parts) == {"mse", "dssim"}


def test_didfuse_perfect_reconstruction_leaves_the_terms_of_the_maps() -> None:
    ir, vi = noise(2, 1, 16, 16), noise(2, 1, 16, 16, seed=1)
    background, detail = torch.zeros(2, 4, 16, 16).double(), torch.ones(2, 4, 16, 16).double()
    loss, parts = didfuse.Objective().terms((ir, ir, background, detail), (vi, vi, background + 0.3, detail - 0.8))
    assert parts["background"].item() == pytest.approx(np.tanh(0.3))
    assert parts["detail"].item() == pytest.approx(np.tanh(0.8))
    assert loss.item() == pytest.approx(np.tanh(0.3) - 0.5 * np.tanh(0.8), abs=1e-9)


def test_didfuse_weights_scale_their_terms() -> None:
    inputs = [tuple(noise(1, 1, 16, 16, seed=4 * side + i) for i in range(4)) for side in range(2)]
    _, parts = didfuse.Objective().terms(*inputs)
    names = ("visible", "infrared", "background", "detail", "gradient")
    for name in names:
        only = didfuse.Objective(**(dict.fromkeys(names, 0.0) | {name: 3.0}))
        sign = -3 if name == "detail" else 3
        assert only.terms(*inputs)[0].item() == pytest.approx(sign * parts[name].item(), rel=1e-12)


def test_gradient_term_sees_the_visible_image_alone() -> None:
    ir, vi = noise(1, 1, 16, 16), noise(1, 1, 16, 16, seed=1)
    maps = torch.zeros(1, 1, 16, 16).double()
    _, parts = didfuse.Objective().terms((ir, 0.5 * ir, maps, maps), (vi, vi, maps, maps))
    assert parts["gradient"].item() == 0
    assert parts["infrared"].item() > 0


def test_mean_of_bfloat16_maps_is_not_rounded() -> None:
    ir, vi = noise(1, 1, 16, 16, dtype=torch.float32), noise(1, 1, 16, 16, seed=1, dtype=torch.float32)
    maps = noise(4, 64, 32, 32, dtype=torch.bfloat16), noise(4, 64, 32, 32, seed=1, dtype=torch.bfloat16)
    _, parts = didfuse.Objective().terms((ir, ir, maps[0], maps[0]), (vi, vi, maps[1], maps[1]))
    wanted = (maps[0] - maps[1]).double().abs().mean().tanh().item()
    assert parts["background"].dtype == torch.float32
    assert parts["background"].item() == pytest.approx(wanted, rel=1e-5)


def batches() -> tuple[Tensor, Tensor]:
    return noise(2, 1, 24, 24, dtype=torch.float32), noise(2, 1, 24, 24, seed=1, dtype=torch.float32)


@pytest.mark.parametrize("mixed", [False, True])
def test_every_parameter_of_auif_learns(mixed: bool) -> None:
    torch.manual_seed(0)
    model = AUIF().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss, parts = auif.Objective()(model, {"image": batches()[0]})
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((parts["mse"] + 5 * parts["dssim"]).item(), rel=1e-6)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("mixed", [False, True])
def test_every_parameter_of_didfuse_learns(mixed: bool) -> None:
    torch.manual_seed(0)
    model = DIDFuse().train()
    infrared, visible = (image[..., :16, :16] for image in batches())
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss, _ = didfuse.Objective()(model, {"infrared": infrared, "visible": visible})
    assert loss.dtype == torch.float32
    loss.backward()
    # A bias before a norm cancels out: its gradient is nothing but rounding.
    idle = {f"{name}.bias" for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert name in idle or parameter.grad.abs().sum() > 0, name


def test_didfuse_passes_the_visible_image_first() -> None:
    """Each pass has its own batch statistics, so that the norms count two steps, the infrared image last."""
    torch.manual_seed(0)
    model = DIDFuse().train()
    infrared, visible = (image[..., :16, :16] for image in batches())
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    didfuse.Objective()(model, {"infrared": infrared, "visible": visible})
    assert torch.equal(seen[0], visible)
    assert torch.equal(seen[1], infrared)
    assert model.encoder.shallow[1].num_batches_tracked.item() == 2


def test_a_few_steps_lower_the_objective() -> None:
    torch.manual_seed(0)
    model, objective = AUIF().train(), auif.Objective()
    batch = {"image": batches()[0]}
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        loss, _ = objective(model, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
