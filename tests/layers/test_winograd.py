"""Winograd's filtering against the convolution itself, on which it must agree but for rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imfuse.layers.blocks import Conv3x3, MirroredConv
from imfuse.layers.winograd import LARGE_TILE_LIMIT, Winograd, transform


def layer(inputs: int, outputs: int, *, mirrored: bool = False, bias: bool = True) -> tuple[nn.Conv2d, Winograd]:
    conv = Conv3x3(inputs, outputs, bias=bias) if mirrored else nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    conv = conv.requires_grad_(False).to(memory_format=torch.channels_last)
    return conv, Winograd(conv)


@pytest.mark.parametrize("size", [(2, 2), (4, 8), (7, 5), (16, 33), (3, 530)])
@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_the_convolution(size: tuple[int, int], side: int, mirrored: bool) -> None:
    torch.manual_seed(0)
    conv, fast = layer(5, 7, mirrored=mirrored)
    fast.side = side
    x = torch.randn(2, 5, *size).contiguous(memory_format=torch.channels_last)
    assert fast(x).shape == conv(x).shape
    torch.testing.assert_close(fast(x), conv(x), atol=2e-5, rtol=0)
    torch.testing.assert_close(fast(x.contiguous()), conv(x), atol=2e-5, rtol=0)


def test_a_border_that_was_mirrored_stays_so() -> None:
    conv = MirroredConv(nn.Conv2d(5, 7, 3, padding=1)).requires_grad_(False)
    x = torch.randn(2, 5, 9, 14)
    torch.testing.assert_close(Winograd(conv)(x), conv(x), atol=2e-5, rtol=0)


def test_without_a_bias() -> None:
    conv, fast = layer(3, 4, bias=False)
    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(fast(x), conv(x), atol=2e-5, rtol=0)


def test_large_layers_take_smaller_tiles() -> None:
    assert Winograd(nn.Conv2d(128, LARGE_TILE_LIMIT // 128, 3, padding=1)).side == 4
    assert Winograd(nn.Conv2d(128, LARGE_TILE_LIMIT // 128 + 1, 3, padding=1)).side == 2
    assert transform(torch.randn(6, 5, 3, 3), 2).shape == (16, 5, 6)


def test_which_convolutions_it_is_for() -> None:
    assert Winograd.suits(nn.Conv2d(128, 128, 3, padding=1))
    assert Winograd.suits(Conv3x3(128, 128))
    assert Winograd.suits(Conv3x3(128, 128, "zero"))
    assert Winograd.suits(MirroredConv(nn.Conv2d(128, 128, 3, padding=1)))
    others = [
        nn.Conv2d(64, 128, 3, padding=1),
        nn.Conv2d(512, 64, 3, padding=1),
        Conv3x3(128, 128, stride=2),
        nn.Conv2d(128, 128, 3),
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 128, 3, 2, padding=1),
        nn.Conv2d(128, 128, 3, padding=1, groups=2),
        nn.Conv2d(128, 128, 3, padding=2, dilation=2),
        nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"),
        MirroredConv(nn.Conv2d(128, 128, 3, 2, padding=1)),
        MirroredConv(nn.Conv2d(128, 128, 5, padding=2)),
        nn.Linear(128, 128),
    ]
    assert not any(Winograd.suits(other) for other in others)


@pytest.mark.parametrize("mirrored", [False, True])
def test_another_number_format_is_convolved_as_it_stands(mirrored: bool) -> None:
    conv, fast = layer(4, 4, mirrored=mirrored)
    x = torch.randn(1, 4, 8, 8)
    exact = fast(x)
    fast.bfloat16()
    assert fast.transformed is None
    rounded = fast(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.1, rtol=0)
    # The weights have lost digits, which the transformed ones must have lost as well.
    torch.testing.assert_close(fast.float()(x), conv(x), atol=2e-5, rtol=0)
