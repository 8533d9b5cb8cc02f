"""TIF: its median, borders and flat regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from imfuse.classical.tif import TIF, median3x3
from imfuse.ops.windows import pad


@pytest.mark.parametrize(("border", "theirs"), [("replicate", "nearest"), ("zero", "constant")])
def test_median(border: str, theirs: str) -> None:
    picture = np.random.default_rng(0).integers(0, 9, (2, 13, 17)).astype(float)
    actual = median3x3(pad(torch.from_numpy(picture)[:, None], 1, 1, border))  # type: ignore[arg-type]
    for image, expected in zip(actual[:, 0].numpy(), picture, strict=True):
        assert np.array_equal(image, ndimage.median_filter(expected, 3, mode=theirs))


def test_equal_images_are_kept() -> None:
    image = torch.rand(1, 1, 40, 50, dtype=torch.float64)
    assert torch.allclose(TIF()(image, image), image)


def test_flat_regions_are_the_mean_and_not_black() -> None:
    # Levels whose mean over 35 x 35 pixels is met exactly, so that the published weights are 0/0.
    dark, light = (torch.full((1, 1, 8, 8), level / 255, dtype=torch.float64) for level in (105, 210))
    assert torch.allclose(TIF()(dark, light), (dark + light) / 2)
    published = TIF(mode="faithful")(dark, light)[0, 0]
    assert (published[1:-1, 1:-1] == 0).all()
    # The median has black outside, so the corners are no 0/0.
    assert published[0, 0] > 0


def test_detail_comes_from_the_image_that_has_it() -> None:
    detailed = torch.rand(1, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    flat = torch.full_like(detailed, 0.5)
    fused = TIF()(flat, detailed)
    assert np.corrcoef(fused.numpy().ravel(), detailed.numpy().ravel())[0, 1] > 0.999
    assert torch.allclose(fused, TIF()(detailed, flat), atol=1e-12)
