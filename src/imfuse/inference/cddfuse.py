"""CDDFuse for inference.

Memory is channels-last, consecutive convolutions are merged, and the blocks of Restormer take their inference form, in
which attention is one matrix and wide features exist for some rows at a time.

``scripts/speed/networks.py cddfuse`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import channels_last, replace_modules
from imfuse.layers.restormer import ChannelBlock, FastChannelBlock
from imfuse.models.cddfuse import DIM, CDDFuse, DetailNode
from imfuse.ops.filters import reflect_pad

HALF = DIM // 2


def fast_form(model: CDDFuse) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastCDDFuse(model)


class FastCDDFuse(nn.Module):
    """Inference form of a :class:`CDDFuse`."""

    def __init__(self, model: CDDFuse) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        replace_modules(self.model, ChannelBlock, FastChannelBlock)
        replace_modules(self.model, DetailNode, FastDetailNode)
        channels_last(self.model)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        fused: Tensor = self.model(infrared, visible)
        return fused


class FastDetailNode(nn.Module):
    """Inference form of a :class:`DetailNode`.

    The two bottlenecks that take the same half are merged. Borders are mirrored before the 1x1 convolution that doubles
    the channels instead of after it, which is equivalent.
    """

    def __init__(self, node: DetailNode) -> None:
        super().__init__()
        self.mix = node.mix
        both = node.rho, node.eta
        for name, networks in (("phi", (node.phi,)), ("both", both)):
            for part in ("expand", "local", "project"):
                weight = torch.cat([getattr(network, part).weight.detach() for network in networks])
                self.register_buffer(f"{name}_{part}", weight.contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 64, H, W) to the same."""
        x = self.mix(x)
        first, second = x[:, :HALF], x[:, HALF:]
        second += self._bottleneck(first, "phi", 1)
        gain, shift = self._bottleneck(second, "both", 2).chunk(2, dim=1)
        first.mul_(gain.exp_()).add_(shift)
        return x

    def _bottleneck(self, x: Tensor, name: str, networks: int) -> Tensor:
        x = F.conv2d(reflect_pad(x, 1), getattr(self, f"{name}_expand"))
        x = F.hardtanh_(x, 0, 6)
        x = F.hardtanh_(F.conv2d(x, getattr(self, f"{name}_local"), groups=x.shape[1]), 0, 6)
        return F.conv2d(x, getattr(self, f"{name}_project"), groups=networks)
