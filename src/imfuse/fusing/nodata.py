"""Pixels without data in results that lie on Earth: programs for maps ask which value stands for them."""

from __future__ import annotations

import numpy as np

from imfuse.fusing.engine import Prepared
from imfuse.imaging._geotags import GeoTags
from imfuse.imaging.inputs import Array


def with_nodata(pixels: Array, prepared: Prepared, geotags: GeoTags) -> tuple[Array, GeoTags]:
    """Declare 0 as nodata where neither picture has data, and make it the value of these pixels alone.

    Args:
        pixels: a result, which is black where neither picture has data.
        prepared: the pair that it was fused from.
        geotags: those of the visible picture.

    Returns:
        The result, in which black that is data is one level brighter, and the tags with that of nodata; both as they
        were where every pixel has data of one picture.
    """
    first, second = prepared.missing
    if first is None or second is None or first.shape != pixels.shape[:2] or not (missing := first & second).any():
        return pixels, geotags
    black = ~missing & (pixels == 0 if pixels.ndim == 2 else (pixels == 0).all(axis=2))
    return np.where(black if pixels.ndim == 2 else black[..., None], pixels.dtype.type(1), pixels), geotags.with_nodata(
        0
    )
