"""Filters with a mirrored border against NumPy's and OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from imfuse.ops.filters import box_mean, reflect_pad


@pytest.mark.parametrize("margin", [0, 1, 4])
def test_reflect_pad_does_not_repeat_the_edge(margin: int) -> None:
    x = torch.randn(2, 3, 5, 6)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="reflect")
    assert np.array_equal(reflect_pad(x, margin).numpy(), expected)


def test_reflect_pad_needs_more_pixels_than_its_margin() -> None:
    with pytest.raises(RuntimeError):
        reflect_pad(torch.zeros(1, 1, 5, 9), 5)


@pytest.mark.parametrize("size", [1, 3, 11, 19])
def test_box_mean_is_that_of_opencv(size: int) -> None:
    image = np.random.default_rng(0).random((23, 31))
    expected = cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT_101)
    actual = box_mean(torch.from_numpy(image)[None, None], size)
    assert actual.shape == (1, 1, 23, 31)
    assert np.abs(actual[0, 0].numpy() - expected).max() < 1e-13


def test_box_mean_filters_every_channel_alone() -> None:
    x = torch.randn(2, 3, 12, 14, dtype=torch.float64)
    kernel = torch.full((3, 1, 5, 5), 1 / 25, dtype=torch.float64)
    expected = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    torch.testing.assert_close(box_mean(x, 5), expected, rtol=0, atol=1e-14)


def test_box_mean_of_a_constant_and_of_a_spot() -> None:
    torch.testing.assert_close(box_mean(torch.full((1, 1, 12, 12), 0.7), 11), torch.full((1, 1, 12, 12), 0.7))
    spot = torch.zeros(1, 1, 9, 9)
    spot[..., 4, 4] = 9
    actual = box_mean(spot, 3)
    assert actual[..., 3:6, 3:6].min().item() == pytest.approx(1)
    assert actual.sum().item() == pytest.approx(9)
