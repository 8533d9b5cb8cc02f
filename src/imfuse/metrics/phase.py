"""Phase congruency after Kovesi, and how much of that of the sources the fused image keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from imfuse.metrics._pictures import Image, Picture, at_least, pictures, ratio_or_nan, strips
from imfuse.metrics._sobel import root
from imfuse.ops.windows import filter_separable, gaussian

_SCALES, _ORIENTATIONS = 4, 6
_SHORTEST_WAVE, _SCALE_RATIO, _BANDWIDTH = 3, 2.1, 0.55
_ANGULAR_SIGMA = math.pi / _ORIENTATIONS / 1.2
_EPSILON = 1e-4
_FEATURE = 0.1


def phase_congruency_quality(fused: Image, infrared: Image, visible: Image, data_range: float = 1.0) -> Tensor:
    """Phase congruency metric QP: product over three features of their correlation with the sources'. Higher is better.

    The features are Kovesi's phase congruency p (4 scales, 6 orientations) and its greatest and least moment. Each is
    correlated in Gaussian windows (11x11, sigma 1.5, zero border, 1e-4 added above and below) with that of a, of b, and
    of whichever has the greater p, each source set to 0 where its p <= 0.1. The greatest of the three correlations is
    summed, and divided by the number of pixels where a or b has p > 0.1.

    Args:
        fused: fused image (N, 1, H, W) in [0, data_range], H and W at least 11.
        infrared: one source, as ``fused``.
        visible: the other source, as ``fused``.
        data_range: the value of white.

    Returns:
        One value per image, (N,) float64, about 0 to 1, without a unit. Three images that are the same score below 1
        where they have p <= 0.1, as f is not set to 0 there: 0.92 to 0.98 for pictures of TNO. nan where an image is
        constant.

    Raises:
        MetricError: an image is not what ``Picture`` takes or is too small, or the shapes differ.

    Source:
        Zhao, Laganiere and Liu, International Journal of Innovative Computing, Information and Control 2007, as
        computed by Liu et al., IEEE TPAMI 2012.

    Example:
        >>> board = torch.eye(2).repeat(2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1)[None, None]
        >>> round(phase_congruency_quality(board, board, board).item(), 9)
        1.0
    """
    f, a, b = pictures(fused, infrared, visible, data_range)
    at_least(f.levels, 11, "QP")
    sources = (
        a.once("marked phase windows", lambda: _marked_windows(_features(a))),
        b.once("marked phase windows", lambda: _marked_windows(_features(b))),
        a.once(("marked phase windows", b), lambda: _marked_windows(_greater(_features(a), _features(b)))),
    )
    of_fused = f.once("phase windows", lambda: [_window(feature) for feature in _features(f)])
    count = sources[-1].mark.sum((1, 2, 3))
    product = torch.ones_like(count)
    for feature, window in enumerate(of_fused):
        best = reduce(torch.maximum, (_correlation(each.windows[feature], window) * each.mark for each in sources))
        product = product * ratio_or_nan(best.sum((1, 2, 3)), count)
    return product


class _Window(NamedTuple):
    """A map (N, 1, H, W), with its mean and standard deviation around each pixel."""

    value: Tensor
    mean: Tensor
    deviation: Tensor


class _Source(NamedTuple):
    """The features of a source, and where its phase congruency counts: 0 or 1."""

    windows: list[_Window]
    mark: Tensor


def _window(value: Tensor) -> _Window:
    mean = _mean(value)
    return _Window(value, mean, root(_mean(value * value).addcmul_(mean, mean, value=-1).abs_()))


def _marked_windows(features: Sequence[Tensor]) -> _Source:
    mark = (features[0] > _FEATURE).double()
    return _Source([_window(feature * mark) for feature in features], mark)


def _greater(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    """Of each feature, that of the source whose phase congruency is greater."""
    where = first[0] > second[0]
    return [torch.where(where, one, other) for one, other in zip(first, second, strict=True)]


def _correlation(source: _Window, fused: _Window) -> Tensor:
    covariance = _mean(source.value * fused.value).addcmul_(source.mean, fused.mean, value=-1)
    return covariance.add_(1e-4) / (source.deviation * fused.deviation).add_(1e-4)


def _mean(x: Tensor) -> Tensor:
    return filter_separable(x, gaussian(11, 1.5), border="zero")


def _features(image: Picture) -> list[Tensor]:
    """Phase congruency, its greatest and its least moment, (N, 1, H, W) each; nan where an image is constant."""

    def compute() -> list[Tensor]:
        of_images = [_features_of(levels[0]) for levels in image.levels]
        return [torch.stack(maps)[:, None] for maps in zip(*of_images, strict=True)]

    return image.once("phase congruency", compute)


def _features_of(levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features of (H, W). A constant one has amplitudes of 0, or of what rounding leaves of them: nan."""
    bank = _bank(*levels.shape, levels.device)
    spectrum = torch.fft.rfft2(levels)
    turned = -1j * spectrum
    product = None if levels.requires_grad else torch.empty_like(spectrum)

    def inverse(spectrum: Tensor, radial: Tensor) -> Tensor:
        wave: Tensor = torch.fft.irfft2(torch.mul(spectrum, radial, out=product), levels.shape, norm="forward")
        return wave

    energies, amplitudes = torch.zeros_like(levels), torch.zeros_like(levels)
    squares = levels.new_empty(_ORIENTATIONS, *levels.shape)
    for orientation, noise in enumerate(bank.noise):
        even, odd = spectrum * bank.even[orientation], turned * bank.odd[orientation]
        waves = [(inverse(even, radial), inverse(odd, radial)) for radial in bank.radial]
        finest = _length(*waves[0])
        threshold = noise * _middle(finest)
        for rows in strips(levels):
            energy, amplitude = _energy([(even[rows], odd[rows]) for even, odd in waves], finest[rows], threshold)
            energies[rows] += energy
            amplitudes[rows] += amplitude
            squares[orientation, rows] = (energy / amplitude).square()
    middle, along, aslant = (_moments(levels) @ squares.flatten(1)).view(3, *levels.shape)
    distance = (_length(aslant, along) + _EPSILON) / 2
    defined = torch.where(levels.amax() > levels.amin(), 1, torch.nan)
    return energies / (amplitudes + _EPSILON) * defined, middle + distance, middle - distance


