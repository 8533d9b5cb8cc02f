"""Blocks of Restormer (Zamir et al., CVPR 2022): attention between channels over all places, and a gated network.

Features are (N, C, H, W). CDDFuse and EMMA use them, the latter in the "lite" form of CDDFuse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5


class ChannelNorm(nn.Module):
    """Normalises the channels of each place to mean 0 and variance 1, then scales and shifts each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        last = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, EPSILON)
        return last.permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Each head mixes its own channels by how alike they are over all places of the picture.

    ``groups`` are those of the 3x3 convolution that makes query, key and value of the three times ``dim`` channels.
    """

    def __init__(self, dim: int, heads: int, groups: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.expand = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.local = nn.Conv2d(3 * dim, 3 * dim, 3, padding=1, groups=groups, bias=False)
        self.project = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        heads = len(self.temperature)
        # (N, heads, channels of a head, H W)
        query, key, value = (
            part.flatten(2).unflatten(1, (heads, -1)) for part in self.local(self.expand(x)).chunk(3, dim=1)
        )
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        weights = torch.softmax(query @ key.transpose(-2, -1) * self.temperature, dim=-1)
        mixed: Tensor = self.project((weights @ value).flatten(1, 2).unflatten(2, x.shape[2:]))
        return mixed


class GatedNetwork(nn.Module):
    """Twice ``hidden`` channels by 1x1, each with its neighbours by 3x3; GELU of one half gates the other; back by 1x1.

    ``mirrored`` mirrors the border of the 3x3 convolution, which is zero else.
    """

    def __init__(self, dim: int, hidden: int, groups: int, mirrored: bool) -> None:
        super().__init__()
        wide = 2 * hidden
        self.expand = nn.Conv2d(dim, wide, 1, bias=False)
        self.local = nn.Conv2d(
            wide, wide, 3, padding=1, groups=groups, bias=False, padding_mode="reflect" if mirrored else "zeros"
        )
        self.project = nn.Conv2d(hidden, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        gate, value = self.local(self.expand(x)).chunk(2, dim=1)
        gated: Tensor = self.project(F.gelu(gate) * value)
        return gated


class ChannelBlock(nn.Module):
    """Attention, then the gated network, each of normalised features and added to them."""

    def __init__(self, attention: ChannelAttention, network: GatedNetwork) -> None:
        super().__init__()
        dim = attention.project.out_channels
        self.norm1, self.norm2 = ChannelNorm(dim), ChannelNorm(dim)
        self.attention, self.network = attention, network

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        x = x + self.attention(self.norm1(x))
        refined: Tensor = x + self.network(self.norm2(x))
        return refined


def restormer_block(dim: int, heads: int) -> ChannelBlock:
    """Restormer's block: depthwise 3x3 convolutions, a network of twice the width."""
    return ChannelBlock(ChannelAttention(dim, heads, groups=3 * dim), GatedNetwork(dim, 2 * dim, 4 * dim, False))


def lite_block(dim: int, heads: int, mirrored: bool = False) -> ChannelBlock:
    """CDDFuse's: full 3x3 convolutions before the attention, a network of the same width in groups of two channels."""
    return ChannelBlock(ChannelAttention(dim, heads, groups=1), GatedNetwork(dim, dim, dim, mirrored))


def block_layout(theirs: str, ours: str, *, lite: bool) -> dict[str, str]:
    """Names of a block in checkpoints of CDDFuse and EMMA -> names in our state."""
    attention = ("scale", "qkv1", "qkv2", "proj") if lite else ("temperature", "qkv", "qkv_dwconv", "project_out")
    network = "mlp" if lite else "ffn"
    names = {f"norm{i}.body.{part}": f"norm{i}.{part}" for i in (1, 2) for part in ("weight", "bias")}
    names[f"attn.{attention[0]}"] = "attention.temperature"
    for found, wanted in zip(attention[1:], ("expand", "local", "project"), strict=True):
        names[f"attn.{found}.weight"] = f"attention.{wanted}.weight"
    for found, wanted in (("project_in", "expand"), ("dwconv", "local"), ("project_out", "project")):
        names[f"{network}.{found}.weight"] = f"network.{wanted}.weight"
    return {f"{theirs}.{found}": f"{ours}.{wanted}" for found, wanted in names.items()}


