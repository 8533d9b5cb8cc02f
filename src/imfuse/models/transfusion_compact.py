"""TransFusion at a quarter of the width: small enough to ship with the library, its encoder trained here."""

from __future__ import annotations

from torch import nn

from imfuse.core.spec import ModelSpec, Option, Paper, WeightsSpec
from imfuse.models.transfusion import TransFusion

SPEC = ModelSpec(
    name="transfusion_compact",
    title="TransFusion, compact",
    paper=Paper(
        title="TransFusion: Transfer learning-driven adaptive fusion network for infrared and visible image",
        venue="Infrared Physics & Technology",
        year=2025,
        doi="10.1016/j.infrared.2025.105906",
    ),
    summary="TransFusion at a quarter of the width; not transfer learning: encoder trained here",
    parameters=3_324_072,
    multiple=16,
    min_size=16,
    not_tileable="channel weights are pooled over the whole picture",
    memory_per_pixel=750,
    dtypes=("float32", "bfloat16"),
    options=(
        Option("guidance", ("independent", "guided"), "guided", "maps of places by level, or deep guides shallow"),
        Option("perception", ("on", "off"), "on", "off: the mean of both images' features, unweighted (ablation)"),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="transfusion_compact.safetensors",
            sha256="470e14ca2951d6dbef8c3ff0a201034077936670d40e9ec2ff1ee0472e1c8d68",
            recipe="transfusion_compact (both stages)",
            data="RoadScene train (180 pairs)",
            date="2026-11-21",
        ),
    ),
)


class TransFusionCompact(TransFusion):
    """TransFusion with fewer channels; see :class:`~imfuse.models.transfusion.TransFusion`."""

    spec = SPEC
    divisor = 4

    def __init__(self, guidance: str = "guided", perception: str = "on") -> None:
        super().__init__(guidance, perception)
        # The decoder of stage 1 knows plain features: random convolutions before it would begin with noise, and little
        # data does not lead out of that. The weights before them sum up to 2.6 or so.
        for name, parameter in self.selection.named_parameters():
            if name.endswith("weight"):
                nn.init.dirac_(parameter)
            if name.endswith("second.weight"):
                parameter.data.div_(2.6)

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """Empty: the authors published the full network alone."""
        return {}

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Empty: ImageNet weights of this width are not known."""
        return {}
