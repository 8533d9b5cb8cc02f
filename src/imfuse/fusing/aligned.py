"""The infrared picture of a pair on the pixels of the visible one, by the rig of the two cameras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError
from imfuse.imaging.nodata import Mask
from imfuse.registration.rig import Box, Outside, Rig

Float = npt.NDArray[np.float32]
RigLike = Union[Rig, str, "os.PathLike[str]", None]
RIG, OUTSIDE = "imfuse:rig", "imfuse:outside"
"""Keys of the metadata that say by which rig, as the digest of it, a pair was aligned, and what became of the rest."""


def checked_rig(rig: RigLike, outside: str, resize: object, fit: str) -> Rig | None:
    """The rig of settings, read where it is a file.

    Raises:
        RegistrationError: the file is no rig, or it is used with settings that go with registered pairs alone.
    """
    checked_outside(outside)
    if rig is None:
        return None
    if resize or fit == "resize":
        raise RegistrationError(
            "rig=... brings the infrared picture to the size of the visible one, which resize=... and fit='resize' do "
            "for registered pairs; give one of them"
        )
    return rig if isinstance(rig, Rig) else Rig.read(Path(rig))


def checked_outside(outside: str) -> Outside:
    """What is done where the infrared shows nothing. Raises ``RegistrationError``."""
    if outside == "crop":
        return "crop"
    if outside == "visible":
        return "visible"
    raise RegistrationError(f"outside={outside!r}: crop or visible is expected")


def refuse_cropped_labels(rig: Rig | None, outside: Outside) -> None:
    """Raise ``RegistrationError`` where results are cut, and labels of whole visible pictures are to be compared."""
    if rig is not None and outside == "crop":
        raise RegistrationError("labels=... are of whole visible pictures", "use outside='visible'")


def seen_by_visible(rig: Rig, heat: Float, missing: Mask | None, gray: Float, name: str) -> tuple[Float, Mask | None]:
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


def common_box(rig: Rig, outside: Outside, size: tuple[int, int]) -> Box:
    """What of a visible picture of (height, width) is fused: what both show, or all of it."""
    if outside == "visible":
        return Box(0, 0, size[1], size[0])
    return rig.valid if size == rig.visible.size else rig.valid_box(size)


def rig_metadata(rig: Rig | None, outside: Outside) -> dict[str, str]:
    """What a result says of its alignment."""
    return {} if rig is None else {RIG: rig.digest, OUTSIDE: outside}
