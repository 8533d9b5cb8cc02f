"""Whose weights a row of a table was made with: ours are no results of a published method, though the name is its."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imfuse.benchmark.results import ExternalResults, MethodUsed, WeightsUsed
from imfuse.core.registry import is_of_this_package
from imfuse.core.weights import CONVERTED


@dataclass(frozen=True)
class Origin:
    """Where the weights of a method come from, or its pictures.

    Attributes:
        word: for a column of a table.
        mark: beside the name of a method; empty where there is nothing to say.
        note: what the mark says.
        latex: the mark in LaTeX.
    """

    word: str
    mark: str = ""
    note: str = ""
    latex: str = ""


OURS = Origin("imfuse", "†", "weights that imfuse trained and ships, not the authors' of the method", r"$^{\dagger}$")
AUTHORS = Origin("authors", "‡", "weights of the method's authors, converted from their checkpoint", r"$^{\ddagger}$")
PICTURES = Origin("pictures", "§", "pictures that were made elsewhere, not by imfuse", r"$^{\S}$")
FILE = Origin("file", "¶", "weights of a file, not known to be those of the method's authors", r"$^{\P}$")
RANDOM = Origin("random", "‖", "random weights: the network is not trained", r"$^{\|}$")
OWN = Origin("own")
"""A network that was handed over together with its weights: there is nobody else whose weights they could be."""
NONE = Origin("none")
"""A training-free method."""


def origin_of(method: MethodUsed) -> Origin:
    """Whose weights a method has, by the header of their file as the results keep it.

    >>> origin_of(ExternalResults(title="densefuse")).word
    'pictures'
    """
    if isinstance(method, ExternalResults):
        return PICTURES
    if method.weights is None:
        return NONE
    if method.weights.name == "none":
        return RANDOM
    if method.weights.header.get("recipe") == CONVERTED:
        return AUTHORS
    if not is_of_this_package(method.model):
        return OWN
    return FILE if _is_file(method.weights) else OURS


def footnotes(methods: Iterable[MethodUsed]) -> list[Origin]:
    """The origins that are marked, each once, in a fixed order."""
    found = {origin_of(method) for method in methods}
    return [origin for origin in (OURS, AUTHORS, PICTURES, FILE, RANDOM) if origin in found]


def labels_of(methods: Mapping[str, MethodUsed]) -> dict[str, str]:
    """Names of methods with their marks.

    >>> labels_of({"densefuse": ExternalResults(title="densefuse")})
    {'densefuse': 'densefuse§'}
    """
    return {name: name + origin_of(method).mark for name, method in methods.items()}


def _is_file(weights: WeightsUsed) -> bool:
    """Whether weights were given as a file; those that ship go by a name."""
    return Path(weights.name).suffix != ""
