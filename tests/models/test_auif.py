"""AUIF-Net against golden values of the authors' code, and its fast forms against the published form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models.auif import (
    AUIF,
    UnrolledLayer,
    base_start,
    detail_start,
    folded_kernels,
    folded_response,
    plain_response,
)
from imfuse.ops.filters import reflect_pad

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]

RULES = ("sum", "average", "l1")
FORMS = ("plain", "folded", "opencv", "tensors")
FAST = FORMS[1:]
SIZES = [(10, 10), (10, 37), (33, 10), (11, 13), (64, 81)]


def fuse(model: AUIF, form: str, infrared: Tensor, visible: Tensor) -> Tensor:
    """The fused image by one of the four ways that compute it."""
    with torch.inference_mode():
        if form in ("plain", "folded"):
            model.form = form
            return model(infrared, visible)
        fast = fast_form(model)
        return fast(infrared, visible) if form == "opencv" else fast.fuse_tensors(infrared, visible)


def build(weights: Path, rule: str = "sum") -> AUIF:
    model = create_model("auif", weights, rule=rule)
    assert isinstance(model, AUIF)
    return model


def images(height: int, width: int, count: int = 1) -> tuple[Tensor, Tensor]:
    """Smooth noise with some grain: a random network that was fitted to pictures would blow up white noise."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(2 * count, 1, 1 + height // 4, 1 + width // 4, generator=generator)
    grain = 0.05 * torch.rand(2 * count, 1, height, width, generator=generator)
    pair = 0.9 * F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True) + grain
    return pair[:count], pair[count:]


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def relative(actual: Tensor, expected: Tensor) -> float:
    return largest(actual - expected) / largest(expected)


def levels(fused: Tensor) -> Tensor:
    return torch.floor(255 * fused + 0.5).clamp(0, 255)


# Parameters


def test_parameters() -> None:
    model = AUIF()
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert counts == {"base": 5810, "detail": 5810, "decoder": 9, "decoder_norm": 2}
    assert sum(p.numel() for p in model.parameters()) == 11_631


def test_no_sharing_between_layers_or_branches() -> None:
    model = AUIF()
    kernels = [layer.kernel for encoder in (model.base, model.detail) for layer in encoder.layers]
    assert len({kernel.data_ptr() for kernel in kernels}) == 20


def test_initial_values() -> None:
    torch.manual_seed(3)
    layers = [layer for _ in range(20) for encoder in (AUIF().base, AUIF().detail) for layer in encoder.layers]
    kernels = torch.stack([layer.kernel for layer in layers])
    eta, theta = torch.cat([layer.eta for layer in layers]), torch.cat([layer.theta for layer in layers])
    assert kernels.mean().item() == pytest.approx(0, abs=0.01)
    assert kernels.std().item() == pytest.approx(1, abs=0.01)
    assert eta.mean().item() == pytest.approx(0.1, abs=0.01)
    assert eta.std().item() == pytest.approx(0.03, rel=0.2)
    assert theta.mean().item() == pytest.approx(1e-3, abs=5e-5)
    assert theta.std().item() == pytest.approx(1e-4, rel=0.2)
    assert all(layer.activation.weight.item() == 0.25 for layer in layers)


# Golden values of the authors' code


@pytest.mark.parametrize("form", ["plain", "folded"])
@pytest.mark.parametrize("branch", ["base", "detail"])
def test_first_layer(golden: Any, form: str, branch: str) -> None:
    encoder = getattr(golden.filled("auif"), branch)
    infrared, _ = golden.pair(37, 53)
    with torch.inference_mode():
        state = encoder.layers[0](encoder.start(infrared), infrared, form)
    assert largest(state - golden.arrays("auif")[f"filled_37x53_{branch}_ir_layer1"]) < 1e-5


@pytest.mark.parametrize("form", ["plain", "folded"])
def test_filled_encoders(golden: Any, form: str) -> None:
    model, expected = golden.filled("auif"), golden.arrays("auif")
    model.form = form
    for side, image in zip(("ir", "vi"), golden.pair(37, 53), strict=True):
        with torch.inference_mode():
            base, detail = model.encode(image)
        # States reach a million, so only the ratio to the largest says something.
        assert relative(base, expected[f"filled_37x53_base_{side}"]) < 1e-3
        assert relative(detail, expected[f"filled_37x53_detail_{side}"]) < 1e-3


@pytest.mark.parametrize("form", ["plain", "folded"])
@pytest.mark.parametrize("size", [(37, 53), (64, 80)])
def test_filled_before_sigmoid(golden: Any, form: str, size: tuple[int, int]) -> None:
    model = golden.filled("auif")
    model.form = form
    with torch.inference_mode():
        pre = before_sigmoid(model, *golden.pair(*size))
    expected = golden.arrays("auif")[f"filled_{size[0]}x{size[1]}_pre_sum"]
    assert relative(pre, expected) < 1e-3
    assert largest(fuse(model, "opencv", *golden.pair(*size))) == 0


