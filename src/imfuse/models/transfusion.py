"""TransFusion: VGG-19 features of both images, fused by channel and spatial attention and decoded by a U-Net.

Qian et al., "TransFusion: Transfer learning-driven adaptive fusion network for infrared and visible image", Infrared
Physics & Technology 2025. The encoder is VGG-19 of ImageNet. Training has two stages: the decoder learns to reconstruct
single images; then the attention modules between encoder and decoder learn to fuse.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.layers.folding import bias_of
from imfuse.layers.vgg import ADDRESS, VGG19, torchvision_layout
from imfuse.models._base import FusionModel

SPEC = ModelSpec(
    name="transfusion",
    title="TransFusion",
    paper=Paper(
        title="TransFusion: Transfer learning-driven adaptive fusion network for infrared and visible image",
        venue="Infrared Physics & Technology",
        year=2025,
        doi="10.1016/j.infrared.2025.105906",
    ),
    summary="VGG-19 features, weights of channels across images and of places, U-Net decoder",
    parameters=53_136_384,
    size=SizeRule(
        multiple=16,
        min_size=16,
        not_tileable="channel weights are pooled over the whole picture",
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=2700,
    dtypes=("float32", "bfloat16"),
    options=(
        Option("guidance", ("independent", "guided"), "independent", "maps of places by level, or deep guides shallow"),
        Option("perception", (True, False), True, "off: the mean of both images' features, unweighted (ablation)"),
    ),
)

WIDTHS = (64, 128, 256, 512, 512)
REDUCTIONS = (1, 1, 2, 4, 4)
DECODER = ((512, (1024, 768, 512)), (256, (512, 512, 512, 256, 256)), (128, (256, 256, 256, 128, 128, 128, 128)))
"""For each decoder level the channels after upsampling, and those of its convolutions, input first; ``SHALLOW`` is
level 1."""
SHALLOW = (64, (128, 128, 128, 128, 64, 64, 64, 32, 32))


class ChannelGate(nn.Module):
    """Channel attention from the global maximum and average of each channel."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.excite = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W) to weights (N, C, 1, 1) in [0, 1]."""
        pooled = x.amax((2, 3), keepdim=True), x.mean((2, 3), keepdim=True)
        return torch.sigmoid(sum(self.excite(F.relu(self.squeeze(part))) for part in pooled))


class ChannelPerception(nn.Module):
    """Cross-modal channel perception: channels that one image weights more than the other are strengthened.

    The output is the mean of both images; if not ``weighted``, the plain mean.
    """

    def __init__(self, channels: int, reduction: int, weighted: bool = True) -> None:
        super().__init__()
        self.weighted = weighted
        self.infrared = ChannelGate(channels, reduction)
        self.visible = ChannelGate(channels, reduction)
        self.requires_grad_(weighted)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, C, H, W) each, to merged ones, (N, C, H, W)."""
        if not self.weighted:
            return (infrared + visible) / 2
        weight_ir, weight_vi = self.infrared(infrared), self.visible(visible)
        gain_ir, gain_vi = torch.sigmoid(2 * weight_ir - weight_vi), torch.sigmoid(2 * weight_vi - weight_ir)
        return (infrared * (1 + gain_ir) + visible * (1 + gain_vi)) / 2


class SpatialAttention(nn.Module):
    """Spatial attention from the maximum and the mean over the channels of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor, deeper: Tensor | None = None) -> Tensor:
        """Features (N, C, H, W) to a map (N, 1, H, W) in [0, 1], guided by that of the ``deeper`` level if given."""
        maps = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        attention = torch.sigmoid(self.conv(maps))
        if deeper is None:
            return attention
        guide = F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.sigmoid(attention + guide)


class Selection(nn.Module):
    """Feature selection: two 3x3 convolutions without an activation between them, then GELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return F.gelu(self.second(self.first(x)))


class DecoderLevel(nn.Module):
    """Transposed convolution to twice the size, concatenation with the skip, 3x3 convolutions with GELU."""

    def __init__(self, inputs: int, width: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(inputs, width, 2, stride=2)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Deep features (N, inputs, h, w) and the skip (N, C, 2h, 2w) to features of the size of the skip."""
        x = torch.cat([self.enlarge(deep), skip], dim=1)
        for conv in self.convs:
            x = F.gelu(conv(x))
        return x


