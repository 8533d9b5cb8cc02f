"""Two cameras that are fixed to one another: what is known of them, in a file, and one's picture seen by the other."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from typing_extensions import Self

from imfuse.core.errors import RegistrationError
from imfuse.core.files import read_input
from imfuse.core.output import write_output
from imfuse.core.problems import first_problem
from imfuse.core.text import printable
from imfuse.imaging._resize import same_aspect
from imfuse.imaging.nodata import Mask, fill_no_data
from imfuse.registration.lens import MOST_SIDE, Camera, Matrix
from imfuse.registration.transform import Model, Points, Transform, resized

MAX_BYTES = 1 << 20
SCHEMA: Literal["imfuse.rig"] = "imfuse.rig"
VERSION = 1
Outside = Literal["crop", "visible"]
_EXPECTED = "a rig, as imfuse align writes it,"
_Name = Annotated[str, Field(max_length=4096)]
_Share = 0.75
"""Below this factor a picture is shrunk by means first: a kernel of constant size would skip pixels."""


class Dropped(BaseModel):
    """A frame that was not used, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    frame: _Name
    reason: _Name


class Box(NamedTuple):
    """A rectangle of pixels: ``right`` and ``bottom`` are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts it out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Rig(BaseModel):
    """Two cameras that are fixed to one another.

    Pixels are counted from 0, x to the right and y downwards; whole numbers are their centres.

    Attributes:
        format: ``schema`` in the file: what kind of file it is.
        version: of the schema.
        model: freedom of the transform: identity, shift, rigid, similarity, affine or homography.
        visible_from_infrared: the transform, 3x3, between the pictures without distortion of the lenses.
        infrared: size and lens of the infrared camera.
        visible: those of the visible one.
        valid: the rectangle of the visible picture that the infrared one covers: left, top, and the first column and
            row outside.
        residual: how far matches are from where the transform puts them, in pixels of the visible picture.
        agreement: how well edges of frames that had no part in the estimate agree, in standard deviations of chance.
        method: how it was estimated: frames, points, board, pair or given.
        frames: what it was estimated from.
        dropped: frames that were not used, and why.

    Example:
        >>> from imfuse.registration.transform import identity
        >>> rig = Rig.of(identity(), (48, 64), (48, 64))
        >>> rig.valid
        Box(left=0, top=0, right=64, bottom=48)
        >>> rig.align(np.ones((96, 128), np.uint16), np.zeros((48, 64, 3), np.uint8)).shape
        (48, 64)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    format: Literal["imfuse.rig"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = 1
    model: Model
    visible_from_infrared: Matrix
    infrared: Camera
    visible: Camera
    valid: Box
    residual: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    agreement: FiniteFloat | None = None
    method: Literal["frames", "points", "board", "pair", "given"] = "given"
    frames: tuple[_Name, ...] = Field(default=(), max_length=10_000)
    dropped: tuple[Dropped, ...] = Field(default=(), max_length=10_000)

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        try:
            transform = self.transform
        except RegistrationError as error:
            raise ValueError(f"visible_from_infrared: {error.message}") from None
        if np.abs(transform.matrix).max() > 1e6:
            raise ValueError("visible_from_infrared: no number beyond 1000000 is expected")
        left, top, right, bottom = self.valid
        if not (0 <= left < right <= self.visible.width and 0 <= top < bottom <= self.visible.height):
            raise ValueError(f"valid: a part of {self.visible.width}x{self.visible.height} pixels is expected")
        return self

    @property
    def transform(self) -> Transform:
        """From the infrared to the visible picture, both without distortion."""
        return Transform(np.array(self.visible_from_infrared), self.model)

    @property
    def digest(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    @classmethod
    def of(
        cls,
        transform: Transform,
        infrared: Camera | tuple[int, int],
        visible: Camera | tuple[int, int],
        **known: Any,
    ) -> Rig:
        """A rig with a transform, whose valid area is measured.

        Args:
            transform: from infrared to visible.
            infrared: camera, or height and width of its pictures.
            visible: the same.
            known: other fields.

        Returns:
            The rig.

        Raises:
            RegistrationError: the infrared picture covers nothing of the visible one, or a size is no size.

        Example:
            >>> moved = Transform(np.array([[1.0, 0, 10], [0, 1, 0], [0, 0, 1]]), "shift")
            >>> Rig.of(moved, (48, 64), (48, 64)).valid
            Box(left=10, top=0, right=64, bottom=48)
        """
        try:
            first, second = (
                one if isinstance(one, Camera) else Camera(width=one[1], height=one[0]) for one in (infrared, visible)
            )
            matrix = tuple(tuple(float(value) for value in row) for row in transform.matrix)
            whole = Box(0, 0, second.width, second.height)
            fields: dict[str, Any] = {"model": transform.model, "visible_from_infrared": matrix, **known}
            rig = cls(infrared=first, visible=second, valid=whole, **fields)
            return cls(infrared=first, visible=second, valid=rig.valid_box(second.size), **fields)
        except ValidationError as error:
            raise RegistrationError(f"rig: {first_problem(error)}") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Rig:
        """Read a rig.json.

        Args:
            path: the file, of at most 1 MiB.

        Returns:
            The rig.

        Raises:
            RegistrationError: it cannot be read, or is no rig.

        Example:
            ```python
            rig = Rig.read("rig.json")
            ```
        """
        data, shown = read_input(path, RegistrationError, _EXPECTED, MAX_BYTES, fixed=True), printable(os.fspath(path))
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise RegistrationError(f"{shown}: not a JSON file, {_EXPECTED.strip(',')} is expected") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise RegistrationError(f"{shown}: not {_EXPECTED.strip(',')}: no schema={SCHEMA!r} in it")
        if content.get("version") != VERSION:
            raise RegistrationError(f"{shown}: of another version, this one of imfuse reads {VERSION}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise RegistrationError(f"{shown}: {first_problem(error)}") from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it; a reader sees the old file or the new one, whole.

        Args:
            path: the file, such as rig.json.

        Raises:
            RegistrationError: it cannot be written.

        Example:
            ```python
            rig.write("rig.json")
            ```
        """
        write_output(path, self._text().encode(), RegistrationError)

    def align(self, infrared: npt.NDArray[Any], visible: npt.NDArray[Any]) -> np.ma.MaskedArray[Any, Any]:
        """Resample an infrared picture on the pixels of a visible one, once: lens, transform and size together.

        Args:
            infrared: (H, W) or (H, W, C), of any size with the aspect of the rig's and of any type; masked or NaN where
                it holds no data.
            visible: its partner, of which only the size counts.

        Returns:
            The picture, of its own type, masked where the infrared camera shows nothing; ``Fuser`` takes it so.

        Raises:
            RegistrationError: a size has not the aspect of the rig's.

        Example:
            >>> from imfuse.registration.transform import identity
            >>> rig = Rig.of(identity(), (2, 3), (2, 3))
            >>> rig.align(np.array([[1, 2, 3], [4, 5, 6]]), np.zeros((2, 3))).tolist()
            [[1, 2, 3], [4, 5, 6]]
        """
        warped, outside = self.warped(infrared, (visible.shape[0], visible.shape[1]))
        mask = outside if warped.ndim == 2 else np.repeat(outside[..., None], warped.shape[2], axis=2)
        return np.ma.MaskedArray(warped, mask)

    def warped(self, infrared: npt.NDArray[Any], size: tuple[int, int], name: str = "infrared") -> tuple[Any, Mask]:
        """What :meth:`align` does, without a masked array.

        Args:
            infrared: (H, W) or (H, W, C).
            size: height and width of the visible picture.
            name: what errors call the infrared picture.

        Returns:
            The picture, 0 where it has no data, and where that is.
        """
        filled, holes = fill_no_data(infrared, name)
        x, y, inside = self._places((filled.shape[0], filled.shape[1]), size, name)
        kind = filled.dtype
        work = filled.astype(np.float64 if kind.itemsize > 2 and kind != np.float32 else np.float32)
        low, high = work.min(), work.max()
        warped = np.clip(_sampled(work, x, y, cv2.INTER_LANCZOS4), low, high)
        if holes is not None:
            inside = inside & (_sampled(holes.astype(np.float32), x, y, cv2.INTER_LINEAR) <= 0)
        warped[~inside] = 0
        return (np.rint(warped) if kind.kind in "ui" else warped).astype(kind), ~inside

    def valid_box(self, size: tuple[int, int]) -> Box:
        """The rectangle of a visible picture of (height, width) that the infrared one covers.

        Raises:
            RegistrationError: there is none.
        """
        return _largest_box(self._places(self.infrared.size, size, "infrared")[2])

    def _places(self, moving: tuple[int, int], fixed: tuple[int, int], name: str) -> tuple[Any, Any, Mask]:
        for side, found, camera in ((name, moving, self.infrared), ("visible", fixed, self.visible)):
            if not same_aspect(found, camera.size) or max(found) > MOST_SIDE:
                raise RegistrationError(
                    f"{printable(side)}: {found[1]}x{found[0]} pixels, but the rig is of {camera.width}x{camera.height}"
                    " (width x height)",
                    "give pictures with the aspect ratio of the rig",
                )
        return _places(self, moving, fixed)

    def _text(self) -> str:
        return self.model_dump_json(indent=1, by_alias=True) + "\n"


@lru_cache(maxsize=2)
def _places(rig: Rig, moving: tuple[int, int], fixed: tuple[int, int]) -> tuple[Any, Any, Mask]:
    """Where in an infrared picture each pixel of a visible one lies, x and y, and whether it does."""
    height, width = fixed
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    straight = rig.visible.straightened(_rescaled(grid, fixed, rig.visible.size))
    seen = rig.infrared.bent(rig.transform.inverse().apply(straight))
    # Rounding in the inverse must not empty the border of an identity. Pictures of any size cover the same.
    last = np.array([rig.infrared.width, rig.infrared.height]) - 1
    inside = ((seen >= -1e-3) & (seen <= last + 1e-3)).all(axis=1)
    x, y = _rescaled(seen, rig.infrared.size, moving).T
    places = [np.where(inside, side, 0).astype(np.float32).reshape(height, width) for side in (x, y)]
    return places[0], places[1], cast("Mask", inside.reshape(height, width))


def _rescaled(points: Points, size: tuple[int, int], other: tuple[int, int]) -> Points:
    """Points of a picture of (height, width) in the same picture at another size."""
    if size == other:
        return points
    return Transform(resized(other[1] / size[1], other[0] / size[0])).apply(points)


def _sampled(picture: npt.NDArray[Any], x: Any, y: Any, interpolation: int) -> npt.NDArray[Any]:
    """The picture at places; shrunk before, where neighbouring places skip pixels of it."""
    height, width = x.shape
    step = min(abs(float(x[height // 2, -1] - x[height // 2, 0])) / max(width - 1, 1), 8.0)
    if (factor := 1 / max(step, 1e-6)) < _Share:
        size = tuple(max(1, round(side * factor)) for side in picture.shape[1::-1])
        small = cv2.resize(cast(Any, picture), size, interpolation=cv2.INTER_AREA)
        ratios = [small.shape[axis] / picture.shape[axis] for axis in (1, 0)]
        places = [(side + 0.5) * ratio - 0.5 for side, ratio in zip((x, y), ratios, strict=True)]
        picture, (x, y) = small, [side.astype(np.float32) for side in places]
    return np.asarray(cv2.remap(cast(Any, picture), x, y, interpolation, borderMode=cv2.BORDER_REFLECT_101))


def _largest_box(inside: Mask) -> Box:
    """A large rectangle within a mask: the side with the greatest share of holes is cut until there are none."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        raise RegistrationError("the infrared picture covers nothing of the visible one")
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    while left < right and top < bottom:
        part = inside[top:bottom, left:right]
        holes = [1 - float(side.mean()) for side in (part[:, 0], part[0], part[:, -1], part[-1])]
        worst = int(np.argmax(holes))
        if holes[worst] == 0:
            return Box(left, top, right, bottom)
        left, top, right, bottom = left + (worst == 0), top + (worst == 1), right - (worst == 2), bottom - (worst == 3)
    raise RegistrationError("the infrared picture covers nothing of the visible one")