def before_sigmoid(model: AUIF, infrared: Tensor, visible: Tensor) -> Tensor:
    outputs = []
    hook = model.decoder_norm.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    model(infrared, visible)
    hook.remove()
    return outputs[0]


@pytest.mark.parametrize("form", ["plain", "folded"])
def test_published_encoders(golden: Any, published_weights: Weights, form: str) -> None:
    model, expected = build(published_weights("auif")), golden.arrays("auif")
    model.form = form
    for side, image in zip(("ir", "vi"), golden.pair(37, 53), strict=True):
        with torch.inference_mode():
            base, detail = model.encode(image)
        assert largest(base - expected[f"published_37x53_base_{side}"]) < 1e-4
        assert largest(detail - expected[f"published_37x53_detail_{side}"]) < 1e-4


@pytest.mark.parametrize("form", ["plain", "folded"])
@pytest.mark.parametrize("rule", RULES)
def test_published_before_sigmoid(golden: Any, published_weights: Weights, form: str, rule: str) -> None:
    model = build(published_weights("auif"), rule)
    model.form = form
    with torch.inference_mode():
        pre = before_sigmoid(model, *golden.pair(37, 53))
    assert largest(pre - golden.arrays("auif")[f"published_37x53_pre_{rule}"]) < 1e-4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(37, 53), (64, 80)])
def test_published_output(golden: Any, published_weights: Weights, form: str, rule: str, size: tuple[int, int]) -> None:
    actual = fuse(build(published_weights("auif"), rule), form, *golden.pair(*size))
    assert largest(actual - golden.arrays("auif")[f"published_{size[0]}x{size[1]}_out_{rule}"]) < 1e-5


def test_formula_pair_is_that_of_the_sheets(golden: Any, formula_pair: Callable[..., tuple[Tensor, Tensor]]) -> None:
    for own, theirs in zip(formula_pair(37, 53), golden.pair(37, 53), strict=True):
        assert largest(own - theirs) < 1e-7


# Start filters


@pytest.mark.parametrize("size", [(10, 10), (10, 23), (31, 18)])
def test_start_filters_are_the_kernels_of_the_paper(size: tuple[int, int]) -> None:
    image = images(*size)[0].double()
    mean = torch.full((1, 1, 11, 11), 1 / 121, dtype=torch.float64)
    laplacian = torch.ones(1, 1, 19, 19, dtype=torch.float64)
    laplacian[..., 9, 9] = 1 - 361
    laplacian /= laplacian.abs().sum()
    assert largest(base_start(image) - F.conv2d(reflect_pad(image, 5), mean)) < 1e-13
    assert largest(detail_start(image) - F.conv2d(reflect_pad(image, 9), laplacian)) < 1e-13


def test_bright_spot_gives_negative_detail() -> None:
    image = torch.zeros(1, 1, 25, 25)
    image[..., 12, 12] = 1
    detail = detail_start(image)
    assert detail[..., 12, 12].item() == pytest.approx(-0.5)
    assert detail[..., 12, 13].item() == pytest.approx(1 / 720)
    assert detail.sum().item() == pytest.approx(0, abs=1e-6)


# Folded kernels


@pytest.mark.parametrize("size", [(3, 3), (3, 8), (4, 4), (5, 5), (5, 6), (9, 5), (17, 23)])
@pytest.mark.parametrize("batch", [1, 3])
def test_folded_response_is_exact(size: tuple[int, int], batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 1, *size, generator=generator, dtype=torch.float64)
    kernel = torch.randn(64, 1, 3, 3, generator=generator, dtype=torch.float64)
    plain = plain_response(x, kernel)
    folded = folded_response(x, kernel)
    assert folded.shape == x.shape
    assert relative(folded, plain) < 1e-14


def test_middle_kernel_is_the_autocorrelation() -> None:
    kernel = torch.randn(4, 1, 3, 3, dtype=torch.float64)
    middle = folded_kernels(kernel)[4, 0]
    padded = F.pad(kernel, (2, 2, 2, 2))
    for y in range(-2, 3):
        for x in range(-2, 3):
            moved = padded[:, :, 2 + y : 5 + y, 2 + x : 5 + x]
            assert middle[2 + y, 2 + x].item() == pytest.approx((kernel * moved).sum().item(), abs=1e-12)
    assert torch.equal(folded_kernels(kernel)[0, 0, 0], torch.zeros(5, dtype=torch.float64))


