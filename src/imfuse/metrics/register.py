"""Metrics of others: registered at run time, or by packages through entry points."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics.catalogue import METRICS
from imfuse.metrics.conventions import CONVENTIONS, get_convention
from imfuse.metrics.conventions._definition import Definition
from imfuse.metrics.spec import MetricSpec

_SYMBOL = re.compile(r"[\w.+-]+")


def register_metric(
    spec: MetricSpec,
    function: Callable[..., Tensor],
    conventions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add a metric, so that it is scored, listed and benchmarked by its symbol as those of this library are.

    A package does this in a module that an entry point of the group ``imfuse.metrics`` names, under the symbol: the
    module is loaded when metrics are looked for. A function that is registered again, as by a cell of a notebook that
    runs twice, replaces its predecessor.

    Args:
        spec: what the metric says about itself. Its symbol has no spaces and no commas.
        function: takes the ``Picture`` of the fused images, and those of both sources if ``spec.sources`` says so;
            returns one value per image, (N,) float64. It is the plain definition, with the defaults of its parameters.
        conventions: other conventions that shall define the metric too, and under each the parameters of the function
            that are not the defaults.

    Raises:
        MetricError: another metric has the symbol, the symbol is malformed, a convention is unknown, or the function
            does not take what it would be given.

    Example:
        ```python
        from imfuse.metrics import MetricSpec, Picture, register_metric


        def contrast(fused: Picture) -> torch.Tensor:
            low, high = fused.levels.flatten(1).aminmax(dim=1)
            return (high - low) / 255


        spec = MetricSpec("Contrast", "range of levels", "", (0, 1), "higher", sources=False, paper="none")
        register_metric(spec, contrast)
        ```
    """
    symbol = spec.symbol
    if not _SYMBOL.fullmatch(symbol):
        raise MetricError(f"{symbol!r} is no symbol of a metric: letters, digits and any of _ . + - are expected")
    if symbol in METRICS:
        _check_same(symbol, function)
    constants = {"plain": {}, **(conventions or {})}
    for name, given in constants.items():
        get_convention(name)
        _check_arguments(spec, function, given)
    for name, given in constants.items():
        definitions = {**CONVENTIONS[name].definitions, symbol: Definition(function, given)}
        CONVENTIONS[name] = replace(CONVENTIONS[name], definitions=definitions)
    METRICS[symbol] = spec


def _check_same(symbol: str, function: Callable[..., Tensor]) -> None:
    """Raise unless the metric was registered before with a function of the same module and name."""
    earlier, later = (_place(each) for each in (CONVENTIONS["plain"].definitions[symbol].function, function))
    if earlier != later:
        raise MetricError(f"two metrics have the symbol {symbol!r}: {earlier} and {later}")


def _place(function: Callable[..., Tensor]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', function)}"


def _check_arguments(spec: MetricSpec, function: Callable[..., Tensor], constants: Mapping[str, Any]) -> None:
    images = ("fused", "infrared", "visible") if spec.sources else ("fused",)
    try:
        inspect.signature(function).bind(*images, **constants)
    except TypeError as error:
        given = ", ".join((*images, *(f"{name}={value!r}" for name, value in constants.items())))
        raise MetricError(f"{spec.symbol}: {_place(function)} cannot be called with ({given}): {error}") from None
