"""Errors that a caller can act on: a message names the file, what was expected, what was found, and what helps."""

from __future__ import annotations


class ImfuseError(Exception):
    """Base of all errors that imfuse raises on purpose."""


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