def test_only_the_outermost_frame_needs_the_correction() -> None:
    x, kernel = torch.randn(1, 1, 12, 14, dtype=torch.float64), torch.randn(64, 1, 3, 3, dtype=torch.float64)
    plain = plain_response(x, kernel)
    without = F.conv2d(reflect_pad(x, 2), folded_kernels(kernel)[4:5])
    inner = (..., slice(1, -1), slice(1, -1))
    assert relative(without[inner], plain[inner]) < 1e-14
    frame = torch.ones_like(plain, dtype=torch.bool)
    frame[inner] = False
    assert (without - plain)[frame].abs().median().item() > 1


@pytest.mark.parametrize("size", [(5, 5), (7, 12)])
def test_gradients_of_the_folded_response(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 1, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(8, 1, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, *size, generator=generator, dtype=torch.float64)
    actual, expected = (
        torch.autograd.grad((response(x, kernel).tanh() * weight).sum(), (x, kernel))
        for response in (lambda x, k: folded_response(x, k) / 50, lambda x, k: plain_response(x, k) / 50)
    )
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative(ours, theirs) < 1e-12


def test_gradcheck_of_the_folded_response() -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 1, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(3, 1, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(folded_response, (x, kernel))


def test_training_step_is_the_same_in_both_forms() -> None:
    torch.manual_seed(5)
    model = AUIF().double().train()
    image = images(16, 20, 3)[0].double()
    gradients = {}
    for form in ("plain", "folded"):
        model.form = form
        model.zero_grad()
        (model.reconstruct(image) - image).square().mean().backward()
        gradients[form] = {name: p.grad.clone() for name, p in model.named_parameters()}
    for name, expected in gradients["plain"].items():
        # Before a norm a bias or a scale has hardly a gradient of its own.
        assert largest(gradients["folded"][name] - expected) < 1e-9 * max(largest(expected), 1e-3), name


def test_autocast_of_training_keeps_the_shape_and_type_of_the_reconstruction() -> None:
    model = AUIF().train()
    with torch.autocast("cpu", torch.bfloat16):
        rebuilt = model.reconstruct(images(24, 24, 2)[0])
    assert rebuilt.shape == (2, 1, 24, 24)
    assert rebuilt.isfinite().all()


# Inference form


@pytest.mark.parametrize("form", FAST)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", SIZES)
def test_fast_forms_equal_the_plain_one(random_weights: Weights, form: str, rule: str, size: tuple[int, int]) -> None:
    model = build(random_weights("auif"), rule)
    expected = fuse(model, "plain", *images(*size))
    assert expected.std() > 0.02
    assert largest(fuse(model, form, *images(*size)) - expected) < 1e-5


@pytest.fixture(scope="module", params=["random", "published"])
def plain_and_weights(request: pytest.FixtureRequest, scene_pair: Scene) -> tuple[AUIF, tuple[Tensor, Tensor], Tensor]:
    """A network, a rendered pair of 240x320, and the fused image as published."""
    model = build(request.getfixturevalue(f"{request.param}_weights")("auif"))
    pair = scene_pair(240, 320, 0)
    return model, pair, fuse(model, "plain", *pair)


@pytest.mark.parametrize("form", FAST)
def test_fast_forms_give_the_same_picture(
    plain_and_weights: tuple[AUIF, tuple[Tensor, Tensor], Tensor], form: str
) -> None:
    model, pair, plain = plain_and_weights
    assert levels(plain).std() > 8
    difference = (levels(fuse(model, form, *pair)) - levels(plain)).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() <= 2e-4


@pytest.mark.parametrize("form", ["opencv", "tensors"])
@pytest.mark.parametrize("rule", RULES)
def test_any_slope_and_any_sign_of_the_step_size(
    calibrate: Callable[[AUIF], AUIF], scene_pair: Scene, form: str, rule: str
) -> None:
    """PReLU(q) is max(q, slope q) up to slope 1 and min above; a negative eta turns it over once more."""
    torch.manual_seed(11)
    model = AUIF(rule)
    with torch.no_grad():
        for i, layer in enumerate(module for module in model.modules() if isinstance(module, UnrolledLayer)):
            layer.eta.fill_((0.2, -0.15, 0.1, -0.05)[i % 4])
            layer.activation.weight.fill_((0.25, 0.5, 1.7, 2.5, -0.4, 1.0)[i % 6])
            layer.theta.fill_((1e-3, 0.3)[i % 2])
            layer.norm.weight.fill_((1.0, -0.8, 0.6)[i % 3])
            layer.norm.bias.fill_((0.3, -0.4)[i % 2])
    calibrate(model)
    pair = scene_pair(40, 52, 3)
    expected = fuse(model, "plain", *pair)
    assert expected.std() > 0.02
    assert largest(fuse(model, form, *pair) - expected) < 1e-5
    # The test can fail: with max throughout, as the published weights of one branch would allow, it does.
    fast = fast_form(model)
    fast.layers = {name: [layer._replace(larger=True) for layer in layers] for name, layers in fast.layers.items()}
    fast.constants[:, 2] = 1
    wrong = fast(*pair) if form == "opencv" else fast.fuse_tensors(*pair)
    assert largest(wrong.detach() - expected) > 1e-2


@pytest.mark.parametrize("form", ["opencv", "tensors"])
def test_without_the_frame_correction_the_result_is_wrong(random_weights: Weights, form: str) -> None:
    model, pair = build(random_weights("auif")), images(64, 80)
    expected = fuse(model, "plain", *pair)
    fast = fast_form(model)
    fast.layers = {
        name: [layer._replace(kernels=np.repeat(layer.kernels[4:5], 9, axis=0)) for layer in layers]
        for name, layers in fast.layers.items()
    }
    fast.kernels[:] = fast.kernels[:, 4:5].clone()
    wrong = fast(*pair) if form == "opencv" else fast.fuse_tensors(*pair)
    difference = (wrong.detach() - expected).abs()
    assert difference.max() > 0.02
    # The wrong frame travels two pixels inwards per layer and no further.
    assert difference[..., 22:-22, 22:-22].max() < 1e-5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_batch_equals_one_by_one(random_weights: Weights, form: str, rule: str) -> None:
    model = build(random_weights("auif"), rule)
    infrared, visible = images(24, 31, 3)
    together = fuse(model, form, infrared, visible)
    assert together.shape == (3, 1, 24, 31)
    for i in range(3):
        alone = fuse(model, form, infrared[i : i + 1], visible[i : i + 1])
        assert largest(together[i : i + 1] - alone) < 2e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_rules_are_symmetric_in_the_images(random_weights: Weights, form: str, rule: str) -> None:
    model, (infrared, visible) = build(random_weights("auif"), rule), images(18, 21)
    assert largest(fuse(model, form, infrared, visible) - fuse(model, form, visible, infrared)) < 2e-6


@pytest.mark.parametrize("form", FORMS)
def test_average_of_an_image_with_itself_is_its_reconstruction(random_weights: Weights, form: str) -> None:
    image = images(20, 22)[0]
    for rule in ("average", "l1"):
        model = build(random_weights("auif"), rule)
        with torch.inference_mode():
            expected = model.reconstruct(image)
        assert largest(fuse(model, form, image, image) - expected) < 1e-5


# OpenCV mirrors as often as needed; the Fuser pads to 10x10 before any form.
@pytest.mark.parametrize("form", ["plain", "folded", "tensors"])
def test_less_than_10x10_is_an_error(random_weights: Weights, form: str) -> None:
    with pytest.raises(RuntimeError, match=r"[Pp]adding size"):
        fuse(build(random_weights("auif")), form, *images(9, 20))


def test_float64_goes_through_torch(random_weights: Weights) -> None:
    model, (infrared, visible) = build(random_weights("auif")), images(16, 19)
    actual = fuse(model, "opencv", infrared.double(), visible.double())
    assert actual.dtype == torch.float64
    assert largest(actual - fuse(model, "plain", infrared, visible)) < 1e-5


def test_inference_form_does_not_change_the_model_or_the_images(random_weights: Weights) -> None:
    model, (infrared, visible) = build(random_weights("auif")), images(16, 19)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = infrared.clone(), visible.clone()
    fast = fast_form(model)
    first, again = fast(infrared, visible), fast(infrared, visible)
    assert torch.equal(first, again)
    assert torch.equal(infrared, kept[0])
    assert torch.equal(visible, kept[1])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_inference_form_takes_views_of_larger_images(random_weights: Weights) -> None:
    fast, (infrared, visible) = fast_form(build(random_weights("auif"))), images(40, 44)
    view = (..., slice(3, 33, 2), slice(1, 41, 3))
    assert torch.equal(fast(infrared[view], visible[view]), fast(infrared[view].clone(), visible[view].clone()))
    turned = fast(infrared.transpose(2, 3), visible.transpose(2, 3))
    assert torch.equal(turned, fast(*(x.transpose(2, 3).contiguous() for x in (infrared, visible))))


def test_threads_do_not_change_the_result(random_weights: Weights) -> None:
    fast, pair = fast_form(build(random_weights("auif"))), images(40, 44)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append(fast(*pair))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_published_weights_need_the_general_forms(published_weights: Weights) -> None:
    """The authors' networks hold negative step sizes and variances in the thousands (fact sheet, section 5)."""
    model = build(published_weights("auif"))
    etas = [layer.eta.item() for layer in model.base.layers]
    assert etas == pytest.approx(
        [0.110559, 0.167115, 0.199567, -0.059455, 0.241358, 0.178731, 0.139977, 0.354664, 0.442769, -0.336427], abs=1e-6
    )
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert max(norm.running_var.max().item() for norm in norms) == pytest.approx(22_216, abs=1)
