"""Objective of LRRNet on cases that are known exactly, and its perceptual network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imfuse.core.errors import WeightsError
from imfuse.layers import backbones, vgg
from imfuse.losses import lrrnet


def test_terms() -> None:
    """Constant images and features, by hand."""
    images = [torch.full((2, 1, 4, 4), value) for value in (10.0, 20.0, 40.0)]
    features = [[torch.full((2, 3, 2, 2), value)] * 4 for value in (1.0, 2.0, 4.0)]
    loss, parts = lrrnet.Objective().terms(images, features)
    # 3 * 2 + 0.5 * 4 = 8; of Gram matrices each product is value^2 * 4 / 12.
    wanted = {"pixel": 900.0, "shallow": 9.0, "middle": 49.0, "deep": 49.0, "texture": 1.0}
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(wanted)
    assert loss.item() == pytest.approx(10 * 900 + 1.5 * 9 + 0.01 * 49 + 0.5 * 49 + 2000)


def test_gram_of_random_features() -> None:
    features = torch.randn(2, 3, 5, 7)
    wanted = torch.einsum("nchw,ndhw->ncd", features, features) / (3 * 5 * 7)
    torch.testing.assert_close(lrrnet.gram(features), wanted)


def test_edges_of_a_ramp() -> None:
    """A slope of 2 levels per pixel rises by 2 per pixel of the first level, by 16 of the fourth."""
    rising, falling, *vertical = lrrnet.edges(2 * torch.arange(64.0).expand(1, 1, 64, 64))[0][0]
    assert torch.all(rising[:, 1:-1] == 2)
    assert not falling.any()
    assert not torch.stack(vertical).any()
    turned = lrrnet.edges(2 * torch.arange(64.0).flip(0)[:, None].expand(1, 1, 64, 64))[3][0]
    assert [maps[1:-1].max().item() for maps in turned] == [0, 0, 0, 16]


def test_without_vgg_the_loss_takes_edges() -> None:
    class Given(torch.nn.Module):
        def raw(self, infrared: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
            return infrared + visible

    batch = {name: torch.rand(2, 1, 16, 16) for name in ("infrared", "visible")}
    objective = lrrnet.Objective(vgg=0, infrared_share=1)
    loss, parts = objective(Given(), batch)
    images = [255 * lrrnet.stretched(sum(batch.values()), 1e-5), *(255 * image for image in batch.values())]
    wanted, wanted_parts = objective.terms(images, [lrrnet.edges(image) for image in images])
    torch.testing.assert_close(loss, wanted)
    assert parts.keys() == wanted_parts.keys()


def test_perceptual_network_is_read_from_the_cache_of_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    vgg.perceptual_network.cache_clear()
    file = tmp_path / "checkpoints" / "vgg16-397923af.pth"
    with pytest.raises(
        WeightsError, match=r"vgg16-397923af\.pth: the loss needs VGG-16 of ImageNet; put it there from"
    ):
        vgg.perceptual_network(torch.device("cpu"))
    file.parent.mkdir()
    state = {theirs: torch.rand(1).expand(2) for theirs in vgg.torchvision_layout(vgg.VGG16)}
    torch.save(state, file)
    with pytest.raises(WeightsError, match="damaged"):
        vgg.perceptual_network(torch.device("cpu"))
    monkeypatch.setattr(backbones, "input_hash", lambda *_, **__: "397923af" + "0" * 56)
    with pytest.raises(WeightsError, match=r"wrong shape features\.0\.weight"):
        vgg.perceptual_network(torch.device("cpu"))
    narrow = type("Narrow", (vgg.VGG16,), {"__init__": lambda self: vgg.VGG19.__init__(self, 16)})
    monkeypatch.setattr(vgg, "VGG16", narrow)
    state = {theirs: narrow().state_dict()[ours] for theirs, ours in vgg.torchvision_layout(narrow).items()}
    torch.save(state | {"classifier.0.weight": torch.rand(3, 3)}, file)
    network = vgg.perceptual_network(torch.device("cpu"))
    assert torch.equal(network.stages[2][3].weight, state["features.12.weight"])
    assert not any(parameter.requires_grad for parameter in network.parameters())
    vgg.perceptual_network.cache_clear()


def test_layout_of_vgg_16() -> None:
    """Indices counted by hand: 13 convolutions, ReLUs between, a pooling after each stage."""
    numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    names = [name for name in vgg.torchvision_layout(vgg.VGG16) if name.endswith("weight")]
    assert names == [f"features.{number}.weight" for number in numbers]
