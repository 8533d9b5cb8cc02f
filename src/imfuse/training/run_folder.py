"""The folder of a run: who works there, what it holds already, and what becomes of a disk that is full."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from imfuse.core.errors import RecipeError
from imfuse.core.files import os_reason
from imfuse.core.lock import output_lock
from imfuse.imaging import remove_leftovers, write_file
from imfuse.training.checkpoints import LAST, PREVIOUS, Position, find_position
from imfuse.training.log import LOG
from imfuse.training.provenance import environment
from imfuse.training.recipe import Recipe, load_recipe

RECIPE = "recipe.yaml"
_DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def held(output: Path) -> Iterator[None]:
    """Make the folder of a training and keep others out while the block runs.

    Raises:
        RecipeError: the folder cannot be made, or its disk refuses to take more.
        ImfuseError: another training works there.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{output}: cannot write there ({error.strerror})") from None
    if getattr(rank_zero_only, "rank", 0):
        # The first of the processes that train together has the lock for all of them.
        yield
        return
    with output_lock(output, "a training"), _disk_errors_in_one_line(output):
        remove_leftovers(output)
        yield


@contextmanager
def _disk_errors_in_one_line(output: Path) -> Iterator[None]:
    """What the disk refuses is no defect, whoever notices: TensorBoard does in a thread of its own, and says so too."""
    as_usual = threading.excepthook

    def show(failed: threading.ExceptHookArgs) -> None:
        if not _is_of_disk(failed.exc_value):
            as_usual(failed)

    threading.excepthook = show
    try:
        yield
    except OSError as error:
        if not _is_of_disk(error):
            raise
        raise RecipeError(f"{output}: cannot write there ({os_reason(error)})", "continue with resume=True") from error
    finally:
        threading.excepthook = as_usual


def _is_of_disk(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_REFUSES


def prepare(recipe: Recipe, output: Path, resume: bool) -> Position | None:
    """Begin the record of a run, or find where it continues.

    Raises:
        RecipeError: the folder holds a run that is not to be continued, or one by another recipe.
        WeightsError: no checkpoint of the run can be read.
    """
    if resume:
        if (output / RECIPE).exists() and load_recipe(output / RECIPE) != recipe:
            raise RecipeError(
                f"{output}: its {RECIPE} is another recipe; give that one", "use output=... for another folder"
            )
        if position := find_position(output):
            return position
        # A run that was stopped before its first checkpoint starts again.
        (output / LOG).unlink(missing_ok=True)
    elif any((output / name).exists() for name in (LOG, LAST, PREVIOUS)):
        raise RecipeError(
            f"{output}: holds a run already", "use resume=True to continue it", "use output=... for another folder"
        )
    write_file(output / RECIPE, recipe.to_yaml().encode())
    write_file(output / "environment.txt", environment().encode())
    return None
