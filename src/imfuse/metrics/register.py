"""Metrics of others: registered at run time, or by packages through entry points."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from torch import Tensor

from imfuse.core.errors import MetricError
from imfuse.metrics.catalogue import METRICS
from imfuse.metrics.conventions import CONVENTIONS, get_convention
from imfuse.metrics.conventions._definition import Definition
from imfuse.metrics.spec import MetricSpec

Function = TypeVar("Function", bound=Callable[..., Tensor])

_SYMBOL = re.compile(r"[\w.+-]+")


def register_metric(
    spec: MetricSpec, conventions: Mapping[str, Mapping[str, Any]] | None = None
) -> Callable[[Function], Function]:
    """Decorator that makes a function a metric: it is scored, listed and benchmarked by its symbol as ours are.

    A package does this in a module that an entry point of the group ``imfuse.metrics`` names, under the symbol: the
    module is loaded when metrics are looked for. A function that is registered again, as by a cell of a notebook that
    runs twice, replaces its predecessor.

    Args:
        spec: what the metric says about itself. Its symbol has no spaces and no commas.
        conventions: the function is the definition under ``plain``, with the defaults of its parameters. These are
            other conventions that shall define the metric too, and under each the parameters that are not the defaults.

    Returns:
        The decorator. The function takes the ``Picture`` of the fused images, and those of both sources if
        ``spec.sources`` says so, and returns one value per image, (N,) float64.

    Raises:
        MetricError: another metric has the symbol, the symbol is malformed, a convention is unknown, or the function
            does not take what it would be given.

    Example:
        ```python
        from imfuse.metrics import MetricSpec, Picture, register_metric


        @register_metric(MetricSpec("Contrast", "range of levels", "", (0, 1), "higher", sources=False, paper="none"))
        def contrast(fused: Picture) -> torch.Tensor:
            low, high = fused.levels.flatten(1).aminmax(dim=1)
            return (high - low) / 255
        ```
    """
    if not _SYMBOL.fullmatch(spec.symbol):
        raise MetricError(f"{spec.symbol!r} is no symbol of a metric: letters, digits and any of _ . + - are expected")
    constants = {"plain": {}, **(conventions or {})}
    for name in constants:
        get_convention(name)

    def register(function: Function) -> Function:
        if spec.symbol in METRICS:
            _check_same(spec.symbol, function)
        for given in constants.values():
            _check_arguments(spec, function, given)
        for name, given in constants.items():
            definitions = {**CONVENTIONS[name].definitions, spec.symbol: Definition(function, given)}
            CONVENTIONS[name] = replace(CONVENTIONS[name], definitions=definitions)
        METRICS[spec.symbol] = spec
        return function

    return register


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
