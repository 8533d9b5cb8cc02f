"""VGG-19 and VGG-16 without classifiers, cut where features are taken, and torchvision's names of their weights."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from imfuse.core.errors import WeightsError
from imfuse.layers.backbones import cached_file, read_backbone

STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of the convolutions of each stage; all stages but the first begin with a pooling."""
ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""torchvision's file (``VGG19_Weights.IMAGENET1K_V1``); the end of its name is the start of its SHA-256."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1]: torchvision's networks take colours less the one, divided by the other."""


class VGG19(nn.Module):
    """The five stages of VGG-19 (configuration E, no norms): (N, 3, H, W) to the features after each stage's last ReLU.

    Level i has 1 / 2^(i-1) of the size, rounded down. ``divisor`` makes all widths that many times smaller.
    """

    plan: ClassVar[tuple[tuple[int, ...], ...]] = STAGES

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        inputs = 3
        self.stages = nn.ModuleList()
        for number, widths in enumerate(self.plan):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
            for width in widths:
                layers += [nn.Conv2d(inputs, width // divisor, 3, padding=1), nn.ReLU()]
                inputs = width // divisor
            self.stages.append(nn.Sequential(*layers))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of five levels."""
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features


class VGG16(VGG19):
    """The same of VGG-16 (configuration D): the last three stages have three convolutions each."""

    plan = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


ADDRESS_16 = "https://download.pytorch.org/models/vgg16-397923af.pth"


def torchvision_layout(network: type[VGG19] = VGG19) -> dict[str, str]:
    """Name in torchvision's file -> name in the state of the network.

    >>> torchvision_layout()["features.5.weight"]
    'stages.1.1.weight'
    """
    names: dict[str, str] = {}
    index = 0
    for number, widths in enumerate(network.plan):
        place = 1 if number else 0
        index += place
        for _ in widths:
            names |= {f"features.{index}.{part}": f"stages.{number}.{place}.{part}" for part in ("weight", "bias")}
            index, place = index + 2, place + 2
    return names


@cache
@torch.inference_mode(False)
def perceptual_network(device: torch.device) -> VGG16:
    """VGG-16 of ImageNet, fixed, for losses; its file has to be where PyTorch keeps its downloads.

    Raises ``WeightsError`` that says where that is and where the file can be had.
    """
    file = cached_file(ADDRESS_16)
    if not file.is_file():
        raise WeightsError(f"{file}: the loss needs VGG-16 of ImageNet; put it there from {ADDRESS_16}")
    network, layout = VGG16(), torchvision_layout(VGG16)
    state = network.state_dict()
    entries = read_backbone(file, {theirs: state[ours] for theirs, ours in layout.items()})
    network.load_state_dict({layout[theirs]: value for theirs, value in entries.items()})
    return network.requires_grad_(False).eval().to(device)
