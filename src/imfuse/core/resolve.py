"""From what a user asks for to what is built: method, options and weights, each looked up and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imfuse.core.registry import get_spec
from imfuse.core.spec import ModelSpec, Value
from imfuse.core.weights import (
    check_made_for,
    model_of,
    read_header,
    resolve_weights,
    trained_options,
    weights_hash,
)


@dataclass(frozen=True)
class ResolvedModel:
    """A method as it is asked for.

    Args:
        spec: of the method, with what the options change of it.
        options: values of all options, typed.
        weights: the file to load; ``None`` for random values, and for methods that need none.
        sha256: of that file; empty without one.
        provenance: header of the file: method, recipe, data, licence and what else its maker wrote.
    """

    spec: ModelSpec
    options: Mapping[str, Value]
    weights: Path | None = None
    sha256: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


def resolve_model(
    model: str | None = None,
    weights: str | Path | None = "default",
    options: Mapping[str, Value] | None = None,
) -> ResolvedModel:
    """Look a method up with its options and weights; nothing is built.

    Args:
        model: a name, ``file.py:Name`` or ``package.module:Name``; left out: the method that a file of weights is
            for, else the default one.
        weights: name of shipped weights, path of a safetensors file, or ``None`` (on a command line "none") for random
            values. A training-free method has none, whatever is given.
        options: of the method, values or their texts. What is not given is as the weights were trained, if their
            header says so, else the method's default.

    Returns:
        What :func:`imfuse.models.build_model` takes.

    Raises:
        ModelError: the method, an option or its value is unknown.
        WeightsError: the weights are missing, damaged or for another method.

    Example:
        >>> resolve_model("auif", options={"rule": "l1"}).weights.name
        'auif.safetensors'
    """
    weights = None if weights == "none" else weights
    spec = get_spec(model or model_of(weights))
    values = spec.check_options(options or {})
    if weights is None or spec.training_free:
        return ResolvedModel(spec.with_options(values), values)
    path = resolve_weights(spec, weights)
    header = read_header(path)
    check_made_for(path, header, spec)
    values = spec.check_options({**trained_options(path, header, spec), **(options or {})})
    return ResolvedModel(spec.with_options(values), values, path, weights_hash(path), header)
