"""How pairs are prepared, run and finished: what users can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imfuse.core.errors import ModelError
from imfuse.fusing.alignment import RigLike, checked_rig
from imfuse.fusing.sides import checked_order, checked_palette
from imfuse.fusing.sizes import Fit, checked_fit
from imfuse.imaging import RangeLike, as_range
from imfuse.imaging._resize import Resize, checked_resize
from imfuse.imaging.bands import Bands, parse_bands
from imfuse.imaging.inputs import MAX_PIXELS, Bits
from imfuse.imaging.order import Order
from imfuse.imaging.palette import palette_colours
from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions
from imfuse.imaging.sensors.sensor import View
from imfuse.imaging.sensors.units import parse_units
from imfuse.registration.rig import Outside

Metadata = Literal["keep", "strip"]


@dataclass(frozen=True)
class Settings:
    """How pairs are prepared, run and finished; each field is explained at :class:`imfuse.Fuser`.

    Raises:
        ModelError: a value is none of those that are possible.
        ImageError: a range is invalid.
    """

    device: str = "auto"
    dtype: str = "auto"
    range: RangeLike = "auto"
    visible_range: RangeLike = "auto"
    tile: int | Literal["auto", "off"] = "auto"
    gray: bool = False
    bits: Bits | None = None
    resize: bool | Resize = False
    fit: Fit = "mirror"
    memory: int | None = None
    max_pixels: int = MAX_PIXELS
    strict: bool = False
    order: Order = "check"
    infrared_palette: str = "auto"
    infrared_bands: Bands = None
    visible_bands: Bands = None
    units: str = "auto"
    frame: int | None = None
    slice: str | None = None
    window: str | None = None
    conditions: Conditions = AS_RECORDED
    metadata: Metadata = "keep"
    deidentify: bool = True
    visible_palette: str = "none"
    align: bool = False
    rig: RigLike = None
    outside: Outside = "visible"

    def __post_init__(self) -> None:
        for name in ("range", "visible_range"):
            object.__setattr__(self, name, as_range(getattr(self, name)))
        if self.bits not in (None, 8, 16):
            raise ModelError(f"bits={self.bits!r}: 8 or 16 is expected")
        checked_fit(self.fit)
        checked_resize(self.resize)
        if self.align and self.resize:
            raise ModelError("align=True: pictures of any sizes are brought together by it", "leave out resize=...")
        checked_order(self.order)
        checked_palette(self.infrared_palette)
        if self.visible_palette != "none":
            palette_colours(self.visible_palette, "visible_palette")
        for name in ("infrared_bands", "visible_bands"):
            object.__setattr__(self, name, parse_bands(getattr(self, name), name))
        parse_units(self.units)
        if self.metadata not in ("keep", "strip"):
            raise ModelError(f"metadata={self.metadata!r}: keep or strip is expected")
        object.__setattr__(self, "rig", checked_rig(self.rig, self.outside, self.resize, self.fit, self.align))

    @property
    def view(self) -> View:
        """Which picture of a file is read."""
        return View(self.frame, self.slice, self.window, self.units, self.conditions)
