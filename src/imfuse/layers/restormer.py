"""Transformer blocks of Restormer: attention between channels, and a gated feed-forward network.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022. The scores of the
attention compare channels over all pixels, so their number does not grow with the image. CDDFuse uses these blocks and
a "lite" form of its own, EMMA the lite form alone. Features are (N, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, with a learned scale and shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        # (N, H, W, C)
        normalised = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, EPSILON)
        return normalised.permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Multi-head transposed attention: each head mixes its channels by their similarity over all pixels.

    Args:
        dim: number of channels.
        heads: number of heads.
        groups: of the 3x3 convolution that computes query, key and value.
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
    """Gated feed-forward network: a 1x1 and a 3x3 convolution; the GELU of one half of their output gates the other.

    Args:
        dim: number of channels.
        hidden: channels of each half.
        groups: of the 3x3 convolution.
        mirrored: mirrors the border of the 3x3 convolution, which is zero otherwise.
    """

    def __init__(self, dim: int, hidden: int, groups: int, mirrored: bool) -> None:
        super().__init__()
        width = 2 * hidden
        self.expand = nn.Conv2d(dim, width, 1, bias=False)
        self.local = nn.Conv2d(
            width, width, 3, padding=1, groups=groups, bias=False, padding_mode="reflect" if mirrored else "zeros"
        )
        self.project = nn.Conv2d(hidden, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        gate, value = self.local(self.expand(x)).chunk(2, dim=1)
        gated: Tensor = self.project(F.gelu(gate) * value)
        return gated


class ChannelBlock(nn.Module):
    """Residual block: channel attention, then the gated network, each applied to normalised features."""

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
    """Restormer's block: depthwise 3x3 convolutions, a gated network of twice the width."""
    return ChannelBlock(ChannelAttention(dim, heads, groups=3 * dim), GatedNetwork(dim, 2 * dim, 4 * dim, False))


def lite_block(dim: int, heads: int, mirrored: bool = False) -> ChannelBlock:
    """CDDFuse's block: full 3x3 convolutions before the attention, a gated network of ``dim`` groups."""
    return ChannelBlock(ChannelAttention(dim, heads, groups=1), GatedNetwork(dim, dim, dim, mirrored))


def block_layout(theirs: str, ours: str, *, lite: bool) -> dict[str, str]:
    """Key map of a block: its names in checkpoints of CDDFuse and EMMA -> names in our state.

    Args:
        theirs: prefix of the block in the checkpoint.
        ours: prefix of the block in our state.
        lite: whether it is a :func:`lite_block`.
    """
    attention = ("scale", "qkv1", "qkv2", "proj") if lite else ("temperature", "qkv", "qkv_dwconv", "project_out")
    network = "mlp" if lite else "ffn"
    names = {f"norm{i}.body.{part}": f"norm{i}.{part}" for i in (1, 2) for part in ("weight", "bias")}
    names[f"attn.{attention[0]}"] = "attention.temperature"
    for published, layer in zip(attention[1:], ("expand", "local", "project"), strict=True):
        names[f"attn.{published}.weight"] = f"attention.{layer}.weight"
    for published, layer in (("project_in", "expand"), ("dwconv", "local"), ("project_out", "project")):
        names[f"{network}.{published}.weight"] = f"network.{layer}.weight"
    return {f"{theirs}.{published}": f"{ours}.{name}" for published, name in names.items()}


class FastChannelBlock(nn.Module):
    """Inference form of a :class:`ChannelBlock`, which is its oracle.

    A 1x1 and a full 3x3 convolution with nothing between them become one. The weights of the attention and the
    projection after it become one C x C matrix for the whole image. The gated network processes some rows at a time, so
    that its wide features stay in the cache.
    """

    ROWS = 16
    """Rows of the gated network at a time."""

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
        """Adds the output of the attention to ``x``, in place."""
        y = self.norm1(x)
        if self.expand is not None:
            y = F.conv2d(y, self.expand)
        y = F.conv2d(y, self.local, padding=1, groups=self.groups[0])
        # (N, H W, C)
        query, key, value = y.permute(0, 2, 3, 1).flatten(1, 2).chunk(3, dim=-1)
        norms = [torch.linalg.vector_norm(part, dim=1, dtype=torch.float32).clamp_min(1e-12) for part in (query, key)]
        similarity = (query.transpose(1, 2) @ key).float() / (norms[0][:, :, None] * norms[1][:, None])
        heads, width = len(self.temperature), similarity.shape[1] // len(self.temperature)
        weights = torch.zeros_like(similarity)
        for head in range(heads):
            channels = slice(head * width, (head + 1) * width)
            scores = similarity[:, channels, channels] * self.temperature[head].float()
            weights[:, channels, channels] = torch.softmax(scores, dim=-1)
        matrix = (self.project.float() @ weights).to(x.dtype)
        x.permute(0, 2, 3, 1).flatten(1, 2).baddbmm_(value, matrix.transpose(1, 2))

    def _gate(self, x: Tensor) -> None:
        """Adds the output of the gated network to ``x``, in place."""
        # The 1x1 convolution has no bias, so padding may precede it: zeros stay zeros.
        y = F.pad(self.norm2(x), (1, 1, 1, 1), mode=self.border)
        pixels = x.permute(0, 2, 3, 1)
        for top in range(0, x.shape[2], self.ROWS):
            rows = pixels[:, top : top + self.ROWS]
            widened = F.conv2d(y[:, :, top : top + rows.shape[1] + 2], self.widen)
            gate, value = F.conv2d(widened, self.mix, groups=self.groups[1]).permute(0, 2, 3, 1).chunk(2, dim=-1)
            rows += F.linear(F.gelu(gate).mul_(value), self.narrow)
