"""``fuse``: one pair in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

import numpy.typing as npt
from PIL import Image
from torch import Tensor, nn

from imfuse.core.spec import Value
from imfuse.fusing.alignment import RigLike
from imfuse.fusing.fuser import Fuser
from imfuse.fusing.settings import Metadata
from imfuse.fusing.sizes import Fit
from imfuse.imaging import RangeLike
from imfuse.imaging._resize import Resize
from imfuse.imaging.bands import Bands
from imfuse.imaging.inputs import MAX_PIXELS, Bits, PathLike, Picture
from imfuse.imaging.order import Order
from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions
from imfuse.registration.rig import Outside


@overload
def fuse(
    infrared: Picture,
    visible: PathLike | npt.NDArray[Any],
    model: str | nn.Module | None = ...,
    weights: str | Path | None = ...,
    **settings: Any,
) -> npt.NDArray[Any]: ...
@overload
def fuse(
    infrared: Picture,
    visible: Image.Image,
    model: str | nn.Module | None = ...,
    weights: str | Path | None = ...,
    **settings: Any,
) -> Image.Image: ...
@overload
def fuse(
    infrared: Picture,
    visible: Tensor,
    model: str | nn.Module | None = ...,
    weights: str | Path | None = ...,
    **settings: Any,
) -> Tensor: ...
def fuse(
    infrared: Picture,
    visible: Picture,
    model: str | nn.Module | None = None,
    weights: str | Path | None = "default",
    *,
    device: str = "auto",
    dtype: str = "auto",
    range: RangeLike = "auto",
    tile: int | Literal["auto", "off"] = "auto",
    visible_range: RangeLike = "auto",
    gray: bool = False,
    bits: Bits | None = None,
    resize: bool | Resize = False,
    fit: Fit = "mirror",
    memory: int | None = None,
    max_pixels: int = MAX_PIXELS,
    strict: bool = False,
    order: Order = "check",
    infrared_palette: str = "auto",
    infrared_bands: Bands = None,
    visible_bands: Bands = None,
    units: str = "auto",
    frame: int | None = None,
    slice: str | None = None,
    window: str | None = None,
    conditions: Conditions = AS_RECORDED,
    metadata: Metadata = "keep",
    deidentify: bool = True,
    visible_palette: str = "none",
    align: bool = False,
    rig: RigLike = None,
    outside: Outside = "visible",
    **options: Value,
) -> npt.NDArray[Any] | Image.Image | Tensor:
    """Fuse one registered pair; for many pairs a :class:`Fuser` is faster, since it loads the weights once.

    Args:
        infrared: a path, a NumPy array, a PIL image or a tensor, as :meth:`Fuser.__call__` explains.
        visible: the other, of the same size.
        model: method or network, and all that follows, as for :class:`Fuser`.
        weights: name of shipped weights, or a file.
        device: "auto", "cpu", "cuda", ...
        dtype: number format of the network.
        range: what of the infrared picture becomes 0 and 1.
        tile: side of tiles in pixels, "auto" or "off".
        visible_range: what of the visible picture becomes 0 and 1.
        gray: return the fused luminance alone.
        bits: 8 or 16, or ``None`` for the type of the visible picture.
        resize: bring the infrared picture to the size of the visible one, and how.
        fit: how sizes that the network takes are reached.
        memory: budget of the network in bytes.
        max_pixels: the largest file that is read.
        strict: doubts about the pair are errors.
        order: "check", or "given" for a pair that only looks swapped.
        infrared_palette: what the colours of the infrared picture mean.
        infrared_bands: which band or three of the first picture are meant.
        visible_bands: the same for the visible one.
        units: what the stored values of a thermal picture are.
        frame: which of several frames is fused.
        slice: which slice of a volume.
        window: what of a CT or MR picture becomes black and white.
        conditions: of a radiometric file, where they are others than recorded.
        metadata: of no use here; files of results keep or strip those of the visible one.
        deidentify: of no use here, either.
        visible_palette: colours in which a gray visible picture is painted.
        align: bring the infrared picture onto the visible one first.
        rig: the two cameras, for a pair that is not registered.
        outside: what becomes of the visible picture where the infrared shows nothing, "visible" or "crop".
        options: those of the method.

    Returns:
        A picture of the kind of the visible one.

    Raises:
        ModelError, WeightsError, ImageError, PairError: as :class:`Fuser` and its call.

    Example:
        >>> import numpy as np
        >>> fuse(np.zeros((60, 80), np.uint8), np.zeros((60, 80, 3), np.uint8), "auif").shape
        (60, 80, 3)
    """
    fuser = Fuser(
        model,
        weights,
        device,
        dtype,
        range,
        tile,
        visible_range=visible_range,
        gray=gray,
        bits=bits,
        resize=resize,
        fit=fit,
        memory=memory,
        max_pixels=max_pixels,
        strict=strict,
        order=order,
        infrared_palette=infrared_palette,
        infrared_bands=infrared_bands,
        visible_bands=visible_bands,
        units=units,
        frame=frame,
        slice=slice,
        window=window,
        conditions=conditions,
        metadata=metadata,
        deidentify=deidentify,
        visible_palette=visible_palette,
        align=align,
        rig=rig,
        outside=outside,
        **options,
    )
    result: npt.NDArray[Any] | Image.Image | Tensor = fuser(infrared, visible)
    return result
