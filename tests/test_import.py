from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

import imfuse

PUBLIC = [
    "BenchmarkError",
    "DEFAULT_MODEL",
    "FolderReport",
    "Fuser",
    "FusionModel",
    "ImageError",
    "ImfuseError",
    "ImfuseWarning",
    "MetricError",
    "ModelError",
    "ModelSpec",
    "Option",
    "PairError",
    "Paper",
    "PluginError",
    "RecipeError",
    "RegistrationError",
    "Rig",
    "Scores",
    "Segmenter",
    "SizeRule",
    "VideoError",
    "WeightsError",
    "WeightsSpec",
    "__version__",
    "align",
    "benchmark",
    "create_model",
    "data",
    "fuse",
    "get_spec",
    "imaging",
    "list_models",
    "losses",
    "metrics",
    "models",
    "register_method",
    "registration",
    "scenes",
    "score",
    "score_folders",
    "scoring",
    "stream",
    "tasks",
    "training",
    "video",
]
HEAVY = {"torch", "numpy", "cv2", "PIL", "lightning", "matplotlib", "safetensors", "scipy", "torchmetrics"}


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_is_light() -> None:
    code = "import time; start = time.perf_counter(); import imfuse; print(time.perf_counter() - start)"
    assert statistics.median(float(python(code)) for _ in range(5)) < 0.2
    loaded = python("import imfuse, sys; print(*sys.modules)").split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("what", ["imfuse.cli.main; imfuse.cli.main.build_app()", "imfuse; imfuse.list_models()"])
def test_no_torch_for_help_and_lists(what: str) -> None:
    loaded = python(f"import sys; import {what}; print(*sys.modules)").split()
    assert not HEAVY & set(loaded)


def test_public_names() -> None:
    assert sorted(imfuse.__all__) == PUBLIC
    assert dir(imfuse) == PUBLIC
    assert all(getattr(imfuse, name) is not None for name in PUBLIC)
    python("from imfuse import *; assert Fuser is not None and metrics is not None")


def test_metrics_are_listed_and_loaded_when_used() -> None:
    code = "import sys, imfuse.metrics; from imfuse.metrics import METRICS; dir(imfuse.metrics); print(*sys.modules)"
    assert not HEAVY & set(python(code).split())
    assert dir(imfuse.metrics) == sorted(imfuse.metrics.__all__)
    assert all(getattr(imfuse.metrics, name) is not None for name in imfuse.metrics.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'sharpness'"):
        imfuse.metrics.sharpness  # noqa: B018


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fuze'"):
        imfuse.fuze  # noqa: B018
