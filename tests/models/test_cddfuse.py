"""CDDFuse against golden values of the authors' code, and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.inference.cddfuse import FastDetailNode
from imfuse.inference.forms import fast_form
from imfuse.layers.restormer import ChannelBlock, FastChannelBlock, lite_block, restormer_block
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.cddfuse import CDDFuse, DetailNode

SIZES = [(32, 40), (33, 41)]


@pytest.fixture(scope="module")
def converted(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' file, four networks side by side, filled by formula; the detail networks' weights are a quarter."""
    networks: dict[str, dict[str, Tensor]] = {}
    for key, value in golden.checkpoint("cddfuse").items():
        part, _, name = key.partition(".")
        networks.setdefault(part, {})[name] = value * 0.25 if "theta_" in key else value
    folder = tmp_path_factory.mktemp("cddfuse")
    torch.save(networks, folder / "authors.pth")
    assert convert([folder / "authors.pth"], folder / "ours.safetensors") == "cddfuse"
    return folder / "ours.safetensors"


def build(weights: Path | None, **options: str) -> CDDFuse:
    model = create_model("cddfuse", weights, **options)
    assert isinstance(model, CDDFuse)
    return model


def relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def test_parameters() -> None:
    model = CDDFuse()
    expected = {"encoder": 599_144, "decoder": 207_936, "fuse_base": 363_016, "fuse_detail": 18_176}
    assert {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()} == expected
    assert sum(p.numel() for p in model.parameters()) == 1_188_272


@pytest.mark.parametrize("size", SIZES)
def test_golden_output(golden: Any, converted: Path, size: tuple[int, int]) -> None:
    model, pair = build(converted), golden.pair(*size)
    name = "{}x{}".format(*size)
    expected = {key.removesuffix(f"_{name}"): value for key, value in golden.arrays("cddfuse").items() if name in key}
    with torch.inference_mode():
        of_ir, of_vi = (model.encoder(image) for image in pair)
        fused = model.fuse(of_ir, of_vi)
        assert relative(model.decoder.logits(fused), expected["pre"]) < 1e-5
        for options, key in (({}, "out"), ({"skip": "none"}, "out_noskip")):
            other = build(converted, **options)
            for form in (other, fast_form(other)):
                assert relative(form(*pair), expected[key]) < 1e-5
        if size == (32, 40):
            assert relative(model.decoder(of_vi, pair[1]), expected["recon_vi"]) < 1e-5
            arrays = golden.arrays("cddfuse")
            features = {"base_vi": of_vi.base, "detail_vi": of_vi.detail}
            features |= {"base_fused": fused.base, "detail_fused": fused.detail}
            for key, actual in features.items():
                assert relative(actual[0, :, :8, :8], arrays[f"{key}_32x40_8x8"][0, 0]) < 1e-5


def test_skip_images(converted: Path, golden: Any) -> None:
    model, pair = build(converted, skip="sum"), golden.pair(20, 24)
    with torch.inference_mode():
        features = model.fuse(*(model.encoder(image) for image in pair))
        expected = torch.sigmoid(model.decoder.logits(features) + pair[0] + pair[1])
        assert relative(model(*pair), expected) < 1e-6


@pytest.mark.parametrize("kind", ["restormer", "lite", "lite mirrored"])
@pytest.mark.parametrize("size", [(2, 2), (5, 33), (40, 7)])
def test_fast_block_equals_the_plain_one(kind: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block: ChannelBlock = restormer_block(16, 4) if kind == "restormer" else lite_block(16, 4, kind == "lite mirrored")
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        x = torch.randn(2, 16, *size)
        kept = x.clone()
        assert relative(FastChannelBlock(block)(x), block(x)) < 1e-5
        assert torch.equal(x, kept)


def test_fast_detail_node_equals_the_plain_one() -> None:
    torch.manual_seed(0)
    node, x = DetailNode(), torch.randn(2, 64, 9, 13)
    with torch.no_grad():
        assert relative(FastDetailNode(node)(x), node(x)) < 1e-5


def test_detail_node_can_be_inverted() -> None:
    torch.manual_seed(0)
    node, x = DetailNode().double(), torch.randn(1, 64, 6, 7).double()
    with torch.no_grad():
        first, second = node(x).chunk(2, dim=1)
        first = (first - node.eta(second)) / node.rho(second).exp()
        mixed = torch.cat([first, second - node.phi(first)], dim=1)
        weight = node.mix.weight[:, :, 0, 0]
        back = torch.linalg.solve(weight, (mixed - node.mix.bias[:, None, None]).flatten(2)).view_as(x)
    assert relative(back, x) < 1e-9
