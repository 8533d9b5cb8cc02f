"""The public face of fusing: ``Fuser`` (``fuse`` for one pair stands in one_pair.py)."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast, overload

import numpy.typing as npt
from PIL import Image
from torch import Tensor, nn

from imfuse.core.deprecation import deprecated
from imfuse.core.errors import ModelError
from imfuse.core.files import optional_path
from imfuse.core.resolve import ResolvedModel, resolve_model
from imfuse.core.spec import Value
from imfuse.fusing import folder as folders
from imfuse.fusing.alignment import RigLike
from imfuse.fusing.engine import Engine
from imfuse.fusing.folder import FolderReport, Progress
from imfuse.fusing.own_network import resolve_network
from imfuse.fusing.settings import Metadata, Settings
from imfuse.fusing.sizes import Fit
from imfuse.fusing.stream import FrameLike, Stream, given_back, paired_frames
from imfuse.imaging import RangeLike, inputs
from imfuse.imaging._resize import Resize
from imfuse.imaging.bands import Bands
from imfuse.imaging.inputs import MAX_PIXELS, Bits, PathLike, Picture
from imfuse.imaging.order import Order
from imfuse.imaging.sensors.conditions import AS_RECORDED, Conditions
from imfuse.models._build import build_model
from imfuse.registration.rig import Outside


class Fuser(Engine):
    """A fusion method, ready to use on pictures of any kind, size and bit depth.

    Args:
        model: name of a method (``imfuse.list_models()`` lists them), where a network of yours lies
            (``file.py:Name``, ``package.module:Name``), or a network: a module with the ``forward`` and the ``spec``
            of :class:`imfuse.FusionModel`, of which a copy is used. Left out: the method that a file of weights is
            for, else the default one.
        weights: name of shipped weights, path of a safetensors file, or ``None`` for random values (tests). A network
            brings its own.
        device: "auto" (a CUDA GPU where there is one, else the CPU), "cpu", "cuda", "cuda:1", ...
        dtype: "auto" (float32), or one of ``get_spec(model).dtypes``.
        range: what of the infrared picture becomes 0 and 1: "auto", "full", "percentile", "minmax", "steady",
            "LOW,HIGH", a pair of numbers or a ``Range``; ``imfuse.imaging.to_unit`` explains them.
        tile: side in pixels of the tiles that large pictures are fused in, "auto" (by the memory budget) or "off".
        visible_range: the same as ``range`` for the visible picture.
        gray: return the fused luminance alone, without the colours of the visible picture.
        bits: 8 or 16 for uint8 or uint16 results; ``None`` keeps the type of the visible picture (8 for files).
        resize: bring an infrared picture of another size to the size of the visible one: "same" refuses another aspect
            ratio, ``True`` stretches it with a warning; "stretch", "crop" (its middle, enlarged until it covers the
            visible picture) and "pad" (in the middle, and around it the visible picture alone) say what to do.
        fit: how sizes that the network takes are reached: "mirror", or, as the test programs of two methods were
            released, "zero" (TransFusion) and "resize" (PSFusion), both of which also cut levels off.
        memory: budget of the network in bytes; by default 1 GiB or a quarter of what is free, the smaller of the two.
        max_pixels: the largest file that is read; its default of 100 megapixels comes with a limit of 512 MiB.
        strict: whatever raises an :class:`imfuse.ImfuseWarning` about a pair is an error instead.
        order: "check" refuses a pair that looks swapped, by names of files and folders or by colours; "given" does not.
        infrared_palette: of an infrared picture in false colours: "auto" recognises it and maps it back to heat, with a
            warning; "none" takes the brightness of the colours; or one of ``imfuse.imaging.palette.PALETTES``.
        infrared_bands: which band of a picture with others than gray or RGB is the infrared one, such as 4, or which
            three; the first is 1.
        visible_bands: the same for the visible picture, such as ``(1, 2, 3)``.
        units: what the stored values of a thermal picture are, where its file does not say: a name such as
            "centikelvin", or "SCALE,OFFSET" to degrees Celsius; ``imfuse.imaging.UNITS`` lists the names.
        frame: of files with several frames or times, the first being 0; the middle one by default.
        slice: of volumes, such as "axial:40"; the middle axial one by default.
        window: of CT and MR pictures, what becomes black and white: "CENTRE,WIDTH", brain, bone, lung or soft.
        conditions: of radiometric files of FLIR, where they are others than the camera recorded, such as
            ``imfuse.imaging.Conditions(emissivity=0.95, reflected=20)``.
        metadata: "keep" carries EXIF, GPS, XMP and colour profile of the visible file into that of the result;
            "strip" does not.
        deidentify: DICOM results name nobody; ``False`` copies patient and study of the source into them.
        visible_palette: colours in which a gray visible picture, such as a PET or SPECT scan, is painted: one of
            ``imfuse.imaging.palette.PALETTES``.
        align: pairs of any sizes are not registered: look for the transform of each and warp the infrared picture, or
            refuse the pair where the evidence is weak.
        rig: the two cameras, for pairs that are not registered: a :class:`imfuse.Rig` or a rig.json of
            :func:`imfuse.align`. The infrared picture, of any size with the aspect of the rig's, is brought to [0, 1]
            by its own range and then resampled once on the visible one.
        outside: where the infrared shows nothing: "visible" keeps the visible picture there, "crop" cuts to the
            rectangle that both show.
        options: those of the method, such as ``rule="average"``.

    Raises:
        ModelError: the model, an option, the device, dtype or tile cannot be used.
        WeightsError: the weights are missing or do not fit.
        ImageError: a range is invalid.

    Example:
        >>> import numpy as np
        >>> fuser = Fuser("auif", device="cpu")
        >>> fuser
        Fuser('auif', weights='auif.safetensors', device='cpu', dtype='float32', rule='l1')
        >>> fuser(np.zeros((60, 80), np.uint16), np.zeros((60, 80, 3), np.uint8)).shape
        (60, 80, 3)
    """

    def __init__(
        self,
        model: str | nn.Module | None = None,
        weights: str | Path | None = "default",
        device: str = "auto",
        dtype: str = "auto",
        range: RangeLike = "auto",
        tile: int | Literal["auto", "off"] = "auto",
        *,
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
    ) -> None:
        settings = Settings(
            device,
            dtype,
            range,
            visible_range,
            tile,
            gray,
            bits,
            resize,
            fit,
            memory,
            max_pixels,
            strict,
            order,
            infrared_palette,
            infrared_bands,
            visible_bands,
            units,
            frame,
            slice,
            window,
            conditions,
            metadata,
            deidentify,
            visible_palette,
            align,
            rig,
            outside,
        )
        if isinstance(model, nn.Module):
            resolved = resolve_network(model, weights, options)
            super().__init__(resolved, copy.deepcopy(model), settings)
        else:
            resolved = _resolve_name(model, weights, options)
            super().__init__(resolved, build_model(resolved), settings)

    def __repr__(self) -> str:
        path = self.resolved.weights
        shown = [repr(self.spec.name)]
        shown += [f"weights={path.name!r}"] if path else []
        shown += [f"device={str(self.device)!r}", f"dtype={str(self.dtype).removeprefix('torch.')!r}"]
        defaults = {option.name: option.default for option in self.spec.options}
        shown += [f"{name}={value!r}" for name, value in self.options.items() if value != defaults[name]]
        return f"{type(self).__name__}({', '.join(shown)})"

    @overload
    def __call__(self, infrared: Picture, visible: PathLike | npt.NDArray[Any]) -> npt.NDArray[Any]: ...
    @overload
    def __call__(self, infrared: Picture, visible: Image.Image) -> Image.Image: ...
    @overload
    def __call__(self, infrared: Picture, visible: Tensor) -> Tensor: ...
    def __call__(self, infrared: Picture, visible: Picture) -> npt.NDArray[Any] | Image.Image | Tensor:
        """Fuse a registered pair; each picture is a path, a NumPy array, a PIL image or a tensor.

        Arrays are (H, W), (H, W, 1) or (H, W, 3), tensors (H, W), (C, H, W) or (N, C, H, W) with C 1 or 3; uint8,
        uint16, int16, int32, uint32 or floating. Colour of the visible picture is kept, the infrared one counts by its
        luminance. Where one picture holds no data (masked by ``numpy.ma``, NaN, infinite) the result shows the other
        one alone, and black where neither does.

        Args:
            infrared: one picture, or a batch of tensors.
            visible: its partner of the same size, or as many.

        Returns:
            A picture of the kind, shape and type of the visible one (an array for a path): a tensor on its device,
            uint8 for uint8, uint16 for other integers, float32 in [0, 1] for floating; ``bits`` overrides the type, and
            ``gray`` makes it gray.

        Raises:
            ImageError: a picture cannot be read or used.
            PairError: the two differ in size and ``resize`` is off.
            RegistrationError: with ``align``, the evidence for a transform is weak.
            ModelError: the memory does not suffice.

        Warns:
            ImfuseWarning: the result may be other than what was wanted; the text says why, and what settles it.

        Example:
            >>> import torch
            >>> pair = torch.rand(2, 1, 48, 64), torch.rand(2, 3, 48, 64)
            >>> Fuser("laplacian_pyramid")(*pair).shape
            torch.Size([2, 3, 48, 64])
        """
        with self.doubts():
            first = inputs.load(infrared, "infrared", self.max_pixels, self.infrared_bands, self.view)
            second = inputs.load(visible, "visible", self.max_pixels, self.visible_bands, self.view.of_visible)
            inputs.check_batches(first, second)
            prepared = [self.prepare(ir, vi) for ir, vi in zip(first.pictures, second.pictures, strict=True)]
        results = [self.finish(pair, self.fuse_luminance(pair)) for pair in prepared]
        return cast("npt.NDArray[Any] | Image.Image | Tensor", second.give_back(results, self.bits))

    def files(self, infrared: PathLike, visible: PathLike | None, output: PathLike, *, overwrite: bool = False) -> bool:
        """Fuse two files into a third, or the two pictures in one radiometric file of a camera.

        Args:
            infrared: the infrared file.
            visible: the visible one; ``None`` for the visible picture in the infrared file.
            output: the result; its extension decides the format. A folder is made where it is missing.
            overwrite: redo a finished result and replace other files.

        Returns:
            False where ``output`` is already the result of these files and settings, so that nothing was done.

        Raises:
            ImageError: a file cannot be read or written, or ``output`` is one of the two, or a file that imfuse did not
                make and ``overwrite`` is off.
            PairError: the two differ in size and ``resize`` is off.
            ModelError: the memory does not suffice.

        Example:
            ```python
            fuser.files("ir.png", "vis.png", "fused.png")
            ```
        """
        return folders.fuse_files(self, Path(infrared), optional_path(visible), Path(output), overwrite=overwrite)

    @deprecated(since="0.2", removal="0.4", instead="Fuser.files(...)")
    def fuse_files(self, infrared: PathLike, visible: PathLike, output: PathLike, *, overwrite: bool = False) -> bool:
        """What :meth:`files` was called in version 0.1.

        Args:
            infrared: as for :meth:`files`, and so are the others.
            visible: the visible file.
            output: the result.
            overwrite: redo a finished result and replace other files.

        Returns:
            False where nothing was done.

        Example:
            ```python
            fuser.fuse_files("ir.png", "vis.png", "fused.png")  # fuser.files(...)
            ```
        """
        return self.files(infrared, visible, output, overwrite=overwrite)

    def folder(
        self,
        infrared: PathLike | None,
        visible: PathLike | None,
        output: PathLike,
        *,
        recursive: bool = False,
        pairs: PathLike | None = None,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        workers: int = 2,
    ) -> FolderReport:
        """Fuse two folders, paired by name or by a list, into ``output``/<name of the pair>.png.

        How names are paired :func:`imfuse.imaging.match_folders` says; the name of a pair is the visible stem.

        Results that an earlier run with the same files and settings left are skipped unless ``overwrite``. A pair that
        fails is reported and the others continue. A few pairs are in memory at a time.

        Args:
            infrared: folder of infrared pictures; with ``pairs`` it may be ``None``.
            visible: folder of visible pictures; the same, and ``None`` without a list where each infrared file holds
                its visible picture.
            output: folder of the results; made where it is missing.
            recursive: look into sub-folders as well; results keep the sub-folder.
            pairs: a list of pairs, CSV or JSON Lines, as :func:`imfuse.imaging.read_pairs` takes it.
            overwrite: redo finished results and replace other files.
            progress: called before the first pair and after each.
            workers: threads that read ahead, and as many that write, while the network runs in this one.

        Returns:
            What became of each pair, and the files without a partner.

        Raises:
            PairError: the folders do not belong together, lines of the list are wrong, or ``output`` is one of the
                folders.
            ImageError: ``output`` cannot be made.
            ImfuseError: another run uses ``output``.

        Warns:
            ImfuseWarning: pairs were found by a rule that may be wrong.

        Example:
            ```python
            report = fuser.folder("infrared/", "visible/", "fused/")
            print(len(report.written), report.failed, report.unmatched_infrared)
            fuser.folder(None, None, "fused/", pairs="pairs.csv")
            ```
        """
        return folders.fuse_folder(
            self,
            optional_path(infrared),
            optional_path(visible),
            Path(output),
            recursive=recursive,
            pairs=optional_path(pairs),
            overwrite=overwrite,
            progress=progress,
            workers=workers,
        )

    def stream(
        self,
        infrared: Iterable[FrameLike],
        visible: Iterable[FrameLike],
        *,
        rate: float = 25.0,
        batch: int = 1,
        newest: bool = False,
        smooth: bool = False,
    ) -> Stream:
        """Fuse the frames of two iterables as they come; :func:`imfuse.stream` explains it.

        Args:
            infrared: frames, as the call takes pictures, or of PyAV.
            visible: as many.
            rate: frames per second.
            batch: the most frames that go through the network at once.
            newest: drop frames that come too fast, the oldest first.
            smooth: filter over time where nothing moves.

        Returns:
            Fused frames of the kind of the visible ones. With a range of "steady" their limits move slowly, and with
            "auto" where it would take percentiles of each frame.

        Raises:
            ModelError: ``rate`` or ``batch`` is no positive number.

        Example:
            >>> import numpy as np
            >>> frames = [np.zeros((48, 64), np.uint8)] * 3
            >>> len(list(Fuser("laplacian_pyramid", range="steady").stream(frames, frames, rate=30)))
            3
        """
        if not rate > 0:
            raise ModelError(f"rate={rate!r}: frames per second are expected")
        pairs = paired_frames(self, infrared, visible, rate)
        return Stream(self, pairs, given_back, batch=batch, newest=newest, smooth=smooth)


def _resolve_name(model: str | None, weights: str | Path | None, options: Mapping[str, Value]) -> ResolvedModel:
    try:
        return resolve_model(model, weights, options)
    except ModelError as error:
        # What is no option of the method may be a misspelt setting.
        settings = [name for name in inspect.signature(Fuser).parameters if name not in ("model", "options")]
        for name in options:
            if f"unknown option {name!r}" in error.message and (near := difflib.get_close_matches(name, settings, n=1)):
                raise ModelError(f"unknown setting {name!r}: did you mean {near[0]!r}?") from None
        raise
