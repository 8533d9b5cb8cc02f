"""PSFusion: ResNet encoders, detail and semantic fusion at six scales, semantics injected into the fused image.

Tang, Zhang, Xu and Ma, Information Fusion 99, 101870 (2023). One network fuses and segments. The features of the three
large scales are fused by superficial detail fusion modules (SDFM), those of the three small ones by profound semantic
fusion modules (PSFM). Semantic injection modules (SIM) carry semantic features into those of the scene. Besides the
fused image, two heads reconstruct the sources in training, so that the fused features keep the whole scene.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from imfuse.core.spec import ModelSpec, Option, Paper, SizeRule
from imfuse.layers.blocks import mirror_borders
from imfuse.layers.resnet import conv3x3
from imfuse.models._base import FusionModel, Prediction
from imfuse.models._psfusion_parts import (
    PSFM,
    SDFM,
    SIM,
    DenseDecoder,
    DoubleNorm,
    Encoder,
    ImageHead,
    Mask,
    Segmentation,
    enlarge,
)

SPEC = ModelSpec(
    name="psfusion",
    title="PSFusion",
    paper=Paper(
        title="Rethinking the necessity of image fusion in high-level vision tasks: a practical infrared and visible "
        "image fusion network based on progressive semantic injection and scene fidelity",
        venue="Information Fusion",
        year=2023,
        doi="10.1016/j.inffus.2023.101870",
    ),
    summary="fuses and segments: semantic features are injected into the fused image",
    parameters=45_908_840,
    inputs="infrared + visible luminance or colours",
    colour=True,
    size=SizeRule(
        multiple=32,
        # The deepest features are 1/32 of the image, and norms need more than one value there.
        min_size=64,
        not_tileable="attention and normalised features see the whole picture; the inference form computes all else in "
        "tiles",
    ),
    uneven="zeros beyond the border",
    memory_per_pixel=900,
    dtypes=("float32", "bfloat16"),
    classes=9,
    options=(
        Option("injection", (True, False), True, "semantic features scale and shift those of the scene"),
        Option("padding", ("zeros", "reflect"), "zeros", "border of all convolutions"),
        Option("norm", ("instance", "batch"), "instance", "of features before semantics are injected"),
    ),
)


@dataclass(frozen=True)
class Widths:
    """Numbers of channels and blocks.

    Attributes:
        encoder: channels of the encoder at its six scales.
        blocks: residual blocks in each of the four stages of the ResNet.
        deep: channels of the fused features at the four small scales.
        shallow: channels of the fused features at the two large scales.
        growth: channels that a dense layer adds.
    """

    encoder: tuple[int, ...]
    blocks: tuple[int, ...]
    deep: int
    shallow: int
    growth: int


@dataclass(frozen=True)
class FusionAndSegmentation(Prediction):
    """All outputs of PSFusion.

    Attributes:
        fused: fused luminance, (N, 1, H, W) in [0, 1].
        visible: reconstructed visible luminance, (N, 1, H, W) in [0, 1].
        infrared: reconstructed infrared image, (N, 1, H, W) in [0, 1].
        semantic: logits of the classes, (N, 9, H, W); here and below H and W are rounded up to multiples of 4.
        binary: logits of background and foreground, (N, 2, H, W).
        boundary: logits of no class boundary and class boundary, (N, 2, H, W).
    """

    visible: Tensor
    infrared: Tensor
    semantic: Tensor
    binary: Tensor
    boundary: Tensor


class PSFusion(FusionModel):
    """PSFusion. Without ``injection``, only the segmentation uses the semantic features.

    ``padding`` is the border of all convolutions, ``norm`` that of :class:`~imfuse.models._psfusion_parts.SIM`.
    """

    spec = SPEC
    initial_url = "https://download.pytorch.org/models/resnet34-b627a593.pth"
    widths: ClassVar = Widths(encoder=(32, 64, 64, 128, 256, 512), blocks=(3, 4, 6, 3), deep=64, shallow=32, growth=16)

    def __init__(self, injection: bool = True, padding: str = "zeros", norm: str = "instance") -> None:
        super().__init__()
        widths, shallow, deep = self.widths, self.widths.shallow, self.widths.deep
        self.injection = injection
        self.encoder_ir = Encoder(1, widths.encoder, widths.blocks)
        self.encoder_vi = Encoder(3, widths.encoder, widths.blocks)
        detail = zip(widths.encoder[:3], (shallow, shallow, deep), strict=True)
        self.fusion = nn.ModuleList(SDFM(inputs, outputs) for inputs, outputs in detail)
        self.fusion.extend(PSFM(inputs, deep, widths.growth) for inputs in widths.encoder[3:])
        self.scene_half, self.scene_full = SIM(shallow, deep, norm), SIM(shallow, shallow, norm)
        self.scene = DenseDecoder(shallow)
        self.align = nn.ModuleList(conv3x3(deep, deep) for _ in range(4))
        self.semantics = nn.Sequential(DoubleNorm(4 * deep, deep), DoubleNorm(deep, deep), DoubleNorm(deep, deep))
        self.inject = SIM(shallow, deep, norm)
        self.image = DenseDecoder(shallow)
        self.head = ImageHead(shallow)
        self.head_vi = nn.Sequential(Mask(shallow), ImageHead(shallow))
        self.head_ir = nn.Sequential(Mask(shallow), ImageHead(shallow))
        self.segmentation = Segmentation(deep, self.spec.classes)
        if padding == "reflect":
            mirror_borders(self)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused luminance (N, 1, H, W) in [0, 1]; ``visible`` is (N, 1, H, W) or, in colour, (N, 3, H, W)."""
        features = self.encode(infrared, visible)
        fused: Tensor = self.head(self.decode(features, self.understand(features) if self.injection else None))
        return fused

    def predict(self, infrared: Tensor, visible: Tensor) -> FusionAndSegmentation:
        """The fused luminance, the two reconstructed images and the logits of the segmentation."""
        features = self.encode(infrared, visible)
        semantics = self.understand(features)
        x = self.decode(features, semantics if self.injection else None)
        images = {"fused": self.head(x), "visible": self.head_vi(x), "infrared": self.head_ir(x)}
        semantic, binary, boundary = self.segmentation(semantics)
        return FusionAndSegmentation(**images, semantic=semantic, binary=binary, boundary=boundary)

    def encode(self, infrared: Tensor, visible: Tensor) -> list[Tensor]:
        """Fused features at six scales; those of scale i, from 0, have 1 / 2^i of the size."""
        pairs = zip(self.encoder_ir(infrared), self.encoder_vi(in_colour(visible)), strict=True)
        return [fuse(ir, vi) for fuse, (ir, vi) in zip(self.fusion, pairs, strict=True)]

    def understand(self, features: list[Tensor]) -> Tensor:
        """Semantic features at 1/4 size, from the four small scales."""
        layers = zip(self.align, features[2:], strict=True)
        semantics: Tensor = self.semantics(
            torch.cat([enlarge(conv(x), 1 << i) for i, (conv, x) in enumerate(layers)], 1)
        )
        return semantics

    def decode(self, features: list[Tensor], semantics: Tensor | None) -> Tensor:
        """Full-size features, from which the three heads compute their images."""
        x = self.scene_half(features[1], features[2])
        x = self.scene(self.scene_full(features[0], x))
        x = x if semantics is None else self.inject(x, semantics)
        decoded: Tensor = self.image(x)
        return decoded

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """Entries of ``MTAN`` in the authors' checkpoint."""
        with torch.device("meta"):
            names = cls().state_dict()
        return {authors_name(name): name for name in names if not name.endswith("num_batches_tracked")}

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Entries of torchvision's ResNet-34 -> those of both encoders; its ``conv1`` and ``fc`` are not used."""
        names: dict[str, tuple[str, ...]] = {}
        for name in self.encoder_vi.state_dict():
            stage = re.match(r"stages\.(\d)", name)
            torchvision = f"layer{int(stage[1]) + 1}{name[stage.end() :]}" if stage else re.sub("^norm", "bn1", name)
            if torchvision.startswith(("bn1", "layer")) and not name.endswith("num_batches_tracked"):
                names[torchvision] = (f"encoder_vi.{name}", f"encoder_ir.{name}")
        return names


