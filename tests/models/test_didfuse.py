"""DIDFuse against golden values of the authors' code, and its inference form against the published form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imfuse.inference.forms import fast_form
from imfuse.layers.blocks import NarrowConv
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.models import create_model
from imfuse.models.didfuse import DIDFuse, Maps

Weights = Callable[[str], Path]
Scene = Callable[[int, int, int], tuple[Tensor, Tensor]]

RULES = ("sum", "average", "l1")
FORMS = ("plain", "inference")
SOURCES = ("filled", "published")


def build(weights: Path, rule: str = "sum") -> DIDFuse:
    model = create_model("didfuse", weights, rule=rule)
    assert isinstance(model, DIDFuse)
    return model


def golden_model(request: pytest.FixtureRequest, source: str, rule: str = "sum") -> DIDFuse:
    if source == "filled":
        return request.getfixturevalue("golden").filled("didfuse", rule=rule)
    return build(request.getfixturevalue("published_weights")("didfuse"), rule)


def fuse(model: DIDFuse, form: str, infrared: Tensor, visible: Tensor) -> Tensor:
    with torch.inference_mode():
        return (fast_form(model) if form == "inference" else model)(infrared, visible)


def images(height: int, width: int, count: int = 1) -> tuple[Tensor, Tensor]:
    pair = torch.rand(2, count, 1, height, width, generator=torch.Generator().manual_seed(height * 1000 + width))
    return pair[0], pair[1]


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def levels(fused: Tensor) -> Tensor:
    return torch.floor(255 * fused.float() + 0.5).clamp(0, 255)


def test_parameters() -> None:
    model = DIDFuse()
    assert sum(p.numel() for p in model.encoder.parameters()) == 111_938
    assert sum(p.numel() for p in model.decoder.parameters()) == 148_997
    assert sum(p.numel() for p in model.parameters()) == 260_935


# Golden values of the authors' code


@pytest.mark.parametrize("source", SOURCES)
def test_golden_maps_and_reconstruction(request: pytest.FixtureRequest, golden: Any, source: str) -> None:
    model, expected = golden_model(request, source), golden.arrays("didfuse")
    with torch.inference_mode():
        maps = model.encoder(golden.pair(37, 53)[0])
        rebuilt = model.decoder(maps)
    for name, actual in zip(("f1", "f2", "fb", "fd"), maps, strict=True):
        assert actual.shape == (1, 64, 37, 53)
        assert largest(actual[:, :1] - expected[f"{source}_37x53_{name}_ir_ch0"]) < 1e-5
    assert largest(rebuilt - expected[f"{source}_37x53_recon_ir"]) < 1e-5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("output", ["filled_37x53", "published_64x80"])
def test_golden_output(request: pytest.FixtureRequest, golden: Any, output: str, rule: str, form: str) -> None:
    source, size = output.split("_")
    height, width = map(int, size.split("x"))
    actual = fuse(golden_model(request, source, rule), form, *golden.pair(height, width))
    assert largest(actual - golden.arrays("didfuse")[f"{output}_out_{rule}"]) < 1e-5


# Parts


@pytest.mark.parametrize("size", [(2, 2), (2, 9), (5, 3), (16, 21)])
def test_narrow_conv_is_a_convolution_with_mirrored_border(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    narrow = NarrowConv(24)
    plain = nn.Conv2d(24, 1, 3, padding=1, padding_mode="reflect")
    plain.load_state_dict(narrow.state_dict())
    x = torch.randn(2, 24, *size, requires_grad=True)
    actual, expected = narrow(x), plain(x)
    assert actual.shape == (2, 1, *size)
    assert largest(actual - expected) < 1e-5
    weight = torch.randn_like(expected)
    ours = torch.autograd.grad((actual * weight).sum(), (x, narrow.weight, narrow.bias))
    theirs = torch.autograd.grad((expected * weight).sum(), (x, plain.weight, plain.bias))
    for a, b in zip(ours, theirs, strict=True):
        assert largest(a - b) < 1e-4 * max(1, largest(b))


@pytest.mark.parametrize("rule", RULES)
def test_all_four_maps_are_fused_alike(random_weights: Weights, rule: str) -> None:
    model, (infrared, visible) = build(random_weights("didfuse"), rule), images(9, 11)
    seen: list[Maps] = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(infrared, visible)
        pairs = zip(model.encoder(infrared), model.encoder(visible), seen[0], strict=True)
        for ours, theirs, fused in pairs:
            assert largest(fused - fuse_maps(ours, theirs, rule)) < 1e-6
            assert largest(ours - theirs) > 0.1


def test_split_maps_have_weights_of_their_own(random_weights: Weights) -> None:
    """Merged into one set of 128 maps, background and detail would share one weight: the inference form must not."""
    model, pair = build(random_weights("didfuse"), "l1"), images(24, 28)
    expected = fuse(model, "plain", *pair)
    fast = fast_form(model)
    with torch.inference_mode():
        assert largest(fast(*pair) - expected) < 1e-5
        fast._fuse_split = fast._fuse
        assert largest(fast(*pair) - expected) > 1e-5


def test_border_of_outer_layers_is_mirrored_and_of_inner_ones_zero() -> None:
    model = DIDFuse()
    assert model.encoder.shallow[0].padding_mode == "reflect"
    for block in (model.encoder.middle, model.encoder.background, model.encoder.detail):
        assert block[0].padding_mode == "zeros"
    for block in (model.decoder.deep, model.decoder.merge):
        assert block[0].padding_mode == "zeros"


# Inference form


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(2, 2), (2, 13), (17, 3), (24, 31)])
def test_inference_form_equals_the_plain_one(random_weights: Weights, rule: str, size: tuple[int, int]) -> None:
    model = build(random_weights("didfuse"), rule)
    expected = fuse(model, "plain", *images(*size))
    assert expected.shape == (1, 1, *size)
    assert largest(fuse(model, "inference", *images(*size)) - expected) < 5e-6


@pytest.mark.parametrize("source", ["random", "published"])
def test_same_picture_in_float32_and_nearly_in_bfloat16(
    request: pytest.FixtureRequest, scene_pair: Scene, source: str
) -> None:
    model, pair = build(request.getfixturevalue(f"{source}_weights")("didfuse")), scene_pair(96, 128, 0)
    expected = levels(fuse(model, "plain", *pair))
    assert expected.std() > 8
    fast = fast_form(model)
    with torch.inference_mode():
        single = (levels(fast(*pair)) - expected).abs()
        half = fast.to(torch.bfloat16)(*pair)
    assert single.max() <= 1
    assert (single > 0).float().mean() < 1e-3
    assert half.dtype == torch.float32
    assert (levels(half) - expected).abs().max() <= 2


def test_bfloat16_keeps_the_digits_of_the_image(scene_pair: Scene) -> None:
    model, pair = create_model("didfuse", "paper"), scene_pair(240, 320, 1)
    with torch.inference_mode():
        expected = levels(fast_form(model)(*pair))
        apart = (levels(fast_form(model).to(torch.bfloat16)(*pair)) - expected).abs()
    # An image that is rounded to bfloat16 alone moves twice as many pixels.
    assert (apart > 0).float().mean() < 0.06
    assert apart.max() <= 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_batch_equals_one_by_one(random_weights: Weights, form: str, rule: str) -> None:
    model, (infrared, visible) = build(random_weights("didfuse"), rule), images(12, 15, 3)
    together = fuse(model, form, infrared, visible)
    for i in range(3):
        alone = fuse(model, form, infrared[i : i + 1], visible[i : i + 1])
        assert largest(together[i : i + 1] - alone) < 2e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", RULES)
def test_rules_are_symmetric_in_the_images(random_weights: Weights, form: str, rule: str) -> None:
    model, (infrared, visible) = build(random_weights("didfuse"), rule), images(12, 15)
    assert largest(fuse(model, form, infrared, visible) - fuse(model, form, visible, infrared)) < 2e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["average", "l1"])
def test_average_of_an_image_with_itself_is_its_reconstruction(random_weights: Weights, form: str, rule: str) -> None:
    model, image = build(random_weights("didfuse"), rule), images(12, 15)[0]
    with torch.inference_mode():
        expected = model.decoder(model.encoder(image))
    assert largest(fuse(model, form, image, image) - expected) < 5e-6


def test_inference_form_does_not_change_the_model_or_the_images(random_weights: Weights) -> None:
    model, (infrared, visible) = build(random_weights("didfuse")), images(12, 15)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = infrared.clone(), visible.clone()
    fast = fast_form(model)
    with torch.inference_mode():
        assert torch.equal(fast(infrared, visible), fast(infrared, visible))
    assert torch.equal(infrared, kept[0])
    assert torch.equal(visible, kept[1])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
