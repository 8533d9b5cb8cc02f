"""From the name of a method to its network: the module is imported here, with torch, and not before."""

from __future__ import annotations

import importlib
from pathlib import Path

from imfuse.core.errors import ModelError
from imfuse.core.registry import get_spec, module_of
from imfuse.core.weights import load_weights, resolve_weights
from imfuse.models._base import FusionModel


def model_class(name: str) -> type[FusionModel]:
    """The network class of a method (imports torch)."""
    spec, module = get_spec(name), module_of(name)
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, type) and issubclass(value, FusionModel) and vars(value).get("spec") == spec:
            return value
    raise ModelError(f"{module} defines a SPEC but no network class that carries it")


def create_model(name: str, weights: str | Path | None = "default", **options: str) -> FusionModel:
    """Build a method in evaluation mode.

    ``weights`` is the name of a shipped entry, the path of a safetensors file, or ``None`` for random values; a
    training-free method has none, whatever is given.
    ``options`` are those of the method's specification, such as ``rule="average"``.
    Raises ``ModelError`` or ``WeightsError``.

    >>> sum(p.numel() for p in create_model("auif").parameters())
    11631
    """
    spec = get_spec(name)
    model = model_class(name)(**spec.check_options(options))
    if weights is not None and not spec.training_free:
        model.load_state_dict(load_weights(resolve_weights(spec, weights), spec, model.state_dict()))
    return model.eval()
