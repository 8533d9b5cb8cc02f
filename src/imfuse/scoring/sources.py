"""The two sources of a pair, brought to gray levels as each fused picture of it was made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imfuse.core.errors import PairError
from imfuse.core.text import printable
from imfuse.fusing.alignment import refuse_same_field
from imfuse.fusing.sides import settled
from imfuse.imaging import Range, check_same_size
from imfuse.imaging.inputs import Stored
from imfuse.metrics.conventions import Gray
from imfuse.registration.rig import Rig
from imfuse.scoring.levels import ScoredImage
from imfuse.scoring.ranges import FusedBy, Origin, UsedRange


@dataclass(frozen=True)
class Seen:
    """A source as one fused picture is scored against, and by which range it became that."""

    image: ScoredImage
    range: UsedRange


class Sources:
    """Infrared and visible picture of a pair; what is the same for several fused pictures is made once.

    Attributes:
        read: both, as they were read.
        stored: both, with a rig what they show in common.
    """

    def __init__(self, infrared: Stored, visible: Stored, gray: Gray, rig: Rig | None = None) -> None:
        """Raises ``PairError`` where the sizes differ, and what aligning by a rig raises."""
        self.read = infrared, visible
        self._rig, self._size = rig, (visible.pixels.shape[0], visible.pixels.shape[1])
        if rig is not None:
            refuse_same_field(infrared)
            aligned = rig.align(infrared.pixels, visible.pixels)
            infrared = self.common(replace(infrared, pixels=aligned))
            visible = self.common(visible)
        check_size(infrared, visible)
        self.stored = infrared, visible
        self._gray = gray
        self._heat: dict[str, tuple[Stored, str]] = {}
        self._images: dict[tuple[str, Range], ScoredImage] = {}

    def seen(self, side: int, given: Range | None, fused_by: FusedBy) -> Seen:
        """The infrared (0) or the visible picture (1) by the given range, else the known one, else as fusing would.

        An infrared picture in false colours is mapped back to heat by the palette that is known, or as fusing would.
        """
        range_, origin = _choose(given, fused_by.ranges[side])
        stored, what = (self.stored[1], "visible") if side else self._infrared(fused_by.palette)
        image = self._images.get((what, range_)) or self._image(stored, what, range_)
        self._images[what, range_] = image
        return Seen(image, UsedRange(image.limits.low, image.limits.high, origin, image.limits.unit))

    def common(self, picture: Stored) -> Stored:
        """With a rig, what both sources show of a picture as large as the visible one; others are cut already."""
        if self._rig is None or picture.pixels.shape[:2] != self._size:
            return picture
        return replace(picture, pixels=picture.pixels[self._rig.valid_box(self._size).slices])

    def check_alignment(self, fused: Stored, fused_by: FusedBy) -> None:
        """Raise ``PairError`` where a fused picture says that its infrared picture lay elsewhere."""
        name = printable(fused.name)
        if fused_by.aligned:
            raise PairError(
                f"{name}: its infrared picture was aligned by itself, and is not registered as a file",
                "make a rig of the pair by imfuse.align, and fuse and score by it",
            )
        if fused_by.rig and self._rig is None:
            raise PairError(f"{name}: its infrared picture was aligned by a rig", "give the same rig=...")
        if self._rig is not None and fused_by.rig not in ("", self._rig.digest):
            raise PairError(f"{name}: its infrared picture was aligned by another rig", "give that rig=...")

    def _infrared(self, palette: str) -> tuple[Stored, str]:
        """The infrared picture, and the palette by which it was mapped back."""
        if palette not in self._heat:
            self._heat[palette] = settled(*self.stored, "given", palette)
        return self._heat[palette]

    def _image(self, stored: Stored, what: str, range_: Range) -> ScoredImage:
        image = ScoredImage(stored, self._gray, range_, thermal=what != "visible")
        # "auto" and limits in metadata often are the same ones; then the metrics' work on them is, too.
        same = (one for (other, _), one in self._images.items() if other == what and one.limits == image.limits)
        return next(same, image)


def _choose(given: Range | None, fused_by: Range | None) -> tuple[Range, Origin]:
    if given is not None:
        return given, "given"
    return (fused_by, "as fused") if fused_by is not None else (Range(), "auto")


def check_size(first: Stored, second: Stored) -> None:
    """Raise ``PairError`` where a fused picture or a source has another size."""
    why = "metrics compare pixel with pixel, so a fused picture and its sources need one size"
    check_same_size(first.pixels.shape, second.pixels.shape, first.name, second.name, why)
