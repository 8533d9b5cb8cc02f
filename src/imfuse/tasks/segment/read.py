"""Pictures on their way into a segmentation network: channels of one or two files, in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from imfuse.core.errors import ImageError, ModelError
from imfuse.core.text import printable
from imfuse.core.weights import weights_hash
from imfuse.fusing.engine import find_device
from imfuse.imaging import Range, check_same_size, luminance, parse_range, read_image, to_unit
from imfuse.imaging.bands import take_bands
from imfuse.imaging.inputs import MAX_PIXELS, Array
from imfuse.tasks.segment.file import Classes, load_segmenter
from imfuse.tasks.segment.networks.segnext import SegNeXt

Floats = npt.NDArray[np.float32]
FULL = parse_range("full")
COLOURS, WITH_INFRARED = 3, 4
"""Channels of what networks look at."""


class PictureNetwork:
    """A trained segmentation network on its device.

    Args:
        path: file of the network.
        device: where it runs; "auto" is a GPU where there is one.
        augmented: by the test-time augmentation of the authors.
        random_bases: SegNeXt starts from other bases for every picture, as its authors' does.

    Raises:
        WeightsError: it is no such file.
        ModelError: there is no such device, or the network has no such way.
    """

    def __init__(
        self, path: Path, device: str = "auto", *, augmented: bool = False, random_bases: bool = False
    ) -> None:
        self.file = load_segmenter(path)
        self.augmented = augmented
        if augmented and not self.file.network.ratios:
            raise ModelError(f"augmented=True: {self.file.name} has no published test-time augmentation")
        if random_bases:
            if not isinstance(self.file.network, SegNeXt):
                raise ModelError(f"random_bases=True: {self.file.name} has none, segnext networks have")
            self.file.network.head.decompose.random = True
        ways = {"augmented": augmented, "random_bases": random_bases}
        self.digest = " ".join([weights_hash(path), *(way for way, taken in ways.items() if taken)])
        self.device = find_device(device)
        self.file.network.to(self.device)

    def __call__(self, picture: Floats) -> Classes:
        """Class numbers (H, W) of a picture (H, W, channels) in [0, 1]. Raises ``ModelError``."""
        try:
            return self.file.classes_of(picture, self.augmented)
        except (RuntimeError, MemoryError) as error:
            if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "memory" not in str(error).lower():
                raise
            height, width = picture.shape[:2]
            raise ModelError(
                f"{self.file.name}: not enough memory on {self.device} for {width}x{height} pixels", "use device='cpu'"
            ) from error


def read_picture(
    path: Path,
    channels: int = COLOURS,
    *,
    bands: tuple[int, ...] | None = None,
    infrared: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    range_: Range = FULL,
) -> Floats:
    """Read what a network looks at. Values of 8 bits become 0 to 1 by 1/255.

    Args:
        path: a fused picture, or a visible one; gray becomes three equal channels.
        channels: 3, or 4 with infrared as the last.
        bands: which of its bands are meant: one, three, or four of which the last is infrared; left out: all.
        infrared: file of the infrared picture, for four channels.
        max_pixels: the largest picture that is read.
        range_: what of stored values becomes 0 and 1; for segmentation their full range.

    Returns:
        (H, W, channels) float32 in [0, 1].

    Raises:
        ImageError: a file cannot be read, or its bands are not those that are needed.
        PairError: the two files differ in size.

    Example:
        ```python
        picture = read_picture(Path("images/00001D.png"), 4, bands=(1, 2, 3, 4))  # as MFNet stores them
        ```
    """
    name, pixels = str(path), read_image(path, max_pixels=max_pixels)
    count = pixels.shape[2] if pixels.ndim == 3 else 1
    if bands is None and count == WITH_INFRARED and channels == WITH_INFRARED and infrared is None:
        bands = (1, 2, 3, 4)
    if bands is None and count not in (1, COLOURS):
        raise ImageError(
            f"{printable(name)}: {count} bands found, and nothing says which of them are meant",
            "say which, as by bands='1,2,3'",
        )
    heat = None
    if bands is not None and len(bands) == WITH_INFRARED:
        heat = _unit(take_bands(pixels, bands[3:], name, "infrared"), range_, name)
        bands = bands[:3]
    elif infrared is not None:
        stored = read_image(infrared, max_pixels=max_pixels)
        check_same_size(stored.shape, pixels.shape, infrared, path, "both are looked at together")
        heat = _unit(take_bands(stored, None, str(infrared), "infrared"), range_, str(infrared))
    colours = in_colour(_unit(take_bands(pixels, bands, name, "fused"), range_, name))
    if (channels == WITH_INFRARED) != (heat is not None):
        raise ImageError(
            f"{printable(name)}: {'no infrared beside it' if heat is None else 'infrared beside it'}, but the network "
            f"looks at {channels} channels",
            "give infrared=... or bands='1,2,3,4' for four channels alone",
        )
    if heat is None:
        return colours
    return np.concatenate([colours, (heat if heat.ndim == 2 else luminance(heat))[..., None]], axis=2)


def in_colour(picture: Floats) -> Floats:
    """(H, W) or (H, W, 3) as three channels, equal ones of gray."""
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _unit(pixels: Array, range_: Range, name: str) -> Floats:
    return to_unit(pixels, range_, name=name)[0]
