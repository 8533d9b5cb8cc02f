"""What all metrics do with their input first."""

from __future__ import annotations

import torch
from torch import Tensor

from imfuse.core.errors import MetricError


def to_levels(image: Tensor, data_range: float) -> Tensor:
    """Quantise (N, 1, H, W) in [0, data_range] to the levels 0..255, as float64: files and tensors then score alike.

    Raises ``MetricError`` for another shape, an empty image, NaN or infinite values, a range that is not
    positive, or whole numbers without a range.
    """
    if image.ndim != 4 or image.shape[1] != 1 or image.numel() == 0:
        raise MetricError(f"expected images of shape (N, 1, H, W), found {tuple(image.shape)}")
    if not data_range > 0:
        raise MetricError(f"data_range must be positive, found {data_range}")
    if data_range == 1 and not image.is_floating_point():
        raise MetricError("images of whole numbers need their data_range, such as data_range=255")
    if not image.isfinite().all():
        raise MetricError("images hold NaN or infinite values")
    return (image.double() * (255 / data_range)).round().clamp(0, 255)


def check_same_shape(*images: Tensor) -> None:
    """Raise ``MetricError`` unless all images have the same shape."""
    if len({tuple(image.shape) for image in images}) > 1:
        raise MetricError(f"images differ in shape: {', '.join(str(tuple(image.shape)) for image in images)}")


def ratio_or_nan(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Quotient, and nan where the denominator is zero: an undefined score is never an invented number."""
    return torch.where(denominator > 0, numerator / denominator, torch.nan)
