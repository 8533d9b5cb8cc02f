"""TransFusion with a quarter of the channels: small enough to ship, with an encoder that was trained with it."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from imfuse.core.spec import WeightsSpec
from imfuse.layers.blocks import mirror_borders
from imfuse.models import transfusion

SPEC = replace(
    transfusion.SPEC,
    name="transfusion_compact",
    title="TransFusion, compact",
    summary="TransFusion at a quarter of the width; not transfer learning: encoder trained here",
    parameters=3_324_072,
    # The deepest of five scales needs two pixels, or it could not be mirrored.
    size=replace(transfusion.SPEC.size, min_size=32),
    uneven="",
    memory_per_pixel=750,
    options=(replace(transfusion.SPEC.options[0], default="guided"), transfusion.SPEC.options[1]),
    weights=(
        WeightsSpec(
            name="default",
            file="transfusion_compact.safetensors",
            sha256="92dca7e3a5159854f891d1f479896721f1634dc88f239135d52f47505426cc84",
            recipe="transfusion_compact (both stages, the second in six runs)",
            data="RoadScene train, MSRS train (128x128), frames of M2VD; a tenth of each held out",
            date="2026-11-30",
            bias=12,
        ),
    ),
)


class TransFusionCompact(transfusion.TransFusion):
    """TransFusion with fewer channels; see :class:`~imfuse.models.transfusion.TransFusion`.

    Its convolutions mirror the border: with the zeros of the full network, even pictures get a frame.
    """

    spec = SPEC
    divisor = 4

    def __init__(self, guidance: str = "guided", perception: bool = True) -> None:
        super().__init__(guidance, perception)
        # The decoder of stage 1 expects plain features: random convolutions before it would start from noise, which
        # little data does not overcome. The attention before them scales features by about 2.6.
        for name, parameter in self.selection.named_parameters():
            if name.endswith("weight"):
                nn.init.dirac_(parameter)
            if name.endswith("second.weight"):
                parameter.data.div_(2.6)
        mirror_borders(self)

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """Empty: the authors published the full network alone."""
        return {}

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Empty: ImageNet weights of this width are not known."""
        return {}
