"""Convolutions and modules that keep their digits in a network of another type."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imfuse.layers.blocks import FirstConv, InFloat32


@pytest.mark.parametrize("inputs", [1, 3])
def test_first_convolution_keeps_the_digits_of_images(inputs: int) -> None:
    torch.manual_seed(0)
    conv, images = nn.Conv2d(inputs, 8, 7, padding=3), torch.rand(2, inputs, 20, 24)
    first = FirstConv(conv.weight, conv.bias, padding=3)
    with torch.inference_mode():
        wanted = conv(images)
        torch.testing.assert_close(first(images), wanted)
        half = first.to(torch.bfloat16)(images)
        assert half.dtype == torch.bfloat16
        # What is left is the rounding of the result, not that of what went in.
        rounding = (wanted - wanted.bfloat16()).abs().mean()
        plain = (conv.to(torch.bfloat16)(images.bfloat16()).float() - wanted).abs().mean()
        assert (half.float() - wanted).abs().mean() < 1.1 * rounding < plain


def test_module_in_float32_ignores_the_type_it_is_moved_to() -> None:
    linear = nn.Linear(3, 2)
    kept = InFloat32(nn.Linear(3, 2)).to(torch.bfloat16)
    kept.module.load_state_dict(linear.state_dict())
    x = torch.rand(4, 3).bfloat16()
    assert kept.module.weight.dtype == torch.float32
    assert torch.equal(kept(x), linear(x.float()))
