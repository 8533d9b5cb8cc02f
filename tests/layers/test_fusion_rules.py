"""Fusion rules against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imfuse.core.errors import ModelError
from imfuse.layers.fusion_rules import RULES, fuse_maps


def maps(channels: int = 5, height: int = 6, width: int = 7, count: int = 2) -> tuple[Tensor, Tensor]:
    pair = torch.randn(
        2, count, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return pair[0], pair[1]


def test_sum_and_average() -> None:
    first, second = maps()
    assert torch.equal(fuse_maps(first, second, "sum"), first + second)
    assert torch.equal(fuse_maps(first, second, "average"), 0.5 * first + 0.5 * second)


@pytest.mark.parametrize("channels", [1, 5])
def test_l1_is_the_formula_pixel_by_pixel(channels: int) -> None:
    first, second = maps(channels)

    def activity(x: Tensor, n: int, row: int, column: int) -> Tensor:
        """Nine places count, also where some of them lie outside."""
        window = x[n, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        return window.abs().sum() / 9

    fused = fuse_maps(first, second, "l1")
    for n in range(2):
        for row in range(6):
            for column in range(7):
                a, b = activity(first, n, row, column), activity(second, n, row, column)
                expected = (a * first[n, :, row, column] + b * second[n, :, row, column]) / (a + b)
                torch.testing.assert_close(fused[n, :, row, column], expected, rtol=1e-12, atol=1e-12)


def test_l1_weight_is_one_for_all_channels() -> None:
    first, second = maps()
    weight = (fuse_maps(first, second, "l1") - second) / (first - second)
    torch.testing.assert_close(weight, weight[:, :1].expand_as(weight), rtol=1e-9, atol=1e-9)
    assert weight.min() >= 0
    assert weight.max() <= 1


def test_l1_where_nothing_is_active() -> None:
    first, second = (torch.zeros(1, 2, 8, 8) for _ in range(2))
    first[..., :3, :3] = 2
    fused = fuse_maps(first, second, "l1")
    assert fused.isfinite().all()
    assert torch.equal(fused, first)


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_symmetric(rule: str) -> None:
    first, second = maps()
    torch.testing.assert_close(fuse_maps(first, second, rule), fuse_maps(second, first, rule), rtol=0, atol=1e-14)


@pytest.mark.parametrize("rule", ["average", "l1"])
def test_fusing_maps_with_themselves_changes_nothing(rule: str) -> None:
    first, _ = maps()
    torch.testing.assert_close(fuse_maps(first, first, rule), first, rtol=0, atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
def test_type_and_shape_stay(rule: str) -> None:
    first, second = (side.bfloat16() for side in maps())
    fused = fuse_maps(first, second, rule)
    assert fused.dtype == torch.bfloat16
    assert fused.shape == first.shape


def test_unknown_rule() -> None:
    with pytest.raises(ModelError, match="unknown fusion rule 'max'; there are sum, average, l1"):
        fuse_maps(*maps(), "max")
