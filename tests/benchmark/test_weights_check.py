"""The guard of weights: what it finds in methods that are known to be right, and in ones that are made wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.benchmark import check_weights, weights_check
from imfuse.benchmark.weights_check import WeightsCheck
from imfuse.cli.main import main

Faults = Callable[[Tensor, Tensor], Tensor]


def checks(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], Tensor]) -> dict[str, WeightsCheck]:
    """What is found where a fault is put onto the mean of both pictures."""
    real = weights_check.fuse_by_network

    def faulty(fuser: object, infrared: np.ndarray, visible: np.ndarray) -> np.ndarray:
        mean = torch.from_numpy((infrared + visible) / 2)
        return fault(mean).clamp(0, 1).numpy()

    assert callable(real)
    monkeypatch.setattr(weights_check, "fuse_by_network", faulty)
    return {check.name: check for check in check_weights("laplacian_pyramid")}


def test_a_method_without_weights_passes() -> None:
    found = check_weights("laplacian_pyramid")
    assert all(check.passed for check in found)
    assert [check.name for check in found] == list(weights_check.CHECKS)


def grid(image: Tensor) -> Tensor:
    pattern = torch.zeros_like(image)
    pattern[:, ::4] = 2 / 255
    return image + pattern


def frame(image: Tensor) -> Tensor:
    framed = image.clone()
    framed[:3] *= 0.2
    return framed


FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], set[str]]] = {
    "grid": (grid, {"grid"}),
    "frame": (frame, {"frame"}),
    "haze": (lambda image: 0.1 + 0.9 * image, {"black", "veil", "between"}),
    "gray whites": (lambda image: 0.9 * image, {"white", "between", "dim"}),
    "lost nights": (lambda image: image**2, {"dim", "identity"}),
    "glare": (lambda image: image.sqrt(), {"bright", "identity", "veil"}),
    "noise": (lambda image: image + 3 * (image - image.mean()), {"noise", "identity"}),
    "stains": (lambda image: image + torch.linspace(0, 0.05, image.shape[1]), {"even", "between"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    function, expected = FAULTS[fault]
    found = checks(monkeypatch, function)
    assert expected <= {name for name, check in found.items() if not check.passed}


def test_the_plain_mean_is_never_blamed_for_a_grid_or_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    found = checks(monkeypatch, lambda image: image)
    assert all(check.passed for check in found.values()), found


def test_what_a_specification_declares_passes_with_its_reason() -> None:
    check = WeightsCheck("noise", 2.0, 1.15, "times", "noise on 40", "it sharpens, as its paper does")
    assert check.passed
    assert not WeightsCheck("noise", 2.0, 1.15, "times", "noise on 40").passed


def test_the_command_prints_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "check-weights", "laplacian_pyramid", "auif:paper"]) == 1
    out = capsys.readouterr().out
    assert "laplacian_pyramid" in out
    assert "auif" in out
    assert "between" in out
