"""The modules of PSFusion, in the order in which data flows through them.

Convolutions pad with zeros, unless the network mirrors its borders. Where a module takes two images, the infrared one
comes first, as everywhere in this library; in the authors' code the visible one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.attention import attend
from imfuse.layers.resnet import ConvNorm, conv3x3, residual_stage
from imfuse.ops.resize import resize_to


class PooledNorm(nn.BatchNorm2d):
    """Batch norm of pooled values; for a batch of one, which has no variance, it uses the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 1, 1), normalised."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class Squeeze(nn.Sequential):
    """Bottleneck of an attention branch: 1x1 convolution, norm, ReLU, 1x1 convolution back, norm.

    It applies to every pixel, or if ``pooled`` to the global average.
    """

    def __init__(self, channels: int, middle: int, pooled: bool = False) -> None:
        norm = PooledNorm if pooled else nn.BatchNorm2d
        super().__init__(
            nn.Conv2d(channels, middle, 1), norm(middle), nn.ReLU(), nn.Conv2d(middle, channels, 1), norm(channels)
        )


def pool(x: Tensor) -> Tensor:
    """Global average of each channel, (N, C, 1, 1)."""
    return x.mean((2, 3), keepdim=True, dtype=torch.float32).to(x.dtype)


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to ``factor`` times the size, corner pixels aligned."""
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)


# Encoders


class FReLU(nn.Module):
    """Funnel activation (Ma et al., ECCV 2020): the larger of x and a depthwise 3x3 convolution of x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels, groups=channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        return torch.maximum(x, self.norm(self.conv(x)))


class Encoder(nn.Module):
    """Features of one image at six scales: a stem of two halves, then the four stages of a ResNet."""

    def __init__(self, inputs: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        first, second = widths[:2]
        self.first = nn.Sequential(
            nn.Conv2d(inputs, first, 7, padding=3),
            nn.BatchNorm2d(first),
            FReLU(first),
            conv3x3(first, first),
            nn.BatchNorm2d(first),
            FReLU(first),
        )
        self.second = nn.Sequential(
            conv3x3(first, second, stride=2), nn.BatchNorm2d(second), FReLU(second), conv3x3(second, second)
        )
        self.norm = nn.BatchNorm2d(second)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            residual_stage(before, width, blocks[number], stride=2 if number else 1)
            for number, (before, width) in enumerate(pairwise((second, *widths[2:])))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (N, inputs, H, W) to features at six scales; those of scale i, from 0, have 1 / 2^i of the size."""
        features = [self.first(image)]
        features.append(F.relu(self.norm(self.second(features[0]))))
        return features + self.deep(features[1])

    def deep(self, x: Tensor) -> list[Tensor]:
        """The features of the last four scales from those of the second."""
        features, x = [], self.pool(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


# Fusion of features


class DetailFusion(nn.Module):
    """Attention of SDFM: a weight for every pixel and channel, from local features and from their global average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = channels // 4
        self.recalibrate = Squeeze(2 * channels, 2 * middle, pooled=True)
        self.mix = nn.Sequential(nn.Conv2d(2 * channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())
        self.local = Squeeze(channels, middle)
        self.whole = Squeeze(channels, middle, pooled=True)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, C, h, w) each, to fused ones, (N, C, h, w)."""
        both = torch.cat([visible, infrared], dim=1)
        both = both + both * torch.sigmoid(self.recalibrate(pool(both)))
        visible, infrared = both.chunk(2, dim=1)
        mixed = self.mix(both)
        return torch.lerp(infrared, visible, torch.sigmoid(self.local(mixed) * self.whole(pool(mixed))))


class SDFM(nn.Module):
    """Superficial detail fusion module, for one of the three large scales."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.infrared = self._branch(inputs, outputs)
        self.visible = self._branch(inputs, outputs)
        self.fuse = DetailFusion(outputs)

    @staticmethod
    def _branch(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(ConvNorm(inputs, outputs), ConvNorm(outputs, outputs), ConvNorm(outputs, outputs))

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, inputs, h, w) each, to fused ones, (N, outputs, h, w)."""
        fused: Tensor = self.fuse(self.infrared(infrared), self.visible(visible))
        return fused


class DenseLayer(nn.Module):
    """Dense block of four convolutions; its last features are concatenated with the input and fused."""

    def __init__(self, inputs: int, outputs: int, growth: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inputs, growth, 1)
        self.layers = nn.ModuleList(ConvNorm(growth * number, growth) for number in range(1, 5))
        self.fuse = ConvNorm(inputs + growth, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        features = [self.down(x)]
        for layer in self.layers:
            # The reduced input stays last.
            features.insert(len(features) - 1, layer(torch.cat(features, dim=1)))
        fused: Tensor = self.fuse(torch.cat([x, features[-2]], dim=1))
        return fused


class SemanticFusion(nn.Module):
    """Cross attention of PSFM: the attended values of each image are added to the features of the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Weights of the attended values, 0 at the start of training.
        self.gamma_vi = nn.Parameter(torch.zeros(1))
        self.gamma_ir = nn.Parameter(torch.zeros(1))
        self.key_vi = ConvNorm(channels, channels)
        self.value_vi = ConvNorm(channels, channels)
        self.query = ConvNorm(2 * channels, channels)
        self.key_ir = ConvNorm(channels, channels)
        self.value_ir = ConvNorm(channels, channels)
        self.reduce = ConvNorm(2 * channels, channels)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, C, h, w) each, to fused ones, (N, C, h, w)."""
        query = self.query(torch.cat([visible, infrared], dim=1))
        attended = published_attention(self.key_vi(visible), query, self.value_vi(visible))
        enriched_ir = infrared + self.gamma_vi * attended
        attended = published_attention(self.key_ir(infrared), query, self.value_ir(infrared))
        enriched_vi = visible + self.gamma_ir * attended
        fused: Tensor = self.reduce(torch.cat([enriched_ir, enriched_vi], dim=1))
        return fused


def published_attention(key: Tensor, query: Tensor, value: Tensor) -> Tensor:
    """Attention between maps (N, C, h, w), as in the authors' code: unscaled, its softmax over the **query** pixels.

    In the usual terms, those of :func:`~imfuse.layers.attention.attend`, the published key is the query and the
    published query is the key.
    """
    key, query, value_tokens = (x.flatten(2).transpose(1, 2) for x in (key, query, value))
    return attend(key, query, value_tokens, 1.0).transpose(1, 2).reshape(value.shape)


class PSFM(nn.Module):
    """Profound semantic fusion module, for one of the three small scales."""

    def __init__(self, inputs: int, outputs: int, growth: int) -> None:
        super().__init__()
        self.infrared = DenseLayer(inputs, outputs, growth)
        self.visible = DenseLayer(inputs, outputs, growth)
        self.fuse = SemanticFusion(outputs)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Features of both images, (N, inputs, h, w) each, to fused ones, (N, outputs, h, w)."""
        fused: Tensor = self.fuse(self.infrared(infrared), self.visible(visible))
        return fused


