"""Objectives of DenseFuse, SDNet, SeAFusion and U2Fusion against the golden table of the fact sheet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from imfuse.core.errors import WeightsError
from imfuse.layers.vgg import VGG16
from imfuse.losses import densefuse, sdnet, seafusion, u2fusion
from imfuse.losses.transfusion import released_ms_ssim
from imfuse.losses.u2fusion import gradient_energy
from imfuse.models import create_model

Formula = tuple[Tensor, Tensor, Tensor]


@pytest.fixture
def images(formula_pair: Callable[[int, int], tuple[Tensor, Tensor]]) -> Formula:
    """Infrared, visible and a mixture as the fused image, float64."""
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    return infrared, visible, 0.6 * visible + 0.4 * infrared


def close(value: Tensor, wanted: float, relative: float = 1e-7) -> None:
    assert value.item() == pytest.approx(wanted, rel=relative)


# DenseFuse


def test_golden_densefuse(images: Formula) -> None:
    _, visible, fused = images
    loss, parts = densefuse.Objective().terms(visible, fused)
    close(1 - parts["structure"], 0.80625784)
    close(parts["mse"], 1031.4998)
    close(loss, 1050.874)
    # In float32 too: levels around 128 have lost nothing before they are squared.
    single, _ = densefuse.Objective().terms(visible.float(), fused.float())
    close(single, 1050.874, 1e-5)


def test_golden_densefuse_of_its_pytorch_code(images: Formula) -> None:
    """The golden loss is one of float32; in float64 both MS-SSIM of the table are the same."""
    _, visible, fused = images
    loss, parts = densefuse.Objective(ssim=0, ms_ssim=100).terms(visible, fused)
    assert set(parts) == {"mse", "ms_ssim"}
    close(1 - parts["ms_ssim"], 0.83289545, 1e-7)
    close(loss, 1048.2109, 1e-6)
    close(released_ms_ssim(fused, visible), 0.83289545, 1e-7)


def test_constant_of_densefuse_follows_the_range(images: Formula) -> None:
    """With the constant of the true range noise of one level in an even area costs next to nothing."""
    even = torch.full((1, 1, 32, 32), 0.5, dtype=torch.float64)
    noisy = even + (torch.arange(1024).reshape(1, 1, 32, 32) % 7 - 3) / 3 / 255
    published, sound = (densefuse.Objective(peak=peak).terms(even, noisy)[1]["structure"] for peak in (1, 255))
    assert published > 0.9
    assert sound < 0.05


# SDNet


def test_golden_sdnet(images: Formula) -> None:
    infrared, visible, fused = (2 * image - 1 for image in images)
    loss, parts = sdnet.Objective().terms(fused, infrared, visible, infrared, visible)
    close(parts["intensity"], 0.17449438)
    close(parts["gradient"], 0.1927364)
    close(sdnet.sharper_visible(infrared, visible).mean(), 0.60839844)
    close(loss, 15.593406)
    assert parts["decomposition"] == 0


def test_sdnet_wants_both_sources_back(images: Formula) -> None:
    infrared, visible, fused = images
    for again, weight in ((torch.zeros_like(infrared), 1.0), (visible, 2.0)):
        whole, parts = sdnet.Objective(decomposition=weight).terms(fused, infrared, visible, again, visible)
        close(parts["decomposition"], (again - infrared).square().mean().item())
        less, _ = sdnet.Objective(decomposition=weight).terms(fused, infrared, visible, infrared, visible)
        close(whole - less, weight * parts["decomposition"].item())


# SeAFusion


def test_golden_seafusion(images: Formula) -> None:
    infrared, visible, fused = images
    loss, parts = seafusion.Objective().terms(fused, infrared, visible)
    close(parts["intensity"], 0.13341819)
    close(parts["gradient"], 0.4372457)
    close(loss, 4.5058752)


# U2Fusion


def test_golden_u2fusion(images: Formula) -> None:
    infrared, visible, fused = images
    close(u2fusion._ssim(infrared, fused), 0.4657307)
    close(u2fusion._ssim(visible, fused), 0.79234322)
    loss, parts = u2fusion.Objective().terms(fused, infrared, visible, torch.tensor([0.5]))
    close(loss, 0.88651463)
    close(parts["mse"], (0.035692033 + 0.015863126) / 2)
    close(gradient_energy(infrared), 0.0076935039)
    close(gradient_energy(visible), 0.0073898101)


def test_weights_of_u2fusion_belong_to_their_pairs(images: Formula) -> None:
    infrared, visible, fused = (torch.cat([image, image.flip(3) / 2]) for image in images)
    whole, _ = u2fusion.Objective().terms(fused, infrared, visible, torch.tensor([0.2, 0.9]))
    alone = [
        u2fusion.Objective().terms(fused[i : i + 1], infrared[i : i + 1], visible[i : i + 1], torch.tensor([w]))[0]
        for i, w in enumerate((0.2, 0.9))
    ]
    close(whole, ((alone[0] + alone[1]) / 2).item())


def test_who_has_more_to_say_weighs_more(images: Formula) -> None:
    infrared, visible, _ = images
    objective = u2fusion.Objective()
    first = objective.weight(infrared, 0.5 * visible)
    assert first.item() > 0.7
    close(first + objective.weight(0.5 * visible, infrared), 1)
    # Without a fixed scale the unit does not matter; with one it does.
    close(objective.weight(10 * infrared, 5 * visible), first.item(), 1e-6)
    close(objective.weight(infrared, infrared), 0.5)
    assert u2fusion.Objective(scale=1e3).weight(infrared, 0.5 * visible).item() == pytest.approx(0.5, abs=1e-4)
    flat = torch.zeros(1, 1, 16, 16)
    assert objective.weight(flat, flat).item() == 0.5


def test_information_by_features(images: Formula, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = VGG16(divisor=16).eval()
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(u2fusion, "perceptual_network", lambda device: network)
    image = images[0].float()
    found = u2fusion.Objective(features=1).information(image)
    assert seen[0].shape == (1, 3, 224, 224)
    levels = network(seen[0])
    assert len(levels) == 5
    close(found, sum(gradient_energy(level).item() for level in levels) / 5, 1e-5)
    assert found.item() != pytest.approx(gradient_energy(image).item())
    # Black is what ImageNet's colours make of it.
    assert (seen[0] * torch.tensor([0.229, 0.224, 0.225])[:, None, None])[0, :, 0, 0].tolist() == pytest.approx(
        [image[0, 0, 0, 0].item() - mean for mean in (0.485, 0.456, 0.406)], abs=1e-6
    )


def test_features_without_a_file(images: Formula, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
    with pytest.raises(WeightsError, match="vgg16-397923af"):
        u2fusion.Objective(features=1).information(images[0].float())


# All


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("objective", [densefuse, sdnet, seafusion, u2fusion], ids=lambda m: m.__name__[14:])
def test_every_parameter_learns(objective: object, mixed: bool) -> None:
    name = objective.__name__.rpartition(".")[2]
    torch.manual_seed(0)
    model = create_model(name, weights=None).train()
    infrared, visible = torch.rand(2, 2, 1, 24, 24)
    batch = {"image": infrared} if name == "densefuse" else {"infrared": infrared, "visible": visible}
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss, parts = objective.Objective()(model, batch)
    assert loss.dtype == torch.float32
    assert all(part.isfinite() for part in parts.values())
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        if not mixed:
            assert parameter.grad.abs().sum() > 0, key
