"""Objectives of CDDFuse against the golden table of the fact sheet."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from imfuse.losses import cddfuse
from imfuse.losses.common import dssim, sobel_gradient
from imfuse.models.cddfuse import Features

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


@pytest.fixture
def images(formula_pair: FormulaPair) -> tuple[Tensor, Tensor, Tensor]:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    return infrared, visible, 0.6 * visible + 0.4 * infrared


def test_golden_terms(images: tuple[Tensor, Tensor, Tensor]) -> None:
    infrared, visible, fused = images
    loss, parts = cddfuse.Objective().terms(fused, infrared, visible)
    found = (parts["intensity"].item(), parts["gradient"].item(), loss.item())
    assert found == pytest.approx((0.13341819, 0.4372457, 4.5058752), rel=1e-7)
    assert (dssim(visible, fused).item(), dssim(infrared, fused).item()) == pytest.approx(
        (0.10521183, 0.26938831), rel=1e-7
    )
    assert F.l1_loss(sobel_gradient(visible), sobel_gradient(fused)).item() == pytest.approx(0.027848293, rel=1e-7)


def test_golden_correlations(images: tuple[Tensor, Tensor, Tensor]) -> None:
    infrared, visible, fused = images
    assert cddfuse.channel_correlation(visible, infrared).item() == pytest.approx(-0.00057837623, abs=1e-9)
    assert cddfuse.channel_correlation(fused, visible).item() == pytest.approx(0.83190184, rel=1e-7)
    found = cddfuse.decomposition(Features(fused, infrared), Features(visible, visible))
    assert found.item() == pytest.approx(1.8161612e-07, rel=1e-5)


def test_golden_reconstruction(images: tuple[Tensor, Tensor, Tensor]) -> None:
    """A model whose decoder gives the fused image for both: the table's sums, and a correlation of 1 of equal bases."""
    infrared, visible, fused = images
    model = SimpleNamespace(encoder=lambda x: Features(fused, x), decoder=lambda features, skip: _Double(fused))
    loss, parts = cddfuse.Reconstruction()(model, {"infrared": infrared, "visible": visible})
    assert parts["visible"].item() == pytest.approx(0.54192227, rel=1e-7)
    assert parts["infrared"].item() == pytest.approx(1.3826336, rel=1e-7)
    assert parts["gradient"].item() == pytest.approx(0.027848293, rel=1e-7)
    wanted = 0.54192227 + 1.3826336 + 5 * 0.027848293 + 2 * parts["decomposition"].item()
    assert loss.item() == pytest.approx(wanted, rel=1e-7)
    assert parts["decomposition"].item() == pytest.approx(0.00057837623**2 / 2.01, rel=1e-4)


class _Double:
    """An image that stays float64 where the objective asks for float32."""

    def __init__(self, image: Tensor) -> None:
        self.image = image

    def float(self) -> Tensor:
        return self.image


def test_correlation_of_constants_is_nothing() -> None:
    assert cddfuse.channel_correlation(torch.ones(1, 2, 4, 4), torch.rand(1, 2, 4, 4)).item() == 0
