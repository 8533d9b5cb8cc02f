"""One pair through one method: prepare (range, colour, size), run (tiles, device), finish (quantise)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imfuse.core.errors import ImageError, ModelError, first_line
from imfuse.core.memory import available_memory
from imfuse.core.notes import collected, note
from imfuse.core.resolve import ResolvedModel
from imfuse.core.spec import ModelSpec, option_text
from imfuse.core.version import VERSION
from imfuse.fusing.alignment import by_evidence, by_rig, common_box, doubt_registration, refuse_same_field
from imfuse.fusing.settings import Settings
from imfuse.fusing.sides import settled
from imfuse.fusing.sizes import shrunk, truncated
from imfuse.imaging import Range, check_same_size, luminance, recombine, resize
from imfuse.imaging._resize import place, placement
from imfuse.imaging.bands import parse_bands
from imfuse.imaging.inputs import Result, Stored
from imfuse.imaging.nodata import Mask, fill_no_data, no_data
from imfuse.imaging.order import Order
from imfuse.imaging.palette import painted
from imfuse.imaging.sensors.display import Limits, shown
from imfuse.inference.forms import fast_form
from imfuse.ops.tiles import fuse_tiled, tile_side
from imfuse.registration.rig import Box, Rig

GIB = 2**30
Float = npt.NDArray[np.float32]
# A picture that spans fewer levels shows no more than noise, which a fused one may show so many times stronger.
_FLAT, _MOST_GAIN = 8 / 255, 4


@dataclass(frozen=True)
class Prepared:
    """A pair as the network takes it: (H, W) luminances in [0, 1], and the visible colours (H, W, 3) if it has any.

    ``limits`` are the values that became 0 and 1, of the infrared and of the visible picture; ``size`` is the
    height and width of the result; ``missing`` says where each of the two holds no data, ``None`` for nowhere;
    ``palette`` is that by which the infrared picture was mapped back to heat, as ``settled`` returns it;
    ``alignment`` is the transform by which it came to the visible one, in words, where it was looked for.
    """

    infrared: Float
    visible: Float
    colours: Float | None
    limits: tuple[Limits, Limits]
    size: tuple[int, int]
    missing: tuple[Mask | None, Mask | None] = (None, None)
    palette: str = ""
    alignment: str = ""

    def cut(self, box: Box) -> Prepared:
        """The part in a rectangle."""
        if (box.right - box.left, box.bottom - box.top) == self.visible.shape[::-1]:
            return self
        infrared, visible = (np.ascontiguousarray(one[box.slices]) for one in (self.infrared, self.visible))
        colours = None if self.colours is None else np.ascontiguousarray(self.colours[box.slices])
        first, second = (None if one is None else one[box.slices] for one in self.missing)
        return replace(
            self, infrared=infrared, visible=visible, colours=colours, size=visible.shape, missing=(first, second)
        )


@dataclass(frozen=True)
class Rules:
    """What of the settings the first frames of a stream settle for those that follow; of one pair, as they were given.

    ``doubt`` looks whether the two pictures look registered, which takes longer than some methods.
    """

    range: Range
    visible_range: Range
    order: Order
    palette: str
    doubt: bool = True


class Engine:
    """A network with its settings, and the three steps from a stored pair to a fused picture.

    Args:
        resolved: the method, its options and weights.
        network: that of the method, with these weights; it is put into its inference form and moved to the device.
        settings: how pairs are prepared, run and finished.

    Raises:
        ModelError: the device, dtype or tile cannot be used with this method.
    """

    def __init__(self, resolved: ResolvedModel, network: nn.Module, settings: Settings) -> None:
        self.resolved, self.settings = resolved, settings
        self.spec, self.options = resolved.spec, resolved.options
        self.range, self.visible_range = cast(Range, settings.range), cast(Range, settings.visible_range)
        self.gray, self.bits, self.resize, self.fit = settings.gray, settings.bits, settings.resize, settings.fit
        self.memory, self.max_pixels = settings.memory, settings.max_pixels
        self.order, self.infrared_palette = settings.order, settings.infrared_palette
        self.infrared_bands, self.visible_bands = (
            parse_bands(settings.infrared_bands),
            parse_bands(settings.visible_bands),
        )
        self.view = settings.view
        self.rig, self.outside = cast("Rig | None", settings.rig), settings.outside
        self.tile = _checked_tile(self.spec, settings.tile)
        self.dtype = _checked_dtype(self.spec, settings.dtype)
        self.device = find_device(settings.device)
        self.weights_hash = resolved.sha256 or _hash_of_state(network)
        self.network = fast_form(network).to(device=self.device, dtype=self.dtype)

    @contextmanager
    def doubts(self) -> Iterator[None]:
        """Around reading and preparing a pair: what is noted there is told, or with ``strict`` an error."""
        with collected() as notes:
            yield
        if self.settings.strict and notes:
            raise ImageError(notes[0].message, *notes[0].advice)
        for doubt in notes:
            note(doubt.message, *doubt.advice)

    def fingerprint(self, *inputs: str) -> str:
        """SHA-256 over everything that decides a result; ``inputs`` are the hashes of what is fused."""
        options = {name: option_text(value) for name, value in self.options.items()}
        settings: list[object] = [self.spec.name, self.weights_hash, options, str(self.dtype), VERSION]
        settings += [str(self.range), str(self.visible_range), self.gray, self.bits or 8, self.resize, self.fit, inputs]
        settings += [self.infrared_palette, self.infrared_bands, self.visible_bands, repr(self.view)]
        settings += [self.settings.metadata, self.settings.deidentify, self.settings.visible_palette]
        settings += ["align"] if self.settings.align else []
        settings += [self.rig.digest, self.outside] if self.rig is not None else []
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @property
    def rules(self) -> Rules:
        """Those of one pair."""
        return Rules(self.range, self.visible_range, self.order, self.infrared_palette)

    def prepare(self, infrared: Stored, visible: Stored, rules: Rules | None = None) -> Prepared:
        """Bring a pair to one size and to [0, 1]. First step."""
        rules = rules or self.rules
        infrared, palette = settled(infrared, visible, rules.order, rules.palette)
        shapes, names = (infrared.pixels.shape, visible.pixels.shape), (infrared.name, visible.name)
        rig, align, told = self.rig, self.settings.align, ""
        if rig is not None:
            refuse_same_field(infrared)
        placed = infrared.same_field or align or rig is not None
        if not (self.resize or placed):
            check_same_size(*shapes, *names)
        how = "stretch" if placed else placement(self.resize, *shapes, names)
        size = visible.pixels.shape[:2]
        first = shown(infrared.pixels, infrared.sensor, rules.range, infrared.name)
        second = shown(visible.pixels, visible.sensor, rules.visible_range, visible.name, "visible_range")
        missing = no_data(first.values), no_data(second.values)
        if self.fit == "resize":
            first, second = (
                replace(one, values=shrunk(fill_no_data(one.values, name)[0], self.spec.size.multiple, name))
                for one, name in ((first, infrared.name), (second, visible.name))
            )
        ir, ir_limits = first.to_unit(thermal=True, name=infrared.name)
        vi, vi_limits = second.to_unit(name=visible.name)
        if vi.ndim == 2 and self.settings.visible_palette != "none":
            vi = painted(vi, self.settings.visible_palette)
        gray, colours = (vi, None) if vi.ndim == 2 else (luminance(vi), vi)
        heat = ir if ir.ndim == 2 else luminance(ir)
        if rig is not None:
            heat, no_heat = by_rig(rig, heat, missing[0], gray, infrared.name)
            missing = no_heat, missing[1]
        elif align:
            heat, no_heat, told = by_evidence(heat, missing[0], gray, infrared.name)
            missing = no_heat, missing[1]
        else:
            heat = place(heat, gray, how)
            if rules.doubt:
                doubt_registration(heat, gray, visible.name)
        if rig is None and not align and (missing[0] is not None or how == "pad"):
            # The margin that "pad" leaves has no infrared data either.
            holes = np.zeros(ir.shape[:2]) if missing[0] is None else missing[0]
            missing = place(holes.astype(np.float32), np.ones_like(gray), how) > 0, missing[1]
        missing = missing[0], _resized(missing[1], *gray.shape)
        pair = Prepared(heat, gray, colours, (ir_limits, vi_limits), size, missing, palette, told)
        return pair if rig is None else pair.cut(common_box(rig, self.outside, (gray.shape[0], gray.shape[1])))

    def fuse_luminance(self, pair: Prepared) -> Float:
        """Run the network on a prepared pair: (H, W) in [0, 1]. Second step, the only one that needs the device.

        Where both pictures are constant there is nothing to fuse, and the result is their mean: what a network makes of
        such a pair is its own bias, which no picture that it was trained on could have told it, and the frame that a
        border of zeros leaves. It is asked as soon as one of several pixels differs; where that is noise, its result is
        not stretched over all grays.
        """
        return self.fuse_luminances([pair])[0]

    def fuse_luminances(self, pairs: Sequence[Prepared]) -> list[Float]:
        """The same for several of one size, in one call of the network."""
        spans = [float(max(np.ptp(pair.infrared), np.ptp(pair.visible))) for pair in pairs]
        asked = [pair for pair, span in zip(pairs, spans, strict=True) if span or pair.visible.size == 1]
        outputs = iter(self._run(asked, self.network)[:, 0].float().numpy(force=True) if asked else ())
        return [_settled_luminance(pair, span, outputs) for pair, span in zip(pairs, spans, strict=True)]

    def run(self, pair: Prepared, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What a function of the two images, the network or a part of it, gives for a prepared pair: (1, C, H, W)."""
        return self._run([pair], function)

    def _run(self, pairs: Sequence[Prepared], function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The same for several of one size: (N, C, H, W)."""
        height, width = pairs[0].visible.shape
        spec, tile = self.spec, self._tile(len(pairs) * height, width)
        # Pictures stay float32 whatever the network computes in: bfloat16 has fewer levels than they have.
        second = [
            pair.visible[None] if pair.colours is None or not spec.colour else pair.colours.transpose(2, 0, 1)
            for pair in pairs
        ]
        images = [torch.from_numpy(np.stack(x)) for x in ([pair.infrared[None] for pair in pairs], second)]
        try:
            with torch.inference_mode():
                infrared, visible = (image.to(self.device) for image in images)
                zeros = self.fit == "zero"
                return fuse_tiled(function, infrared, visible, tile=tile, rule=spec.size, zeros=zeros)
        except (RuntimeError, MemoryError, cv2.error) as error:
            if _is_out_of_memory(error):
                raise self._out_of_memory(height, width) from error
            raise

    def finish(self, pair: Prepared, fused: Float) -> Result:
        """Give a fused luminance the colours of the visible picture, unless gray was asked for. Third step.

        Where one picture holds no data the other one is shown alone, and black where neither does.
        """
        colours = None if self.gray else pair.colours
        if colours is None:
            unit = _alone(fused, pair.infrared, pair.visible, *pair.missing)
        else:
            unit = _alone(recombine(fused, colours), pair.infrared[..., None], colours, *pair.missing)
        return Result(unit if self.fit == "mirror" else truncated(unit, *pair.size))

    def _tile(self, height: int, width: int) -> int | None:
        if self.tile != "auto":
            return None if self.tile == "off" else self.tile
        if self.spec.size.halo is None:
            # A clear refusal here instead of a process that the system kills.
            free = self._free_memory()
            if free is not None and height * width * self.spec.memory_per_pixel > free:
                raise self._out_of_memory(height, width)
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

    def _out_of_memory(self, height: int, width: int) -> ModelError:
        name, need = self.spec.name, height * width * self.spec.memory_per_pixel / GIB
        if self.spec.size.halo is None:
            reason = self.spec.size.not_tileable or "it looks at the whole picture at once"
            return ModelError(
                f"{name}: {width}x{height} pixels need about {need:.1f} GiB, more than is free, and tiles cannot help "
                f"({reason})",
                "use a smaller picture",
                "use model=NAME of a method that works in tiles",
            )
        return ModelError(
            f"{name}: not enough memory for {width}x{height} pixels", "use smaller tiles, tile=256", "use device='cpu'"
        )


def _settled_luminance(pair: Prepared, span: float, outputs: Iterator[Float]) -> Float:
    """What the network says of a pair, the next of its outputs, or the mean where it is not asked."""
    if pair.visible.size > 1 and not span:
        return np.float32(0.5) * (pair.infrared + pair.visible)
    fused = next(outputs)
    return fused if span >= _FLAT else _calmed(fused, pair, _MOST_GAIN * span)


def _calmed(fused: Float, pair: Prepared, most: float) -> Float:
    """A fused picture that spans at most ``most``, round the mean of its sources where it would span more."""
    span = np.ptp(fused)
    if span <= most:
        return fused
    mean = (pair.infrared.mean() + pair.visible.mean()) / 2
    return cast(Float, np.float32(mean) + (fused - fused.mean()) * np.float32(most / span))


def _resized(missing: Mask | None, height: int, width: int) -> Mask | None:
    """Where a picture of another size has any part of a pixel without data."""
    return None if missing is None else resize(missing.astype(np.float32), height, width) > 0


def _alone(fused: Float, infrared: Float, visible: Float, no_infrared: Mask | None, no_visible: Mask | None) -> Float:
    """A fused picture with either source alone where the other has no data."""
    for missing, other in ((no_infrared, visible), (no_visible, infrared)):
        if missing is not None:
            where = missing if fused.ndim == 2 else missing[..., None]
            fused = np.where(where, other, fused)
    if no_infrared is not None and no_visible is not None:
        fused[no_infrared & no_visible] = 0
    return fused


def _checked_tile(spec: ModelSpec, tile: int | str) -> int | Literal["auto", "off"]:
    if tile == "auto":
        return "auto"
    if tile == "off":
        return "off"
    if not isinstance(tile, int) or tile < 1:
        raise ModelError(f"tile={tile!r}: a number of pixels, auto or off is expected")
    if spec.size.halo is None:
        raise ModelError(f"{spec.name}: does not work in tiles: {spec.size.not_tileable}", "use tile='off'")
    return tile


def _checked_dtype(spec: ModelSpec, dtype: str) -> torch.dtype:
    name = "float32" if dtype == "auto" else dtype
    if name not in spec.dtypes:
        raise ModelError(f"{spec.name}: does not compute in dtype={dtype!r}; it does in auto, {', '.join(spec.dtypes)}")
    return cast(torch.dtype, getattr(torch, name))


def find_device(device: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one. Raises ``ModelError``."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = first_line(error)
        raise ModelError(
            f"device={device!r} cannot be used ({reason})", "use device='auto'", "use device='cpu'"
        ) from error
    return place


def _hash_of_state(network: nn.Module) -> str:
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
