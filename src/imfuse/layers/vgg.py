"""VGG-19 without its classifier, cut where networks take features from it, and torchvision's names of its weights."""

from __future__ import annotations

from torch import Tensor, nn

STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of the convolutions of each stage; all stages but the first begin with a pooling."""
ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""torchvision's file (``VGG19_Weights.IMAGENET1K_V1``); the end of its name is the start of its SHA-256."""


class VGG19(nn.Module):
    """The five stages of VGG-19 (configuration E, no norms): (N, 3, H, W) to the features after each stage's last ReLU.

    Level i has 1 / 2^(i-1) of the size, rounded down. ``divisor`` makes all widths that many times smaller.
    """

    def __init__(self, divisor: int = 1) -> None:
        super().__init__()
        inputs = 3
        self.stages = nn.ModuleList()
        for number, widths in enumerate(STAGES):
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


def torchvision_layout() -> dict[str, str]:
    """Name in torchvision's file -> name in the state of :class:`VGG19`.

    >>> torchvision_layout()["features.5.weight"]
    'stages.1.1.weight'
    """
    names: dict[str, str] = {}
    index = 0
    for number, widths in enumerate(STAGES):
        place = 1 if number else 0
        index += place
        for _ in widths:
            names |= {f"features.{index}.{part}": f"stages.{number}.{place}.{part}" for part in ("weight", "bias")}
            index, place = index + 2, place + 2
    return names