class FastChannelBlock(nn.Module):
    """A :class:`ChannelBlock` for inference: the same numbers, with less to compute and to keep.

    A 1x1 and a full 3x3 convolution with nothing between them are one. What attention makes of the values, and the
    projection behind it, are one matrix of C x C numbers for the whole picture. The gated network runs row by row, some
    rows at a time, so that its wide features stay in the cache. :class:`ChannelBlock` is the oracle.
    """

    ROWS = 16

    def __init__(self, block: ChannelBlock) -> None:
        super().__init__()
        attention, network = block.attention, block.network
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.border = "reflect" if network.local.padding_mode == "reflect" else "constant"
        self.groups = attention.local.groups, network.local.groups
        expand, local = attention.expand.weight.detach(), attention.local.weight.detach()
        merge = self.groups[0] == 1
        if merge:
            merged = torch.einsum("omyx,mi->oiyx", local.double(), expand[..., 0, 0].double())
            local = merged.to(local.dtype)
        self.register_buffer("expand", None if merge else expand)
        self.register_buffer("local", local.contiguous(memory_format=torch.channels_last))
        self.register_buffer("project", attention.project.weight.detach()[..., 0, 0])
        self.register_buffer("temperature", attention.temperature.detach())
        self.register_buffer("widen", network.expand.weight.detach())
        self.register_buffer("mix", network.local.weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("narrow", network.project.weight.detach()[..., 0, 0])

    expand: Tensor | None
    local: Tensor
    project: Tensor
    temperature: Tensor
    widen: Tensor
    mix: Tensor
    narrow: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        x = x.clone(memory_format=torch.channels_last)
        self._attend(x)
        self._gate(x)
        return x

    def _attend(self, x: Tensor) -> None:
        y = self.norm1(x)
        if self.expand is not None:
            y = F.conv2d(y, self.expand)
        y = F.conv2d(y, self.local, padding=1, groups=self.groups[0])
        # (N, H W, C)
        query, key, value = y.permute(0, 2, 3, 1).flatten(1, 2).chunk(3, dim=-1)
        lengths = [torch.linalg.vector_norm(part, dim=1, dtype=torch.float32).clamp_min(1e-12) for part in (query, key)]
        alike = (query.transpose(1, 2) @ key).float() / (lengths[0][:, :, None] * lengths[1][:, None])
        heads, width = len(self.temperature), alike.shape[1] // len(self.temperature)
        weights = torch.zeros_like(alike)
        for head in range(heads):
            own = (..., slice(head * width, (head + 1) * width), slice(head * width, (head + 1) * width))
            weights[own] = torch.softmax(alike[own] * self.temperature[head].float(), dim=-1)
        matrix = (self.project.float() @ weights).to(x.dtype)
        x.permute(0, 2, 3, 1).flatten(1, 2).baddbmm_(value, matrix.transpose(1, 2))

    def _gate(self, x: Tensor) -> None:
        # No bias: zeros around the features are zeros around the wide ones.
        y = F.pad(self.norm2(x), (1, 1, 1, 1), mode=self.border)
        places = x.permute(0, 2, 3, 1)
        for top in range(0, x.shape[2], self.ROWS):
            rows = places[:, top : top + self.ROWS]
            wide = F.conv2d(y[:, :, top : top + rows.shape[1] + 2], self.widen)
            gate, value = F.conv2d(wide, self.mix, groups=self.groups[1]).permute(0, 2, 3, 1).chunk(2, dim=-1)
            rows += F.linear(F.gelu(gate).mul_(value), self.narrow)
