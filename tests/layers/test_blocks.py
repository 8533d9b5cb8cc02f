"""Modules that keep their digits in a network of another type."""

from __future__ import annotations

import torch
from torch import nn

from imfuse.layers.blocks import InFloat32


def test_module_in_float32_ignores_the_type_it_is_moved_to() -> None:
    linear = nn.Linear(3, 2)
    kept = InFloat32(nn.Linear(3, 2)).to(torch.bfloat16)
    kept.module.load_state_dict(linear.state_dict())
    x = torch.rand(4, 3).bfloat16()
    assert kept.module.weight.dtype == torch.float32
    assert torch.equal(kept(x), linear(x.float()))
