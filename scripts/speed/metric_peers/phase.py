"""QP by Kovesi's phase congruency with NumPy's FFT, filter by filter, as ports of the MATLAB code compute it.

The filter bank and its noise figures are made anew for each image. The package phasepack, which estimates the noise
otherwise, takes nine tenths of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Levels = np.ndarray[Any, Any]

_EPSILON = 1e-4


def phase_congruency(fused: Levels, infrared: Levels, visible: Levels) -> float:
    f, a, b = (_features(image.astype(np.float64)) for image in (fused, infrared, visible))
    masks = a[0] > 0.1, b[0] > 0.1, np.maximum(a[0], b[0]) > 0.1
    product = 1.0
    for of_fused, first, second in zip(f, a, b, strict=True):
        wanted = first * masks[0], second * masks[1], np.where(a[0] > b[0], first, second) * masks[2]
        alike = [_correlation(source, of_fused) * mask for source, mask in zip(wanted, masks, strict=True)]
        product *= float(np.maximum.reduce(alike).sum() / masks[2].sum())
    return product


def _correlation(x: Levels, y: Levels) -> Levels:
    line = cv2.getGaussianKernel(11, 1.5)
    window = line @ line.T

    def mean(image: Levels) -> Levels:
        return cv2.filter2D(image, -1, window, borderType=cv2.BORDER_CONSTANT)

    mean_x, mean_y = mean(x), mean(y)
    variances = (mean(x * x) - mean_x * mean_x) * (mean(y * y) - mean_y * mean_y)
    return (mean(x * y) - mean_x * mean_y + 1e-4) / (np.sqrt(np.abs(variances)) + 1e-4)


def _features(image: Levels) -> tuple[Levels, Levels, Levels]:
    """Phase congruency, its greatest and its least moment."""
    height, width = image.shape
    spectrum = np.fft.fft2(image)
    x, y = np.meshgrid(_axis(width), _axis(height))
    radius, angle = np.fft.ifftshift(np.hypot(x, y)), np.fft.ifftshift(np.arctan2(-y, x))
    radius[0, 0] = 1
    rows, columns = (np.arange(height) - height // 2) / height, (np.arange(width) - width // 2) / width
    low_pass = np.fft.fftshift(1 / (1 + (np.hypot(columns, rows[:, None]) / 0.45) ** 30))
    radial = []
    for scale in range(4):
        log_gabor = np.exp(-(np.log(radius * 3 * 2.1**scale) ** 2) / (2 * math.log(0.55) ** 2)) * low_pass
        log_gabor[0, 0] = 0
        radial.append(log_gabor)
    energies = amplitudes = moment_x = moment_y = moment_xy = np.zeros_like(image)
    for orientation in np.arange(6) * math.pi / 6:
        distance = np.abs(np.arctan2(np.sin(angle - orientation), np.cos(angle - orientation)))
        spread = np.exp(-(distance**2) / (2 * (math.pi / 6 / 1.2) ** 2))
        energy, amplitude = _energy(spectrum, [part * spread for part in radial])
        energies, amplitudes = energies + energy, amplitudes + amplitude
        congruency = energy / amplitude
        across, down = congruency * math.cos(orientation), congruency * math.sin(orientation)
        moment_x, moment_y = moment_x + across**2, moment_y + down**2
        moment_xy = moment_xy + across * down
    moment_x, moment_y, moment_xy = moment_x / 3, moment_y / 3, moment_xy / 6
    length = np.sqrt(moment_xy**2 + (moment_x - moment_y) ** 2) + _EPSILON
    both = moment_x + moment_y
    return energies / (amplitudes + _EPSILON), (both + length) / 2, (both - length) / 2


def _energy(spectrum: Levels, filters: list[Levels]) -> tuple[Levels, Levels]:
    responses = [np.fft.ifft2(spectrum * part) for part in filters]
    lengths = [np.abs(response) for response in responses]
    total = sum(responses[1:], responses[0])
    size = np.sqrt(total.real**2 + total.imag**2) + _EPSILON
    even, odd = total.real / size, total.imag / size
    energy = np.zeros_like(even)
    for response in responses:
        across = np.abs(response.real * odd - response.imag * even)
        energy += response.real * even + response.imag * odd - across
    power = -np.median(lengths[0] ** 2) / math.log(0.5) / (filters[0] ** 2).sum()
    waves = [np.fft.ifft2(part).real * math.sqrt(total.size) for part in filters]
    own = sum((wave**2).sum() for wave in waves)
    crossed = sum((waves[i] * waves[j]).sum() for i in range(4) for j in range(i + 1, 4))
    tau = math.sqrt((2 * power * own + 4 * power * crossed) / 2)
    threshold = (tau * math.sqrt(math.pi / 2) + 2 * math.sqrt((2 - math.pi / 2) * tau**2)) / 1.7
    amplitude = sum(lengths[1:], lengths[0])
    width = amplitude / (np.maximum.reduce(lengths) + _EPSILON) / 4
    return np.maximum(energy - threshold, 0) / (1 + np.exp(10 * (0.5 - width))), amplitude


def _axis(size: int) -> Levels:
    return np.arange(-(size - 1) / 2, size / 2) / (size - 1) if size % 2 else np.arange(-size / 2, size / 2) / size


PEERS: dict[str, Callable[[Levels, Levels, Levels], float]] = {"QP": phase_congruency}
