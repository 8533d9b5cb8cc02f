"""From a resolved method to its network: the module is imported here, with torch, and not before."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from imfuse.core.errors import ModelError
from imfuse.core.registry import find_method
from imfuse.core.resolve import ResolvedModel, resolve_model
from imfuse.core.spec import Value
from imfuse.core.weights import load_state
from imfuse.models._base import FusionModel


def create_model(name: str, weights: str | Path | None = "default", **options: Value) -> FusionModel:
    """Build a method in evaluation mode.

    Args:
        name: of the method, or where a network of yours lies: ``file.py:Name``, ``package.module:Name``.
        weights: name of shipped weights, path of a safetensors file, or ``None`` for random values; a training-free
            method has none, whatever is given.
        options: those of the method's specification, such as ``rule="average"`` or ``levels=3``.

    Returns:
        The network: ``forward(infrared, visible)`` takes and returns (N, 1, H, W) in [0, 1].

    Raises:
        ModelError: the method, an option or its value is unknown.
        WeightsError: the weights are missing, damaged or do not fit.

    Example:
        >>> sum(p.numel() for p in create_model("auif").parameters())
        11631
    """
    return build_model(resolve_model(name, weights, options))


def build_model(resolved: ResolvedModel) -> FusionModel:
    """The network of a resolved method, its weights loaded, in evaluation mode. Raises ``WeightsError``."""
    model = model_class(resolved.spec.name)(**resolved.options)
    if resolved.weights is not None:
        model.load_state_dict(load_state(resolved.weights, resolved.spec, model.state_dict()))
    return model.eval()


def model_class(name: str) -> type[FusionModel]:
    """The network class of a method (imports torch); raises what :func:`imfuse.get_spec` raises."""
    method = find_method(name)
    if method.network is not None:
        return cast("type[FusionModel]", method.network)
    for value in vars(importlib.import_module(method.module)).values():
        if isinstance(value, type) and issubclass(value, FusionModel) and vars(value).get("spec") == method.spec:
            return value
    raise ModelError(f"{method.module} defines a SPEC but no network class that carries it")
