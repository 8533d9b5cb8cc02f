"""Objectives of RFN-Nest against the golden table of the fact sheet and by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from imfuse.losses.rfn_nest import Objective, Reconstruction
from imfuse.losses.transfusion import released_ms_ssim

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


def test_golden_reconstruction(formula_pair: FormulaPair) -> None:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    fused = 0.6 * visible + 0.4 * infrared
    # The table is of float32, which differs by 8e-6 from float64.
    assert released_ms_ssim(255 * fused, 255 * visible).item() == pytest.approx(0.83289545, rel=1e-7)
    assert released_ms_ssim(fused, visible).item() == pytest.approx(0.83290172, rel=1e-5)
    loss, parts = Reconstruction().terms(fused, visible)
    assert (1 - parts["structure"].item(), loss.item()) == pytest.approx((0.8328889, 1048.2109), rel=1e-5)


def test_fusion_terms_by_hand(formula_pair: FormulaPair) -> None:
    _, visible = formula_pair(64, 80)
    levels = [torch.ones(1, 2, 4, 4) * value for value in (1, 2, 3, 4)]
    image = (visible - visible.min()) / (visible.max() - visible.min())
    loss, parts = Objective().terms(0.3 * image + 0.1, image, levels, levels, [2 * x for x in levels])
    # f - (6 f + 3 * 2 f) = -11 f, squared, times 1, 10, 100, 1000.
    wanted = 121 * (1 * 1 + 10 * 4 + 100 * 9 + 1000 * 16)
    assert parts["features"].item() == pytest.approx(wanted)
    assert parts["structure"].item() == pytest.approx(0, abs=1e-5), "a stretched copy of the visible image"
    assert loss.item() == pytest.approx(wanted, rel=1e-6)
