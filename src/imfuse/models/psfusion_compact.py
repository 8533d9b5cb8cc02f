"""PSFusion with half the channels and encoders as deep as a ResNet-18: small enough to ship with the library."""

from __future__ import annotations

from dataclasses import replace

from imfuse.core.spec import Option, WeightsSpec
from imfuse.models import psfusion

SPEC = replace(
    psfusion.SPEC,
    name="psfusion_compact",
    title="PSFusion, compact",
    summary="the modules of PSFusion at half the width, shallower encoders",
    parameters=6_436_032,
    uneven="",
    memory_per_pixel=500,
    options=(
        Option("injection", (True, False), True, "semantic features scale and shift those of the scene"),
        Option("padding", ("reflect", "zeros"), "reflect", "border of all convolutions; zeros: as published"),
        Option(
            "norm", ("batch", "instance"), "batch", "of features before semantics are injected; instance: as published"
        ),
    ),
    weights=(
        WeightsSpec(
            name="default",
            file="psfusion_compact.safetensors",
            sha256="4135895e54a64f070b8e72981d0872917f711e0b41f84ab04d14e053cfd3a10a",
            recipe="psfusion_compact, then psfusion_compact_mixed in two runs",
            data="RoadScene train, MSRS train (128x128), frames of M2VD, a tenth of each held out; 180 rendered scenes",
            date="2026-11-30",
        ),
    ),
)


class PSFusionCompact(psfusion.PSFusion):
    """PSFusion with fewer channels and blocks; see :class:`~imfuse.models.psfusion.PSFusion`."""

    spec = SPEC
    widths = psfusion.Widths(encoder=(16, 32, 32, 64, 128, 256), blocks=(2, 2, 2, 2), deep=32, shallow=16, growth=8)

    def __init__(self, injection: bool = True, padding: str = "reflect", norm: str = "batch") -> None:
        super().__init__(injection, padding, norm)

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """Empty: the authors published the full network alone."""
        return {}

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Empty: ImageNet weights of this width are not known."""
        return {}
