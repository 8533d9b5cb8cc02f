"""PSFusion of half the width, with encoders as deep as a ResNet-18: small enough to ship with the library."""

from __future__ import annotations

from imfuse.core.spec import ModelSpec, Option, Paper, WeightsSpec
from imfuse.models.psfusion import PSFusion, Widths

SPEC = ModelSpec(
    name="psfusion_compact",
    title="PSFusion, compact",
    paper=Paper(
        title="Rethinking the necessity of image fusion in high-level vision tasks: a practical infrared and visible "
        "image fusion network based on progressive semantic injection and scene fidelity",
        venue="Information Fusion",
        year=2023,
        doi="10.1016/j.inffus.2023.101870",
    ),
    summary="the modules of PSFusion at half the width, shallower encoders",
    parameters=6_436_032,
    inputs="infrared + visible luminance or colours",
    colour=True,
    multiple=32,
    min_size=64,
    not_tileable="attention and normalised features see the whole picture; the inference form computes all else in "
    "tiles",
    memory_per_pixel=500,
    dtypes=("float32", "bfloat16"),
    classes=9,
    options=(Option("injection", ("on", "off"), "on", "semantic features scale and shift those of the scene"),),
    weights=(
        WeightsSpec(
            name="default",
            file="psfusion_compact.safetensors",
            sha256="9f4ac456822c2913dc34ef531d62685f8af089c739974180a2c4e5321f33531c",
            recipe="psfusion_compact",
            data="RoadScene train (180 pairs), 120 rendered scenes",
            date="2026-11-21",
        ),
    ),
)


class PSFusionCompact(PSFusion):
    """PSFusion with fewer channels and blocks; see :class:`~imfuse.models.psfusion.PSFusion`."""

    spec = SPEC
    widths = Widths(encoder=(16, 32, 32, 64, 128, 256), blocks=(2, 2, 2, 2), deep=32, shallow=16, growth=8)

    @classmethod
    def published_layout(cls) -> dict[str, str]:
        """Empty: the authors published the full network alone."""
        return {}

    def initial_layout(self) -> dict[str, tuple[str, ...]]:
        """Empty: ImageNet weights of this width are not known."""
        return {}
