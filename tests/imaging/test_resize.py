from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from imfuse.core.errors import PairError
from imfuse.core.notes import ImfuseWarning
from imfuse.imaging import resize
from imfuse.imaging._resize import place, placement, same_aspect


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


ACROSS = np.tile(np.arange(40, dtype=np.float32), (30, 1))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [((480, 640), (600, 800), True), ((33, 44), (100, 133), True), ((1, 1), (3, 5), True),
     ((120, 160), (360, 640), False), ((80, 90), (40, 60), False), ((512, 640), (480, 640), False)],
)  # fmt: skip
def test_aspect_ratios_are_equal_up_to_a_rounded_pixel(
    first: tuple[int, int], second: tuple[int, int], same: bool
) -> None:
    assert same_aspect(first, second) == same_aspect((*second, 3), first) == same


def test_cropped_in_the_middle() -> None:
    placed = place(ACROSS, np.zeros((30, 20), np.float32), "crop")
    np.testing.assert_array_equal(placed, ACROSS[:, 10:30])
    np.testing.assert_array_equal(place(ACROSS, np.zeros((40, 80), np.float32), "crop"), resize(ACROSS[5:25], 40, 80))


def test_padded_with_the_other_picture() -> None:
    other = np.full((60, 40), 7, np.float32)
    placed = place(ACROSS, other, "pad")
    np.testing.assert_array_equal(placed[15:45], ACROSS)
    assert (placed[:15] == 7).all()
    assert (placed[45:] == 7).all()
    assert (other == 7).all()


def test_stretched_over_the_whole() -> None:
    np.testing.assert_array_equal(place(ACROSS, np.zeros((7, 90), np.float32), "stretch"), resize(ACROSS, 7, 90))


def test_another_aspect_ratio_is_refused_unless_told() -> None:
    shapes, names = ((120, 160), (360, 640)), ("a.png", "b.png")
    for how in ("stretch", "crop", "pad"):
        assert placement(how, *shapes, names) == how  # type: ignore[arg-type]
    with pytest.raises(PairError, match=r"a.png is 160x120 but b.png is 640x360.*resize='crop' or resize='pad'"):
        placement("same", *shapes, names)
    with pytest.warns(ImfuseWarning, match=r"another aspect ratio: the infrared picture is stretched; say what to do"):
        assert placement(True, *shapes, names) == "stretch"
    assert placement("same", (120, 160), (360, 480), names) == "stretch"
