"""Values that stand for no data, but that nothing says to do so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from imfuse import ImfuseWarning
from imfuse.imaging import parse_range, to_unit

NOISE = np.random.default_rng(0).normal(0, 1, (40, 50))
FRAME = np.zeros((40, 50), bool)
FRAME[:, :6] = True


def with_frame(scene: Any, dtype: str, value: float) -> np.ndarray:
    return np.where(FRAME, value, scene).astype(dtype)


@pytest.mark.parametrize("rule", ["auto", "minmax"])
@pytest.mark.parametrize(
    ("scene", "dtype", "value"),
    [
        (29500 + 300 * NOISE, "uint16", 0),
        (29500 + 300 * NOISE, "uint16", 65535),
        (2000 + 100 * NOISE, "int16", -32768),
        (20 + 3 * NOISE, "float32", -9999),
        (20 + 3 * NOISE, "float64", 1e20),
        (0.5 + 0.1 * NOISE, "float32", -999),
    ],
)
def test_a_frame_of_one_value_is_doubted(rule: str, scene: Any, dtype: str, value: float) -> None:
    with pytest.warns(ImfuseWarning, match=r"240 pixels are .* they spoil the range.*range='[-0-9.]+,[0-9.]+'"):
        to_unit(with_frame(scene, dtype, value), parse_range(rule), thermal=True)


@pytest.mark.parametrize(
    "pixels",
    [
        29500 + 300 * NOISE,
        np.where(FRAME, 33000, 29500 + 30 * NOISE),  # a hot wall
        np.clip(300 * NOISE, 0, None),  # dark pixels among others that are nearly as dark
        np.where(FRAME, 65535, 0),  # a drawing of two values
        np.full((40, 50), 0),
    ],
)
def test_other_pictures_are_not(pixels: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_unit(pixels.astype(np.uint16), parse_range("auto"), thermal=True)


def test_a_frame_that_is_masked_is_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masked = np.ma.MaskedArray(with_frame(20 + 3 * NOISE, "float32", -9999), FRAME)
        to_unit(masked, parse_range("auto"), thermal=True)
