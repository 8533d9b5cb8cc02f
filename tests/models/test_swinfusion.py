"""SwinFusion against golden values of the authors' code, its windows, and its inference form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.inference import swinfusion as inference
from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.swinfusion import SwinFusion, _relative_positions, from_windows, shift_mask, to_windows

SIZES = [(32, 40), (33, 41)]


@pytest.fixture(scope="module")
def converted(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' file with its buffers, filled by formula."""
    folder = tmp_path_factory.mktemp("swinfusion")
    entries = golden.checkpoint("swinfusion")
    assert len(entries) == 448
    torch.save({"params": entries}, folder / "10000_E.pth")
    assert convert([folder / "10000_E.pth"], folder / "ours.safetensors") == "swinfusion"
    return folder / "ours.safetensors"


def build(weights: Path | None, **options: str) -> SwinFusion:
    model = create_model("swinfusion", weights, **options)
    assert isinstance(model, SwinFusion)
    return model


def relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def test_parameters(golden: Any) -> None:
    actual = sum(p.numel() for p in SwinFusion().parameters())
    assert actual == 965_251
    unused = sum(
        v.numel()
        for name, v in golden.checkpoint("swinfusion").items()
        if name.startswith("conv_first") and "_B" in name
    )
    assert actual + unused == 973_681


@pytest.mark.parametrize(("border", "name"), [("reflect", "net"), ("flip", "test")])
@pytest.mark.parametrize("size", SIZES)
def test_golden_output(golden: Any, converted: Path, size: tuple[int, int], border: str, name: str) -> None:
    model, expected = build(converted, border=border), golden.arrays("swinfusion")["{}_{}x{}".format(name, *size)]
    with torch.inference_mode():
        assert relative(model.raw(*golden.pair(*size)), expected) < 1e-5
        assert relative(fast_form(model)(*golden.pair(*size)), expected.clamp(0, 1)) < 1e-5


def test_inference_form_in_tiles(converted: Path, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, pair = build(converted), golden.pair(16, 300)
    with torch.inference_mode():
        expected = model(*pair)
        monkeypatch.setattr(inference, "TILE", 160)
        assert relative(fast_form(model)(*pair), expected) < 1e-5
        monkeypatch.setattr(inference, "HALO", 8)
        assert relative(fast_form(model)(*pair), expected) > 1e-5, "the halo is needed"


def test_windows_go_there_and_back() -> None:
    x = torch.rand(2, 16, 24, 3)
    windows = to_windows(x)
    assert windows.shape == (12, 64, 3)
    assert torch.equal(windows[1], x[0, :8, 8:16].reshape(64, 3))
    assert torch.equal(from_windows(windows, (16, 24)), x)


def test_relative_positions_in_the_table_of_biases() -> None:
    places = _relative_positions()
    assert places[0, 0] == 7 * 15 + 7
    # Query at row 2, column 3; key at row 5, column 1.
    assert places[2 * 8 + 3, 5 * 8 + 1] == (2 - 5 + 7) * 15 + (3 - 1 + 7)
    assert len(places.unique()) == 225


def test_mask_parts_what_the_shift_brought_together() -> None:
    mask = shift_mask(16, 24)[:, 0]
    assert mask.shape == (6, 64, 64)
    assert not mask[0].any(), "a window in the middle is whole"
    # The last window of a row: columns 0 to 3 are the right end, 4 to 7 come from the left end.
    assert mask[2][0, 3] == 0
    assert mask[2][0, 4] == -100
    assert (mask[5][0] == 0).sum() == 16, "a corner has four parts"


def test_branches_are_left_out_in_training_only() -> None:
    torch.manual_seed(0)
    model, pair = SwinFusion(), torch.rand(2, 1, 1, 16, 16)
    with torch.no_grad():
        assert not torch.equal(model.train().raw(*pair), model.raw(*pair))
        assert torch.equal(model.eval().raw(*pair), model.raw(*pair))
