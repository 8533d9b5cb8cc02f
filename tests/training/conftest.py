import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from imfuse.imaging import write_image
from imfuse.scenes import render_scene


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven small rendered pairs with labels, laid out as ``ir``, ``vi``, ``labels``."""
    return write_pairs(tmp_path_factory.mktemp("pairs"), 48, 64)


@pytest.fixture(scope="session")
def larger_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for networks that take at least 64x64 pixels."""
    return write_pairs(tmp_path_factory.mktemp("larger"), 64, 80)


def write_pairs(folder: Path, height: int, width: int) -> Path:
    for seed in range(7):
        scene = render_scene(height, width, seed)
        write_image(folder / "ir" / f"{seed:02}.png", scene.infrared)
        write_image(folder / "vi" / f"{seed:02}.png", scene.visible)
        write_image(folder / "labels" / f"{seed:02}.png", scene.labels.astype(np.uint8))
    return folder


@pytest.fixture
def curves() -> None:
    """Asked for by tests that look at ``curve.png``."""


@pytest.fixture(autouse=True)
def _curves_are_not_rendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves are drawn, but not turned into pixels: that would take as long as the rest of a short training."""
    if "curves" not in request.fixturenames:
        monkeypatch.setattr(Figure, "savefig", lambda figure, stream, **how: None)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run in parallel: one thread each, and the same sums in parent and child processes."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
