"""EMMA against golden values of the authors' code: the fuser, its released parts, the sensing network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imfuse.core.errors import WeightsError
from imfuse.core.weights import save_weights
from imfuse.inference.forms import fast_form
from imfuse.models import create_model
from imfuse.models.emma import EMMA, SensedPrediction, Sensing, _spans


def relative(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def test_parameters() -> None:
    assert sum(p.numel() for p in EMMA().parameters()) == 1_517_657
    with torch.device("meta"):
        assert sum(p.numel() for p in Sensing().parameters()) == 39_397_761


@pytest.mark.parametrize("size", [(32, 40), (64, 64)])
def test_golden_output(golden: Any, size: tuple[int, int]) -> None:
    model, expected, pair = golden.filled("emma"), golden.arrays("emma"), golden.pair(*size)
    name = "{}x{}".format(*size)
    with torch.inference_mode():
        assert relative(model.logits(*pair), expected[f"pre_{name}"]) < 1e-5
        for form in (model, fast_form(model)):
            assert relative(form(*pair), expected[f"out_{name}"]) < 1e-5


def test_golden_output_of_released_parts(golden: Any) -> None:
    model, expected = golden.filled("emma", parts="released"), golden.arrays("emma")["tiled_70x75"]
    with torch.inference_mode():
        for form in (model, fast_form(model)):
            assert relative(form(*golden.pair(70, 75)), expected) < 1e-5


@pytest.mark.parametrize("size", [(32, 64), (70, 75), (32, 33)])
def test_every_pixel_belongs_to_one_part(size: tuple[int, int]) -> None:
    owners = torch.zeros(size)
    for row in _spans(size[0]):
        for column in _spans(size[1]):
            owners[row.core, column.core] += 1
            for part in (row.with_halo, column.with_halo):
                assert (part.stop - part.start) % 32 == 0
    assert owners.eq(1).all()


def test_sides_below_32_are_not_cut(golden: Any) -> None:
    whole, cut = golden.filled("emma"), golden.filled("emma", parts="released")
    with torch.inference_mode():
        assert torch.equal(whole(*golden.pair(24, 40)), cut(*golden.pair(24, 40)))


def authors_names() -> dict[str, str]:
    """Name in a checkpoint of a sensing network -> name in ours, written down from the released layout."""
    names = {f"last.0.{part}": f"image.{part}" for part in ("weight", "bias")}
    blocks = {f"down{k + 1}": f"down.{k}" for k in range(5)} | {f"up{4 - k}": f"up.{k}" for k in range(4)}
    for theirs, ours in blocks.items():
        for place in (0, 1, 3, 4):
            parts = ("weight", "bias") if place in (0, 3) else ("weight", "bias", "running_mean", "running_var")
            names |= {f"{theirs}.conv.{place}.{part}": f"{ours}.{place}.{part}" for part in parts}
    return names | {f"up_sample{5 - k}.0.weight": f"enlarge.{k}.conv.weight" for k in range(4)}


def test_golden_output_of_the_sensing_network(golden: Any) -> None:
    theirs, layout, network = golden.checkpoint("emma_sensing"), authors_names(), Sensing().eval()
    assert layout.keys() == {name for name in theirs if not name.endswith("num_batches_tracked")}
    network.load_state_dict({ours: theirs[name] for name, ours in layout.items()}, strict=False)
    with torch.inference_mode():
        actual = network(golden.pair(32, 48)[0])
    assert relative(actual, golden.arrays("emma_sensing")["out_ir_32x48"]) < 1e-5


def test_weights_with_sensing_networks_serve_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imfuse.models.emma.SENSING_WIDTHS", (4, 8, 8, 8, 8))
    trained = create_model("emma", None, sensing="on")
    save_weights(tmp_path / "trained.safetensors", trained.state_dict(), {"model": "emma"})
    plain = create_model("emma", tmp_path / "trained.safetensors")
    pair = torch.rand(2, 1, 1, 32, 32)
    with torch.inference_mode():
        actual = trained.predict(*pair)
        assert isinstance(actual, SensedPrediction)
        assert torch.equal(actual.fused, plain(*pair))
        assert actual.infrared.shape == actual.visible.shape == (1, 1, 32, 32)
        assert not any("sensing" in name for name, _ in fast_form(trained).named_parameters())
    save_weights(tmp_path / "plain.safetensors", plain.state_dict(), {"model": "emma"})
    with pytest.raises(WeightsError, match=r"missing sensing_ir"):
        create_model("emma", tmp_path / "plain.safetensors", sensing="on")
