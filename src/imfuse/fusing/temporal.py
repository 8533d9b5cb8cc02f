"""A filter of the fused luminance over time, which leaves alone what moves."""

from __future__ import annotations

import cv2
import numpy as np

from imfuse.fusing.engine import Float

_STILL, _MOVED = 0.01, 0.05
_SHARE = 0.3
_RADIUS = 2


class TemporalFilter:
    """The fused luminance over time, smoothed where neither source moves.

    With f(t) the fused frame, y(t) the result, and c(t) the larger of the changes of the two sources against their
    frames before, as the mean of 5x5 pixels,

        y(t) = y(t - 1) + a(t) (f(t) - y(t - 1)),  a(t) = 0.3 + 0.7 clip((c(t) - 0.01) / 0.04, 0, 1),

    so that noise below 1 % of the range is averaged over about three frames, and what changes by 5 % or more is shown
    as it is. It looks back alone. A frame of another size begins anew.

    Example:
        >>> still = np.full((8, 8), 0.5, np.float32)
        >>> filter = TemporalFilter()
        >>> filter.follow(still, still, still)[0, 0].item()
        0.5
        >>> round(filter.follow(still + np.float32(0.1), still, still)[0, 0].item(), 2)
        0.53
    """

    def __init__(self) -> None:
        self._before: tuple[Float, Float, Float] | None = None

    def follow(self, fused: Float, infrared: Float, visible: Float) -> Float:
        """The next frame.

        Args:
            fused: (H, W) luminance in [0, 1].
            infrared: what it was fused from.
            visible: as well.

        Returns:
            The filtered luminance.
        """
        before = self._before
        if before is not None and before[0].shape == fused.shape:
            change = np.maximum(cv2.absdiff(infrared, before[1]), cv2.absdiff(visible, before[2]))
            change = cv2.blur(change, (2 * _RADIUS + 1,) * 2)
            moved = np.clip((change - np.float32(_STILL)) / np.float32(_MOVED - _STILL), 0, 1)
            share = np.float32(_SHARE) + np.float32(1 - _SHARE) * moved
            fused = before[0] + share * (fused - before[0])
        self._before = fused, infrared, visible
        return fused
