"""Objective of SwinFusion against the golden table of the fact sheet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from imfuse.losses import swinfusion
from imfuse.losses.common import sobel_magnitude

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


def test_golden_terms(formula_pair: FormulaPair) -> None:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    fused = 0.6 * visible + 0.4 * infrared
    share = swinfusion.infrared_share(sobel_magnitude(infrared), sobel_magnitude(visible))
    assert share.item() == pytest.approx(0.45188245, rel=1e-7)
    similar = [swinfusion.zero_padded_ssim(image, fused).item() for image in (infrared, visible)]
    assert similar == pytest.approx([0.5237608, 0.80963251], rel=1e-7)
    loss, parts = swinfusion.Objective().terms(fused, infrared, visible)
    found = [20 * parts["intensity"].item(), 20 * parts["gradient"].item(), 10 * parts["structure"].item()]
    assert found == pytest.approx([2.6683638, 8.7449139, 3.1954789], rel=1e-7)
    assert loss.item() == pytest.approx(14.608757, rel=1e-7)


def test_images_without_edges_share_alike() -> None:
    flat = torch.zeros(1, 1, 16, 16)
    loss, _ = swinfusion.Objective().terms(flat, flat, flat)
    assert loss.item() == pytest.approx(0, abs=1e-6)
