"""Infrared on visible pictures of one scene, found from the two pictures alone."""

from __future__ import annotations

from imfuse.registration.agreement import agreement
from imfuse.registration.drift import NOTICED, shifted
from imfuse.registration.features import Float
from imfuse.registration.refine import Level
from imfuse.registration.search import candidates
from imfuse.registration.transform import Transform, identity

_COARSE, _MIDDLE, _FINE = 80, 160, 320
"""Pixels of the longer sides: structures of a scene, not the resolution of a camera, decide what fits."""
_TRIED = 2
_AS_WELL = 0.8
"""Share of the blocks that agree with the best transform from which on none is needed: it is 0.84 and more on pairs of
two data sets that are registered, and 0.7 and less where the picture is turned by 2.5 degrees."""


def align_cameras(moving: Float, fixed: Float) -> tuple[Transform, float]:
    """The homography between pictures of two cameras, and the evidence for it.

    Every shift and scale of small copies is compared by self-similarity, the best are refined from coarse to fine, and
    the one on which most blocks agree is taken.

    Args:
        moving: infrared luminance (H, W) in [0, 1].
        fixed: visible luminance of any other size.

    Returns:
        The transform from the infrared to the visible picture, and the share of blocks that agree with it.
    """
    starts = candidates(moving, fixed, _TRIED)
    if moving.shape == fixed.shape:
        starts.append(identity())
    coarse, middle, fine = (Level(moving, fixed, long) for long in (_COARSE, _MIDDLE, _FINE))
    refined = [middle.refined(coarse.refined(start)) for start in starts]
    best = fine.refined(max(refined, key=lambda one: agreement(middle, one)))
    if moving.shape == fixed.shape and _registered(moving, fixed, middle, best):
        best = identity()
    return best, agreement(middle, best)


def _registered(moving: Float, fixed: Float, level: Level, best: Transform) -> bool:
    """Whether a pair fits as it is, as far as one pair can tell: the best transform is itself a few pixels off."""
    off = shifted(moving, fixed)
    return (off is None or off <= NOTICED) and agreement(level, identity()) >= _AS_WELL * agreement(level, best)