class Decoder(nn.Module):
    """Features of five levels to an image (N, 1, H, W), non-negative and without an upper bound."""

    def __init__(self, divisor: int) -> None:
        super().__init__()
        inputs, levels = WIDTHS[-1] // divisor, []
        for width, widths in (*DECODER, SHALLOW):
            narrow = tuple(channels // divisor for channels in widths)
            levels.append(DecoderLevel(inputs, width // divisor, narrow))
            inputs = narrow[-1]
        self.levels = nn.ModuleList(levels)
        self.narrow = nn.Conv2d(inputs, 16 // divisor, 3, padding=1)
        self.image = nn.Conv2d(16 // divisor, 1, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """The image before its last ReLU."""
        *skips, x = features
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            x = level(x, skip)
        image: Tensor = self.image(F.gelu(self.narrow(x)))
        return image


class TransFusion(FusionModel):
    """TransFusion. ``guidance`` selects whether the spatial maps of deep levels guide those of shallow ones.

    Without ``perception`` the features of both images are averaged unweighted.
    """

    spec = SPEC
    initial_url = ADDRESS
    divisor = 1

    def __init__(self, guidance: str = "independent", perception: bool = True) -> None:
        super().__init__()
        self.guided = guidance == "guided"
        widths = [width // self.divisor for width in WIDTHS]
        self.encoder = VGG19(self.divisor)
        self.decoder = Decoder(self.divisor)
        pairs = zip(widths, REDUCTIONS, strict=True)
        self.perception = nn.ModuleList(
            ChannelPerception(width, reduction, weighted=perception) for width, reduction in pairs
        )
        self.attention = nn.ModuleList(SpatialAttention() for _ in widths)
        self.selection = nn.ModuleList(Selection(width) for width in widths)
        self.apply(_initialise)
        # Otherwise nearly all inputs of the last ReLU may be negative at first, where it has no gradient.
        nn.init.constant_(bias_of(self.decoder.image), 0.3)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H and W multiples of 16."""
        both = self.encode(torch.cat([infrared, visible]))
        halves = [features.chunk(2) for features in both]
        selected = self.select([first for first, _ in halves], [second for _, second in halves])
        fused: Tensor = self.decoder(selected)
        return fused.clamp(0, 1)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of five levels of images (N, 1, H, W); their grey channel serves as red, green and blue."""
        features: list[Tensor] = self.encoder(image.expand(-1, 3, -1, -1))
        return features

    def reconstruct(self, image: Tensor) -> Tensor:
        """An image (N, 1, H, W) encoded and decoded, without an upper bound: the auto-encoder that stage 1 trains."""
        return F.relu(self.decoder(self.encode(image)))

    def select(self, infrared: list[Tensor], visible: list[Tensor]) -> list[Tensor]:
        """Features of five levels of both images to the fused ones."""
        merged = [perceive(ir, vi) for perceive, ir, vi in zip(self.perception, infrared, visible, strict=True)]
        maps = self.spatial_maps(merged)
        return [select(x + x * m) for select, x, m in zip(self.selection, merged, maps, strict=True)]

    def spatial_maps(self, merged: list[Tensor]) -> list[Tensor]:
        """Spatial attention of each level, (N, 1, h, w)."""
        maps: list[Tensor] = []
        deeper = None
        for attend, x in zip(reversed(self.attention), reversed(merged), strict=True):
            deeper = attend(x, deeper if self.guided else None)
            maps.append(deeper)
        return maps[::-1]

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """The authors' ``stage2.model``: 134 entries."""
        names: dict[str, str] = {}

        def add(theirs: str, ours: str, parts: tuple[str, ...] = ("weight", "bias")) -> None:
            names.update({f"{theirs}.{part}": f"{ours}.{part}" for part in parts})

        for level in range(5):
            places = range(1 if level else 0, (4 if level < 2 else 9) - (0 if level else 1), 2)
            for place in places:
                add(f"layer{level + 1}.{place}", f"encoder.stages.{level}.{place}")
            for theirs, ours in (("ir", "infrared"), ("vis", "visible")):
                gate = f"lyr{level + 1}_CA.ca_{theirs}.se"
                add(f"{gate}.0", f"perception.{level}.{ours}.squeeze", ("weight",))
                add(f"{gate}.2", f"perception.{level}.{ours}.excite", ("weight",))
            add(f"lyr{level + 1}_SA.sa.conv", f"attention.{level}.conv")
            add(f"f_layer{level + 1}_conv_out.conv2d1", f"selection.{level}.first")
            add(f"f_layer{level + 1}_conv_out.conv2d2", f"selection.{level}.second")
        for level in range(4):
            add(f"upsample{level + 1}_{level + 1}", f"decoder.levels.{level}.enlarge")
            for place in range(2 * (level + 1)):
                theirs = f"conv{level + 1}_{place // 2 + 1}_{place % 2 + 1}.conv2d"
                add(theirs, f"decoder.levels.{level}.convs.{place}")
        add("conv_out1.conv2d", "decoder.narrow")
        add("conv_out2", "decoder.image")
        return names

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Entries of torchvision's VGG-19 -> those of the encoder; its classifier is not used."""
        return {theirs: (f"encoder.{ours}",) for theirs, ours in torchvision_layout().items()}


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.ConvTranspose2d):
        # All places of a kernel alike: an enlargement that begins without a grid.
        with torch.no_grad():
            module.weight.copy_(module.weight[..., :1, :1].expand_as(module.weight))
