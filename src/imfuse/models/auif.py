"""AUIF-Net: base and detail encoders from algorithm unrolling, and a decoder of one layer.

Zhao et al., "Efficient and Model-Based Infrared and Visible Image Fusion via Algorithm Unrolling", IEEE TCSVT 2021.
The iterations of two optimisation problems become the layers of two encoders: one computes the base, one the detail map
of an image. The network is trained as an auto-encoder of single images; to fuse two, their base maps and their detail
maps are added and decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule, WeightsSpec
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.models._base import FusionModel
from imfuse.ops.filters import box_mean, reflect_pad

SPEC = ModelSpec(
    name="auif",
    title="AUIF-Net",
    paper=Paper(
        title="Efficient and Model-Based Infrared and Visible Image Fusion via Algorithm Unrolling",
        venue="IEEE Transactions on Circuits and Systems for Video Technology",
        year=2021,
        doi="10.1109/TCSVT.2021.3075745",
        arxiv="2005.05896",
    ),
    summary="algorithm unrolling: base and detail maps, exact 5x5 form, very fast",
    parameters=11_631,
    size=SizeRule(
        min_size=10,
        # 9 (start filter) + 10 layers x 2 + 1 (activity of rule l1) + 1 (decoder)
        halo=31,
    ),
    memory_per_pixel=100,
    options=(Option("rule", ("sum", "average", "l1"), "sum", "how the maps of the two images are joined"),),
    weights=(
        WeightsSpec(
            name="default",
            file="auif.safetensors",
            sha256="ab159fa25441eb51d74218ef9b27b4a035fed6aa664717d6792e31588286160e",
            recipe="auif_mixed, from the paper weights",
            data="RoadScene train, MSRS train (128x128), frames of M2VD; a tenth of each held out",
            date="2026-11-30",
            bias=2,
        ),
        WeightsSpec(
            name="paper",
            file="auif_paper.safetensors",
            sha256="6d6528e94dc1ae124a602dbdb0997ec27e05c04186212fe6ee6c072e5f38d3f9",
            recipe="auif",
            data="RoadScene, the 180 FLIR training pairs",
            date="2026-11-21",
            bias=32,
        ),
    ),
)

LAYERS = 10
CHANNELS = 64
Form = Literal["folded", "plain"]


class UnrolledLayer(nn.Module):
    """One gradient step: ``x - eta * (PReLU(BN(K'Kx)) - theta * (source - x))``, where K' is the adjoint of K."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(CHANNELS, 1, 3, 3))
        self.eta = nn.Parameter(0.1 + 0.03 * torch.randn(1))
        self.theta = nn.Parameter(1e-3 + 1e-4 * torch.randn(1))
        self.norm = nn.BatchNorm2d(1)
        self.activation = nn.PReLU()

    def forward(self, x: Tensor, source: Tensor, form: Form = "folded") -> Tensor:
        """The next iterate from ``x`` (N, 1, H, W), for the image ``source`` (N, 1, H, W)."""
        response = folded_response(x, self.kernel) if form == "folded" else plain_response(x, self.kernel)
        step = self.activation(self.norm(response))
        iterate: Tensor = x - self.eta * (step - self.theta * (source - x))
        return iterate


def plain_response(x: Tensor, kernel: Tensor) -> Tensor:
    """K'Kx as published, by way of 64 responses with mirrored borders; the oracle of the folded form."""
    responses = F.conv2d(reflect_pad(x, 1), kernel)
    return F.conv2d(reflect_pad(responses, 1), kernel.flip(2, 3).transpose(0, 1))


def folded_kernels(kernel: Tensor) -> Tensor:
    """The nine 5x5 kernels (9, 1, 5, 5) that replace ``kernel`` (C, 1, 3, 3) and its adjoint.

    Away from the border, K'K is one correlation with the summed autocorrelation of the kernels. The published network
    mirrors the *responses*, so in the outermost frame the outer taps of the adjoint apply to the inner row or column.
    The kernels are those of the first, middle and last row, and within each row of the first, middle and last column.
    """
    adjoint = kernel.flip(2, 3)
    by_row = [_fold_outer_taps(adjoint, 2, end) for end in (0, None, 2)]
    adjoints = torch.cat([_fold_outer_taps(rows, 3, end) for rows in by_row for end in (0, None, 2)], dim=1)
    # A full convolution of K with its adjoint is a correlation with the flipped adjoint.
    return F.conv2d(F.pad(kernel.transpose(0, 1), (2, 2, 2, 2)), adjoints.flip(2, 3).transpose(0, 1)).transpose(0, 1)


def _fold_outer_taps(taps: Tensor, axis: int, end: int | None) -> Tensor:
    """Adds the taps at one ``end`` (0 or 2) of an axis of three to those at the other, as mirrored responses do."""
    if end is None:
        return taps
    first, middle, last = taps.unbind(axis)
    outer_to_inner = (torch.zeros_like(first), middle, last + first)
    return torch.stack(outer_to_inner if end == 0 else (first + last, middle, torch.zeros_like(last)), axis)


def folded_response(x: Tensor, kernel: Tensor) -> Tensor:
    """K'Kx of (N, 1, H, W) without a tensor of 64 channels, exact to rounding.

    It is differentiable, and training uses it too. The images of a batch become channels: a depthwise convolution in
    channels-last order, with its gradient, is many times faster than one of a single channel.
    """
    as_channels = x.transpose(0, 1).contiguous(memory_format=torch.channels_last)
    kernels = folded_kernels(kernel).expand(-1, len(x), -1, -1)
    return correlate_framed(as_channels, kernels).transpose(0, 1).contiguous()


def correlate_framed(x: Tensor, kernels: Tensor) -> Tensor:
    """Correlates each channel with the middle kernel, and the outermost frame with its own eight kernels.

    Args:
        x: (N, C, H, W).
        kernels: (9, C, 5, 5), in the order of :func:`folded_kernels`.

    Returns:
        (N, C, H, W).
    """
    groups = x.shape[1]
    padded = reflect_pad(x, 2)
    regions = [(slice(0, 5), 0), (slice(None), 1), (slice(-5, None), 2)]

    def part(rows: int, columns: int) -> Tensor:
        kernel = kernels[3 * rows + columns].unsqueeze(1)
        return F.conv2d(padded[:, :, regions[rows][0], regions[columns][0]], kernel, groups=groups)

    def row(rows: int) -> Tensor:
        return torch.cat([part(rows, 0), part(rows, 1)[..., 1:-1], part(rows, 2)], dim=3)

    return torch.cat([row(0), row(1)[:, :, 1:-1], row(2)], dim=2)


class Encoder(nn.Module):
    """An initial map from a fixed filter, then ten unrolled layers, each of which also takes the image."""

    def __init__(self, start: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.start = start
        self.layers = nn.ModuleList(UnrolledLayer() for _ in range(LAYERS))

    def forward(self, image: Tensor, form: Form = "folded") -> Tensor:
        """Map (N, 1, H, W) of an image (N, 1, H, W) in [0, 1]."""
        x = self.start(image)
        for layer in self.layers:
            x = layer(x, image, form)
        return x


def base_start(image: Tensor) -> Tensor:
    """Initial base map: an 11x11 mean."""
    return box_mean(image, 11)


def detail_start(image: Tensor) -> Tensor:
    """Initial detail map: a 19x19 Laplacian of L1 norm 1, negative at bright spots."""
    return (361 / 720) * (box_mean(image, 19) - image)


class AUIF(FusionModel):
    """AUIF-Net. ``rule`` fuses the maps of the two images; ``form="plain"`` computes the layers as published."""

    spec = SPEC

    def __init__(self, rule: str = "sum", form: Form = "folded") -> None:
        super().__init__()
        self.rule, self.form = rule, form
        self.base = Encoder(base_start)
        self.detail = Encoder(detail_start)
        self.decoder = nn.Conv2d(1, 1, 3, bias=False)
        self.decoder_norm = nn.BatchNorm2d(1)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 10."""
        (base_ir, detail_ir), (base_vi, detail_vi) = self.encode(infrared), self.encode(visible)
        return self.decode(fuse_maps(base_ir, base_vi, self.rule), fuse_maps(detail_ir, detail_vi, self.rule))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Base and detail map of one image, each (N, 1, H, W)."""
        return self.base(image, self.form), self.detail(image, self.form)

    def decode(self, base: Tensor, detail: Tensor) -> Tensor:
        """Image (N, 1, H, W) in [0, 1] from its base and detail maps."""
        return torch.sigmoid(self.decoder_norm(self.decoder(reflect_pad(base + detail, 1))))

    def reconstruct(self, image: Tensor) -> Tensor:
        """An image (N, 1, H, W) encoded and decoded: the auto-encoder that is trained."""
        return self.decode(*self.encode(image))

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' three files, merged: TCSVT_Encoder_Base, TCSVT_Encoder_Detail, TCSVT_Decoder."""
        norm = ("weight", "bias", "running_mean", "running_var")
        names: dict[str, str] = {}
        for theirs, ours in (("conv1", "base"), ("conv2", "detail")):
            for i in range(LAYERS):
                names |= {f"{theirs}.{i}.{name}": f"{ours}.layers.{i}.{name}" for name in ("kernel", "eta", "theta")}
                names |= {f"{theirs}.{i}.rest.0.{name}": f"{ours}.layers.{i}.norm.{name}" for name in norm}
                names[f"{theirs}.{i}.rest.1.weight"] = f"{ours}.layers.{i}.activation.weight"
        names["decoder.1.weight"] = "decoder.weight"
        return names | {f"decoder.2.{name}": f"decoder_norm.{name}" for name in norm}
