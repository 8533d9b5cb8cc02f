from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from imfuse.imaging import resize


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(
    ("size", "filter_"),
    [
        ((5, 4), cv2.INTER_AREA),
        ((30, 41), cv2.INTER_LINEAR),
        ((30, 5), cv2.INTER_AREA),
        ((11, 41), cv2.INTER_LINEAR),
        ((1, 1), cv2.INTER_AREA),
    ],
)
def test_means_where_it_shrinks_else_bilinear(
    dtype: Any, channels: tuple[int, ...], size: tuple[int, int], filter_: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (11, 16, *channels)).astype(dtype)
    resized = resize(image, *size)
    assert (resized.shape, resized.dtype) == ((*size, *channels), dtype)
    np.testing.assert_array_equal(resized, cv2.resize(image, size[::-1], interpolation=filter_))


def test_no_pixel_is_skipped() -> None:
    image = np.zeros((64, 64), np.float32)
    image[13, 22] = 64
    assert resize(image, 8, 8).max() == pytest.approx(1)


def test_the_same_size_is_the_same_picture() -> None:
    image = np.zeros((3, 4), np.uint8)
    assert resize(image, 3, 4) is image
