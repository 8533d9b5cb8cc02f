"""``stream``: the frames of two cameras in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from imfuse.fusing.alignment import RigLike
from imfuse.fusing.fuser import Fuser
from imfuse.fusing.stream import FrameLike, Stream
from imfuse.imaging import RangeLike


def stream(
    infrared: Iterable[FrameLike],
    visible: Iterable[FrameLike],
    model: str | nn.Module | None = None,
    weights: str | Path | None = "default",
    *,
    range: RangeLike = "steady",
    rig: RigLike = None,
    rate: float = 25.0,
    batch: int = 1,
    newest: bool = False,
    smooth: bool = False,
    **settings: Any,
) -> Stream:
    """Fuse the frames of two iterables one by one, as they come.

    Reading, preparing, network and colours run in threads of their own, and a few frames are in memory at a time. It
    ends with the shorter of the two. The result is an iterator, for use in one thread, and an asynchronous one; it is
    closed by its end, by ``close()`` or as a context.

    Args:
        infrared: frames: whatever :class:`imfuse.Fuser` takes, or ``av.VideoFrame``.
        visible: as many, taken at the same times.
        model: method or network.
        weights: name of shipped weights, or a file.
        range: what of the infrared becomes 0 and 1. "steady" follows the percentiles of the frames slowly, by the
            formula of :class:`imfuse.fusing.steady.SteadyRange`; "percentile" takes those of each frame alone.
        rig: the two cameras, for frames that are not registered.
        rate: frames per second, by which a steady range knows the time; frames of PyAV bring their own.
        batch: the most frames that go through the network at once, where so many wait: for a GPU.
        newest: frames that come faster than they are fused are dropped, the oldest first.
        smooth: filter the fused luminance over time where nothing moves
            (:class:`imfuse.fusing.temporal.TemporalFilter`).
        settings: all others of :class:`imfuse.Fuser`.

    Returns:
        Fused frames, each of the kind of its visible one; an array for a frame of PyAV.

    Raises:
        ImfuseError: as :class:`imfuse.Fuser` and its call; of frames when the first that cannot be used is reached.

    Example:
        >>> import numpy as np
        >>> infrared = (np.full((48, 64), 7000 + 10 * i, np.uint16) for i in (0, 1, 2))
        >>> visible = (np.full((48, 64, 3), 80 + i, np.uint8) for i in (0, 1, 2))
        >>> [frame.shape for frame in stream(infrared, visible, "laplacian_pyramid")]
        [(48, 64, 3), (48, 64, 3), (48, 64, 3)]
    """
    fuser = Fuser(model, weights, range=range, rig=rig, **settings)
    return fuser.stream(infrared, visible, rate=rate, batch=batch, newest=newest, smooth=smooth)
