"""How frames are stored: codecs, containers, pixel formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imfuse.core.errors import VideoError
from imfuse.core.text import printable
from imfuse.imaging.inputs import Array

CODECS = {"h264": ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf"), "ffv1": ("ffv1",)}
"""Codecs that are written, and the encoders of FFmpeg for them, the best first."""
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
QUALITY = 18


@dataclass(frozen=True)
class Format:
    """How frames are stored.

    Args:
        codec: "h264", or "ffv1" without losses.
        quality: constant rate factor of H.264: 0 to 51, less is better.
        pixel_format: one of the encoder, such as "yuv444p"; by default what players take, or what loses nothing.

    Raises:
        VideoError: the codec or the quality is none that is possible.
    """

    codec: str = "h264"
    quality: int = QUALITY
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise VideoError(f"codec={self.codec!r}: one of {', '.join(CODECS)} is expected")
        if not 0 <= self.quality <= 51:
            raise VideoError(f"quality={self.quality}: 0, the best, to 51 is expected")

    def check_name(self, output: Path, bits: int) -> None:
        """Refuse what a file of this name cannot hold. Raises ``VideoError``."""
        name = printable(output)
        if output.suffix.lower() not in CONTAINERS:
            raise VideoError(f"{name}: a name that ends in {', '.join(CONTAINERS)} is expected of a video")
        if self.codec == "ffv1" and output.suffix.lower() != ".mkv":
            raise VideoError(f"{name}: FFV1 goes into Matroska, a name that ends in .mkv")
        if self.codec == "h264" and bits == 16:
            raise VideoError(f"{name}: H.264 holds 8 bits", "use codec='ffv1'", "use bits=8")

    def pixels(self, picture: Array) -> str:
        """The pixel format of a picture."""
        if self.pixel_format is not None:
            return self.pixel_format
        if self.codec == "h264":
            return "yuv420p"
        gray, wide = picture.ndim == 2, picture.dtype == np.uint16
        return ("gray16le" if wide else "gray") if gray else ("gbrp16le" if wide else "bgr0")
