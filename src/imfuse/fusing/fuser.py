"""The public face of fusing: ``Fuser`` for many pairs, ``fuse`` for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, overload

import numpy.typing as npt
from PIL import Image
from torch import Tensor

from imfuse.fusing import folder as folders
from imfuse.fusing.engine import Engine
from imfuse.fusing.folder import FolderReport, Progress
from imfuse.imaging import inputs
from imfuse.imaging.inputs import PathLike, Picture


class Fuser(Engine):
    """A fusion method, ready to use on pictures of any kind, size and bit depth.

    Args:
        model: name of a method; ``imfuse.list_models()`` gives them. Left out: the one that a file of weights is for,
            else the default one.
        weights: name of shipped weights, path of a safetensors file, or ``None`` for random values (tests).
        device: "auto" (a CUDA GPU where there is one, else the CPU), "cpu", "cuda", "cuda:1", ...
        dtype: "auto" (float32), or one of ``get_spec(model).dtypes``.
        range: what of the infrared picture becomes 0 and 1: "auto", "full", "percentile", "minmax", "LOW,HIGH", or a
            ``Range``; ``imfuse.imaging.to_unit`` explains them.
        visible_range: the same for the visible picture.
        tile: side of the tiles that large pictures are fused in, "auto" (by the memory budget) or "off".
        gray: give the fused luminance alone, without the colours of the visible picture.
        bits: 8 or 16 for uint8 or uint16 results; ``None`` keeps the type of the visible picture (8 for files).
        resize: bring an infrared picture of another size to the size of the visible one.
        fit: how sizes that the network takes are reached: "mirror", or, as the test programs of two methods were
            released, "zero" (TransFusion) and "resize" (PSFusion), both of which also cut levels off.
        memory: budget of the network in bytes; by default 1 GiB or a quarter of what is free, the smaller of the two.
        max_pixels: the largest file that is read; its default of 100 megapixels comes with a limit of 512 MiB.
        options: those of the method, such as ``rule="average"``.

    Raises:
        ModelError: the model, an option, the device, dtype or tile cannot be used.
        WeightsError: the weights are missing or do not fit.
        ImageError: a range is invalid.
    """

    @overload
    def __call__(self, infrared: Picture, visible: PathLike | npt.NDArray[Any]) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, infrared: Picture, visible: Image.Image) -> Image.Image: ...
    @overload
    def __call__(self, infrared: Picture, visible: Tensor) -> Tensor: ...
    def __call__(self, infrared: Picture, visible: Picture) -> npt.NDArray[Any] | Image.Image | Tensor:
        """Fuse a registered pair; each picture is a path, a NumPy array, a PIL image or a tensor.

        Arrays are (H, W), (H, W, 1) or (H, W, 3), tensors (H, W), (C, H, W) or (N, C, H, W) with C 1 or 3; uint8,
        uint16 or floating. Colour of the visible picture is kept, the infrared one counts by its luminance.

        Returns:
            A picture of the kind, shape and type of the visible one (an array for a path): a tensor on its device,
            uint8 for uint8, uint16 for uint16, float32 in [0, 1] for floating; ``bits`` overrides the type, and
            ``gray`` makes it gray.

        Raises:
            ImageError: a picture cannot be read or used.
            PairError: the two differ in size and ``resize`` is off.
            ModelError: the memory does not suffice.
        """
        first = inputs.load(infrared, "infrared", self.max_pixels)
        second = inputs.load(visible, "visible", self.max_pixels)
        inputs.check_batches(first, second)
        prepared = [self.prepare(ir, vi) for ir, vi in zip(first.pictures, second.pictures, strict=True)]
        results = [self.finish(pair, self.fuse_luminance(pair)) for pair in prepared]
        return cast("npt.NDArray[Any] | Image.Image | Tensor", second.give_back(results, self.bits))

    def files(self, infrared: PathLike, visible: PathLike, out: PathLike, *, overwrite: bool = False) -> bool:
        """Fuse two files into a third; the extension of ``out`` decides its format.

        Returns:
            False where ``out`` is already the result of these files and settings, so that nothing was done.

        Raises:
            ImageError: a file cannot be read or written, or ``out`` is one of the two, or a file that imfuse did not
                make and ``overwrite`` is off.
            PairError: the two differ in size and ``resize`` is off.
        """
        return folders.fuse_files(self, Path(infrared), Path(visible), Path(out), overwrite=overwrite)

    def folder(
        self,
        infrared: PathLike,
        visible: PathLike,
        out: PathLike,
        *,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        workers: int = 2,
    ) -> FolderReport:
        """Fuse two folders, paired by name, into ``out``/<visible stem>.png.

        Results that an earlier run with the same files and settings left are skipped unless ``overwrite``. A pair that
        fails is reported and the others go on. ``workers`` threads read ahead and as many write, while the network
        runs in this one; a few pairs are in memory at a time. ``progress`` is called after each pair.

        Raises:
            PairError: the folders do not belong together, or ``out`` is one of them.
            ImageError: ``out`` cannot be made.
        """
        return folders.fuse_folder(
            self, Path(infrared), Path(visible), Path(out), overwrite=overwrite, progress=progress, workers=workers
        )


def fuse(
    infrared: Picture, visible: Picture, model: str | None = None, **settings: Any
) -> npt.NDArray[Any] | Image.Image | Tensor:
    """Fuse one registered pair; ``settings`` are those of ``Fuser``, which is faster for many pairs."""
    result: npt.NDArray[Any] | Image.Image | Tensor = Fuser(model, **settings)(infrared, visible)
    return result
