"""The contract of a fusion network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from imfuse.core.spec import ModelSpec


@dataclass(frozen=True)
class Prediction:
    """What a network gives: ``fused`` (N, 1, H, W) in [0, 1]; a method that gives more has fields for it.

    A field ``semantic`` holds logits of classes, (N, classes, H, W).
    """

    fused: Tensor


class FusionModel(nn.Module):
    """A network that fuses two registered gray images.

    ``forward(infrared, visible)`` takes (N, 1, H, W) tensors in [0, 1] of the same size, with H and W multiples of
    ``spec.multiple`` and at least ``spec.min_size``, and gives the fused image, (N, 1, H, W) in [0, 1].
    A network of ``spec.colour`` also takes the visible image as (N, 3, H, W), red, green and blue.
    It knows nothing of files, colour or padding: ``imfuse.Fuser`` does.
    """

    spec: ClassVar[ModelSpec]
    initial_url: ClassVar[str] = ""
    """Where the file of ``initial_layout`` can be had; the end of its name is the start of its SHA-256."""

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def predict(self, infrared: Tensor, visible: Tensor) -> Prediction:
        """Everything that the network can say; ``forward`` computes only what the fused image needs."""
        return Prediction(self(infrared, visible))

    @classmethod
    def published_layout(cls) -> Mapping[str, str]:
        """Name in the authors' checkpoint -> name in our state; empty where no checkpoint was published."""
        return {}

    @classmethod
    def published_extras(cls) -> tuple[str, ...]:
        """Patterns (``*.attn_mask``) of entries in the authors' checkpoint that play no part in the result."""
        return ()

    @classmethod
    def from_release(cls, entries: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Entries of another release by the authors as ``published_layout`` names them; any others as they are."""
        return entries

    def initial_layout(self) -> Mapping[str, tuple[str, ...]]:
        """Name in a file of initial weights -> names in our state; empty where training starts from nothing."""
        return {}
