from __future__ import annotations

import numpy as np
import pytest
import torch

from imfuse.core.size_rule import SizeRule
from imfuse.ops.padding import crop_to, pad_to


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 5), (8, 8), (97, 131)])
@pytest.mark.parametrize(("multiple", "min_size"), [(1, 1), (8, 1), (1, 10), (8, 20), (32, 224)])
def test_mirrors_as_numpy_does(size: tuple[int, int], multiple: int, min_size: int) -> None:
    x = torch.rand(2, 1, *size)
    padded = pad_to(x, SizeRule(multiple, min_size))
    extra = [(0, SizeRule(multiple, min_size).padded(side) - side) for side in size]
    assert all(side % multiple == 0 and side >= min_size for side in padded.shape[2:])
    np.testing.assert_array_equal(padded.numpy(), np.pad(x.numpy(), [(0, 0), (0, 0), *extra], mode="symmetric"))
    torch.testing.assert_close(crop_to(padded, *size), x, rtol=0, atol=0)


def test_nothing_to_do_gives_the_same_tensor() -> None:
    x = torch.rand(1, 1, 16, 24)
    assert pad_to(x, SizeRule(8, 16)) is x


def test_least_padding() -> None:
    assert pad_to(torch.rand(1, 1, 17, 16), SizeRule(8, 4)).shape == (1, 1, 24, 16)
