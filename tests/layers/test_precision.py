"""Layers that keep their digits in a network of another type."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.precision import InFloat32, SplitWeights, split_high_low


class SplitConv(SplitWeights):
    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(self.inputs(images), self.weight, self.bias)


def test_module_in_float32_ignores_the_type_it_is_moved_to() -> None:
    linear = nn.Linear(3, 2)
    kept = InFloat32(nn.Linear(3, 2)).to(torch.bfloat16)
    kept.module.load_state_dict(linear.state_dict())
    x = torch.rand(4, 3).bfloat16()
    assert kept.module.weight.dtype == torch.float32
    assert torch.equal(kept(x), linear(x.float()))


def test_high_and_low_part_add_up() -> None:
    x = torch.linspace(-1, 1, 1001)
    high, low = split_high_low(x, torch.bfloat16)
    assert high.dtype == low.dtype == torch.bfloat16
    assert torch.equal(high, x.bfloat16())
    assert (high.float() + low.float() - x).abs().max() < 2**-16


@pytest.mark.parametrize("inputs", [1, 2])
def test_split_weights_keep_the_digits_of_images_and_weights(inputs: int) -> None:
    torch.manual_seed(0)
    conv, images = nn.Conv2d(inputs, 8, 3), torch.rand(1, inputs, 12, 10)
    exact = conv(images).detach()
    weight, bias = conv.weight.detach(), torch.zeros(8)
    split = SplitConv(weight, bias)
    torch.testing.assert_close(split(images), exact - conv.bias.detach()[:, None, None])
    moved = split.to(torch.bfloat16)
    assert moved.inputs(images).shape[1] == moved.weight.shape[1] == 3 * inputs
    # In bfloat16 only the sum is rounded, so compare before that.
    products = F.conv2d(moved.inputs(images).float(), moved.weight.float())
    plain = F.conv2d(images.bfloat16().float(), weight.bfloat16().float())
    expected = F.conv2d(images, weight)
    assert (products - expected).abs().max() < 1e-4 < (plain - expected).abs().max()


def test_split_weights_that_keep_their_type_keep_their_values() -> None:
    weight = torch.randn(4, 1, 3, 3)
    split = SplitConv(weight, torch.zeros(4)).to(torch.float32)
    assert torch.equal(split.weight, weight)
    assert split.inputs(torch.rand(1, 1, 5, 5)).shape == (1, 1, 5, 5)
