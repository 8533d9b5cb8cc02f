"""SDNet for inference.

Memory is channels-last, and the image is processed in tiles. The last layer is split into one convolution for each
stream, so that no concatenation is needed; the decomposition, which only training uses, is left out.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import channels_last
from imfuse.layers.folding import bias_of
from imfuse.models.sdnet import SDNet
from imfuse.ops.tiles import in_tiles


def fast_form(model: SDNet) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastSDNet(model)


class FastSDNet(nn.Module):
    """Inference form of an :class:`SDNet`."""

    weights: Tensor
    bias: Tensor

    def __init__(self, model: SDNet) -> None:
        super().__init__()
        self.prepare, self.to_picture = model.prepare, model.to_picture
        self.size = SizeRule(halo=model.spec.size.halo)
        streams = nn.ModuleList([model.infrared, model.visible])
        self.streams = channels_last(copy.deepcopy(streams)).requires_grad_(False)
        # The inputs of the last layer alternate: 16 maps of the infrared stream, 16 of the visible one.
        weight = model.squeeze.weight.detach().reshape(1, 4, 2, 16, 1, 1)
        self.register_buffer("weights", torch.stack([weight[:, :, side].flatten(1, 2) for side in (0, 1)]))
        self.register_buffer("bias", bias_of(model.squeeze))

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        return self.to_picture(in_tiles(self._fuse, *self.prepare(infrared, visible), self.size))

    def _fuse(self, infrared: Tensor, visible: Tensor) -> Tensor:
        squeezed_ir, squeezed_vi = (
            F.conv2d(stream(image.contiguous(memory_format=torch.channels_last)), weight)
            for stream, image, weight in zip(self.streams, (infrared, visible), self.weights, strict=True)
        )
        return torch.tanh(squeezed_ir + squeezed_vi + self.bias)
