"""Errors that a caller can act on: a message names the file, what was expected, what was found, and what helps."""

from __future__ import annotations


class ImfuseError(Exception):
    """Base of all errors that imfuse raises on purpose.

    ``message`` and ``advice`` are its attributes; ``str(error)`` joins them.

    Args:
        message: what is wrong, and where. Parameters are named as Python's are, ``tile=0``.
        advice: what helps, each of it naming the parameter to set: ``"use tile=256"``. The command line writes flags
            instead and leaves out advice on parameters that the command does not have.

    Example:
        >>> error = ImfuseError("auif: not enough memory", "use tile=256", "use device='cpu'")
        >>> str(error)
        "auif: not enough memory; use tile=256; use device='cpu'"
        >>> error.advice
        ('use tile=256', "use device='cpu'")
    """

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__("; ".join((message, *advice)))
        self.message, self.advice = message, advice


class ImageError(ImfuseError):
    """An image cannot be read, written or used.

    Example:
        >>> import imfuse
        >>> try:
        ...     imfuse.imaging.read_image("missing.png")
        ... except imfuse.ImageError as error:
        ...     print(error.message)
        missing.png: no such file
    """


class PairError(ImfuseError):
    """Two images, or two folders of images, do not belong together.

    Example:
        >>> import imfuse, numpy
        >>> infrared, visible = numpy.zeros((48, 64), "uint8"), numpy.zeros((48, 80), "uint8")
        >>> try:
        ...     imfuse.fuse(infrared, visible)
        ... except imfuse.PairError as error:
        ...     print(error.message.partition(";")[0])
        infrared is 64x48 but visible is 80x48 (width x height)
    """


class ModelError(ImfuseError):
    """A model name or one of its options is unknown, or the model cannot do what was asked.

    Example:
        >>> import imfuse
        >>> try:
        ...     imfuse.create_model("auiff")
        ... except imfuse.ModelError as error:
        ...     print(error.message.partition("?")[0])
        unknown model 'auiff': did you mean 'auif'
    """


class WeightsError(ImfuseError):
    """A weights file or a checkpoint is missing, damaged or of another layout.

    Example:
        >>> import imfuse
        >>> try:
        ...     imfuse.create_model("auif", weights="missing.safetensors")
        ... except imfuse.WeightsError as error:
        ...     print(error.message.partition(";")[0])
        missing.safetensors: no such weights file
    """


class RecipeError(ImfuseError):
    """A training recipe, or a value set on top of it, is invalid.

    Example:
        >>> import imfuse
        >>> from imfuse.training.recipe import load_recipe
        >>> try:
        ...     load_recipe("auif", ["epoch=3"])
        ... except imfuse.RecipeError as error:
        ...     print(error.message)
        recipe auif: unknown key 'epoch'
    """


class RegistrationError(ImfuseError):
    """Two pictures cannot be aligned, or a file of an alignment is invalid.

    Example:
        >>> raise RegistrationError("rig.json: no matrix in it")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.RegistrationError: rig.json: no matrix in it
    """


class VideoError(ImfuseError):
    """A video cannot be read, written or continued.

    Example:
        >>> raise VideoError("visible.mp4: holds no pictures")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.VideoError: visible.mp4: holds no pictures
    """


class MetricError(ImfuseError):
    """A metric or convention is unknown, or its input is not what it needs.

    Example:
        >>> import imfuse
        >>> try:
        ...     imfuse.metrics.get_convention("tang")
        ... except imfuse.MetricError as error:
        ...     print(error.message.partition(";")[0])
        unknown convention 'tang'
    """


class BenchmarkError(ImfuseError):
    """A plan, or a file of results, of a benchmark is invalid.

    Example:
        >>> raise BenchmarkError("results.json: not a file of results", "run the benchmark again")
        Traceback (most recent call last):
            ...
        imfuse.core.errors.BenchmarkError: results.json: not a file of results; run the benchmark again
    """


def describe_failure(error: Exception, path: object) -> str:
    """One line on why the work on one file of many failed; the others continue.

    Args:
        error: what was raised: an ``ImfuseError`` speaks for itself, anything else is a defect of the package.
        path: the file that was worked on, for errors that do not name one.

    Returns:
        The message, with the file.

    Example:
        >>> describe_failure(PairError("a.png is 4x4 but b.png is 5x5"), "b.png")
        'a.png is 4x4 but b.png is 5x5'
        >>> describe_failure(KeyError("weight"), "b.png")
        "b.png: KeyError: 'weight'; try this one alone to see where"
    """
    if isinstance(error, MetricError):
        # Metrics know tensors, not files.
        return f"{path}: {error}"
    if isinstance(error, ImfuseError):
        return str(error)
    return f"{path}: {type(error).__name__}: {first_line(error, 'no message')}; try this one alone to see where"


def first_line(error: BaseException, otherwise: str = "") -> str:
    """First line of an error's text; ``otherwise``, or else the name of its class, where it has none.

    Args:
        error: any error.
        otherwise: what to say of an error without a text.

    Returns:
        One line.

    Example:
        >>> first_line(ValueError("two\\nlines")), first_line(MemoryError()), first_line(MemoryError(), "no message")
        ('two', 'MemoryError', 'no message')
    """
    return next(iter(str(error).splitlines()), "") or otherwise or type(error).__name__
