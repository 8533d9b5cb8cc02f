"""One pair through one method: prepare (range, colour, size), run (tiles, device), finish (quantise)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imfuse.core.errors import ModelError
from imfuse.core.memory import available_memory
from imfuse.core.registry import get_spec
from imfuse.core.spec import ModelSpec
from imfuse.core.version import VERSION
from imfuse.core.weights import file_hash, model_of, resolve_weights
from imfuse.fusing.sizes import Fit, checked_fit, shrunk, truncated
from imfuse.imaging import Range, check_same_size, luminance, parse_range, recombine, to_unit
from imfuse.imaging.inputs import MAX_PIXELS, Bits, Result, Stored
from imfuse.inference.forms import fast_form
from imfuse.models._build import create_model
from imfuse.ops.tiles import fuse_tiled, tile_side

GIB = 2**30
Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """A pair as the network takes it: (H, W) luminances in [0, 1], and the visible colours (H, W, 3) if it has any.

    ``limits`` are the stored values that became 0 and 1, of the infrared and of the visible picture; ``size`` is the
    height and width of the result.
    """

    infrared: Float
    visible: Float
    colours: Float | None
    limits: tuple[tuple[float, float], tuple[float, float]]
    size: tuple[int, int]


class Engine:
    """A fusion method with its settings, and the three steps from a stored pair to a fused picture.

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

    def __init__(
        self,
        model: str | None = None,
        weights: str | Path | None = "default",
        device: str = "auto",
        dtype: str = "auto",
        range: str | Range = "auto",
        tile: int | Literal["auto", "off"] = "auto",
        *,
        visible_range: str | Range = "auto",
        gray: bool = False,
        bits: Bits | None = None,
        resize: bool = False,
        fit: Fit = "mirror",
        memory: int | None = None,
        max_pixels: int = MAX_PIXELS,
        **options: str,
    ) -> None:
        self.spec = get_spec(model or model_of(weights))
        self.options = self.spec.check_options(options)
        self.spec = self.spec.with_options(self.options)
        self.range = parse_range(range) if isinstance(range, str) else range
        self.visible_range = parse_range(visible_range) if isinstance(visible_range, str) else visible_range
        if bits not in (None, 8, 16):
            raise ModelError(f"bits={bits!r}: 8 or 16 are expected (--bits)")
        self.gray, self.bits, self.resize, self.fit = gray, bits, resize, checked_fit(fit)
        self.tile, self.memory, self.max_pixels = _checked_tile(self.spec, tile), memory, max_pixels
        self.dtype = _checked_dtype(self.spec, dtype)
        self.device = _checked_device(device)
        network = create_model(self.spec.name, weights, **self.options)
        self.weights_hash = _hash_of_weights(self.spec, weights, network)
        self.network = fast_form(network).to(device=self.device, dtype=self.dtype)

    def fingerprint(self, *inputs: str) -> str:
        """SHA-256 over everything that decides a result; ``inputs`` are the hashes of what is fused."""
        settings: list[object] = [self.spec.name, self.weights_hash, self.options, str(self.dtype), VERSION]
        settings += [str(self.range), str(self.visible_range), self.gray, self.bits or 8, self.resize, self.fit, inputs]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def prepare(self, infrared: Stored, visible: Stored) -> Prepared:
        """Bring a pair to one size and to [0, 1]. First step."""
        if not self.resize:
            check_same_size(infrared.pixels.shape, visible.pixels.shape, infrared.name, visible.name)
        first, second, size = infrared.pixels, visible.pixels, visible.pixels.shape[:2]
        if self.fit == "resize":
            multiple = self.spec.multiple
            first, second = (shrunk(side.pixels, multiple, side.name) for side in (infrared, visible))
        ir, *ir_limits = to_unit(first, self.range, thermal=True, name=infrared.name)
        vi, *vi_limits = to_unit(second, self.visible_range, name=visible.name)
        heat = _resized(ir if ir.ndim == 2 else luminance(ir), vi.shape[0], vi.shape[1])
        limits = (ir_limits[0], ir_limits[1]), (vi_limits[0], vi_limits[1])
        if vi.ndim == 2:
            return Prepared(heat, vi, None, limits, size)
        return Prepared(heat, luminance(vi), vi, limits, size)

    def fuse_luminance(self, pair: Prepared) -> Float:
        """Run the network on a prepared pair: (H, W) in [0, 1]. Second step, the only one that needs the device."""
        return cast(Float, self.run(pair, self.network)[0, 0].float().numpy(force=True))

    def run(self, pair: Prepared, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What a function of the two images, the network or a part of it, gives for a prepared pair: (1, C, H, W)."""
        height, width = pair.visible.shape
        spec, tile = self.spec, self._tile(height, width)
        # Pictures stay float32 whatever the network computes in: bfloat16 has fewer levels than they have.
        colours = pair.colours if spec.colour else None
        second = pair.visible[None] if colours is None else colours.transpose(2, 0, 1)
        images = [torch.from_numpy(np.ascontiguousarray(x))[None] for x in (pair.infrared[None], second)]
        try:
            with torch.inference_mode():
                infrared, visible = (image.to(self.device) for image in images)
                sizes = {"tile": tile, "halo": spec.halo or 0, "multiple": spec.multiple, "min_size": spec.min_size}
                zeros = self.fit == "zero"
                return fuse_tiled(function, infrared, visible, zeros=zeros, **sizes)  # type: ignore[arg-type]
        except (RuntimeError, MemoryError, cv2.error) as error:
            if _is_out_of_memory(error):
                raise ModelError(self._memory_advice(height, width)) from error
            raise

    def finish(self, pair: Prepared, fused: Float) -> Result:
        """Give a fused luminance the colours of the visible picture, unless gray was asked for. Third step."""
        unit = fused if pair.colours is None or self.gray else recombine(fused, pair.colours)
        return Result(unit if self.fit == "mirror" else truncated(unit, *pair.size))

    def _tile(self, height: int, width: int) -> int | None:
        if self.tile != "auto":
            return None if self.tile == "off" else self.tile
        if self.spec.halo is None:
            # A clear refusal here instead of a process that the system kills.
            free = self._free_memory()
            if free is not None and height * width * self.spec.memory_per_pixel > free:
                raise ModelError(self._memory_advice(height, width))
            return None
        return tile_side(self.spec, self._budget(), height, width)

    def _budget(self) -> int:
        if self.memory is not None:
            return self.memory
        free = self._free_memory()
        return GIB if free is None else min(GIB, free // 4)

    def _free_memory(self) -> int | None:
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return available_memory()

    def _memory_advice(self, height: int, width: int) -> str:
        name, need = self.spec.name, height * width * self.spec.memory_per_pixel / GIB
        if self.spec.halo is None:
            reason = self.spec.not_tileable or "it looks at the whole picture at once"
            return (
                f"{name}: {width}x{height} pixels need about {need:.1f} GiB, more than is free, and tiles cannot help "
                f"({reason}); use a smaller picture or a method that works in tiles (--model)"
            )
        return f"{name}: not enough memory for {width}x{height} pixels; use smaller tiles (--tile 256) or --device cpu"


def _resized(image: Float, height: int, width: int) -> Float:
    if image.shape == (height, width):
        return image
    # Bilinear samples would skip pixels where the picture shrinks.
    shrinks = image.shape[0] > height or image.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(Float, cv2.resize(image, (width, height), interpolation=how))


def _checked_tile(spec: ModelSpec, tile: int | str) -> int | Literal["auto", "off"]:
    if tile == "auto":
        return "auto"
    if tile == "off":
        return "off"
    if not isinstance(tile, int) or tile < 1:
        raise ModelError(f"tile={tile!r}: a number of pixels, auto or off is expected (--tile)")
    if spec.halo is None:
        raise ModelError(f"{spec.name}: does not work in tiles: {spec.not_tileable}; use --tile off")
    return tile


def _checked_dtype(spec: ModelSpec, dtype: str) -> torch.dtype:
    name = "float32" if dtype == "auto" else dtype
    if name not in spec.dtypes:
        raise ModelError(
            f"{spec.name}: does not compute in {dtype!r}; --dtype is one of auto, {', '.join(spec.dtypes)}"
        )
    return cast(torch.dtype, getattr(torch, name))


def _checked_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {device!r} cannot be used ({reason}); use --device auto or --device cpu") from error
    return found


def _hash_of_weights(spec: ModelSpec, weights: str | Path | None, network: torch.nn.Module) -> str:
    if weights is not None and not spec.training_free:
        return file_hash(resolve_weights(spec, weights))
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy(force=True).tobytes())
    return digest.hexdigest()


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "out of memory" in text
        or "allocate memory" in text
        or "insufficient memory" in text
    )
