"""PSFusion for inference: norms folded, heads that nobody asks for left out, local work in tiles.

Pooled weights, normalised features and attention see the whole picture. What is computed of them is kept for the whole
picture, in a few maps of full size; all that lies between runs tile by tile with a halo, in memory that stays in the
cache. ``scripts/speed/networks.py psfusion`` compares it with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.folding import fold_norm, norm_scale_shift
from imfuse.layers.precision import InFloat32
from imfuse.layers.resnet import BasicBlock
from imfuse.models._psfusion_parts import SDFM, SIM, DetailFusion, DoubleNorm, Encoder, FReLU, pool
from imfuse.models.psfusion import PSFusion
from imfuse.ops.resize import resize_to
from imfuse.ops.tiles import Tile

TILE = 256
"""Side of a tile in pixels, halo not counted."""
HALO = 12
"""The stem needs 11 pixels, semantic injection with the decoder and the head behind it 9."""
STEP = 4
"""Tiles begin where the semantic features, at 1/4 size, have a pixel."""


def fast_form(model: PSFusion) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FastPSFusion(model)


class FastPSFusion(nn.Module):
    """The fused image of a :class:`PSFusion` in evaluation mode."""

    def __init__(self, model: PSFusion) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        del self.model.head_vi, self.model.head_ir
        fold_norms(self.model)
        self.at_half, self.at_full, self.inject = (
            _Injection(module) for module in (self.model.scene_half, self.model.scene_full, self.model.inject)
        )
        del self.model.scene_half, self.model.scene_full, self.model.inject
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # The features of full size meet an instance norm, which enlarges what varies little: bfloat16 would show.
        large = self.model.fusion[0]
        assert isinstance(large, SDFM)
        self.encoder_ir, self.encoder_vi = (
            InFloat32(self.model.encoder_ir.first),
            InFloat32(self.model.encoder_vi.first),
        )
        self.branch_ir, self.branch_vi = InFloat32(large.infrared), InFloat32(large.visible)
        self.details = InFloat32(large.fuse)
        # So do the scene's.
        self.model.scene.blocks[-1] = InFloat32(self.model.scene.blocks[-1])
        # Eight bits of a picture need more digits than bfloat16 has.
        self.head, self.classify = InFloat32(self.model.head), InFloat32(self.model.segmentation)
        del self.model.encoder_ir.first, self.model.encoder_vi.first, self.model.fusion[0], self.model.head
        del self.model.segmentation

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused luminance (N, 1, H, W) in [0, 1]; computed in the type of the weights, given in float32."""
        model, size = self.model, infrared.shape[2:]
        tiles = tiles_of(size)
        f1, f2, *deep = self._encode(infrared, visible.expand(-1, 3, -1, -1), tiles)
        semantics = model.understand([f1, f2, *deep]) if model.injection else None
        scale_half, scale_full = normalised(f2, tiles, 1), normalised(f1, tiles)
        (half,) = assembled(
            tiles, size, (1,), lambda tile: (self.at_half(tile.seen(f2, 1), tile.seen(deep[0], 2), scale_half),)
        )
        scene, *_ = assembled(
            tiles, size, (0,), lambda tile: (model.scene(self.at_full(tile.seen(f1), tile.seen(half, 1), scale_full)),)
        )
        scale = normalised(scene, tiles)

        def picture(tile: Tile) -> tuple[Tensor]:
            x = tile.seen(scene)
            if semantics is not None:
                x = self.inject(x, tile.seen(semantics, 2), scale)
            return (self.head(model.image(x)),)

        (fused,) = assembled(tiles, size, (0,), picture)
        return fused

    def segment(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Logits (N, classes, H, W) of the classes, H and W rounded up to a multiple of 4; no image is computed."""
        features = self._encode(infrared, visible.expand(-1, 3, -1, -1), tiles_of(infrared.shape[2:]))
        semantic: Tensor = self.classify(self.model.understand(features))[0]
        return semantic

    def _encode(self, infrared: Tensor, visible: Tensor, tiles: list[Tile]) -> list[Tensor]:
        """Fused features of six scales."""
        model = self.model
        second, *others = model.fusion
        assert isinstance(second, SDFM)
        streams = (
            (infrared, self.encoder_ir, self.branch_ir, model.encoder_ir.second),
            (visible, self.encoder_vi, self.branch_vi, model.encoder_vi.second),
        )

        def stems(tile: Tile) -> list[Tensor]:
            large, small = [], []
            for image, encoder, branch, reduce in streams:
                x = encoder(tile.seen(image).contiguous(memory_format=torch.channels_last))
                large.append(branch(x))
                small.append(F.relu_(reduce(x.to(self.at_half.weight.dtype))))
            return large + small

        size = infrared.shape[2:]
        large_ir, large_vi, ir, vi = assembled(tiles, size, (0, 0, 1, 1), stems)
        details = self.details.module
        assert isinstance(details, DetailFusion)
        f1 = fuse_details(details, large_ir, large_vi, tiles)
        middle_ir, middle_vi = assembled(
            tiles, size, (1, 1), lambda tile: (second.infrared(tile.seen(ir, 1)), second.visible(tile.seen(vi, 1)))
        )
        f2 = fuse_details(second.fuse, middle_ir, middle_vi, tiles, level=1)
        del large_ir, large_vi, middle_ir, middle_vi
        deep = zip(others, model.encoder_ir.deep(ir), model.encoder_vi.deep(vi), strict=True)
        return [f1, f2, *(fuse(heat, light) for fuse, heat, light in deep)]


def tiles_of(size: Sequence[int]) -> list[Tile]:
    """The tiles of a picture."""
    return [Tile(*spans) for spans in SizeRule(STEP, halo=HALO).tiles(size[0], size[1], TILE)]


def assembled(
    tiles: Sequence[Tile], size: Sequence[int], levels: Sequence[int], function: Callable[[Tile], Sequence[Tensor]]
) -> list[Tensor]:
    """Maps of the whole picture, each at 1 / 2^level of it, from what a function gives for a tile."""
    wholes: list[Tensor] = []
    for tile in tiles:
        parts = function(tile)
        if not wholes:
            shapes = [[-(-side >> level) for side in size] for level in levels]
            made = (part.new_empty((*part.shape[:2], *shape)) for part, shape in zip(parts, shapes, strict=True))
            wholes = [whole.contiguous(memory_format=torch.channels_last) for whole in made]
        for part, whole, level in zip(parts, wholes, levels, strict=True):
            tile.store(whole, part, level)
    return wholes


def fuse_details(
    fuse: DetailFusion, infrared: Tensor, visible: Tensor, tiles: Sequence[Tile], level: int = 0
) -> Tensor:
    """What ``fuse`` gives, written over ``visible``."""
    gain_vi, gain_ir = (1 + torch.sigmoid(fuse.recalibrate(torch.cat([pool(visible), pool(infrared)], 1)))).chunk(2, 1)

    def sources(tile: Tile) -> tuple[Tensor, Tensor, Tensor]:
        vi, ir = tile.core(visible, level) * gain_vi, tile.core(infrared, level) * gain_ir
        return ir, vi, fuse.mix(torch.cat([vi, ir], dim=1))

    total = torch.zeros_like(gain_vi, dtype=torch.float32)
    for tile in tiles:
        total += sources(tile)[2].sum((2, 3), keepdim=True, dtype=torch.float32)
    whole = fuse.whole((total / visible[0, 0].numel()).to(visible.dtype))
    for tile in tiles:
        ir, vi, mixed = sources(tile)
        weight = fuse.local(mixed).mul_(whole).sigmoid_()
        tile.core(visible, level).copy_(torch.lerp(ir, vi, weight))
    return visible


def normalised(x: Tensor, tiles: Sequence[Tile], level: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and 1 / deviation of each channel of each picture, (N, C, 1, 1) float32, as instance norms use them."""
    mean = x.mean((2, 3), keepdim=True, dtype=torch.float32)
    square = torch.zeros_like(mean)
    for tile in tiles:
        square += (tile.core(x, level) - mean).square_().sum((2, 3), keepdim=True)
    return mean, torch.rsqrt(square / x[0, 0].numel() + 1e-5)


class _Injection(nn.Module):
    """A :class:`SIM` of given statistics: one convolution for scale and shift, its norm folded into both."""

    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, sim: SIM) -> None:
        super().__init__()
        scale, shift = norm_scale_shift(sim.norm)
        self.shared = sim.shared
        self.register_buffer("scale", scale.float()[:, None, None])
        weight = torch.cat([sim.gamma.weight, sim.beta.weight]).detach()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.cat([_bias(sim.gamma), _bias(sim.beta) + shift.float()]))

    def forward(self, x: Tensor, deep: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        """(N, C, h, w) and (N, deep, any size) to (N, C, h, w), for mean and 1 / deviation of the whole picture."""
        told = F.relu_(self.shared(resize_to(deep, x.shape[2:])))
        gain, shift = F.conv2d(told, self.weight, self.bias, padding=1).chunk(2, dim=1)
        mean, slope = statistics
        # In float32, whatever the type of x: what varies little is much enlarged.
        flat = ((x - mean) * (slope * self.scale)).to(gain.dtype)
        return torch.addcmul(shift, flat, torch.sigmoid(gain).add_(1))


def fold_norms(model: nn.Module) -> None:
    """Fold all norms that follow a convolution directly, and let activations work in place."""
    for part in list(model.modules()):
        if isinstance(part, nn.ReLU):
            part.inplace = True
        elif isinstance(part, nn.Sequential):
            for (_, conv), (name, norm) in pairwise(list(part.named_children())):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    _absorb(conv, part, name)
        elif isinstance(part, FReLU):
            _absorb(part.conv, part, "norm")
        elif isinstance(part, BasicBlock):
            _absorb(part.conv1, part, "bn1")
            _absorb(part.conv2, part, "bn2")
        elif isinstance(part, DoubleNorm):
            _absorb(part.conv, part, "inner")
            _absorb(part.conv, part, "outer")
        elif isinstance(part, Encoder):
            last = part.second[-1]
            assert isinstance(last, nn.Conv2d)
            _absorb(last, part, "norm")


def _absorb(conv: nn.Conv2d, owner: nn.Module, name: str) -> None:
    norm = owner.get_submodule(name)
    assert isinstance(norm, nn.BatchNorm2d)
    weight, bias = fold_norm(conv, norm)
    conv.weight, conv.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))
    setattr(owner, name, nn.Identity())


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.detach()
