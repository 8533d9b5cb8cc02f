"""What several test modules share: the shared folder, golden values, weights and a rendered pair."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from imfuse.core import registry
from imfuse.core.weights import save_weights
from imfuse.models import FusionModel, create_model
from imfuse.models._convert import convert
from imfuse.scenes import render_scene

Pair = tuple[Tensor, Tensor]

# Machines that run tests are busy: an example that takes long is not a fault.
settings.register_profile("imfuse", deadline=None)
settings.load_profile("imfuse")

# A shell that runs the tests in the background ignores Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def registered_methods() -> Iterator[None]:
    """Methods that the tests of a module register are forgotten after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_registered", dict(registry._registered))
        yield


def shared_folder() -> Path:
    """The folder with published data: ``IMFUSE_SHARED``, else ``shared`` beside the checkout; skips without it."""
    folder = Path(os.environ.get("IMFUSE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "golden" / "rules.py").is_file():
        pytest.skip(f"no shared folder at {folder}: set IMFUSE_SHARED to compare with published data")
    return folder


def as_tensor(image: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None, None]


@dataclass(frozen=True)
class Golden:
    """Golden values of the fact sheets: ``rules.py`` gives inputs and weights by formula, ``<method>.npz`` outputs."""

    folder: Path
    rules: ModuleType

    def pair(self, height: int, width: int) -> Pair:
        infrared, visible = self.rules.pair(height, width)
        return as_tensor(infrared), as_tensor(visible)

    def arrays(self, method: str) -> dict[str, Tensor]:
        """Outputs, each (1, 1, H, W)."""
        with np.load(self.folder / f"{method}.npz") as stored:
            return {name: as_tensor(value) for name, value in stored.items()}

    def checkpoint(self, method: str) -> dict[str, Tensor]:
        """The authors' layout, all entries filled by formula, step counters included.

        Kernels of TensorFlow, whose names have slashes, get PyTorch's order of axes.
        """
        return dict(self._entries(method))

    @lru_cache(maxsize=1)  # noqa: B019 - there is one, for the whole session
    def _entries(self, method: str) -> dict[str, Tensor]:
        entries = self.rules.checkpoint(self.folder / f"{method}.keys.json")
        turned = {n: v.transpose(3, 2, 0, 1) if "/" in n and v.ndim == 4 else v for n, v in entries.items()}
        return {name: torch.tensor(np.asarray(value)) for name, value in turned.items()}

    def filled(self, method: str, **options: Any) -> FusionModel:
        """The network with the weights of :meth:`checkpoint`, in evaluation mode."""
        model = create_model(method, weights=None, **options)
        theirs, state = self.checkpoint(method), model.state_dict()
        # Where nothing was published, the layout is ours.
        layout = model.published_layout() or {name: name for name in theirs}
        state |= {ours: theirs[name] for name, ours in layout.items()}
        model.load_state_dict(state)
        return model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The images of the tests are small: threads would spend their time on waiting, above all beside other workers."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    return shared_folder()


@pytest.fixture(scope="session")
def golden(shared: Path) -> Golden:
    source = shared / "golden" / "rules.py"
    spec = importlib.util.spec_from_file_location("golden_rules", source)
    assert spec is not None
    assert spec.loader is not None
    rules = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(rules)
    finally:
        sys.dont_write_bytecode = written
    return Golden(source.parent, rules)


@pytest.fixture(scope="session")
def formula_pair() -> Callable[[int, int], Pair]:
    """The inputs of the fact sheets, float32 (1, 1, H, W): what ``rules.pair`` gives, without the shared folder."""

    def make(height: int, width: int) -> Pair:
        y, x = np.mgrid[0:height, 0:width].astype(np.float64)
        down, across = 2 * np.pi * y / height, 2 * np.pi * x / width
        infrared = 0.45 + 0.3 * np.sin(3 * down + 2 * across) + 0.2 * ((7 * y + 13 * x) % 17) / 17
        visible = 0.40 + 0.3 * np.cos(2 * down - 5 * across) + 0.2 * ((11 * y + 5 * x) % 19) / 19
        infrared, visible = (np.clip(image, 0, 1).astype(np.float32) for image in (infrared, visible))
        return as_tensor(infrared), as_tensor(visible)

    return make


CHECKPOINTS = {
    "densefuse": "densefuse_model_bs2_epoch4_all_weight_1e2.ckpt.index",
    "sdnet": "IRVIS.model-10.index",
    "seafusion": "SeAFusion.pth",
    "u2fusion": "model.ckpt.index",
}
"""The checkpoint of a method that stands for its published results, where it is not a folder of its own."""


@pytest.fixture(scope="session")
def published_files(shared: Path) -> Callable[[str], list[Path]]:
    """The authors' checkpoint of a method, as ``convert`` takes it; skips without it."""
    return lambda method: [shared / "official" / method / CHECKPOINTS.get(method, "checkpoints")]


@pytest.fixture(scope="session")
def published_weights(
    published_files: Callable[[str], list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Path of a weights file that ``convert`` made of the authors' checkpoint of a method; skips without it."""

    @cache
    def make(method: str) -> Path:
        target = tmp_path_factory.mktemp("published") / f"{method}.safetensors"
        assert convert(published_files(method), target) == method
        return target

    return make


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Path of a weights file with seeded random weights of a method.

    The batch norms have seen rendered scenes, so that the states of the network neither explode nor saturate.
    """

    @cache
    def make(method: str) -> Path:
        path = tmp_path_factory.mktemp("random") / f"{method}.safetensors"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create_model(method, weights=None)
        for name, value in model.named_parameters():
            if name.endswith(".eta"):
                # Random steps of full length amplify rounding from layer to layer: nothing could be compared.
                value.data *= 0.1
        save_weights(path, calibrated(model).state_dict(), {"model": method})
        return path

    return make


@pytest.fixture(scope="session")
def calibrate() -> Callable[[FusionModel], FusionModel]:
    """Fit the batch norms of a network to its other weights (in place), by rendered scenes; evaluation mode."""
    return calibrated


def calibrated(model: FusionModel) -> FusionModel:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    infrared, visible = (torch.cat(side) for side in zip(*(tensors_of_scene(80, 112, i) for i in (1, 2)), strict=True))
    with torch.no_grad():
        model.train()(infrared, visible)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def tensors_of_scene(height: int, width: int, seed: int) -> Pair:
    infrared, visible = levels_of_scene(height, width, seed)
    return infrared / 255, visible / 255


@cache
def levels_of_scene(height: int, width: int, seed: int) -> Pair:
    """Rendered once: a scene takes a quarter of a second, whatever its size."""
    scene = render_scene(height, width, seed)
    luminance = scene.visible.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return as_tensor(scene.infrared.astype(np.float32)), as_tensor(luminance.round())


@pytest.fixture(scope="session")
def scene_pair() -> Callable[[int, int, int], Pair]:
    """Infrared and luminance (1, 1, H, W) in [0, 1] of a rendered street."""
    return tensors_of_scene
