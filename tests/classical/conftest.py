"""What the tests of single methods share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from imfuse.core.registry import create_model, get_spec

Distance = Callable[[str, str, torch.dtype], float]


@pytest.fixture
def distance_to_golden(golden) -> Distance:
    """Largest difference of a method to its golden array, in a mode and a dtype.

    The arrays were made before values outside [0, 1] were cut off.
    """

    def measure(name: str, mode: str, dtype: torch.dtype) -> float:
        options = {option.name: mode for option in get_spec(name).options if option.name == "mode"}
        pair = [image.double() for image in golden.pair(64, 80)]
        if mode == "faithful":
            pair = [torch.floor(255 * image + 0.5) / 255 for image in pair]
        with torch.inference_mode():
            fused: Tensor = create_model(name, weights=None, **options)(*(image.to(dtype) for image in pair))
        assert fused.dtype == dtype
        wanted = golden.arrays("classical")[f"{name}_{mode}"].clamp(0, 1)
        return (fused.double() - wanted.double()).abs().max().item()

    return measure