def _moments(like: Tensor) -> Tensor:
    """Factors of the squares of all orientations in the mean of both moments, their difference and the mixed moment.

    The last are a quarter of what they should be, an accident of Kovesi's code.
    """
    twice = torch.arange(_ORIENTATIONS, dtype=torch.float64, device=like.device) * (2 * math.pi / _ORIENTATIONS)
    return torch.stack([torch.full_like(twice, 1 / 2), twice.cos(), twice.sin() / 4]) * (2 / _ORIENTATIONS)


def _energy(waves: list[tuple[Tensor, Tensor]], finest: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """Energy of one orientation above the noise, weighted by the spread over scales, and sum of the amplitudes."""
    lengths = [finest, *(_length(*wave) for wave in waves[1:])]
    amplitude, greatest = _sum(lengths), reduce(torch.maximum, lengths)
    even, odd = _sum([wave[0] for wave in waves]), _sum([wave[1] for wave in waves])
    astray = _sum([(wave[0] * odd).addcmul_(wave[1], even, value=-1).abs_() for wave in waves])
    total = _length(even, odd)
    energy = (total * total).sub_(astray) / (total + _EPSILON) - threshold
    spread = (amplitude / (greatest + _EPSILON)).mul_(10 / _SCALES).sub_(5)
    return energy.relu_() * spread.sigmoid_(), amplitude


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    return total


def _middle(x: Tensor) -> Tensor:
    """Square root of the median of the squares, which is the mean of two where their number is even."""
    low, high = (x.numel() - 1) // 2, x.numel() // 2
    if x.device.type == "cpu" and not x.requires_grad:
        middle = torch.from_numpy(_ranked(x.numpy().ravel(), low, high))
    else:
        middle = torch.stack([x.flatten().kthvalue(place + 1).values for place in (low, high)])
    return middle.square().mean().sqrt()


def _ranked(values: np.ndarray[Any, Any], low: int, high: int) -> np.ndarray[Any, Any]:
    """Values of two neighbouring ranks near the middle. A sample says where to look, which saves most of the work."""
    sample = np.sort(values[::61])
    first, last = sample[len(sample) * 9 // 20], sample[len(sample) * 11 // 20]
    before = int(np.count_nonzero(values < first))
    near = values[(values >= first) & (values <= last)]
    if before <= low and high < before + len(near):
        values, low, high = near, low - before, high - before
    return np.partition(values, (low, high))[[low, high]]


def _length(x: Tensor, y: Tensor) -> Tensor:
    if x.device.type == "cpu" and not x.requires_grad:
        return torch.from_numpy(cv2.magnitude(x.numpy(), y.numpy()))
    return root(x * x + y * y)


class _Bank(NamedTuple):
    """Filters on half the plane of frequencies, as ``rfft2`` has it.

    A response is complex: its real part is what the even part of the filter makes of the image, its imaginary part what
    the odd part makes. Each filter is the product of a radial and an angular part.

    Attributes:
        radial: of each scale, by the number of pixels, which an inverse transform divides by.
        even: of each orientation.
        odd: of each orientation.
        noise: of each orientation: the threshold by the root median square of the finest scale's amplitudes.
    """

    radial: Tensor
    even: Tensor
    odd: Tensor
    noise: list[float]


@lru_cache(maxsize=2)
@torch.inference_mode(False)
def _bank(height: int, width: int, device: torch.device) -> _Bank:
    down, across = _frequencies(height)[:, None], _frequencies(width)
    radius, angle = torch.hypot(across, down), torch.atan2(-down, across)
    radius[0, 0] = 1
    waves = [_SHORTEST_WAVE * _SCALE_RATIO**scale for scale in range(_SCALES)]
    radial = torch.stack([torch.exp(-((radius * wave).log() / math.log(_BANDWIDTH)).square() / 2) for wave in waves])
    radial[:, 0, 0] = 0

    angles = torch.arange(_ORIENTATIONS, dtype=torch.float64) * (math.pi / _ORIENTATIONS)
    apart = (angle - angles.view(-1, 1, 1)).abs()
    apart = torch.minimum(apart, 2 * math.pi - apart)
    angular = torch.exp(-(apart / _ANGULAR_SIGMA).square() / 2) * _low_pass(height, width)
    # The filter at -k, where k counts from 0 to the size: after 0 backwards.
    opposite = angular.flip(1, 2).roll((1, 1), (1, 2))
    even, odd = (angular + opposite) / 2, (angular - opposite) / 2

    noise = [_noise(radial, *parts) for parts in zip(even, odd, strict=True)]
    # An inverse transform divides by the number of pixels.
    parts = radial / (height * width), even, odd
    radial, even, odd = (part[..., : width // 2 + 1].contiguous().to(device) for part in parts)
    return _Bank(radial, even, odd, noise)


def _noise(radial: Tensor, even: Tensor, odd: Tensor) -> float:
    """Threshold by the root median square of the finest amplitudes, of noise with Rayleigh distributed energy.

    Kovesi sums products of the filters' even waves in space; by Parseval's theorem, of their transforms as well.
    """
    power = 1 / math.log(2) / ((radial[0] * even).square() + (radial[0] * odd).square()).sum()
    tau = (power * (radial.sum(0) * even).square().sum()).sqrt().item()
    return tau * (math.sqrt(math.pi / 2) + 2 * math.sqrt(2 - math.pi / 2)) / 1.7


def _frequencies(size: int) -> Tensor:
    """From -0.5 to 0.5, zero first: an odd size reaches both ends, an even one the negative end."""
    count = torch.arange(size, dtype=torch.float64)
    frequencies: Tensor = torch.fft.ifftshift((count - size // 2) / (size - size % 2))
    return frequencies


def _low_pass(height: int, width: int) -> Tensor:
    down, across = (torch.arange(size, dtype=torch.float64) - size // 2 for size in (height, width))
    radius = torch.hypot(across / width, (down / height)[:, None])
    # An accident of Kovesi's code: where a size is odd, this does not put zero first.
    low_pass: Tensor = torch.fft.fftshift(1 / (1 + (radius / 0.45) ** 30))
    return low_pass
