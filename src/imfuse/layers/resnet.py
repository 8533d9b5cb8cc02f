"""Parts of ResNet-18 and ResNet-34: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.

Layers within a block have torchvision's names.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int, stride: int = 1, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """3x3 convolution with a zero border."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=bias)


class ConvNorm(nn.Sequential):
    """Convolution without a bias and with a zero border, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, stride: int = 1) -> None:
        conv = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class BasicBlock(nn.Module):
    """Residual block: two 3x3 convolutions with norms, to whose output the input is added."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


def residual_stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    """A sequence of residual blocks, the first of which changes the number of channels and the size.

    >>> import torch
    >>> residual_stage(8, 16, 2, stride=2)(torch.zeros(1, 8, 10, 12)).shape
    torch.Size([1, 16, 5, 6])
    """
    rest = (BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)
