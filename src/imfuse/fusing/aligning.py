"""Pairs that are not registered: brought together before they are fused, and doubts about those that should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imfuse.core.errors import RegistrationError
from imfuse.core.notes import note
from imfuse.core.text import printable
from imfuse.imaging.nodata import Mask
from imfuse.registration.drift import NOTICED, shifted
from imfuse.registration.estimate import estimate
from imfuse.registration.warp import warp

Float = npt.NDArray[np.float32]


def aligned(infrared: Float, holes: Mask | None, visible: Float, name: str) -> tuple[Float, Mask | None, str]:
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
        )
