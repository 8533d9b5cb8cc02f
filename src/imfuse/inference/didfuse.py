"""DIDFuse for inference: norms folded, background and detail layer merged, both images in one batch, channels-last.

``scripts/speed/networks.py didfuse`` compares it with the plain module, which stays as its oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.blocks import sum_shifted, tap_weights
from imfuse.layers.folding import fold_norm, in_two
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.models.didfuse import DIDFuse
from imfuse.ops.filters import reflect_pad


def fast_form(model: DIDFuse) -> nn.Module:
    """What :func:`imfuse.inference.forms.fast_form` uses for this network."""
    return FoldedDIDFuse(model)


class FoldedDIDFuse(nn.Module):
    """The fused image of a :class:`DIDFuse` in evaluation mode; 8-bit results differ by 1 at most in float32."""

    shallow_weight: Tensor
    split_weight: Tensor
    split_bias: Tensor
    image_weight: Tensor
    image_bias: Tensor

    def __init__(self, model: DIDFuse) -> None:
        super().__init__()
        self.rule = model.rule
        encoder, decoder = model.encoder, model.decoder
        background, detail = _folded(encoder.background), _folded(encoder.detail)
        layers = {
            "shallow": _folded(encoder.shallow),
            "middle": _folded(encoder.middle),
            "split": (torch.cat([background[0], detail[0]]), torch.cat([background[1], detail[1]])),
            "deep": _folded(decoder.deep),
            "merge": _folded(decoder.merge),
        }
        for name, (weight, bias) in layers.items():
            self.register_buffer(f"{name}_weight", weight.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"{name}_bias", bias)
        weight, bias = _folded(decoder.image)
        self.register_buffer("image_weight", tap_weights(weight))
        self.register_buffer("image_bias", bias)
        names = {"shallow": encoder.shallow, "middle": encoder.middle, "deep": decoder.deep, "merge": decoder.merge}
        self.slopes = {name: float(cast(nn.PReLU, block[2]).weight.detach()) for name, block in names.items()}

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; computed in the type of the weights, given in that of the images."""
        given = infrared.dtype
        images = reflect_pad(torch.cat([infrared, visible]), 1)
        if self.shallow_weight.shape[1] == 1:
            images = images.to(self.shallow_weight.dtype)
        else:
            high, low = in_two(images, self.shallow_weight.dtype)
            images = torch.cat([high, low, high], dim=1)
        images = images.contiguous(memory_format=torch.channels_last)
        shallow = self._conv(images, "shallow", padding=0)
        middle = self._conv(shallow, "middle")
        shallow = self._fuse(shallow)
        split = F.conv2d(middle, self.split_weight, self.split_bias, padding=1).tanh_()
        middle = self._fuse(middle)
        # The split layer's maps already lie side by side as the decoder wants them.
        x = self._conv(self._fuse_split(split), "deep")
        x = self._conv(torch.cat([x, middle], dim=1), "merge")
        taps = F.conv2d(torch.cat([x, shallow], dim=1), self.image_weight)
        return torch.sigmoid(sum_shifted(taps, self.image_bias.float())).to(given)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """The first layer keeps its digits, in two parts: an image in bfloat16 has fewer levels than a picture."""
        exact = self.shallow_weight
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.shallow_weight.dtype.itemsize < exact.dtype.itemsize:
            high, low = in_two(exact, self.shallow_weight.dtype)
            weight = torch.cat([high, high, low], dim=1).to(self.shallow_weight.device)
            self.shallow_weight = weight.contiguous(memory_format=torch.channels_last)
        return self

    def _conv(self, x: Tensor, name: str, padding: int = 1) -> Tensor:
        x = F.conv2d(x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), padding=padding)
        return F.leaky_relu_(x, self.slopes[name])

    def _fuse(self, maps: Tensor) -> Tensor:
        infrared, visible = maps.chunk(2)
        return fuse_maps(infrared, visible, self.rule)

    def _fuse_split(self, maps: Tensor) -> Tensor:
        if self.rule != "l1":
            return self._fuse(maps)
        # Background and detail maps have weights of their own.
        return torch.cat([self._fuse(part) for part in maps.chunk(2, dim=1)], dim=1)


def _folded(block: nn.Sequential) -> tuple[Tensor, Tensor]:
    conv, norm = block[0], block[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fold_norm(conv, norm)
