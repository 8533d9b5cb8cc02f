"""Registered pairs that are not: noticed where it is plain, and never said of one that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imfuse.registration.drift import NOTICED, shifted
from registration_pairs import gray, head, scene, turned

SETS = {
    "tno": ("tno/ir", "tno/vi"),
    "roadscene": ("roadscene/test/ir", "roadscene/test/vi"),
    "msrs": ("msrs_sample/ir", "msrs_sample/vi"),
    "m3fd": ("m3fd_sample/ir", "m3fd_sample/vi"),
    "nir": ("nir_country/ir", "nir_country/vi"),
    "mri_pet": ("medical/mri_pet/test/pet", "medical/mri_pet/test/mri"),
}


@pytest.mark.parametrize("seed", [2, 5, 7])
def test_a_rendered_pair_is_registered(seed: int) -> None:
    off = shifted(*scene(seed))
    assert off is None or off <= NOTICED


@pytest.mark.parametrize(("x", "y"), [(8, 0), (0, -6), (12, 9)])
def test_a_shift_is_told_in_pixels(x: int, y: int) -> None:
    infrared, visible = scene(5)
    off = shifted(np.roll(infrared, (y, x), (0, 1)), visible)
    assert off == pytest.approx(np.hypot(x, y), abs=1.5)


def test_a_shift_is_told_in_pixels_of_the_picture_not_of_its_small_copy() -> None:
    infrared, visible = scene(5, 480, 640)
    assert shifted(np.roll(infrared, 16, 1), visible) == pytest.approx(16, abs=3)


def test_nothing_is_said_without_evidence() -> None:
    noise = np.random.default_rng(0).random((2, 96, 128), np.float32)
    assert shifted(noise[0], noise[1]) is None
    assert shifted(np.zeros((96, 128), np.float32), noise[1]) is None
    assert shifted(noise[0], noise[1][:, 1:]) is None
    assert shifted(noise[0, :60], noise[0, :60]) is None, "too small"
    pair = head(turned(0, 12, 0))
    assert shifted(pair.moving, pair.fixed) is None, "scans have too little in common"


@pytest.mark.parametrize("name", SETS)
def test_registered_data_sets_are_not_doubted_and_shifted_ones_are(shared: Path, name: str) -> None:
    folders = [sorted((shared / "data" / folder).iterdir()) for folder in SETS[name]]
    noticed = []
    for paths in list(zip(*folders, strict=True))[:: len(folders[0]) // 5]:
        infrared, visible = (gray(path) for path in paths)
        off = shifted(infrared, visible)
        assert off is None or off <= NOTICED, paths
        moved = shifted(np.roll(infrared, (6, 8), (0, 1)), visible)
        noticed.append(moved is not None and moved > NOTICED)
    assert name == "mri_pet" or np.mean(noticed) > 0.5
