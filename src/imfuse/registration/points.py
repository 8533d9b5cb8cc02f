"""Matched points of a pair from a file, picked by hand or elsewhere, and the transform that they decide."""

from __future__ import annotations

import csv
import io
import math
import os

import numpy as np

from imfuse.core.errors import RegistrationError
from imfuse.core.files import read_input
from imfuse.core.text import printable, shortened
from imfuse.registration.transform import LEAST_POINTS, Model, Points, Transform, fit_transform

MAX_BYTES, MAX_POINTS = 1 << 20, 10_000
_HEADERS = (
    ("x_visible", "y_visible", "x_infrared", "y_infrared"),
    ("x_fixed", "y_fixed", "x_moving", "y_moving"),
)
_EXPECTED = "a list of points, CSV with x_visible,y_visible,x_infrared,y_infrared,"


def read_points(path: str | os.PathLike[str]) -> tuple[Points, Points]:
    """Read matched points, in pixels from 0 at the centre of the upper left one.

    Args:
        path: CSV in UTF-8 with a line of headings: x_visible, y_visible, x_infrared, y_infrared in any order; or
            x_fixed, y_fixed, x_moving, y_moving, the fixed picture being the visible one.

    Returns:
        Points (N, 2) of the infrared picture, and those of the visible one.

    Raises:
        RegistrationError: a heading is missing, or a line has no four numbers; the message names the line.

    Example:
        ```python
        infrared, visible = read_points("points.csv")
        ```
    """
    data, shown = read_input(path, RegistrationError, _EXPECTED, MAX_BYTES, fixed=True), printable(os.fspath(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegistrationError(f"{shown}: not a text in UTF-8 (byte {error.start})") from None
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise RegistrationError(f"{shown}: line {reader.line_num}: not CSV ({error})") from None
    columns = _columns([name.strip() for name in reader.fieldnames or ()], shown)
    if len(rows) > MAX_POINTS:
        raise RegistrationError(f"{shown}: {len(rows)} points found, at most {MAX_POINTS} are read")
    values = [[_number(row, name, line, shown) for name in columns] for line, row in enumerate(rows, start=2)]
    table = np.array(values, np.float64).reshape(-1, 4)
    return table[:, 2:], table[:, :2]


def transform_of_points(infrared: Points, visible: Points, model: Model | None = None) -> tuple[Transform, float]:
    """The transform of least squares, and how far the points are from where it puts them.

    Args:
        infrared: (N, 2).
        visible: (N, 2), their partners.
        model: the freedom; left out: the least that leaves every point as near to where the others put it as more does.

    Returns:
        The transform, and the root mean square of the distances in pixels of the visible picture.

    Raises:
        RegistrationError: the points are too few, or do not decide the model.

    Example:
        >>> square = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]])
        >>> transform, residual = transform_of_points(square, square + 3)
        >>> transform.model, round(residual, 6)
        ('shift', 0.0)
    """
    chosen = model or _simplest(infrared, visible)
    transform = fit_transform(infrared, visible, chosen)
    off = np.linalg.norm(transform.apply(infrared) - visible, axis=1)
    if not np.isfinite(off).all():
        raise RegistrationError(f"{len(infrared)} points lie so that they decide no {chosen}")
    return transform, float(np.sqrt((off**2).mean()))


def _simplest(infrared: Points, visible: Points) -> Model:
    """By points that are left out one at a time: the first model whose error is not a tenth above the least."""
    errors: dict[Model, float] = {}
    models: tuple[Model, ...] = ("shift", "similarity", "affine", "homography")
    for model in models:
        if len(infrared) > LEAST_POINTS[model]:
            errors[model] = _left_out(infrared, visible, model)
    if not errors:
        raise RegistrationError(
            f"{len(infrared)} points: at least 2 are needed to choose a model", "name model='shift'"
        )
    # A hundredth of a pixel is what nobody can pick.
    most = 1.1 * min(errors.values()) + 0.01
    return next(model for model, error in errors.items() if error <= most)


def _left_out(infrared: Points, visible: Points, model: Model) -> float:
    off = []
    for index in range(len(infrared)):
        rest = np.arange(len(infrared)) != index
        try:
            found = fit_transform(infrared[rest], visible[rest], model)
        except RegistrationError:
            return math.inf
        off.append(float(np.linalg.norm(found.apply(infrared[[index]]) - visible[[index]])))
    return float(np.sqrt(np.mean(np.square(off))))


def _columns(found: list[str], shown: str) -> tuple[str, ...]:
    for header in _HEADERS:
        if set(header) <= set(found):
            return header
    here = shortened(",".join(found)) or "nothing"
    raise RegistrationError(f"{shown}: line 1: {here} found, {','.join(_HEADERS[0])} is expected")


def _number(row: dict[str, str | None], name: str, line: int, shown: str) -> float:
    text = next((value for key, value in row.items() if isinstance(key, str) and key.strip() == name), None)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e6:
        raise RegistrationError(
            f"{shown}: line {line}: {name}: {shortened(text or 'nothing')} found, a number expected"
        )
    return value
