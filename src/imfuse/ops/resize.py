"""Feature maps at another size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def resize_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (N, C, H, W) to ``size``, a height and a width: bilinear, between the centres of pixels.

    Pictures that shrink need means over areas instead: ``imfuse.imaging.resize``.

    >>> import torch
    >>> resize_to(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).tolist()
    [[[[0.0, 0.25, 0.75, 1.0]]]]
    """
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
