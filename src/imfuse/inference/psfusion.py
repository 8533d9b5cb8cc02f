"""PSFusion for inference.

Batch norms are folded into the convolutions before them, and the heads that reconstruct the source images are left out.

Pooled weights, instance norms and attention depend on the whole image. Their inputs are kept for the whole image, in a
few full-size maps; everything in between is local and runs tile by tile with a halo, in memory that stays in the cache.

``scripts/speed/networks.py psfusion`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.size_rule import SizeRule
from imfuse.layers.blocks import FastConv3x3, MirroredConv, channels_last, conv_mirrored, replace_modules
from imfuse.layers.folding import bias_of, fold_norm, norm_scale_shift
from imfuse.layers.precision import InFloat32
from imfuse.layers.resnet import BasicBlock
from imfuse.models._psfusion_parts import SDFM, SIM, DetailFusion, DoubleNorm, Encoder, FReLU, pool
from imfuse.models.psfusion import PSFusion
from imfuse.ops.resize import resize_to
from imfuse.ops.tiles import Tile

TILE = 256
"""Side of a tile in pixels, without its halo."""
HALO = 12
"""The stem needs 11 pixels; semantic injection, the decoder and the head together need 9."""
STEP = 4
"""Tiles begin at pixels of the semantic features, which have 1/4 of the image size."""


def fast_form(model: PSFusion) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastPSFusion(model)


class FastPSFusion(nn.Module):
    """Inference form of a :class:`PSFusion`."""

    def __init__(self, model: PSFusion) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        del self.model.head_vi, self.model.head_ir
        fold_norms(self.model)
        self.at_half, self.at_full, self.inject = (
            _Injection(module) for module in (self.model.scene_half, self.model.scene_full, self.model.inject)
        )
        del self.model.scene_half, self.model.scene_full, self.model.inject
        channels_last(self)
        # Instance norms follow the full-size features, and enlarge what varies little: bfloat16 errors would show.
        large = self.model.fusion[0]
        assert isinstance(large, SDFM)
        self.encoder_ir, self.encoder_vi = (
            InFloat32(self.model.encoder_ir.first),
            InFloat32(self.model.encoder_vi.first),
        )
        self.branch_ir, self.branch_vi = InFloat32(large.infrared), InFloat32(large.visible)
        self.details = InFloat32(large.fuse)
        # The same holds for the scene features.
        self.model.scene.blocks[-1] = InFloat32(self.model.scene.blocks[-1])
        # An 8-bit image needs more digits than bfloat16 has.
        self.head, self.classify = InFloat32(self.model.head), InFloat32(self.model.segmentation)
        del self.model.encoder_ir.first, self.model.encoder_vi.first, self.model.fusion[0], self.model.head
        del self.model.segmentation
        replace_modules(self, MirroredConv, lambda conv: FastConv3x3(conv) if conv.margin == 1 else conv)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused luminance (N, 1, H, W) in [0, 1], float32; computed in the type of the weights."""
        model, size = self.model, infrared.shape[2:]
        tiles = tiles_of(size)
        f1, f2, *deep = self._encode(infrared, visible.expand(-1, 3, -1, -1), tiles)
        semantics = model.understand([f1, f2, *deep]) if model.injection else None
        half_statistics, full_statistics = self.at_half.statistics(f2, tiles, 1), self.at_full.statistics(f1, tiles)

        def inject_at_half_size(tile: Tile) -> tuple[Tensor]:
            return (self.at_half(tile.with_halo(f2, 1), tile.with_halo(deep[0], 2), half_statistics),)

        (half,) = assembled(tiles, size, (1,), inject_at_half_size)

        def decode_scene(tile: Tile) -> tuple[Tensor]:
            return (model.scene(self.at_full(tile.with_halo(f1), tile.with_halo(half, 1), full_statistics)),)

        (scene,) = assembled(tiles, size, (0,), decode_scene)
        scene_statistics = self.inject.statistics(scene, tiles)

        def decode_image(tile: Tile) -> tuple[Tensor]:
            x = tile.with_halo(scene)
            if semantics is not None:
                x = self.inject(x, tile.with_halo(semantics, 2), scene_statistics)
            return (self.head(model.image(x)),)

        (fused,) = assembled(tiles, size, (0,), decode_image)
        return fused

    def segment(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Logits (N, classes, H, W), with H and W rounded up to multiples of 4; no image is computed."""
        features = self._encode(infrared, visible.expand(-1, 3, -1, -1), tiles_of(infrared.shape[2:]))
        semantic: Tensor = self.classify(self.model.understand(features))[0]
        return semantic

    def _encode(self, infrared: Tensor, visible: Tensor, tiles: list[Tile]) -> list[Tensor]:
        """Fused features at six scales."""
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
                x = encoder(tile.with_halo(image).contiguous(memory_format=torch.channels_last))
                large.append(branch(x))
                small.append(F.relu_(reduce(x.to(self.at_half.weight.dtype))))
            return large + small

        size = infrared.shape[2:]
        large_ir, large_vi, ir, vi = assembled(tiles, size, (0, 0, 1, 1), stems)
        details = self.details.module
        assert isinstance(details, DetailFusion)
        f1 = fuse_details(details, large_ir, large_vi, tiles)

        def branches(tile: Tile) -> tuple[Tensor, Tensor]:
            return second.infrared(tile.with_halo(ir, 1)), second.visible(tile.with_halo(vi, 1))

        middle_ir, middle_vi = assembled(tiles, size, (1, 1), branches)
        f2 = fuse_details(second.fuse, middle_ir, middle_vi, tiles, level=1)
        del large_ir, large_vi, middle_ir, middle_vi
        deep = zip(others, model.encoder_ir.deep(ir), model.encoder_vi.deep(vi), strict=True)
        return [f1, f2, *(fuse(deep_ir, deep_vi) for fuse, deep_ir, deep_vi in deep)]


def tiles_of(size: Sequence[int]) -> list[Tile]:
    """The tiles of an image of (height, width)."""
    return [Tile(*spans) for spans in SizeRule(STEP, halo=HALO).tiles(size[0], size[1], TILE)]


def assembled(
    tiles: Sequence[Tile], size: Sequence[int], levels: Sequence[int], function: Callable[[Tile], Sequence[Tensor]]
) -> list[Tensor]:
    """Applies a function to all tiles and assembles its results to maps of the whole image.

    Args:
        tiles: of the image.
        size: height and width of the image.
        levels: of each result; a map of level i has 1 / 2^i of the image size.
        function: returns, for a tile, one part with halo for each level.

    Returns:
        A map (N, C, h, w) for each level.
    """
    wholes: list[Tensor] = []
    for tile in tiles:
        parts = function(tile)
        if not wholes:
            shapes = [[-(-side >> level) for side in size] for level in levels]
            empty = (part.new_empty((*part.shape[:2], *shape)) for part, shape in zip(parts, shapes, strict=True))
            wholes = [whole.contiguous(memory_format=torch.channels_last) for whole in empty]
        for part, whole, level in zip(parts, wholes, levels, strict=True):
            tile.store(whole, part, level)
    return wholes


def fuse_details(
    fuse: DetailFusion, infrared: Tensor, visible: Tensor, tiles: Sequence[Tile], level: int = 0
) -> Tensor:
    """The output of ``fuse`` for features (N, C, h, w) of both images; it overwrites ``visible``."""
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


def instance_statistics(x: Tensor, tiles: Sequence[Tile], level: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and inverse standard deviation of an instance norm, (N, C, 1, 1) each, float32."""
    mean = x.mean((2, 3), keepdim=True, dtype=torch.float32)
    square = torch.zeros_like(mean)
    for tile in tiles:
        square += (tile.core(x, level) - mean).square_().sum((2, 3), keepdim=True)
    return mean, torch.rsqrt(square / x[0, 0].numel() + 1e-5)


class _Injection(nn.Module):
    """A :class:`SIM` with known statistics: one convolution computes scale and shift, and its norm is folded in."""

    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, sim: SIM) -> None:
        super().__init__()
        scale, shift = norm_scale_shift(sim.norm)
        self.shared, self.per_image = sim.shared, sim.per_image
        self.mirrored = isinstance(sim.gamma, MirroredConv)
        self.register_buffer("scale", scale.float()[:, None, None])
        weight = torch.cat([sim.gamma.weight, sim.beta.weight]).detach()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.cat([bias_of(sim.gamma), bias_of(sim.beta) + shift.float()]))

    def statistics(self, x: Tensor, tiles: Sequence[Tile], level: int = 0) -> tuple[Tensor, Tensor]:
        """Those of :func:`instance_statistics`; of a batch norm, which is folded in, 0 and 1."""
        if self.per_image:
            return instance_statistics(x, tiles, level)
        return x.new_zeros(1, dtype=torch.float32), x.new_ones(1, dtype=torch.float32)

    def forward(self, x: Tensor, deep: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        """Features (N, C, h, w) and deep ones of any size to (N, C, h, w).

        ``statistics`` are the mean and the inverse standard deviation of ``x`` in the whole image.
        """
        guidance = F.relu_(self.shared(resize_to(deep, x.shape[2:])))
        if self.mirrored:
            gain, shift = conv_mirrored(guidance, self.weight, self.bias).chunk(2, dim=1)
        else:
            gain, shift = F.conv2d(guidance, self.weight, self.bias, padding=1).chunk(2, dim=1)
        mean, inverse_deviation = statistics
        # In float32, whatever the type of x: small variations are much enlarged.
        normalised = ((x - mean) * (inverse_deviation * self.scale)).to(gain.dtype)
        return torch.addcmul(shift, normalised, torch.sigmoid(gain).add_(1))


def fold_norms(model: nn.Module) -> None:
    """Folds all norms that directly follow a convolution into it, and makes activations work in place."""
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
