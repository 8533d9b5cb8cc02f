"""Objectives of EMMA: golden distance, the transformations by another implementation, who teaches."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from imfuse.losses import emma
from imfuse.models.emma import SensedPrediction

FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


def test_golden_distance(formula_pair: FormulaPair) -> None:
    infrared, visible = (image.double() for image in formula_pair(64, 80))
    assert emma.distance(0.6 * visible + 0.4 * infrared, visible).item() == pytest.approx(0.1306302, rel=1e-6)


@pytest.mark.parametrize("degrees", emma.ANGLES)
@pytest.mark.parametrize("size", [(20, 20), (17, 30)])
def test_rotation_is_that_of_scipy(formula_pair: FormulaPair, degrees: float, size: tuple[int, int]) -> None:
    image = formula_pair(*size)[0].double()
    found = emma.rotated(image, degrees)[0, 0].numpy()
    wanted = ndimage.rotate(image[0, 0].numpy(), degrees, reshape=False, order=1, mode="grid-constant")
    assert np.abs(found - wanted).max() < 1e-9


def test_transformations(formula_pair: FormulaPair) -> None:
    image = torch.cat(formula_pair(16, 20))
    moved = emma.transformed(image, [emma.Shift(1, 0), emma.Shift(0, -2), emma.Shift(3, 4)]).chunk(9)
    assert torch.equal(moved[0][:, :, 1:], image[:, :, :-1])
    assert torch.equal(moved[1][..., :-2], image[..., 2:])
    assert torch.equal(moved[6], image.flip(2))
    assert torch.equal(moved[8], image.flip(2).flip(3))


def test_shifts_are_those_of_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = set()
    for _ in range(200):
        image = torch.rand(1, 1, 6, 9, generator=generator)
        shifts = emma.drawn_shifts(image)
        assert shifts == emma.drawn_shifts(image.clone())
        drawn |= set(shifts)
    assert {shift.rows for shift in drawn} == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5}
    assert {abs(shift.columns) for shift in drawn} == set(range(1, 9))


def test_terms_of_a_fuser_that_senses_perfectly(formula_pair: FormulaPair) -> None:
    """Sensing networks that give back the fused image, a fuser that takes the infrared one: nothing is left but V."""
    infrared, visible = formula_pair(32, 48)

    class Copy:
        sensing_ir = sensing_vi = nn.Identity()

        def __call__(self, first: Tensor, _: Tensor) -> Tensor:
            return first

        def predict(self, first: Tensor, _: Tensor) -> Any:
            return SensedPrediction(first, first, first)

    loss, parts = emma.Objective()(Copy(), {"infrared": infrared, "visible": visible})
    assert parts["infrared"].item() == parts["equivariance"].item() == 0
    assert loss.item() == pytest.approx(emma.distance(infrared, visible).item())


def test_sensing_learns_from_methods_that_ship(formula_pair: FormulaPair) -> None:
    infrared, visible = (image.repeat(4, 1, 1, 1) for image in formula_pair(33, 40))
    fused = emma.fused_by_others(infrared, visible)
    assert fused.shape == infrared.shape
    assert torch.equal(fused[0], fused[3]), "the first method's turn comes again"
    assert all((fused[i] - fused[j]).abs().max() > 0.01 for i, j in ((0, 1), (1, 2), (0, 2)))
    model = SimpleNamespace(sensing_ir=torch.zeros_like, sensing_vi=torch.ones_like)
    loss, parts = emma.Sensing()(model, {"infrared": infrared, "visible": visible})
    assert parts["infrared"].item() == pytest.approx(infrared.square().mean().item())
    assert parts["visible"].item() == pytest.approx((1 - visible).square().mean().item())
    assert loss.item() == pytest.approx(parts["infrared"].item() + parts["visible"].item())
