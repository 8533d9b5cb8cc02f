"""QP against published values, phase congruency as Kovesi writes it, known cases and invariances."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imfuse.core.errors import MetricError
from imfuse.metrics import phase
from imfuse.metrics._pictures import Picture
from imfuse.metrics.phase import phase_congruency_quality
from metric_pictures import FormulaPair, check_batch, check_memory, formula_values, smooth, tensor, triple, unrounded

# Published values


def test_published_code_run_in_octave(shared: Path, formula_pair: FormulaPair) -> None:
    values = [value for value in formula_values(shared, formula_pair) if value[0]["metric"] == "QP"]
    assert len(values) == 2
    for row, images in values:
        assert phase_congruency_quality(*images).item() == pytest.approx(float(row["value"]), rel=1e-9), row


def test_picture(shared: Path) -> None:
    """Value of the fact sheet for pair 08 of TNO, fused by DenseFuse."""
    images = triple(shared, "densefuse", "08")
    assert phase_congruency_quality(*images, 255).item() == pytest.approx(0.7198612175, rel=1e-9)


# Kovesi's algorithm, filter by filter


def axis(size: int) -> np.ndarray:
    if size % 2:
        return np.arange(-(size - 1) / 2, (size + 1) / 2) / (size - 1)
    return np.arange(-size / 2, size / 2) / size


def kovesi(image: np.ndarray) -> list[np.ndarray]:
    """Phase congruency, greatest and least moment."""
    height, width = image.shape
    x, y = np.meshgrid(axis(width), axis(height))
    radius, theta = np.fft.ifftshift(np.hypot(x, y)), np.fft.ifftshift(np.arctan2(-y, x))
    radius[0, 0] = 1
    x, y = np.meshgrid((np.arange(width) - width // 2) / width, (np.arange(height) - height // 2) / height)
    low_pass = np.fft.fftshift(1 / (1 + (np.hypot(x, y) / 0.45) ** 30))
    energies = amplitudes = xx = yy = xy = np.zeros(image.shape)
    for angle in np.arange(6) * math.pi / 6:
        apart = np.abs(np.arctan2(np.sin(theta - angle), np.cos(theta - angle)))
        filters = []
        for scale in range(4):
            log_gabor = np.exp(-(np.log(radius * 3 * 2.1**scale) ** 2) / (2 * math.log(0.55) ** 2)) * low_pass
            log_gabor[0, 0] = 0
            filters.append(log_gabor * np.exp(-(apart**2) / (2 * (math.pi / 7.2) ** 2)))
        responses = [np.fft.ifft2(np.fft.fft2(image) * each) for each in filters]
        total = np.sum(responses, 0)
        unit = total / (np.abs(total) + 1e-4)
        energy = sum((each * unit.conj()).real - np.abs((each * unit.conj()).imag) for each in responses)
        waves = [np.fft.ifft2(each).real * math.sqrt(image.size) for each in filters]
        power = -np.median(np.abs(responses[0]) ** 2) / math.log(0.5) / np.sum(filters[0] ** 2)
        squares = sum(np.sum(wave**2) for wave in waves)
        products = sum(np.sum(waves[i] * waves[j]) for i in range(4) for j in range(i + 1, 4))
        tau = math.sqrt((2 * power * squares + 4 * power * products) / 2)
        noise = (tau * math.sqrt(math.pi / 2) + 2 * math.sqrt((2 - math.pi / 2) * tau**2)) / 1.7
        amplitude = np.sum(np.abs(responses), 0)
        spread = amplitude / (np.max(np.abs(responses), 0) + 1e-4) / 4
        energy = np.maximum(energy - noise, 0) / (1 + np.exp(10 * (0.5 - spread)))
        energies, amplitudes = energies + energy, amplitudes + amplitude
        across, down = energy / amplitude * math.cos(angle), energy / amplitude * math.sin(angle)
        xx, yy, xy = xx + across**2 / 3, yy + down**2 / 3, xy + across * down / 6
    length = np.sqrt(xy**2 + (xx - yy) ** 2) + 1e-4
    return [energies / (amplitudes + 1e-4), (xx + yy + length) / 2, (xx + yy - length) / 2]


@pytest.mark.parametrize("size", [(32, 40), (33, 41), (32, 27), (11, 16)])
def test_features_are_kovesis(size: tuple[int, int]) -> None:
    image = smooth(*size, seed=2)[0]
    wanted = kovesi(image.numpy()[0, 0])
    assert np.max(wanted[0]) > 0.3
    for found, feature in zip(phase._features(Picture(image, 255)), wanted, strict=True):
        np.testing.assert_allclose(found[0, 0].numpy(), feature, rtol=1e-9, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float64, st.integers(2, 400), elements=st.integers(0, 30)))
def test_ranks_near_the_middle(values: np.ndarray) -> None:
    low, high = (values.size - 1) // 2, values.size // 2
    assert phase._ranked(values, low, high).tolist() == np.sort(values)[[low, high]].tolist()


def test_ranks_where_the_sample_misleads() -> None:
    values = np.random.default_rng(0).normal(size=6100)
    values[::61] += 10
    assert phase._ranked(values, 3049, 3050).tolist() == np.sort(values)[[3049, 3050]].tolist()


def test_greater_phase_congruency_decides_for_all_features() -> None:
    first, second = (
        [tensor(np.array([values])) for values in each]
        for each in (
            ([0.2, 0.4], [1.0, 2.0]),
            ([0.3, 0.3], [3.0, 4.0]),
        )
    )
    assert [feature.flatten().tolist() for feature in phase._greater(first, second)] == [[0.3, 0.4], [3.0, 2.0]]


# Known cases


def test_same_images() -> None:
    """One where phase congruency exceeds 0.1 everywhere, below that where it does not."""
    board = tensor((np.indices((32, 48)) // 8).sum(0) % 2 * 200.0)
    diagonal = tensor(np.indices((32, 48)).sum(0) // 8 % 2 * 200.0)
    assert phase_congruency_quality(board, board, board, 255).item() == pytest.approx(1, rel=1e-9)
    assert 0.5 < phase_congruency_quality(diagonal, diagonal, diagonal, 255).item() <= 1
    assert phase_congruency_quality(board, diagonal, diagonal, 255).item() < 0.5


def test_constant_images_are_undefined() -> None:
    images = smooth(24, 24, 1)
    for level in (0, 77):
        flat = torch.full((1, 1, 24, 24), float(level))
        for place in range(3):
            parts = [flat if place == i else image for i, image in enumerate(images)]
            assert math.isnan(phase_congruency_quality(*parts, 255).item())
    # One image of a batch does not spoil the others.
    batch = [torch.cat([image, image]) for image in images]
    batch[0][1] = 0
    scores = phase_congruency_quality(*batch, 255)
    assert scores.isnan().tolist() == [False, True]


def test_too_small() -> None:
    images = smooth(11, 14, 0)
    assert phase_congruency_quality(*images, 255).isfinite().all()
    with pytest.raises(MetricError, match="QP needs at least 11x11 pixels, found 14x10"):
        phase_congruency_quality(*(image[..., 1:, :] for image in images), 255)


# Invariances


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_sources_and_mirror_images(seed: int) -> None:
    f, a, b = smooth(33, 41, seed)
    score = phase_congruency_quality(f, a, b, 255).item()
    assert phase_congruency_quality(f, b, a, 255).item() == pytest.approx(score, rel=1e-9)
    # The spectrum of an even size is not symmetric, and the low-pass of an odd one is off by one: nearly the same.
    assert phase_congruency_quality(f.flip(3), a.flip(3), b.flip(3), 255).item() == pytest.approx(score, rel=0.05)


def test_offset_changes_nothing() -> None:
    f, a, b = (image // 2 for image in smooth(32, 36, 3))
    score = phase_congruency_quality(f, a, b, 255).item()
    assert phase_congruency_quality(f + 9, a + 100, b, 255).item() == pytest.approx(score, rel=1e-9)


def test_batch_is_one_by_one() -> None:
    check_batch(phase_congruency_quality, [smooth(24, 27, seed) for seed in range(3)])


def test_pictures_remember_nothing_wrong() -> None:
    check_memory(phase_congruency_quality, smooth(24, 27, 4), smooth(24, 27, 5))


@pytest.mark.parametrize("size", [(24, 28), (25, 27)])
def test_path_of_gradients_gives_the_same(size: tuple[int, int]) -> None:
    f, a, b = smooth(*size, seed=6)
    score = phase_congruency_quality(f.requires_grad_(), a, b, 255)
    score.sum().backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()
    assert score.item() == pytest.approx(phase_congruency_quality(f.detach(), a, b, 255).item(), rel=1e-10)


def test_gradients() -> None:
    images = [image.double().requires_grad_() for image in smooth(14, 15, 8)]
    torch.autograd.gradcheck(
        lambda *each: phase_congruency_quality(*map(unrounded, each)), images, rtol=1e-3, atol=1e-8, fast_mode=True
    )


def test_filters_made_without_gradients_serve_them() -> None:
    phase._bank.cache_clear()
    f, a, b = smooth(12, 13, 0)
    with torch.inference_mode():
        phase_congruency_quality(f, a, b, 255)
    phase_congruency_quality(f.requires_grad_(), a, b, 255).sum().backward()
    assert f.grad is not None
