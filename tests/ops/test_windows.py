"""Separable windows against naive loops: OpenCV and the matrix products, every border, odd sizes, small images."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imfuse.ops.windows import Border, box, filter_separable, gaussian, pad, sum_separable

BORDERS: tuple[Border, ...] = get_args(Border)
NUMPY = {"zero": "constant", "replicate": "edge", "mirror": "reflect", "symmetric": "symmetric", "circular": "wrap"}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 255, shape))


def taps(size: int, seed: int) -> Tensor:
    """Weights that no flip leaves as they are."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, size))


def naive(image: np.ndarray, across: np.ndarray, down: np.ndarray, border: Border) -> np.ndarray:
    """The sum written out for one image (H, W), pixel by pixel."""
    if border != "valid":
        rows, columns = len(down) // 2, len(across) // 2
        image = np.pad(image, ((rows, rows), (columns, columns)), mode=NUMPY[border])  # type: ignore[call-overload]
    window = np.outer(down, across)
    height, width = image.shape[0] - len(down) + 1, image.shape[1] - len(across) + 1
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            out[i, j] = (window * image[i : i + len(down), j : j + len(across)]).sum()
    return out


def both(x: Tensor, across: Tensor, down: Tensor | None, border: Border) -> tuple[Tensor, Tensor]:
    """By OpenCV and by matrix products."""
    products = filter_separable(x.clone().requires_grad_(), across, down, border)
    assert products.requires_grad
    opencv = filter_separable(x, across, down, border)
    assert not opencv.requires_grad
    return opencv, products.detach()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("height", "width"), [(11, 11), (13, 12), (40, 33), (65, 12), (12, 97)])
@pytest.mark.parametrize(("columns", "rows"), [(11, 11), (3, 7), (7, 1), (1, 3), (1, 1)])
def test_sum_written_out(border: Border, height: int, width: int, columns: int, rows: int) -> None:
    x, across, down = random(2, 1, height, width), taps(columns, 1), taps(rows, 2)
    for actual in both(x, across, down, border):
        for ours, image in zip(actual[:, 0], x[:, 0], strict=True):
            expected = naive(image.numpy(), across.numpy(), down.numpy(), border)
            assert ours.shape == expected.shape
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-11)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([border for border in BORDERS if border != "valid"]),
    *(st.integers(1, 6) for _ in range(2)),
    *(st.integers(0, 8) for _ in range(2)),
    st.integers(0, 2**32 - 1),
)
def test_images_smaller_than_the_window(
    border: Border, height: int, width: int, columns: int, rows: int, seed: int
) -> None:
    x, across, down = random(1, 1, height, width, seed=seed), taps(2 * columns + 1, seed), taps(2 * rows + 1, seed + 1)
    expected = naive(x[0, 0].numpy(), across.numpy(), down.numpy(), border)
    for actual in both(x, across, down, border):
        np.testing.assert_allclose(actual[0, 0], expected, rtol=1e-12, atol=1e-11)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(BORDERS), st.integers(17, 140), st.integers(17, 140), st.sampled_from([3, 5, 9, 17]))
def test_opencv_and_products_agree(border: Border, height: int, width: int, size: int) -> None:
    opencv, products = both(random(1, 2, height, width, seed=height), gaussian(size, size / 5), None, border)
    torch.testing.assert_close(opencv, products, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
def test_gradients(border: Border) -> None:
    x = random(1, 1, 5, 6).requires_grad_()
    across, down = taps(3, 1), taps(5, 2)
    assert torch.autograd.gradcheck(lambda image: filter_separable(image, across, down, border), x)


@pytest.mark.parametrize("border", BORDERS)
def test_images_and_channels_are_apart(border: Border) -> None:
    x, window = random(3, 2, 20, 21), gaussian(5, 1.0)
    for together, alone in zip(
        both(x, window, None, border),
        zip(*(both(x[i : i + 1, j : j + 1], window, None, border) for i in range(3) for j in range(2)), strict=True),
        strict=True,
    ):
        torch.testing.assert_close(together.flatten(0, 1)[:, None, None], torch.stack(alone), rtol=0, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
def test_any_layout_in_memory(border: Border) -> None:
    """Turned, cropped and stepped images are read as they are, and left so."""
    whole, window = random(1, 1, 40, 50), gaussian(7, 1.5)
    for view in (whole.transpose(2, 3), whole[..., 3:30, 5:29], whole[..., ::2, ::2], whole.expand(3, 1, 40, 50)):
        kept = view.clone()
        expected = both(kept.contiguous(), window, None, border)
        for actual, right in zip(both(view, window, None, border), expected, strict=True):
            torch.testing.assert_close(actual, right, rtol=0, atol=1e-12)
        assert torch.equal(view, kept)


def test_no_gradient_is_recorded_under_no_grad() -> None:
    x = random(1, 1, 9, 9).requires_grad_()
    with torch.no_grad():
        assert not filter_separable(x, box(3)).requires_grad


@pytest.mark.parametrize(("size", "sigma"), [(3, 0.6), (11, 1.5), (17, 3.4)])
def test_windows_are_means(size: int, sigma: float) -> None:
    bell = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    np.testing.assert_allclose(gaussian(size, sigma), bell / bell.sum(), rtol=1e-14)
    np.testing.assert_array_equal(box(size), np.full(size, 1 / size))
    flat = torch.full((1, 1, 20, 23), 93.0, dtype=torch.float64)
    for window in (gaussian(size, sigma), box(size)):
        for border in BORDERS:
            if border != "zero":
                for actual in both(flat, window, None, border):
                    torch.testing.assert_close(actual, torch.full_like(actual, 93), rtol=1e-14, atol=0)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(list(NUMPY)), *(st.integers(1, 5) for _ in range(2)), *(st.integers(0, 12) for _ in range(2)))
def test_borders_are_those_of_numpy(border: Border, height: int, width: int, rows: int, columns: int) -> None:
    x = random(2, 1, height, width)
    spans = ((0, 0), (0, 0), (rows, rows), (columns, columns))
    expected = np.pad(x.numpy(), spans, mode=NUMPY[border])  # type: ignore[call-overload]
    np.testing.assert_array_equal(pad(x, rows, columns, border), expected)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13])
def test_sums_of_windows(size: int) -> None:
    x = random(2, 2, 13, 17)
    ones = torch.ones(1, 1, size, size, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(x.flatten(0, 1)[:, None], ones).view(2, 2, 14 - size, 18 - size)
    torch.testing.assert_close(sum_separable(x, size), expected)


def test_sums_of_windows_keep_their_digits_in_single_precision() -> None:
    """Differences of running sums would not: here they reach 1e6, where float32 has steps of 1/16."""
    x = random(1, 1, 120, 130).float()
    expected = sum_separable(x.double(), 91)
    assert (sum_separable(x, 91) / expected - 1).abs().max() < 1e-6


@pytest.mark.parametrize("border", ["valid", "zero", "replicate", "mirror", "symmetric"])
def test_single_precision(border: Border) -> None:
    x = random(2, 1, 30, 41)
    expected = filter_separable(x, gaussian(7, 1.5), box(3), border)
    for actual in both(x.float(), gaussian(7, 1.5), box(3), border):
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=1e-4)
