"""The transform of one pair without a rig, found from its two pictures alone, and guarded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from imfuse.core.errors import RegistrationError
from imfuse.registration.cameras import align_cameras
from imfuse.registration.features import Float
from imfuse.registration.scans import align_scans
from imfuse.registration.transform import Transform

Found = Literal["cameras", "scans"]
Kind = Literal["auto", "cameras", "scans"]
THRESHOLDS: dict[Found, float] = {"cameras": 0.25, "scans": 0.63}
"""Evidence from which on a transform is accepted. Of two cameras' blocks 4 % agree by chance, up to 20 % on pictures of
different scenes that were brought together as well as can be, and 40 % to 70 % on pictures of one; the threshold lies
between. For scans it means that both measures alone lead less than 2 % of the longer side away in
sum, 4.7 pixels of 256; of ten published pairs seven do so by up to 3.9 pixels, and three by 5.6 and more."""
_LEAST_SIDE = 64
_DARK, _FRAME = 0.04, 0.02
"""A pixel is dark up to this level; the frame of a picture is this share of its shorter side wide."""
_SCAN, _CAMERA = 0.85, 0.65
"""Share of dark pixels in the frame: scans have 95 % and more, cameras' pictures at night up to 55 %."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """What was found for a pair, and whether it is to be believed.

    Attributes:
        transform: from the infrared to the visible picture; the identity where the pair is registered already.
        evidence: for ``cameras`` the share of blocks that agree with the transform, for ``scans`` how well two measures
            agree on it.
        threshold: the evidence from which on a transform of this kind is accepted.
        accepted: whether the evidence reaches it.
        reason: why not, in words; nothing where it does.
        kind: whose pictures they were taken for.

    Example:
        ```python
        found = estimate(infrared, visible)
        print(found.kind, found.evidence, found.threshold, found.reason or found.transform.matrix)
        ```
    """

    transform: Transform
    evidence: float
    threshold: float
    accepted: bool
    reason: str
    kind: Found


def estimate(infrared: Float, visible: Float, kind: Kind = "auto") -> Estimate:
    """Find where the pixels of an infrared picture lie in the visible one.

    Args:
        infrared: luminance (H, W) in [0, 1], or that of PET or SPECT.
        visible: luminance of any other size, or that of MRI or CT.
        kind: "cameras" looks for a homography, "scans" for a rotation and a shift; "auto" takes pairs for scans whose
            frames are black.

    Returns:
        The transform, with the evidence. One that is not accepted must not be used.

    Raises:
        RegistrationError: a picture is too small, or ``kind`` is "auto" and the frames do not tell.

    Example:
        ```python
        found = estimate(infrared, visible)
        if found.accepted:
            infrared, inside = warp(infrared, found.transform, visible.shape)
        ```
    """
    if kind not in get_args(Kind):
        raise RegistrationError(f"kind={kind!r}: one of {', '.join(get_args(Kind))} is expected")
    for name, picture in (("infrared", infrared), ("visible", visible)):
        if min(picture.shape) < _LEAST_SIDE:
            height, width = picture.shape
            raise RegistrationError(
                f"{name}: {width}x{height} pixels are too few to align, {_LEAST_SIDE} on a side are not"
            )
    found: Found = find_kind(infrared, visible) if kind == "auto" else kind
    transform, evidence = (align_scans if found == "scans" else align_cameras)(infrared, visible)
    threshold = THRESHOLDS[found]
    accepted = evidence >= threshold
    return Estimate(transform, evidence, threshold, accepted, "" if accepted else _reason(found, evidence), found)


def find_kind(infrared: Float, visible: Float) -> Found:
    """Whether the pictures are those of cameras or scans, by how dark the frames of both are.

    Raises:
        RegistrationError: too dark for cameras, and not dark enough for scans.
    """
    share = min(_dark_frame(infrared), _dark_frame(visible))
    if share >= _SCAN:
        return "scans"
    if share <= _CAMERA:
        return "cameras"
    raise RegistrationError(
        f"{share:.0%} of the pixels at the borders are black: pictures of cameras have fewer and scans have more",
        "use kind='cameras' or kind='scans'",
    )


def _dark_frame(picture: Float) -> float:
    """Share of dark pixels in the frame of a picture."""
    width = max(1, round(_FRAME * min(picture.shape)))
    inside = np.zeros(picture.shape, bool)
    inside[width:-width, width:-width] = True
    return float((picture[~inside] <= _DARK).mean())


def _reason(kind: Found, evidence: float) -> str:
    if kind == "cameras":
        return f"{evidence:.0%} of the blocks agree with the best transform, and {THRESHOLDS[kind]:.0%} would have to"
    return f"two measures disagree on the best transform: their agreement is {evidence:.2f}, not {THRESHOLDS[kind]:.2f}"
