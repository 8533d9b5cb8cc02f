"""RefineFuse against golden values of its reconstruction, and its inference form against the plain one."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.benchmark import complexity
from imfuse.core.size_rule import SizeRule
from imfuse.imaging import luminance
from imfuse.inference import refinefuse as _refinefuse_inference
from imfuse.inference.forms import fast_form
from imfuse.layers.attention import attend, attend_plainly
from imfuse.layers.blocks import Conv3x3, conv_mirrored
from imfuse.models import create_model, refinefuse
from imfuse.models.refinefuse import FIM, PSIM, RefineFuse, pool_for
from imfuse.ops.padding import crop_to, pad_to
from imfuse.scenes import render_scene


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


def draw(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    """The two halves of the inputs that the golden values of single modules were made with."""
    values = np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
    first, second = torch.from_numpy(values).chunk(2)
    return first, second


def random_pair(height: int, width: int, number: int = 1) -> tuple[Tensor, Tensor]:
    pair = torch.rand(2, number, 1, height, width, generator=torch.Generator().manual_seed(height + width))
    return pair[0], pair[1]


def build(**options: Any) -> RefineFuse:
    """Seeded random weights whose output has contrast."""
    torch.manual_seed(0)
    model = RefineFuse(**options).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(1.7)
    return model


# The published counts


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 2_208_173),
        ({"fim": "off"}, 2_208_173),
        ({"fim": "spatial"}, 2_208_173),
        ({"sfim": False}, 2_353_249),
        ({"psim": False}, 1_470_285),
        ({"levels": 1, "sfim": False}, 135_233),
        ({"levels": 1}, 62_695),
        ({"levels": 2, "psim": False}, 288_295),
        ({"levels": 2}, 380_607),
        ({"levels": 3}, 1_076_733),
        ({"levels": 5}, 3_347_805),
    ],
    ids=str,
)
def test_parameters(options: dict[str, Any], parameters: int) -> None:
    assert sum(p.numel() for p in RefineFuse(**options).parameters()) == parameters


@pytest.mark.parametrize(("side", "macs"), [(256, 12_026_970_112), (512, 48_107_880_448)])
def test_multiply_accumulates_of_convolutions(side: int, macs: int) -> None:
    """Counted by PyTorch's own counter, which says two operations for each."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model, image = RefineFuse(), torch.empty(1, 1, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image, image)
    assert counter.get_flop_counts()["Global"][torch.ops.aten.convolution] == 2 * macs
    actual = complexity.count("refinefuse", side, side)
    assert (actual.parameters, actual.convolution_macs) == (2_208_173, macs)
    # Two images, two levels, scores of width 16 and values of width 128.
    tokens = (side // 8) ** 2
    assert actual.macs - macs == 4 * tokens**2 * (16 + 128)


# Golden values


@pytest.mark.parametrize("form", ["plain", "inference"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("fused_64x80", {}), ("fused_zeros_64x80", {"padding": "zeros"}), ("fused_no_fim_64x80", {"fim": "off"})],
)
def test_golden_output(golden: Any, name: str, options: dict[str, str], form: str) -> None:
    model = golden.filled("refinefuse", **options)
    with torch.inference_mode():
        fused = (model if form == "plain" else fast_form(model))(*golden.pair(64, 80))
    assert largest(fused - golden.arrays("refinefuse")[name]) < 1e-6


def test_golden_output_of_another_size(golden: Any) -> None:
    padded = [F.pad(image, (0, 5, 0, 3), mode="reflect") for image in golden.pair(61, 75)]
    with torch.inference_mode():
        fused = crop_to(golden.filled("refinefuse")(*padded), 61, 75)
    assert largest(fused - golden.arrays("refinefuse")["fused_61x75"]) < 1e-6


def test_golden_features(golden: Any) -> None:
    model, expected = golden.filled("refinefuse"), golden.arrays("refinefuse")
    with torch.inference_mode():
        features = model.encode(*golden.pair(64, 80))
        fused = [fuse(ir, vi) for fuse, ir, vi in zip(model.fusion, *features, strict=True)]
        actual = {"ir1": features.infrared[0], "vi1": features.visible[0]}
        actual |= {f"fused{level}": part for level, part in enumerate(fused, 1)}
        for name, part in actual.items():
            assert largest(part.mean((0, 2, 3)) - expected[f"{name}_means"].flatten()) < 1e-6, name
        assert largest(model.decode(fused) - expected["pre_tanh_64x80"]) < 1e-6


def test_golden_modules(golden: Any) -> None:
    model, expected = golden.filled("refinefuse"), golden.arrays("refinefuse")
    unscaled = golden.filled("refinefuse", scale="one")
    deep = [4 * half for half in draw(3, 2, 128, 8, 12)]
    skips = [half + 0.5 for half in draw(2, 2, 64, 8, 12)]
    with torch.inference_mode():
        actual = {
            "sfim1": model.fusion[0](*draw(1, 2, 64, 8, 12))[0, :8],
            "psim3": model.fusion[2](*deep)[0, :8],
            "psim4": model.fusion[3](*deep)[0, :8],
            "psim4_unscaled": unscaled.fusion[3](*deep)[0, :8],
            "fim": model.fim(*skips)[0, [0, 1, 64]],
        }
    for name, part in actual.items():
        assert largest(part - expected[name].squeeze()) < 1e-5 * max(1, largest(expected[name])), name


# Parts


def test_attention_is_that_of_its_definition() -> None:
    q, k, v = (torch.randn(2, tokens, width) for tokens, width in ((700, 16), (90, 16), (90, 128)))
    expected = attend_plainly(q.double(), k.double(), v.double(), 0.3).float()
    assert largest(attend(q.requires_grad_(), k, v, 0.3) - expected) < 1e-5
    with torch.inference_mode():
        assert largest(attend(q, k, v, 0.3) - expected) < 1e-5


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(2, 2), (2, 9), (7, 4), (16, 21)])
def test_mirrored_convolution(size: tuple[int, int], stride: int, groups: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 12, 3, stride, padding=1, groups=groups, padding_mode="reflect")
    ours = Conv3x3(6, 12, "reflect", stride, groups)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(2, 6, *size)
    with torch.no_grad():
        assert largest(conv_mirrored(x, plain.weight, plain.bias, stride, groups) - plain(x)) < 1e-6
        assert largest(ours(x) - plain(x)) < 1e-6


