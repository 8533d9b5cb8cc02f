"""VGG-19 without its classifier, cut where networks take features from it, and torchvision's weights for it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from imfuse.core.errors import WeightsError

STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of the convolutions of each stage; all stages but the first begin with a pooling."""
IMAGENET = "vgg19-dcbb9e9d.pth"
"""torchvision's file (``VGG19_Weights.IMAGENET1K_V1``); the end of its name is the start of its SHA-256."""
ADDRESS = f"https://download.pytorch.org/models/{IMAGENET}"


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


def read_imagenet(path: Path, *, check: bool = True) -> dict[str, Tensor]:
    """State of :class:`VGG19` from torchvision's file on ImageNet; its classifier is left out.

    ``check`` compares the file's SHA-256 with what its published name says; without it any file of that layout goes.
    Raises ``WeightsError``.
    """
    try:
        if check:
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            wanted = IMAGENET.removesuffix(".pth").rpartition("-")[2]
            if not digest.hexdigest().startswith(wanted):
                raise WeightsError(f"{path}: SHA-256 {digest.hexdigest()[:8]}... is not that of {IMAGENET}; {ADDRESS}")
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read it ({error.strerror}); {IMAGENET} is at {ADDRESS}") from None
    except WeightsError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a file of weights ({reason:.200})") from None
    layout, shapes = torchvision_layout(), VGG19().state_dict()
    found = {}
    for theirs, ours in layout.items():
        value = stored.get(theirs) if isinstance(stored, dict) else None
        if not isinstance(value, Tensor) or value.shape != shapes[ours].shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else "nothing"
            raise WeightsError(f"{path}: {theirs}: {tuple(shapes[ours].shape)} expected, {shape} found; is it VGG-19?")
        found[ours] = value
    return found
