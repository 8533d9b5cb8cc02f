"""Errors that a caller can act on: a message names the file, what was expected, what was found, and what helps."""

from __future__ import annotations


class ImfuseError(Exception):
    """Base of all errors that imfuse raises on purpose.

    Args:
        message: what is wrong, and where. Parameters are named as Python's are, ``tile=0``.
        advice: what helps, each of it naming the parameter to set: ``"use tile=256"``. The command line writes flags
            instead (``--tile 256``) and leaves out advice on parameters that the command does not have.

    >>> str(ModelError("auif: not enough memory", "use tile=256", "use device='cpu'"))
    "auif: not enough memory; use tile=256; use device='cpu'"
    """

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__("; ".join((message, *advice)))
        self.message, self.advice = message, advice


class ImageError(ImfuseError):
    """An image cannot be read, written or used."""


class PairError(ImfuseError):
    """Two images, or two folders of images, do not belong together."""


class ModelError(ImfuseError):
    """A model name or one of its options is unknown, or the model cannot do what was asked."""


class WeightsError(ImfuseError):
    """A weights file or a checkpoint is missing, damaged or of another layout."""


class RecipeError(ImfuseError):
    """A training recipe, or a value set on top of it, is invalid."""


class MetricError(ImfuseError):
    """A metric or convention is unknown, or its input is not what it needs."""


class BenchmarkError(ImfuseError):
    """A plan, or a file of results, of a benchmark is invalid."""
