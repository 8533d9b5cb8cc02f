"""Ways from what a network computes to a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imfuse.core.errors import ModelError
from imfuse.layers.output import to_unit_range


def levels(image: torch.Tensor) -> np.ndarray:
    return np.floor(image.double().numpy() * 255 + 0.5).astype(int)


def raw() -> torch.Tensor:
    return 3 * torch.rand(3, 1, 40, 50, generator=torch.Generator().manual_seed(0)) - 1


def test_clip() -> None:
    assert torch.equal(to_unit_range(raw(), "clip"), raw().clamp(0, 1))


def test_stretch_is_of_each_image_by_itself() -> None:
    image = raw() * torch.tensor([1.0, 0.1, 5.0])[:, None, None, None]
    for i, actual in enumerate(to_unit_range(image, "stretch")):
        low, high = image[i].min(), image[i].max()
        torch.testing.assert_close(actual, (image[i] - low) / (high - low))
        assert (actual.min(), actual.max()) == (0, 1)


def test_max() -> None:
    torch.testing.assert_close(to_unit_range(raw()[:1], "max"), (raw()[:1] / raw()[:1].max()).clamp(0, 1))
    assert to_unit_range(torch.zeros(1, 1, 4, 4), "max").max() == 0
    assert to_unit_range(-torch.ones(1, 1, 4, 4), "max").max() == 0


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.25, 7.0])
def test_an_even_image_stays_even(value: float) -> None:
    image = torch.full((2, 1, 5, 5), value)
    assert torch.equal(to_unit_range(image, "stretch"), torch.zeros_like(image))
    assert torch.equal(to_unit_range(image, "clip"), image.clamp(0, 1))


@pytest.mark.parametrize("output", ["stretch", "stretch-cut", "max"])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_rounding_errors_are_not_stretched(output: str, level: float) -> None:
    image = level + 1e-6 * raw()
    fused = to_unit_range(image, output)
    assert 255 * (fused.max() - fused.min()) < 0.5
    assert to_unit_range(level + 0.01 * raw(), "stretch").max() == 1, "what shows in 8 bits is"


def test_a_truncating_program_may_add_to_the_span() -> None:
    image = torch.arange(256.0).reshape(1, 1, 16, 16) / 255
    assert levels(to_unit_range(image, "stretch-cut")).max() == 255
    assert levels(to_unit_range(image, "stretch-cut", 1e-5)).max() == 254
    assert to_unit_range(image, "stretch", 1e-5).max() == 1


@pytest.mark.parametrize("output", ["", "strech", "clip-", "max-cut"])
def test_unknown_output_is_refused(output: str) -> None:
    with pytest.raises(ModelError, match="is not one of clip, clip-cut, stretch"):
        to_unit_range(raw(), output)


@pytest.mark.parametrize("how", ["clip", "stretch"])
def test_levels_are_cut_off(how: str) -> None:
    """Rounding the result gives what cutting the decimals of the uncut one gives, whole levels included."""
    for image in (raw(), torch.arange(256.0).reshape(1, 1, 16, 16) / 255):
        expected = np.floor(to_unit_range(image, how).double().numpy() * 255 + 1e-4).astype(int)
        assert np.array_equal(levels(to_unit_range(image, f"{how}-cut")), expected)
