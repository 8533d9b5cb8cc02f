from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse import create_model, list_models
from imfuse.benchmark import efficiency as module
from imfuse.benchmark import routes
from imfuse.benchmark.complexity import Complexity, count, count_module
from imfuse.benchmark.efficiency import markdown, measure_models, parse_sizes
from imfuse.benchmark.latency import Latency, measure, measure_segmenter
from imfuse.benchmark.plan import ModelEntry, parse_models
from imfuse.cli.main import main
from imfuse.core.errors import BenchmarkError, ModelError, WeightsError
from imfuse.core.registry import get_spec


class Known(nn.Module):
    """One convolution, one linear layer, one attention: operations that are counted by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1, stride=2)
        self.linear = nn.Linear(8, 16)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        maps = self.norm(self.conv(torch.cat([infrared, visible], 1)))
        tokens = maps.flatten(2).transpose(1, 2)
        query = self.linear(tokens)[:, None]
        return F.scaled_dot_product_attention(query, query, query)


def test_operations_by_hand() -> None:
    pixels = 8 * 12
    convolution, linear, attention = pixels * 8 * 2 * 9, pixels * 8 * 16, 2 * pixels**2 * 16
    found = count_module(Known(), 16, 24)
    assert found.convolution_macs == convolution
    assert found.macs == convolution + linear + attention
    assert found.parameters == 8 * 2 * 9 + 8 + 8 * 16 + 16 + 16


@pytest.mark.parametrize("model", [name for name in list_models() if get_spec(name).training_free])
def test_training_free_methods_have_no_layers_to_count(model: str) -> None:
    assert count(model, 64, 64) == Complexity(0, 0, 0)


@pytest.mark.parametrize("model", [name for name in list_models() if not get_spec(name).training_free])
def test_every_network_can_be_counted(model: str) -> None:
    small, large = count(model, 64, 64), count(model, 128, 128)
    assert small.parameters == sum(p.numel() for p in create_model(model, None).parameters())
    assert 0 < small.macs < large.macs
    assert small.convolution_macs <= small.macs
    assert (small.convolution_macs > 0) == (small.parameters > 0)


def test_didfuse_by_the_layers_of_its_page() -> None:
    # Every weight of its stride-1 convolutions is used once for each pixel; the encoder runs for both pictures.
    network = create_model("didfuse", None)
    encoder, decoder = (
        sum(layer.weight.numel() for layer in part.modules() if isinstance(layer, nn.Conv2d))
        for part in (network.encoder, network.decoder)
    )
    assert count("didfuse", 64, 64).macs == pytest.approx(64 * 64 * (2 * encoder + decoder), rel=0.02)


def test_sizes() -> None:
    assert parse_sizes("256x256, 640x480") == [(256, 256), (640, 480)]
    for text in ("256", "0x10", "axb", "", "1x2x3"):
        with pytest.raises(BenchmarkError, match="sizes="):
            parse_sizes(text)


def test_a_measurement() -> None:
    found = measure(ModelEntry(model="auif"), 96, 128, device="cpu", threads=1, seconds=0)
    assert found.runs == 5
    assert found.milliseconds > 0
    if Path("/proc/self/status").exists():
        assert found.memory is not None
        assert found.memory < 2**30


def test_memory_grows_with_the_picture() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells the memory of a process")
    entry = ModelEntry(model="didfuse")
    small, large = (measure(entry, side, side, device="cpu", threads=1, seconds=0).memory for side in (64, 256))
    assert small is not None
    assert large is not None
    # 64 maps of 256x256 in float32 are 16 MiB; several are held at a time.
    assert large > small + 32 * 2**20


def test_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> Latency:
        raise ModelError("more memory than there is")

    monkeypatch.setattr(module, "measure", killed)
    found = measure_models([ModelEntry(model="auif")], [(64, 64)], device="cpu")
    assert found.costs[0].measured is None
    assert "out of memory" in markdown(found)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--models", "auif", "--sizes", "64x48", "--threads", "1", "--seconds", "0", "--device", "cpu"]
    assert main(["benchmark", "efficiency", *words, "-o", str(tmp_path)]) == 0
    assert "64x48" in capsys.readouterr().out
    text = (tmp_path / "efficiency.md").read_text("utf-8")
    assert "| auif | 64x48 | 11,631 |" in text
    assert "| RefineFuse | PyTorch | 12.73 | 48.11 | 2.21 |" in text
    assert "threads: 1" in text
    content = json.loads((tmp_path / "efficiency.json").read_text())
    assert content["costs"][0]["counted"]["parameters"] == 11631
    assert main(["benchmark", "efficiency", "--models", "none-such"]) == 2
    capsys.readouterr()
    assert main(["benchmark", "efficiency", "--sizes", "big"]) == 2
    assert "--sizes big: WIDTHxHEIGHT is expected" in capsys.readouterr().err


def test_default_models_are_those_that_are_ready() -> None:
    ready = [name for name in list_models() if get_spec(name).training_free or get_spec(name).weights]
    assert [entry.model for entry in parse_models("all")] == ready


def test_what_has_no_weights_is_measured_with_random_ones() -> None:
    found = measure_models([ModelEntry(model="psfusion")], [(64, 64)], device="cpu", threads=1, seconds=0)
    assert found.costs[0].measured is not None
    with pytest.raises(WeightsError, match="none"):
        measure_models([ModelEntry(model="psfusion", weights="none.safetensors")], [(64, 64)], device="cpu")


def test_routes_add_up_what_their_parts_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure", lambda *_, **how: Latency(20.0, 1.0, 5, None))
    monkeypatch.setattr(routes, "measure_segmenter", lambda *_, **how: Latency(3.0, 1.0, 5, None))
    done = measure_models(parse_models("didfuse"), [(64, 64)], threads=1, seconds=0, segmenters=["segformer_compact"])
    alone, early, streams, fused = done.routes
    assert [route.fusion is None for route in done.routes] == [True, True, True, False]
    assert alone.totals[0] == 706_761
    assert fused.totals[0] == 706_761 + 260_935
    assert fused.totals[1] == pytest.approx(alone.totals[1] + done.costs[0].counted.macs / 1e9)
    assert alone.totals[1] < early.totals[1] < streams.totals[1] < fused.totals[1]
    assert (alone.totals[2], fused.totals[2]) == (3, 23)
    assert "didfuse + segformer_compact" in markdown(done)
    assert "not FLOPs" in markdown(done)


def test_a_segmenter_that_there_is_not_is_told_before_anything_is_measured() -> None:
    with pytest.raises(ModelError, match="no such segmentation network"):
        measure_models(parse_models("didfuse"), [(64, 64)], threads=1, seconds=0, segmenters=["x"])
    with pytest.raises(ModelError, match="takes no fused picture"):
        measure_models(parse_models("didfuse"), [(64, 64)], threads=1, seconds=0, segmenters=["two_stream_compact"])


def test_a_segmenter_is_measured_in_a_process_of_its_own() -> None:
    measured = measure_segmenter("segformer_compact", 4, 32, 32, device="cpu", threads=1, seconds=0)
    assert measured.milliseconds > 0
