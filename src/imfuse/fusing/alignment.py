"""The infrared picture of a pair on the pixels of the visible one: by a rig, or by what the two pictures show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import ImageError, RegistrationError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging.inputs import Stored
from imfuse.imaging.nodata import Mask
from imfuse.registration.drift import NOTICED, shifted
from imfuse.registration.estimate import estimate
from imfuse.registration.rig import Box, Outside, Rig
from imfuse.registration.warp import warp

Float = npt.NDArray[np.float32]
RigLike = Union[Rig, str, "os.PathLike[str]", None]
RIG, OUTSIDE = "imfuse:rig", "imfuse:outside"
"""Keys of the metadata that say by which rig, as the digest of it, a pair was aligned, and what became of the rest."""


def checked_rig(rig: RigLike, outside: str, resize: object, fit: str, align: bool) -> Rig | None:
    """The rig of settings, read where it is a file.

    Raises:
        RegistrationError: the file is no rig, or it is used with settings that go with registered pairs alone.
    """
    checked_outside(outside)
    if rig is None:
        return None
    if align:
        raise RegistrationError("both rig=... and align=True: one of them says how a pair lies")
    if resize or fit == "resize":
        raise RegistrationError(
            "rig=... brings the infrared picture to the size of the visible one, which resize=... and fit='resize' do "
            "for registered pairs; give one of them"
        )
    return read_rig(rig)


def read_rig(rig: Rig | str | os.PathLike[str]) -> Rig:
    """A rig, read where it is a file. Raises ``RegistrationError``."""
    return rig if isinstance(rig, Rig) else Rig.read(Path(rig))


def checked_outside(outside: str) -> Outside:
    """What is done where the infrared shows nothing. Raises ``RegistrationError``."""
    if outside == "crop":
        return "crop"
    if outside == "visible":
        return "visible"
    raise RegistrationError(f"outside={outside!r}: crop or visible is expected")


def refuse_same_field(infrared: Stored) -> None:
    """Raise ``ImageError`` for a picture whose file brings its visible picture, and says how the two lie."""
    if infrared.same_field:
        raise ImageError(f"{printable(infrared.name)}: says itself how its two pictures lie", "give no rig=...")


def refuse_cropped_labels(rig: Rig | None, outside: Outside) -> None:
    """Raise ``RegistrationError`` where results are cut, and labels of whole visible pictures are to be compared."""
    if rig is not None and outside == "crop":
        raise RegistrationError("labels=... are of whole visible pictures", "use outside='visible'")


def by_rig(rig: Rig, heat: Float, missing: Mask | None, gray: Float, name: str) -> tuple[Float, Mask | None]:
    """The infrared luminance, in [0, 1] by its own range, resampled on the visible picture.

    Args:
        rig: the two cameras.
        heat: (H, W), in [0, 1].
        missing: where it holds no data.
        gray: the visible luminance.
        name: of the infrared picture, for errors.

    Returns:
        The luminance, that of the visible picture where the infrared one shows nothing: an edge there would be fused
        as one of the scene. And where that is.
    """
    masked = heat if missing is None else np.ma.MaskedArray(heat, missing)
    warped, absent = rig.warped(masked, (gray.shape[0], gray.shape[1]), name)
    if not absent.any():
        return warped, None
    return np.where(absent, gray, warped), absent


def by_evidence(infrared: Float, holes: Mask | None, visible: Float, name: str) -> tuple[Float, Mask | None, str]:
    """Bring an infrared picture onto the visible one of its pair, resampled once.

    Args:
        infrared: luminance (H, W) in [0, 1].
        holes: where it holds no data, of the same size; ``None`` for nowhere.
        visible: luminance of any other size.
        name: what messages call the infrared picture.

    Returns:
        The infrared picture at the size of the visible one, which fills it where there is no infrared; where that is,
        ``None`` for nowhere; and the transform, as metadata of the result say it.

    Raises:
        RegistrationError: the evidence for the best transform is weak, or a picture is too small.
    """
    found = estimate(infrared, visible)
    if not found.accepted:
        raise RegistrationError(
            f"{printable(name)}: not aligned, since {found.reason}",
            "leave out align=True if the pair is registered",
            "give pictures that show more of one scene",
        )
    size = (visible.shape[0], visible.shape[1])
    warped, inside = warp(infrared, found.transform, size)
    missing = ~inside
    if holes is not None:
        missing |= warp(holes.astype(np.float32), found.transform, size)[0] > 0.01
    numbers = ",".join(f"{number:.8g}" for number in found.transform.matrix.ravel())
    told = f"{found.transform.model} {numbers} evidence {found.evidence:.3f}"
    return np.where(missing, visible, warped), missing if missing.any() else None, told


def common_box(rig: Rig, outside: Outside, size: tuple[int, int]) -> Box:
    """What of a visible picture of (height, width) is fused: what both show, or all of it."""
    if outside == "visible":
        return Box(0, 0, size[1], size[0])
    return rig.valid if size == rig.visible.size else rig.valid_box(size)


def rig_metadata(rig: Rig | None, outside: Outside) -> dict[str, str]:
    """What a result says of its alignment."""
    return {} if rig is None else {RIG: rig.digest, OUTSIDE: outside}


def doubt_registration(infrared: Float, visible: Float, name: str) -> None:
    """Note where a pair that is taken for registered looks shifted.

    Args:
        infrared: luminance (H, W) in [0, 1].
        visible: that of the same size.
        name: what messages call the visible picture.
    """
    off = shifted(infrared, visible)
    if off is not None and off > NOTICED:
        note(
            f"{printable(name)}: the infrared picture looks shifted by about {off:.0f} pixels against the visible one",
            "use align=True to align each pair by itself",
            "or align the two cameras once by imfuse align",
        )
