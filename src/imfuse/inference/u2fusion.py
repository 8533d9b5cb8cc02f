"""U2Fusion for inference: the layers of DenseFuse's form, with the activations of U2Fusion.

``scripts/speed/networks.py`` compares this form with the plain module, which stays as its oracle.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imfuse.core.size_rule import SizeRule
from imfuse.inference.densefuse import DenseLayers
from imfuse.layers.output import to_unit_range
from imfuse.models.u2fusion import U2Fusion
from imfuse.ops.tiles import in_tiles


def fast_form(model: U2Fusion) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FastU2Fusion(model)


class FastU2Fusion(nn.Module):
    """Inference form of a :class:`U2Fusion`."""

    def __init__(self, model: U2Fusion) -> None:
        super().__init__()
        self.join, self.output = model.join, model.output
        self.size = SizeRule(min_size=2, halo=model.spec.size.halo)
        self.layers = DenseLayers(model, slope=0.2)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]."""
        raw = in_tiles(self._raw, infrared, visible, self.size)
        return to_unit_range(torch.tanh(raw) / 2 + 0.5, self.output)

    def _raw(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return self.layers.decode(self.layers.encode(self.join(infrared, visible)))