# Decoders


class SIM(nn.Module):
    """Semantic injection module: deep features determine, pixel by pixel, scale and shift of normalised ones.

    ``norm`` is "instance", by the statistics of each picture, or "batch", by those of the training: an instance norm
    forgets how bright a picture is, and enlarges the noise of one with nothing in it.
    """

    def __init__(self, channels: int, deep: int, norm: str = "instance") -> None:
        super().__init__()
        self.per_image = norm == "instance"
        self.shared = conv3x3(deep, channels)
        self.gamma = conv3x3(channels, channels)
        self.beta = conv3x3(channels, channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, deep: Tensor) -> Tensor:
        """Features (N, C, h, w) and deep ones of any size to (N, C, h, w)."""
        guidance = F.relu(self.shared(resize_to(deep, x.shape[2:])))
        normalised = F.instance_norm(x) if self.per_image else x
        scaled = normalised * (1 + torch.sigmoid(self.gamma(guidance)))
        shifted: Tensor = self.norm(scaled) + self.beta(guidance)
        return shifted


class DoubleNorm(nn.Module):
    """3x3 convolution, two batch norms in a row, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv3x3(inputs, outputs, bias=False)
        self.inner = nn.BatchNorm2d(outputs)
        self.outer = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        activated: Tensor = self.activation(self.outer(self.inner(self.conv(x))))
        return activated


class DenseDecoder(nn.Module):
    """Dense block of four convolutions, each of all features before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(DoubleNorm(channels * number, channels) for number in range(1, 5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        for block in self.blocks[:-1]:
            x = torch.cat([x, block(x)], dim=1)
        decoded: Tensor = self.blocks[-1](x)
        return decoded


# Heads


class ImageHead(nn.Module):
    """3x3 convolution to an image in [0, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, 1, h, w)."""
        return (torch.tanh(self.conv(x)) + 1) / 2


class Mask(nn.Module):
    """Attention that selects the features of one source image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        local: list[nn.Module] = []
        for _ in range(3):
            local += [conv3x3(channels, channels, groups=channels), nn.BatchNorm2d(channels), nn.ReLU()]
        self.local = nn.Sequential(*local[:-1])
        self.whole = Squeeze(channels, channels // 4, pooled=True)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        masked: Tensor = self.norm(torch.sigmoid(self.local(x) * self.whole(pool(x))) * x)
        return masked


class Segmentation(nn.Module):
    """Heads for foreground, classes and class boundaries, on semantic features at 1/4 size."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        reduced = channels // 4

        def pixelwise(inputs: int, outputs: int, bias: bool = False) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 1, bias=bias), nn.BatchNorm2d(outputs), nn.ReLU6()]

        self.binary = nn.Sequential(*pixelwise(channels, reduced), conv3x3(reduced, 2))
        self.semantic = nn.Sequential(*pixelwise(channels, channels), conv3x3(channels, classes))
        self.boundary = nn.Sequential(*pixelwise(2 * channels, channels, bias=True), conv3x3(channels, 2))
        # The authors' checkpoint holds these layers, but no output depends on them, so nothing could train them.
        self.unused = nn.Sequential(*pixelwise(2 * channels, channels), conv3x3(channels, 2)).requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C, h, w) to logits at four times the size.

        Of the classes, (N, classes, 4h, 4w); of background and foreground, and of no boundary and boundary,
        (N, 2, 4h, 4w) each.
        """
        binary = self.binary(x)
        foreground = torch.softmax(binary, dim=1)[:, 1:]
        *reduce, classify = self.semantic
        semantic = enlarge(x * foreground, 2)
        for layer in reduce:
            semantic = layer(semantic)
        boundary = self.boundary(torch.cat([semantic, enlarge(x, 2)], dim=1))
        return enlarge(classify(semantic), 2), enlarge(binary, 4), enlarge(boundary, 2)
