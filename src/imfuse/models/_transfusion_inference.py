"""TransFusion for inference: channels-last, one gray input plane, wide convolutions by Winograd's filtering.

``benchmarks/speed.py transfusion`` compares it with the plain module, which stays as its oracle. Its time goes into
3x3 convolutions of many channels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import replace_modules
from imfuse.layers.folding import in_two
from imfuse.layers.winograd import Winograd

if TYPE_CHECKING:
    from imfuse.models.transfusion import TransFusion


class FastTransFusion(nn.Module):
    """The fused image of a :class:`TransFusion` in evaluation mode."""

    first: Tensor

    def __init__(self, model: TransFusion) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Red, green and blue are the same plane: their kernels add up.
        replace_modules(self.model, nn.Conv2d, lambda conv: Winograd(conv) if Winograd.suits(conv) else conv)
        first = self._stages()[0][0].weight.sum(1, keepdim=True)
        self.register_buffer("first", first.contiguous(memory_format=torch.channels_last))

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; computed in the type of the weights, given in that of the images."""
        features = self._encode(torch.cat([infrared, visible]))
        halves = [x.chunk(2) for x in features]
        del features
        x, skips = self._selected(halves)
        decoder = self.model.decoder
        for level in decoder.levels:
            x = level(x, skips.pop())
        x = F.gelu(decoder.narrow(x))
        # Eight bits of a picture need more digits than bfloat16 has.
        image, padding = decoder.image, decoder.image.padding
        bias = None if image.bias is None else image.bias.float()
        fused = F.conv2d(x.float(), image.weight.float(), bias, padding=padding)
        return fused.clamp_(0, 1).to(infrared.dtype)

    def _encode(self, images: Tensor) -> list[Tensor]:
        if self.first.shape[1] > 1:
            high, low = in_two(images, self.first.dtype)
            images = torch.cat([high, low, high], dim=1)
        images = images.to(self.first.dtype).contiguous(memory_format=torch.channels_last)
        (first, *rest), *stages = self._stages()
        x = F.conv2d(images, self.first, first.bias, padding=1)
        for layer in rest:
            x = layer(x)
        features = [x]
        for stage in stages:
            features.append(stage(features[-1]))
        return features

    def _selected(self, halves: list[tuple[Tensor, ...]]) -> tuple[Tensor, list[Tensor]]:
        """Selected features of the deepest level, and those of the others, the last of them next in depth."""
        model = self.model
        # What was encoded is given back level by level.
        merged = [perceive(*halves.pop(0)) for perceive in model.perception]
        maps = model.spatial_maps(merged)
        modules = zip(model.selection, maps, strict=True)
        selected = [select(merged.pop(0).mul_(1 + place)) for select, place in modules]
        return selected.pop(), selected

    def _stages(self) -> list[Any]:
        return list(self.model.encoder.stages)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """The first layer keeps its digits, in two parts: an image in bfloat16 has fewer levels than a picture."""
        exact = self.first
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.first.dtype.itemsize < exact.dtype.itemsize:
            high, low = in_two(exact, self.first.dtype)
            weight = torch.cat([high, high, low], dim=1).to(self.first.device)
            self.first = weight.contiguous(memory_format=torch.channels_last)
        return self
