"""Tiny clips that tests write themselves: gradients that move."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def pictures(number: int, size: tuple[int, int] = (48, 64), *, gray: bool = False) -> Iterator[np.ndarray]:
    """Frames of a gradient that moves by a pixel in each."""
    height, width = size
    for i in range(number):
        plane = np.tile(np.roll(np.linspace(20, 200, width), i), (height, 1)).astype(np.uint8)
        yield plane if gray else np.stack([plane, plane, plane // 2], axis=2)


def write_clip(
    path: Path,
    frames: Iterator[np.ndarray] | list[np.ndarray],
    rate: int = 10,
    *,
    codec: str = "libx264",
    sound: bool = False,
    times: list[float] | None = None,
) -> Path:
    """A clip by PyAV; with ``sound`` a tone beside it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, picture in enumerate(frames):
            wide, colour = picture.dtype == np.uint16, picture.ndim == 3
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "gray16le" if wide else "yuv420p" if codec != "ffv1" else "bgr0" if colour else "gray"
            name = "gray16le" if wide else "rgb24" if colour else "gray"
            frame = av.VideoFrame.from_ndarray(picture, format=name)
            frame.pts = round(1000 * (number / rate if times is None else times[number]))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if tone is not None:
                samples = np.sin(np.arange(8000 // rate, dtype=np.float32))[None]
                heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                heard.rate, heard.pts = 8000, number * 8000 // rate
                container.mux(tone.encode(heard))
        container.mux(stream.encode(None))
        if tone is not None:
            container.mux(tone.encode(None))
    return path