def in_colour(visible: Tensor) -> Tensor:
    """(N, 1, H, W) or (N, 3, H, W) to (N, 3, H, W): a grey image gets three equal channels."""
    return visible.expand(-1, 3, -1, -1)


_NAMES: Mapping[str, str] = {
    r"^encoder_vi\.": "encoder_rgb_",
    r"^encoder_ir\.": "encoder_thermal_",
    r"(rgb|thermal)_first": r"\1_conv1.SFEB1",
    r"(rgb|thermal)_second": r"\1_conv1.SFEB2",
    r"(rgb|thermal)_norm": r"\1_bn1",
    r"(rgb|thermal)_stages\.(\d)": r"\1_layer{2+3}",
    r"(SFEB.*)\.conv\.": r"\1.conv_frelu.",
    r"(SFEB.*)\.norm\.": r"\1.bn_frelu.",
    r"^fusion\.([012])": "low_fuse{1+1}",
    r"^fusion\.([345])": "high_fuse{1+1}",
    r"(low_.*)\.visible\.([01])": r"\1.RGBobj1_{2+1}.basicconv",
    r"(low_.*)\.infrared\.([01])": r"\1.Infobj1_{2+1}.basicconv",
    r"(low_.*)\.visible\.2": r"\1.RGBspr.basicconv",
    r"(low_.*)\.infrared\.2": r"\1.Infspr.basicconv",
    r"(low_fuse\d)\.fuse": r"\1.obj_fuse",
    r"recalibrate\.(\d)": "Recalibrate.{1+1}",
    r"obj_fuse\.mix": "obj_fuse.channel_agg",
    r"(high_fuse\d)\.visible": r"\1.RGBobj",
    r"(high_fuse\d)\.infrared": r"\1.Infobj",
    r"obj\.layers\.(\d)": r"obj.denseblock.\1.basicconv",
    r"obj\.fuse": "obj.fuse.basicconv",
    r"(high_fuse\d)\.fuse": r"\1.obj_fuse",
    r"gamma_vi": "gamma1",
    r"gamma_ir": "gamma2",
    r"key_vi": "RGB_K.basicconv",
    r"value_vi": "RGB_V.basicconv",
    r"obj_fuse\.query": "obj_fuse.Q.basicconv",
    r"key_ir": "INF_K.basicconv",
    r"value_ir": "INF_V.basicconv",
    r"obj_fuse\.reduce": "obj_fuse.Second_reduce.basicconv",
    r"^scene_half": "SIM1",
    r"^scene_full": "SIM2",
    r"^inject": "SIM3",
    r"^(SIM\d)\.shared": r"\1.mlp_shared.0",
    r"^(SIM\d)\.gamma": r"\1.mlp_gamma.0",
    r"^(SIM\d)\.beta": r"\1.mlp_beta",
    r"^(SIM\d)\.norm": r"\1.bn",
    r"^align\.(\d)": r"to_fused_seg.\1.0",
    r"^semantics\.(\d)": "seg_decoder.block{1+1}",
    r"^scene\.blocks\.(\d)": "rec_decoder.block{1+1}",
    r"^image\.blocks\.(\d)": "seg_rec_decoder.block{1+1}",
    r"(block\d)\.conv": r"\1.0.conv",
    r"(block\d)\.inner": r"\1.0.bn",
    r"(block\d)\.outer": r"\1.1",
    r"^head\.conv": "pred_fusion.conv_block.0",
    r"^head_(vi|ir)\.0\.norm": r"pred_\1.mask.conv_block",
    r"^head_(vi|ir)\.0": r"pred_\1.mask",
    r"^head_(vi|ir)\.1\.conv": r"pred_\1.conv_block.0",
    r"\.local\.": ".local_att.",
    r"\.whole\.(\d)": ".global_att.{1+1}",
    r"^segmentation\.unused": "classfier.boundary",
    r"^segmentation\.boundary": "classfier.boundary_conv",
    r"^segmentation": "classfier",
    r"(binary|semantic|boundary)\.0": r"\1_conv1.conv",
    r"(binary|semantic|boundary)\.1": r"\1_conv1.bnop",
    r"(binary|semantic|boundary)\.3": r"\1_conv2",
}
"""Substitutions that in this order turn a name of ours into the authors'; {1+3} is group 1 as a number, plus 3."""


def authors_name(name: str) -> str:
    """The name in the authors' checkpoint of one of our entries.

    >>> authors_name("encoder_ir.stages.0.1.conv2.weight"), authors_name("fusion.4.visible.down.bias")
    ('encoder_thermal_layer3.1.conv2.weight', 'high_fuse5.RGBobj.down.bias')
    """

    for pattern, template in _NAMES.items():
        name = re.sub(pattern, partial(_expand, template), name)
    return name


def _expand(template: str, match: re.Match[str]) -> str:
    def add(term: re.Match[str]) -> str:
        return str(int(match[int(term[1])]) + int(term[2]))

    return match.expand(re.sub(r"\{(\d)\+(\d)\}", add, template))
