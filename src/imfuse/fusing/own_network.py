"""A network that a caller built and hands over: what the library must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from imfuse.core.errors import ModelError
from imfuse.core.resolve import ResolvedModel
from imfuse.core.spec import ModelSpec, Value


def resolve_network(network: nn.Module, weights: str | Path | None, options: Mapping[str, Value]) -> ResolvedModel:
    """A network that is at hand: its specification, and its weights as they are.

    Raises:
        ModelError: it says nothing of itself, or weights or options are asked for besides.
    """
    spec = getattr(network, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise ModelError(
            f"{type(network).__name__}: has no specification; set spec = imfuse.ModelSpec(...) in its class, or put "
            "@imfuse.register_method(...) above it"
        )
    if weights not in ("default", None):
        raise ModelError(f"weights={str(weights)!r}: a network brings its own; load them into it, or give its name")
    if options:
        raise ModelError(f"{next(iter(options))}=...: options are given to the constructor of the network")
    values = getattr(network, "options", {})
    if missing := [option.name for option in spec.options if option.name not in values]:
        raise ModelError(
            f"{type(network).__name__}: which {missing[0]} it was built with is not known; derive it from "
            "imfuse.FusionModel, or set network.options"
        )
    values = spec.check_options(values)
    return ResolvedModel(spec.with_options(values), values)
