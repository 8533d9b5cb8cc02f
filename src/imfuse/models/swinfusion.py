"""SwinFusion: Swin Transformer blocks within each image, across both images, and on the fused features.

Ma, Tang, Fan, Huang, Mei and Ma, "SwinFusion: Cross-domain Long-range Learning for General Image Fusion via Swin
Transformer", IEEE/CAA Journal of Automatica Sinica 2022. Each pixel is a token of 60 channels; tokens are (N, H, W, C),
with H and W multiples of the window side, 8. Attention works within windows, every second block after a cyclic shift
by half a window.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="swinfusion",
    title="SwinFusion",
    paper=Paper(
        title="SwinFusion: Cross-domain Long-range Learning for General Image Fusion via Swin Transformer",
        venue="IEEE/CAA Journal of Automatica Sinica",
        year=2022,
        doi="10.1109/JAS.2022.105686",
    ),
    summary="Swin Transformer blocks within and across both images",
    parameters=965_251,
    authors_licence="none given",
    size=SizeRule(
        min_size=8,
        not_tileable="its windows begin at the top left of the picture; it cuts large ones into parts itself",
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=1500,
    options=(
        Option(
            "border",
            ("reflect", "flip"),
            "reflect",
            "how sides become multiples of 8: as the network does it, or by 1 to 8 pixels as the authors' test program",
        ),
    ),
)

DIM = 60
HEADS = 6
WINDOW = 8
SHIFT = WINDOW // 2
WITHIN, ACROSS = 4, 2
"""Blocks of an intra-domain stage, before and after the fusion; blocks of each kind in one of two fusion stages."""
DROP = 0.1
"""Largest probability of stochastic depth, by which training leaves a branch out."""
SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""
MASKED = -100.0
"""Score of two pixels that lie in one window only because of the cyclic shift."""


@lru_cache(maxsize=1)
@torch.inference_mode(False)
def _relative_positions() -> Tensor:
    """Row of the table of position biases for each pair of query and key in a window, (64, 64)."""
    steps = torch.arange(WINDOW)
    rows, columns = steps.repeat_interleave(WINDOW), steps.repeat(WINDOW)
    down, across = (x[:, None] - x[None] + WINDOW - 1 for x in (rows, columns))
    return down * (2 * WINDOW - 1) + across


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def shift_mask(height: int, width: int) -> Tensor:
    """Mask that is added to the scores of each window of a shifted image, (windows, 1, 64, 64)."""

    def regions(side: int) -> Tensor:
        position = torch.arange(side)
        return (position >= side - WINDOW).long() + (position >= side - SHIFT).long()

    region = 3 * regions(height)[:, None] + regions(width)[None]
    windows = to_windows(region[None, ..., None])[..., 0]
    return torch.where(windows[:, :, None] == windows[:, None], 0.0, MASKED)[:, None]


def to_windows(x: Tensor) -> Tensor:
    """Tokens (N, H, W, C) to windows (N windows, 64, C)."""
    count, height, width, channels = x.shape
    x = x.reshape(count, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(-1, WINDOW * WINDOW, channels)


def from_windows(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Windows (N windows, 64, C) to tokens (N, height, width, C): undoes :func:`to_windows`."""
    height, width = size
    x = windows.reshape(-1, height // WINDOW, width // WINDOW, WINDOW, WINDOW, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with a learned bias for each relative position of query and key.

    Query, key and value come from the same image; if ``cross``, key and value come from the other image.
    """

    def __init__(self, cross: bool) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, HEADS))
        nn.init.trunc_normal_(self.table, std=0.02)
        if cross:
            self.query, self.key_value = nn.Linear(DIM, DIM), nn.Linear(DIM, 2 * DIM)
        else:
            self.qkv = nn.Linear(DIM, 3 * DIM)
        self.project = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, other: Tensor | None, shift: int) -> Tensor:
        """Tokens ``x`` (N, H, W, C), each of which attends to its window of ``x`` or, if given, of ``other``."""
        size = (x.shape[1], x.shape[2])
        first, second = (to_windows(t.roll((-shift, -shift), (1, 2))) for t in (x, x if other is None else other))
        query, key, value = self.triple(first, second)
        scores = query @ key.transpose(-2, -1) * (DIM // HEADS) ** -0.5 + self.bias()
        if shift:
            mask = shift_mask(*size).to(scores)
            scores = (scores.unflatten(0, (-1, len(mask))) + mask).flatten(0, 1)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        return from_windows(self.project(mixed), size).roll((shift, shift), (1, 2))

    def triple(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Query of the first windows, key and value of the second, (windows, heads, 64, 10) each."""
        if hasattr(self, "qkv"):
            parts = self.qkv(first).chunk(3, dim=-1)
        else:
            parts = (self.query(first), *self.key_value(second).chunk(2, dim=-1))
        return tuple(part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)

    def bias(self) -> Tensor:
        """Position biases, (heads, 64, 64)."""
        return self.table[_relative_positions().to(self.table.device)].permute(2, 0, 1)


class Mlp(nn.Module):
    """Feed-forward network: to twice the channels, GELU, back."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(DIM, 2 * DIM), nn.Linear(2 * DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., C) to the same."""
        narrow: Tensor = self.narrow(F.gelu(self.widen(x)))
        return narrow


class SwinBlock(nn.Module):
    """Residual block: window attention, then the feed-forward network, each applied to normalised tokens."""

    def __init__(self, shift: int, drop: float, cross: bool = False) -> None:
        super().__init__()
        self.shift, self.drop = shift, drop
        self.norm1, self.norm2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.attention, self.mlp = WindowAttention(cross), Mlp()

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Tokens (N, H, W, C) to the same; ``other`` are normalised tokens of the other image to attend to."""
        x = x + self._drop_path(self.attention(self.norm1(x), other, self.shift))
        return x + self._drop_path(self.mlp(self.norm2(x)))

    def _drop_path(self, branch: Tensor) -> Tensor:
        """Stochastic depth: in training zero for some images of the batch, in expectation ``branch``."""
        if not (self.training and self.drop):
            return branch
        kept = branch.new_empty(len(branch), 1, 1, 1).bernoulli_(1 - self.drop)
        return branch * kept / (1 - self.drop)


class CrossBlock(nn.Module):
    """Cross-domain block: each image attends to the tokens of the other from before the block."""

    def __init__(self, shift: int, drop: float) -> None:
        super().__init__()
        self.infrared, self.visible = SwinBlock(shift, drop, cross=True), SwinBlock(shift, drop, cross=True)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of both images, (N, H, W, C) each, to the same."""
        normalised_ir, normalised_vi = self.infrared.norm1(infrared), self.visible.norm1(visible)
        return self.infrared(infrared, normalised_vi), self.visible(visible, normalised_ir)


class FusionStage(nn.Module):
    """Two intra-domain blocks for each image, then two cross-domain blocks."""

    def __init__(self, drops: list[float]) -> None:
        super().__init__()
        self.infrared, self.visible = swin_blocks(drops), swin_blocks(drops)
        self.cross = nn.ModuleList(CrossBlock(_shift(i), drop) for i, drop in enumerate(drops))

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of both images, (N, H, W, C) each, to the same."""
        infrared, visible = self.infrared(infrared), self.visible(visible)
        for block in self.cross:
            infrared, visible = block(infrared, visible)
        return infrared, visible


def _shift(index: int) -> int:
    return SHIFT if index % 2 else 0


def swin_blocks(drops: list[float]) -> nn.Sequential:
    """A block for each drop probability; every second one is shifted."""
    return nn.Sequential(*(SwinBlock(_shift(i), drop) for i, drop in enumerate(drops)))


def rising(count: int) -> list[float]:
    """Drop probabilities that rise from 0 to ``DROP``.

    >>> rising(3)
    [0.0, 0.05, 0.1]
    """
    return [DROP * i / (count - 1) for i in range(count)]


class SwinFusion(FusionModel):
    """SwinFusion. ``border`` selects how sides become multiples of 8."""

    spec = SPEC

    def __init__(self, border: str = "reflect") -> None:
        super().__init__()
        self.border = border
        self.shallow = nn.ModuleList([nn.Conv2d(1, DIM // 2, 3, padding=1), nn.Conv2d(DIM // 2, DIM, 3, padding=1)])
        self.start = nn.LayerNorm(DIM)
        self.within_ir, self.within_vi = swin_blocks(rising(WITHIN)), swin_blocks(rising(WITHIN))
        self.norm_ir, self.norm_vi = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        drops = rising(2 * ACROSS)
        self.fusion = nn.ModuleList(FusionStage(drops[i : i + ACROSS]) for i in (0, ACROSS))
        self.norm_fused_ir, self.norm_fused_vi = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.join = nn.Conv2d(2 * DIM, DIM, 3, padding=1)
        self.after = swin_blocks(rising(WITHIN))
        self.norm_after = nn.LayerNorm(DIM)
        widths = (DIM, DIM // 2, DIM // 4)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.image = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.apply(_initialise)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 8."""
        return self.raw(infrared, visible).clamp(0, 1)

    def raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The fused image (N, 1, H, W) without bounds."""
        height, width = infrared.shape[2:]
        return self.network(self.padded(infrared), self.padded(visible))[..., :height, :width]

    def padded(self, image: Tensor) -> Tensor:
        """The image (N, 1, H, W) with sides that are multiples of 8, as ``border`` selects."""
        return _reflected(image) if self.border == "reflect" else _flipped(image)

    def network(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """The fused image (N, 1, H, W) without bounds; H and W are multiples of 8."""
        tokens_ir = self.norm_ir(self.within_ir(self.tokens(self.features(infrared))))
        tokens_vi = self.norm_vi(self.within_vi(self.tokens(self.features(visible))))
        tokens_ir, tokens_vi = self.start(tokens_ir), self.start(tokens_vi)
        for stage in self.fusion:
            tokens_ir, tokens_vi = stage(tokens_ir, tokens_vi)
        tokens = torch.cat([self.norm_fused_ir(tokens_ir), self.norm_fused_vi(tokens_vi)], dim=-1)
        joined = tokens.permute(0, 3, 1, 2)
        x = self.after(self.tokens(F.leaky_relu(self.join(joined), SLOPE)))
        x = self.norm_after(x).permute(0, 3, 1, 2)
        for conv in self.narrow:
            x = F.leaky_relu(conv(x), SLOPE)
        image: Tensor = self.image(x)
        return image

    def features(self, image: Tensor) -> Tensor:
        """Image (N, 1, H, W) to maps (N, 60, H, W)."""
        for conv in self.shallow:
            image = F.leaky_relu(conv(image), SLOPE)
        return image

    def tokens(self, maps: Tensor) -> Tensor:
        """Maps (N, 60, H, W) to normalised tokens (N, H, W, 60)."""
        start: Tensor = self.start(maps.permute(0, 2, 3, 1))
        return start

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``10000_E.pth``, without its buffers and two convolutions that are never called."""
        names: dict[str, str] = {}

        def add(theirs: str, ours: str) -> None:
            names.update({f"{theirs}.{part}": f"{ours}.{part}" for part in ("weight", "bias")})

        def add_block(theirs: str, ours: str, linear: dict[str, str], side: str = "") -> None:
            attention = f"{theirs}.attn{side}"
            names[f"{attention}.relative_position_bias_table"] = f"{ours}.attention.table"
            for published, layer in (linear | {"proj": "project"}).items():
                add(f"{attention}.{published}", f"{ours}.attention.{layer}")
            for i in (1, 2):
                add(f"{theirs}.norm{i}{side}", f"{ours}.norm{i}")
            add(f"{theirs}.mlp{side}.fc1", f"{ours}.mlp.widen")
            add(f"{theirs}.mlp{side}.fc2", f"{ours}.mlp.narrow")

        for i in (0, 1):
            add(f"conv_first{i + 1}_A", f"shallow.{i}")
            add(f"conv_last{i + 1}", f"narrow.{i}")
        singles = {"patch_embed.norm": "start", "norm_Re": "norm_after", "conv_after_body_Fusion": "join"}
        for theirs, ours in (singles | {"conv_last3": "image"}).items():
            add(theirs, ours)
        for i in range(WITHIN):
            add_block(f"layers_Re.0.residual_group.blocks.{i}", f"after.{i}", {"qkv": "qkv"})
        for side, ours in (("A", "ir"), ("B", "vi")):
            add(f"norm_Ex_{side}", f"norm_{ours}")
            add(f"norm_Fusion_{side}", f"norm_fused_{ours}")
            for i in range(WITHIN):
                add_block(f"layers_Ex_{side}.0.residual_group.blocks.{i}", f"within_{ours}.{i}", {"qkv": "qkv"})
            part = {"ir": "infrared", "vi": "visible"}[ours]
            for stage in (0, 1):
                theirs = f"layers_Fusion.{stage}.residual_group"
                for i in range(ACROSS):
                    add_block(f"{theirs}_{side}.blocks.{i}", f"fusion.{stage}.{part}.{i}", {"qkv": "qkv"})
                    cross = {"q": "query", "kv": "key_value"}
                    add_block(f"{theirs}.blocks.{i}", f"fusion.{stage}.cross.{i}.{part}", cross, f"_{side}")
        return names

    @classmethod
    def published_extras(cls) -> tuple[str, ...]:
        """Buffers that follow from the image size, and convolutions that are never called."""
        return "*.attn_mask", "*.relative_position_index", "conv_first?_B.*"


def _reflected(image: Tensor) -> Tensor:
    rows, columns = SizeRule(WINDOW).padding(*image.shape[2:])
    return F.pad(image, (0, columns, 0, rows), mode="reflect")


def _flipped(image: Tensor) -> Tensor:
    """The image with 1 to 8 more pixels at the bottom and at the right, mirrored with the edge repeated."""
    for axis in (2, 3):
        more = WINDOW - image.shape[axis] % WINDOW
        image = torch.cat([image, image.flip(axis).narrow(axis, 0, more)], dim=axis)
    return image


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
