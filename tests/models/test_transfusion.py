"""TransFusion against golden values of the authors' code, and its backbone's file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse import Fuser
from imfuse.core.weights import save_weights
from imfuse.layers.vgg import STAGES, torchvision_layout
from imfuse.models import create_model
from imfuse.models._convert import convert
from imfuse.models.transfusion import TransFusion


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


@lru_cache(maxsize=2)
def filled(golden: Any, gain: float = 1.0, **options: str) -> TransFusion:
    """The network with the weights of the formula; it is shared, so nobody changes it."""
    model = golden.filled("transfusion", **options)
    state = {name: value * gain if value.ndim > 1 else value for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="module")
def wanted(golden: Any) -> dict[str, Tensor]:
    return {name: value.squeeze() for name, value in golden.arrays("transfusion").items()}


def test_parameters() -> None:
    with torch.device("meta"):
        model = TransFusion()

    def count(part: torch.nn.Module) -> int:
        return sum(p.numel() for p in part.parameters())

    assert count(model) == 53_136_384
    assert count(model.encoder) == 20_024_384
    assert count(model.decoder) == 21_386_209
    assert (count(model.perception), count(model.attention), count(model.selection)) == (737_280, 95, 10_988_416)


@pytest.mark.parametrize(
    ("guidance", "name"), [("independent", "fused_64x96"), ("guided", "fused_guided_64x96")], ids=lambda x: x
)
def test_golden_output(golden: Any, wanted: dict[str, Tensor], guidance: str, name: str) -> None:
    with torch.inference_mode():
        fused = filled(golden, guidance=guidance)(*golden.pair(64, 96))
    assert largest(fused.squeeze() - wanted[name]) < 2e-6


def test_golden_output_of_another_size(golden: Any, wanted: dict[str, Tensor]) -> None:
    padded = [F.pad(image, (0, 13, 0, 3)) for image in golden.pair(61, 83)]
    with torch.inference_mode():
        fused = filled(golden)(*padded)[..., :61, :83]
    assert largest(fused.squeeze() - wanted["fused_61x83"]) < 2e-6


@pytest.mark.parametrize(("guidance", "name"), [("independent", ""), ("guided", "guided_")])
def test_golden_lively_output(golden: Any, wanted: dict[str, Tensor], guidance: str, name: str) -> None:
    """Larger weights, which make what the modules do visible."""
    model = filled(golden, 1.4, guidance=guidance)
    with torch.inference_mode():
        infrared, visible = (model.encode(image) for image in golden.pair(64, 96))
        actual = model.decoder(model.select(infrared, visible)).squeeze()
    assert actual.std() > 0.5
    assert largest(actual - wanted[f"gain14_pre_relu_{name}64x96"]) < 1e-4
    if guidance == "independent":
        assert F.relu(actual).sum().item() == pytest.approx(54.38290, abs=2e-3)


def test_golden_features_and_maps(golden: Any, wanted: dict[str, Tensor]) -> None:
    model, guided = filled(golden), filled(golden, guidance="guided")
    with torch.inference_mode():
        infrared, visible = (model.encode(image) for image in golden.pair(64, 96))
        selected = model.select(infrared, visible)
        merged = [module(a, b) for module, a, b in zip(model.perception, infrared, visible, strict=True)]
        for level in range(5):
            for name, features in (("ir", infrared), ("vis", visible), ("sel", selected)):
                x = features[level][0]
                assert largest(x[:4, :4, :6] - wanted[f"slice_{name}{level + 1}"]) < 1e-5
                statistics = torch.stack([x.mean(), x.std(correction=0), x.abs().max()])
                assert largest(statistics - wanted[f"stat_{name}{level + 1}"]) < 1e-5
            for name, network in (("indep", model), ("guided", guided)):
                actual = network.spatial_maps(merged)[level].squeeze()
                expected = wanted[f"map_{name}_{level + 1}"]
                assert largest(actual[: expected.shape[0], : expected.shape[1]] - expected) < 1e-5


def test_output_is_not_negative_and_may_exceed_one_before_it_is_clipped(golden: Any) -> None:
    model = filled(golden, 1.4)
    with torch.inference_mode():
        bright = [torch.ones(1, 1, 32, 32)] * 2
        fused = model(*bright)
        assert 0 <= fused.min() <= fused.max() <= 1
        assert model.reconstruct(bright[0]).min() >= 0


def test_checkpoint_of_the_authors_layout_is_recognised(golden: Any, tmp_path: Path) -> None:
    checkpoint = golden.checkpoint("transfusion")
    assert len(checkpoint) == 134
    torch.save(checkpoint, tmp_path / "stage2.model")
    target = tmp_path / "authors.safetensors"
    assert convert([tmp_path / "stage2.model"], target) == "transfusion"
    model = create_model("transfusion", target)
    assert torch.equal(model.encoder.stages[3][1].weight, checkpoint["layer4.1.weight"])
    assert torch.equal(model.decoder.levels[0].convs[0].weight, checkpoint["conv1_1_1.conv2d.weight"])


def test_images_change_places_with_a_difference(golden: Any) -> None:
    model, (infrared, visible) = filled(golden, 1.4), golden.pair(32, 32)
    with torch.inference_mode():
        assert largest(model(infrared, visible) - model(visible, infrared)) > 1e-3


# The backbone


def test_torchvision_layout_is_that_of_configuration_e() -> None:
    """Indices counted by hand: 16 convolutions, ReLUs between, a pooling after each stage."""
    numbers = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert [name for name in torchvision_layout() if name.endswith("weight")] == [
        f"features.{n}.weight" for n in numbers
    ]
    assert sum(len(widths) for widths in STAGES) == 16


def test_encoder_is_that_of_torchvision() -> None:
    layout = TransFusion().initial_layout()
    assert layout["features.5.weight"] == ("encoder.stages.1.1.weight",)
    assert layout["features.34.bias"] == ("encoder.stages.4.7.bias",)


# Sizes


def test_zeros_reach_the_size_as_in_the_released_program(golden: Any, tmp_path: Path) -> None:
    save_weights(tmp_path / "filled.safetensors", filled(golden, 1.4).state_dict(), {"model": "transfusion"})
    infrared, visible = (image.squeeze() for image in golden.pair(61, 83))
    fuser = Fuser(weights=tmp_path / "filled.safetensors", fit="zero", gray=True)
    with torch.inference_mode():
        padded = filled(golden, 1.4)(*(F.pad(image, (0, 13, 0, 3))[None, None] for image in (infrared, visible)))
    wanted = (padded[0, 0, :61, :83] * 255).floor() / 255
    actual = fuser(infrared, visible)
    # A value beside a whole level may fall to either side.
    assert (actual - wanted).abs().gt(1e-5).float().mean() < 1e-3
    mirrored = Fuser(weights=tmp_path / "filled.safetensors", gray=True)(infrared, visible)
    assert (mirrored - wanted).abs().max() > 0.1, "the margin changes the whole image"
