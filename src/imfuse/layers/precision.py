"""Float32 digits within a network that is moved to bfloat16.

A bfloat16 number has 8 significant bits, fewer than the 256 levels of an 8-bit image need. The layers next to the
images therefore keep the digits of float32, in one of two ways: :class:`InFloat32` computes in float32 throughout,
:class:`SplitWeights` splits images and weights into a high and a low part and computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def split_high_low(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The nearest numbers of a shorter type, and the remainders: their sum has twice the digits of the type.

    >>> high, low = split_high_low(torch.tensor(0.7001), torch.bfloat16)
    >>> high.item(), round(high.item() + low.item(), 5)
    (0.69921875, 0.7001)
    """
    high = x.to(dtype)
    return high, (x - high.to(x.dtype)).to(dtype)


class SplitWeights(nn.Module):
    """Weights of a convolution that keep their digits when the network is moved to a shorter type.

    The channels are tripled then: of the four products of ``(x_high + x_low) * (w_high + w_low)`` the three that
    matter are summed by one convolution of ``[x_high, x_low, x_high]`` with ``[w_high, w_high, w_low]``.
    A subclass defines the convolution in ``forward`` and applies it to :meth:`inputs`.

    Args:
        weight: (outputs, inputs, height, width) float32; kept in channels-last order.
        bias: (outputs,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.channels = weight.shape[1]
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def inputs(self, images: Tensor) -> Tensor:
        """Images (N, inputs, H, W) in the form that the weights expect, channels-last."""
        dtype = self.weight.dtype
        if self.weight.shape[1] > self.channels:
            high, low = split_high_low(images, dtype)
            images = torch.cat([high, low, high], dim=1)
        return images.to(dtype).contiguous(memory_format=torch.channels_last)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        exact = self.weight
        parent: Any = super()
        parent._apply(fn, recurse)
        if self.weight.dtype.itemsize < exact.dtype.itemsize:
            high, low = split_high_low(exact, self.weight.dtype)
            weight = torch.cat([high, high, low], dim=1).to(self.weight.device)
            self.weight = weight.contiguous(memory_format=torch.channels_last)
        return self


class InFloat32(nn.Module):
    """A module that computes in float32, in a network that may be moved to a shorter type."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """The module's output for its inputs in float32."""
        output: Tensor = self.module(*(x if x is None else x.float() for x in inputs))
        return output

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # A move to another device is followed, a move to another type is not.
        parent: Any = super()
        return parent._apply(lambda x: x.to(fn(x).device), recurse)
