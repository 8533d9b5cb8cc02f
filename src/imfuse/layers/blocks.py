"""Convolutions that several networks use, and their forms for inference.

A mirrored border does not repeat the edge pixel, as PyTorch's padding mode ``reflect``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.ops.filters import reflect_pad

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def channels_last(module: AnyModule) -> AnyModule:
    """Brings the 4-D parameters and buffers of a module into channels-last order, in place, and returns it."""
    # PyTorch's annotations know the argument for tensors alone.
    move: Any = module.to
    moved: AnyModule = move(memory_format=torch.channels_last)
    return moved


class Conv3x3(nn.Conv2d):
    """3x3 convolution that keeps the size at stride 1.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        padding: border, ``reflect`` (mirrored) or ``zeros``.
        stride: divisor of height and width, which are rounded up.
        groups: of channels.
        bias: whether there is one.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        padding: str = "reflect",
        stride: int = 1,
        groups: int = 1,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, 3, stride, groups=groups, bias=bias)
        self.mirrored = padding == "reflect"

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W) at stride 1; H, W >= 2."""
        return self.apply_with(x, self.weight, self.bias, self.groups)

    def apply_with(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        """The same convolution with other parameters."""
        if self.mirrored:
            return F.conv2d(reflect_pad(x, 1), weight, bias, self.stride, groups=groups)
        return F.conv2d(x, weight, bias, self.stride, padding=1, groups=groups)


def conv_mirrored(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1) -> Tensor:
    """3x3 convolution with a mirrored border that makes no mirrored copy of its input.

    The convolution with a zero border is computed first; the contribution of the mirrored rows and columns is computed
    from those alone and added to the outermost outputs.

    Args:
        x: (N, inputs, H, W) with H, W >= 2.
        weight: (outputs, inputs / groups, 3, 3).
        bias: (outputs,).
        stride: 1 or 2.
        groups: of channels.

    Returns:
        (N, outputs, H, W) at stride 1.
    """
    y = F.conv2d(x, weight, bias, stride, padding=1, groups=groups)

    def add(edge: Tensor, part: Tensor, kernel: Tensor, padding: tuple[int, int]) -> None:
        step = (stride if kernel.shape[2] > 1 else 1, stride if kernel.shape[3] > 1 else 1)
        edge += F.conv2d(part, kernel, None, step, padding, groups=groups)

    # The rows carry their own mirrored ends, which are the corners of the border; the columns do not.
    across = F.pad(x[:, :, [1, -2]], (1, 1, 0, 0), mode="reflect")
    add(y[:, :, :1], across[:, :, :1], weight[:, :, :1], (0, 0))
    add(y[:, :, :, :1], x[..., 1:2], weight[:, :, :, :1], (1, 0))
    # At stride 2 the last output of an even side does not reach beyond the border.
    if (x.shape[2] - 1) % stride == 0:
        add(y[:, :, -1:], across[:, :, 1:], weight[:, :, 2:], (0, 0))
    if (x.shape[3] - 1) % stride == 0:
        add(y[:, :, :, -1:], x[..., -2:-1], weight[:, :, :, 2:], (1, 0))
    return y


class NarrowConv(nn.Conv2d):
    """3x3 convolution from many channels to one, with a mirrored border.

    It equals ``Conv2d(channels, 1, 3, padding=1, padding_mode="reflect")`` and is computed as a 1x1 convolution to nine
    maps, one per tap of the kernel, which are shifted and added: nine maps are mirrored instead of all channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 1, H, W); H, W >= 2."""
        taps = F.conv2d(x, tap_weights(self.weight))
        return sum_shifted(taps, self.bias)


def tap_weights(weight: Tensor) -> Tensor:
    """A kernel (1, C, 3, 3) as that of a 1x1 convolution to its nine taps, (9, C, 1, 1)."""
    return weight[0].flatten(1).t()[:, :, None, None]


def sum_shifted(taps: Tensor, bias: Tensor | None) -> Tensor:
    """Sum, (N, 1, H, W) float32, of the nine taps (N, 9, H, W) of a 3x3 kernel, each shifted to its position."""
    height, width = taps.shape[2:]
    padded = reflect_pad(taps.float().contiguous(), 1)
    shifted = [padded[:, 3 * y + x, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    total = torch.stack(shifted, 1).sum(1, keepdim=True)
    return total if bias is None else total + bias


class MirroredConv(nn.Conv2d):
    """A convolution of any odd side with a mirrored border; it has the parameters of ``conv``, whose border is zero."""

    def __init__(self, conv: nn.Conv2d) -> None:
        side, stride = int(conv.kernel_size[0]), int(conv.stride[0])
        super().__init__(conv.in_channels, conv.out_channels, side, stride, groups=conv.groups, device="meta")
        self.weight, self.bias = conv.weight, conv.bias
        self.margin = side // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W) at stride 1; H and W must exceed half the side."""
        return F.conv2d(reflect_pad(x, self.margin), self.weight, self.bias, self.stride, groups=self.groups)


def mirror_borders(network: nn.Module) -> None:
    """Gives all convolutions of a network with a zero border a mirrored one, in place; no parameter changes."""
    replace_modules(network, nn.Conv2d, lambda conv: conv if conv.padding == (0, 0) else MirroredConv(conv))


class FastConv3x3(nn.Module):
    """Inference form of a 3x3 convolution with a mirrored border: no mirrored copy of its input is made."""

    def __init__(self, conv: Conv3x3 | MirroredConv) -> None:
        super().__init__()
        self.weight, self.bias, self.stride, self.groups = conv.weight, conv.bias, int(conv.stride[0]), conv.groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W) at stride 1; H, W >= 2."""
        return conv_mirrored(x, self.weight, self.bias, self.stride, self.groups)


def replace_modules(network: nn.Module, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    """Replaces every module of class ``kind`` within a network by ``make(module)``, in place."""
    for part in list(network.modules()):
        for name, module in list(part.named_children()):
            if isinstance(module, kind):
                setattr(part, name, make(module))
