"""Scans of one head by two machines: rotated and shifted, never stretched."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft, optimize

from imfuse.registration.features import Float, at_long_side, factors
from imfuse.registration.likeness import Likeness, bin_centres, mutual_informations, soft_bins
from imfuse.registration.transform import Transform, corners_of, identity

_LONG, _BINS = 64, 8
_ANGLES = range(-16, 17, 4)
_REACH = 16
"""Pixels of the small copies by which the scans may be shifted."""
_LEVELS = 128, 256
_AS_LIKE = 0.9
"""Share of the greatest likeness from which on scans count as registered: on registered ones it is 0.95 or more, on
those that are 10 pixels of 256 off it is below 0.85."""
_PARTED = 0.05
"""Share of the longer side; see ``align_scans``."""
_ASIDE = -4, 0, 4
"""Degrees beside what was found from which each measure sets out alone."""
Turn = npt.NDArray[np.float64]
"""An angle in radians, and the shift in x and y of the middle of the moving scan from that of the fixed one."""


def align_scans(moving: Float, fixed: Float) -> tuple[Transform, float]:
    """The rotation and shift between two scans, and the evidence for it.

    The start is the highest mutual information of all shifts at several angles. Mutual information and self-similarity
    together are then made as large as can be, by Powell's method. Scans of different sizes are taken to show as much.

    Args:
        moving: luminance (H, W) of PET, SPECT or another scan, on a dark background.
        fixed: luminance of MRI or CT, of any other size.

    Returns:
        The transform from the moving to the fixed scan. And how well either measure alone leads to the same one: 1
        where both do, 0 where they lead away from it by 5 % of the longer side in sum. They err in different ways, so
        where they part one of them is wrong, and nothing says which.
    """
    turn = _start(moving, fixed)
    coarse, fine = (Likeness(moving, fixed, long) for long in _LEVELS)
    for likeness in (coarse, fine):
        turn = _refined(likeness, turn, moving, fixed)
    found = _rigid(turn, moving, fixed)
    if moving.shape == fixed.shape and fine(identity()) >= _AS_LIKE * fine(found):
        return identity(), _unanimity(coarse, np.zeros(3), moving, fixed)
    return found, _unanimity(coarse, turn, moving, fixed)


def _unanimity(likeness: Likeness, turn: Turn, moving: Float, fixed: Float) -> float:
    """How well mutual information and self-similarity, each alone, confirm an angle and shift, from 0 to 1."""
    # Where a head is: the corners of a scan are empty.
    places = 0.2 * max(moving.shape) + 0.6 * corners_of((moving.shape[0], moving.shape[1]))
    there, apart = _rigid(turn, moving, fixed).apply(places), 0.0
    for measure in (likeness.information, likeness.similarity):
        starts = (turn + np.array([angle, 0, 0]) for angle in np.deg2rad(_ASIDE))
        ends = (_rigid(_refined(measure, start, moving, fixed), moving, fixed).apply(places) for start in starts)
        # One of three may be caught by a maximum beside the way.
        apart += float(np.median([np.linalg.norm(end - there, axis=1).mean() for end in ends]))
    return float(max(0.0, 1 - apart / (_PARTED * max(fixed.shape))))


def _rigid(turn: Turn, moving: Float, fixed: Float) -> Transform:
    """Rotation by an angle in radians about the middle of the moving scan, whose place is shifted by x and y."""
    middles = [(np.array(picture.shape[::-1]) - 1) / 2 for picture in (moving, fixed)]
    scale = max(fixed.shape) / max(moving.shape)
    cosine, sine = scale * np.cos(turn[0]), scale * np.sin(turn[0])
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    matrix[:2, 2] = middles[1] + turn[1:] - matrix[:2, :2] @ middles[0]
    return Transform(matrix, "rigid" if scale == 1 else "similarity")


def _start(moving: Float, fixed: Float) -> Turn:
    """Angle and shift of the highest mutual information among all shifts of small copies at several angles."""
    small = at_long_side(moving, _LONG), at_long_side(fixed, _LONG)
    shape = tuple(2 * max(sides) for sides in zip(*(picture.shape for picture in small), strict=True))
    bins = soft_bins(small[1], bin_centres(small[1], _BINS))
    spectrum, counts = fft.rfft2(bins, shape), bins.sum((1, 2))
    centres = bin_centres(small[0], _BINS)
    # Shifts by as many pixels to the right and down, then by as many to the left and up.
    steps = np.r_[0 : _REACH + 1, -_REACH:0]
    best, found = -1.0, np.zeros(3)
    for angle in np.deg2rad(_ANGLES):
        turned = cv2.warpAffine(small[0], _rigid(np.array([angle, 0, 0]), *small).matrix[:2], small[1].shape[::-1])
        others = fft.rfft2(soft_bins(np.asarray(turned, np.float32), centres)[1:], shape).conj()
        joint = fft.irfft2(spectrum[:, None] * others[None], shape)[:, :, steps][:, :, :, steps]
        # What the moving scan does not reach is its background.
        ground = counts[:, None, None] - joint.sum(1)
        joint = np.concatenate([ground[:, None], joint], axis=1)
        values = mutual_informations(joint.reshape(_BINS, _BINS, -1).transpose(2, 0, 1))
        if values.max() > best:
            best = float(values.max())
            y, x = np.unravel_index(int(values.argmax()), (len(steps), len(steps)))
            across, down = factors(small[1], fixed)
            found = np.array([angle, steps[x] / across, steps[y] / down])
    return found


def _refined(measure: Callable[[Transform], float], turn: Turn, moving: Float, fixed: Float) -> Turn:
    """The angle and shift near those that make a measure as large as can be."""
    # Of about two pixels of the small copies, at the rim of a head as well.
    pixel = max(fixed.shape) / 128
    unit = np.array([pixel / (max(fixed.shape) / 2), pixel, pixel])

    def cost(steps: Turn) -> float:
        return -measure(_rigid(turn + steps * unit, moving, fixed))

    options = {"xtol": 0.05, "ftol": 1e-5, "maxfev": 200}
    best = optimize.minimize(cost, np.zeros(3), method="Powell", options=options).x
    return np.asarray(turn + best * unit, np.float64)
