"""SDNet for inference: channels-last, in parts, each stream squeezed by itself, nothing decomposed."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.models.sdnet import SDNet
from imfuse.ops.tiles import in_tiles


def fast_form(model: SDNet) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastSDNet(model)


class FastSDNet(nn.Module):
    """The fused image of an :class:`SDNet`."""

    weights: Tensor
    bias: Tensor

    def __init__(self, model: SDNet) -> None:
        super().__init__()
        self.prepare, self.to_picture = model.prepare, model.to_picture
        self.size = SizeRule(halo=model.spec.size.halo)
        streams = nn.ModuleList([model.infrared, model.visible])
        self.streams = copy.deepcopy(streams).to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        # Of every 32 inputs of the last layer 16 are of the infrared image.
        weight = model.squeeze.weight.detach().reshape(1, 4, 2, 16, 1, 1)
        self.register_buffer("weights", torch.stack([weight[:, :, side].flatten(1, 2) for side in (0, 1)]))
        self.register_buffer("bias", model.squeeze.bias.detach())  # type: ignore[union-attr]

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return self.to_picture(in_tiles(self._fuse, *self.prepare(infrared, visible), self.size))

    def _fuse(self, infrared: Tensor, visible: Tensor) -> Tensor:
        first, second = (
            F.conv2d(stream(image.contiguous(memory_format=torch.channels_last)), weight)
            for stream, image, weight in zip(self.streams, (infrared, visible), self.weights, strict=True)
        )
        return torch.tanh(first + second + self.bias)