def test_interaction_of_shallow_features_is_the_grouped_convolution() -> None:
    """Same channels of both images side by side, as the article says."""
    module, (x, y) = build().fusion[0], random_pair(8, 12, 64)
    x, y = x.view(1, 64, 8, 12), y.view(1, 64, 8, 12)
    both = torch.cat([x, y], 1)
    maps = torch.cat([both.amax(1, keepdim=True), both.mean(1, keepdim=True)], 1)
    with torch.no_grad():
        weight = torch.sigmoid(F.conv2d(F.pad(maps, (1,) * 4, "reflect"), *module.attention.parameters()))
        beside = torch.stack([x * (1 + weight[:, :1]), y * (1 + weight[:, 1:])], 2).flatten(1, 2)
        expected = F.conv2d(F.pad(beside, (1,) * 4, "reflect"), *module.mix.parameters(), groups=64)
        assert largest(module(x, y) - expected) < 1e-5


def test_places_are_weighted_where_asked_for() -> None:
    skip, deep = draw(5, 2, 64, 8, 12)
    plain, spatial = FIM(False)(skip, deep), FIM(True)(skip, deep)
    assert torch.equal(plain[:, 64:], spatial[:, 64:])
    ratio = spatial[:, :64] / plain[:, :64]
    assert largest(ratio - torch.sigmoid(deep.mean(1, keepdim=True))) < 1e-4


def test_tokens_are_bounded_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert pool_for(192, 256, 2) == 2, "1024x768 is not touched"
    assert pool_for(540, 960, 2) == 8
    monkeypatch.setattr(refinefuse, "MAX_TOKENS", 24)
    module, (x, y) = PSIM(16, "reflect", 2, True).eval(), random_pair(16, 24, 16)
    with caplog.at_level(logging.INFO), torch.inference_mode():
        fused = module(x.view(1, 16, 16, 24), y.view(1, 16, 16, 24))
    assert fused.shape == (1, 16, 16, 24)
    assert "pooled by 4, not 2" in caplog.text


# Inference form


@pytest.mark.parametrize("options", [{}, {"levels": 3}, {"levels": 5}, {"sfim": False}, {"psim": False}], ids=str)
@pytest.mark.parametrize("size", [(32, 32), (72, 200), (136, 104)])
def test_tiles_give_what_the_whole_gives(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], size: tuple[int, int]
) -> None:
    monkeypatch.setattr(_refinefuse_inference, "TILE", 48)
    model, pair = build(**options), random_pair(*size)
    with torch.inference_mode():
        expected = model(*pair)
        assert expected.std() > 0.01
        assert largest(fast_form(model)(*pair) - expected) < 2e-6


def test_a_halo_that_is_too_small_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_refinefuse_inference, "TILE", 48)
    monkeypatch.setattr(_refinefuse_inference, "SizeRule", lambda step, halo: SizeRule(step))
    model, pair = build(), random_pair(136, 104)
    with torch.inference_mode():
        assert largest(fast_form(model)(*pair) - model(*pair)) > 1e-4


def test_inference_form_leaves_the_network_alone() -> None:
    model, pair = build(), random_pair(32, 40)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        fast_form(model).to(torch.bfloat16)(*pair)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("levels", [3, 4])
def test_inference_form_holds_every_weight_once(levels: int) -> None:
    model = build(levels=levels)
    form = fast_form(model)
    count = sum(value.numel() for value in (*form.parameters(), *form.buffers()))
    # The joined first layer has zeros where one image does not reach the features of the other.
    zeros = 2 * 64 * 9
    assert count == sum(parameter.numel() for parameter in model.parameters()) + zeros


def test_bfloat16_keeps_the_picture() -> None:
    scene = render_scene(96, 128)
    images = (
        torch.from_numpy(scene.infrared / np.float32(255)),
        torch.from_numpy(luminance(scene.visible / np.float32(255)).astype(np.float32)),
    )
    pair = [pad_to(image[None, None], SizeRule(8, min_size=32)) for image in images]
    model = create_model("refinefuse")
    with torch.inference_mode():
        expected = (255 * model(*pair)).round()
        single = (255 * fast_form(model)(*pair)).round()
        half = (255 * fast_form(model).to(torch.bfloat16)(*pair)).round()
    assert expected.std() > 8
    assert largest(single - expected) <= 1
    assert half.dtype == torch.float32
    assert largest(half - expected) <= 2
