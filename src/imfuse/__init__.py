"""imfuse: one image that shows what two show.

>>> import imfuse
>>> "auif" in imfuse.list_models()
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imfuse import data, imaging, losses, metrics, models
    from imfuse._scores import Scores
    from imfuse.core.errors import (
        ImageError,
        ImfuseError,
        MetricError,
        ModelError,
        PairError,
        RecipeError,
        WeightsError,
    )
    from imfuse.core.registry import DEFAULT_MODEL, create_model, get_spec, list_models
    from imfuse.core.spec import ModelSpec
    from imfuse.folder import FolderReport
    from imfuse.fuser import Fuser, fuse
    from imfuse.models import FusionModel
    from imfuse.scoring import score, score_folders
    from imfuse.segmenter import Segmenter

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MODEL",
    "FolderReport",
    "Fuser",
    "FusionModel",
    "ImageError",
    "ImfuseError",
    "MetricError",
    "ModelError",
    "ModelSpec",
    "PairError",
    "RecipeError",
    "Scores",
    "Segmenter",
    "WeightsError",
    "__version__",
    "create_model",
    "data",
    "fuse",
    "get_spec",
    "imaging",
    "list_models",
    "losses",
    "metrics",
    "models",
    "score",
    "score_folders",
]

_MODULES = ("data", "imaging", "losses", "metrics", "models")
_ERRORS = ("ImageError", "ImfuseError", "MetricError", "ModelError", "PairError", "RecipeError", "WeightsError")
_HOMES = {
    **dict.fromkeys(_ERRORS, "imfuse.core.errors"),
    **dict.fromkeys(("create_model", "get_spec", "list_models"), "imfuse.core.registry"),
    "DEFAULT_MODEL": "imfuse.core.registry",
    **dict.fromkeys(("Fuser", "fuse"), "imfuse.fuser"),
    **dict.fromkeys(("score", "score_folders"), "imfuse.scoring"),
    "FolderReport": "imfuse.folder",
    "FusionModel": "imfuse.models",
    "ModelSpec": "imfuse.core.spec",
    "Scores": "imfuse._scores",
    "Segmenter": "imfuse.segmenter",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import imfuse`` alone must not wait for torch."""
    if name in _MODULES:
        return importlib.import_module(f"imfuse.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'imfuse' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
