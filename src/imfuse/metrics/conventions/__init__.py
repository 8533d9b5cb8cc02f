"""Conventions: for each metric, which function with which constants gave the numbers of a body of papers.

One file per convention; what programs do by accident is in ``metrics/accidents.py``.
"""

from __future__ import annotations

import difflib

from imfuse.core.errors import MetricError
from imfuse.metrics._open import OpenMapping
from imfuse.metrics.catalogue import METRICS, load_plugins
from imfuse.metrics.conventions import cddfuse, hli, plain, refinefuse, tang2022, tang2023, vifb, zliu
from imfuse.metrics.conventions._definition import Convention, Definition, Gray

__all__ = ["CONVENTIONS", "Convention", "Definition", "Gray", "get_convention", "get_definition"]

CONVENTIONS: OpenMapping[Convention] = OpenMapping(
    {
        module.CONVENTION.name: module.CONVENTION
        for module in (plain, cddfuse, refinefuse, tang2022, tang2023, vifb, hli, zliu)
    },
    load_plugins,
)


def get_convention(name: str) -> Convention:
    """The convention of a name.

    Args:
        name: such as ``plain``.

    Returns:
        The convention, with the metrics that installed packages add to it.

    Raises:
        MetricError: there is none; the message lists those there are.

    Example:
        >>> get_convention("vifb").origin
        'the VIFB benchmark'
    """
    if name not in CONVENTIONS:
        raise MetricError(f"unknown convention {name!r}; there are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def get_definition(symbol: str, convention: str = "plain") -> Definition:
    """How a convention defines a metric.

    Args:
        symbol: of the metric, such as ``EN``.
        convention: its name.

    Returns:
        The function and its constants.

    Raises:
        MetricError: the metric or the convention is unknown, or the convention does not define the metric; the message
            lists the conventions that do.

    Example:
        >>> dict(get_definition("MI", "vifb").constants)
        {'unit': 'nat'}
    """
    if symbol not in METRICS:
        near = difflib.get_close_matches(symbol, METRICS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METRICS)}"
        raise MetricError(f"unknown metric {symbol!r}; {hint}")
    definitions = get_convention(convention).definitions
    if symbol not in definitions:
        others = [name for name, other in CONVENTIONS.items() if symbol in other.definitions]
        raise MetricError(f"convention {convention} does not define {symbol}; {', '.join(others)} do")
    return definitions[symbol]
