"""imfuse: one image that shows what two show.

>>> import imfuse
>>> "auif" in imfuse.list_models()
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imfuse.core.lazy import lazy_exports

if TYPE_CHECKING:
    from imfuse import (
        benchmark,
        data,
        imaging,
        losses,
        metrics,
        models,
        registration,
        scenes,
        scoring,
        tasks,
        training,
        video,
    )
    from imfuse.core.errors import (
        BenchmarkError,
        ImageError,
        ImfuseError,
        MetricError,
        ModelError,
        PairError,
        RecipeError,
        RegistrationError,
        VideoError,
        WeightsError,
    )
    from imfuse.core.notes import ImfuseWarning
    from imfuse.core.plugins import PluginError
    from imfuse.core.registry import DEFAULT_MODEL, get_spec, list_models, register_method
    from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
    from imfuse.core.version import __version__
    from imfuse.fusing.folder import FolderReport
    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.one_pair import fuse
    from imfuse.fusing.one_stream import stream
    from imfuse.models import FusionModel, create_model
    from imfuse.registration.align import align
    from imfuse.registration.rig import Rig
    from imfuse.scoring.files import score, score_folders
    from imfuse.scoring.scores import Scores
    from imfuse.tasks.segment.segmenter import Segmenter

__all__ = [
    "DEFAULT_MODEL",
    "BenchmarkError",
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

_ERRORS = (
    "BenchmarkError",
    "ImageError",
    "ImfuseError",
    "MetricError",
    "ModelError",
    "PairError",
    "RecipeError",
    "RegistrationError",
    "VideoError",
    "WeightsError",
)
_PACKAGES = (
    "benchmark",
    "data",
    "imaging",
    "losses",
    "metrics",
    "models",
    "registration",
    "scenes",
    "scoring",
    "tasks",
    "training",
    "video",
)
_HOMES = {
    **dict.fromkeys(_ERRORS, "imfuse.core.errors"),
    **dict.fromkeys(("DEFAULT_MODEL", "get_spec", "list_models", "register_method"), "imfuse.core.registry"),
    **dict.fromkeys(("FusionModel", "create_model"), "imfuse.models"),
    "Fuser": "imfuse.fusing.fuser",
    "fuse": "imfuse.fusing.one_pair",
    "stream": "imfuse.fusing.one_stream",
    **dict.fromkeys(("score", "score_folders"), "imfuse.scoring.files"),
    **{name: f"imfuse.{name}" for name in _PACKAGES},
    "align": "imfuse.registration.align",
    "FolderReport": "imfuse.fusing.folder",
    **dict.fromkeys(("ModelSpec", "Option", "Paper", "SizeRule", "WeightsSpec"), "imfuse.core.spec"),
    "ImfuseWarning": "imfuse.core.notes",
    "PluginError": "imfuse.core.plugins",
    "Rig": "imfuse.registration.rig",
    "Scores": "imfuse.scoring.scores",
    "Segmenter": "imfuse.tasks.segment.segmenter",
    "__version__": "imfuse.core.version",
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
