"""RFN-Nest against golden values of the authors' code, its fixed rules and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.core.errors import WeightsError
from imfuse.inference.forms import fast_form
from imfuse.models import create_model, rfn_nest
from imfuse.models._convert import convert
from imfuse.models.rfn_nest import RFNNest, fuse_fixed

SIZES = [(32, 40), (35, 45)]
RULES = ("sum", "average", "max", "spatial", "nuclear")


@pytest.fixture(scope="module")
def converted(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' two files, filled by formula, as one weights file."""
    folder = tmp_path_factory.mktemp("rfn_nest")
    for part in ("autoencoder", "fusion"):
        torch.save(golden.checkpoint(f"rfn_nest.{part}"), folder / f"{part}.model")
    assert convert([folder], folder / "all.safetensors") == "rfn_nest"
    return folder / "all.safetensors"


def build(weights: Path | None, **options: str) -> RFNNest:
    model = create_model("rfn_nest", weights, **options)
    assert isinstance(model, RFNNest)
    return model


def relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def test_parameters() -> None:
    model = RFNNest()
    assert sum(p.numel() for p in model.parameters()) == 7_524_249
    assert sum(p.numel() for p in model.fusion.parameters()) == 4_791_488


@pytest.mark.parametrize("size", SIZES)
def test_golden_output(golden: Any, converted: Path, size: tuple[int, int]) -> None:
    model, expected, pair = build(converted), golden.arrays("rfn_nest"), golden.pair(*size)
    name = "{}x{}".format(*size)
    with torch.inference_mode():
        assert relative(255 * model.raw(*pair), expected[f"fused_{name}"]) < 1e-5
        assert relative(255 * model.reconstruct(pair[0]), expected[f"recon_ir_{name}"]) < 1e-5
        fast = fast_form(model)(*pair)
        raw = expected[f"fused_{name}"]
        assert relative(fast, (raw - raw.min()) / (raw.max() - raw.min())) < 1e-5
        if size == (32, 40):
            deep = [model.encode(image)[3] for image in pair]
            assert relative(model.fuse(3, *deep), expected["fused_feature4_32x40"][0]) < 1e-5


def test_one_of_the_two_files_is_not_enough(golden: Any, tmp_path: Path) -> None:
    torch.save(golden.checkpoint("rfn_nest.autoencoder"), tmp_path / "half.model")
    with pytest.raises(WeightsError, match=r"missing fusion_block1\.conv_fusion\.conv2d\.weight"):
        convert([tmp_path / "half.model"], tmp_path / "half.safetensors")


@pytest.mark.parametrize("rule", RULES)
def test_fixed_rules_of_equal_features_change_nothing_but_the_sum(rule: str) -> None:
    x = torch.rand(2, 3, 5, 7)
    torch.testing.assert_close(fuse_fixed(x, x, rule), 2 * x if rule == "sum" else x)


def test_fixed_rules_by_their_definitions() -> None:
    a, b = torch.rand(1, 4, 6, 5, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4, 6, 5) / 3
    heat, light = a.mean(1, keepdim=True).exp(), b.mean(1, keepdim=True).exp()
    torch.testing.assert_close(fuse_fixed(a, b, "spatial"), (heat * a + light * b) / (heat + light))
    sums = [torch.stack([torch.linalg.matrix_norm(m, ord="nuc") for m in x[0]])[None, :, None, None] for x in (a, b)]
    torch.testing.assert_close(fuse_fixed(a, b, "nuclear"), (sums[0] * a + sums[1] * b) / (sums[0] + sums[1]))
    assert torch.equal(fuse_fixed(a, b, "max"), torch.maximum(a, b))
    large = fuse_fixed(a + 3000, b, "spatial")
    assert large.isfinite().all()


def test_quarters_overlap_in_the_middle(converted: Path, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As released: rows [0, h/2 + 3) and [h/2 - 2, h), each part alone, the mean where parts overlap."""
    monkeypatch.setattr(rfn_nest, "LARGE", 40)
    model, (ir, vi) = build(converted, parts="quarters", output="clip"), golden.pair(41, 50)
    assert model.in_quarters
    with torch.inference_mode():
        fused = model.fuse_quarters(ir, vi)
        assert torch.equal(model(ir, vi), fused.clamp(0, 1))
        top, left = model.raw(ir[..., :23, :28], vi[..., :23, :28]), model.raw(ir[..., 18:, :28], vi[..., 18:, :28])
        assert relative(fused[..., :18, :23], top[..., :18, :23]) < 1e-5
        assert relative(fused[..., 18:23, :23], (top[..., 18:, :23] + left[..., :5, :23]) / 2) < 1e-5
        monkeypatch.setattr(rfn_nest, "LARGE", 50)
        assert torch.equal(model(ir, vi), model.raw(ir, vi).clamp(0, 1))
