"""A folded batch norm computes what convolution and norm compute one after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imfuse.layers.folding import fold_norm, norm_scale_shift


def layer(channels: int, bias: bool, spread: float = 1.0) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Convolution and norm as after a training; ``spread`` is the size of the responses."""
    generator = torch.Generator().manual_seed(0)
    conv, norm = nn.Conv2d(3, channels, 3, bias=bias), nn.BatchNorm2d(channels).eval()
    with torch.no_grad():
        conv.weight.copy_(spread * torch.randn(conv.weight.shape, generator=generator))
        if conv.bias is not None:
            conv.bias.copy_(spread * torch.randn(channels, generator=generator))
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
        norm.running_mean.copy_(10 * spread * torch.randn(channels, generator=generator))
        norm.running_var.copy_(27 * spread**2 * (0.1 + torch.rand(channels, generator=generator)))
    return conv, norm


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels", [1, 7])
@pytest.mark.parametrize("spread", [1e-4, 1.0, 30.0])
def test_folded_equals_one_after_the_other(channels: int, bias: bool, spread: float) -> None:
    conv, norm = (module.double() for module in layer(channels, bias, spread))
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    weight, shift = fold_norm(conv, norm)
    assert weight.dtype == shift.dtype == torch.float64
    expected = norm(conv(x))
    torch.testing.assert_close(nn.functional.conv2d(x, weight, shift), expected, rtol=1e-12, atol=1e-12)


def test_float32_is_folded_in_float64() -> None:
    """Weights are rounded once, at the end: they are the float32 numbers nearest to the exact ones."""
    conv, norm = layer(7, True, 30.0)
    weight, shift = fold_norm(conv, norm)
    exact = fold_norm(conv.double(), norm.double())
    assert weight.dtype == shift.dtype == torch.float32
    # eps 1e-5 is a double in both.
    assert torch.equal(weight, exact[0].float())
    assert torch.equal(shift, exact[1].float())


def test_scale_and_shift_by_hand() -> None:
    norm = nn.BatchNorm2d(1, eps=1e-5).eval()
    with torch.no_grad():
        norm.weight.fill_(3)
        norm.bias.fill_(-2)
        norm.running_mean.fill_(724)
        norm.running_var.fill_(22_216)
    scale, shift = norm_scale_shift(norm)
    assert scale.dtype == shift.dtype == torch.float64
    assert scale.item() == pytest.approx(3 / (22_216 + 1e-5) ** 0.5, rel=1e-15)
    assert shift.item() == pytest.approx(-2 - 724 * 3 / (22_216 + 1e-5) ** 0.5, rel=1e-15)


def test_nothing_is_changed_and_no_gradient_kept() -> None:
    conv, norm = layer(4, True)
    before = [value.clone() for value in (*conv.state_dict().values(), *norm.state_dict().values())]
    weight, shift = fold_norm(conv, norm)
    weight += 1
    shift += 1
    after = (*conv.state_dict().values(), *norm.state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not weight.requires_grad
    assert not shift.requires_grad
