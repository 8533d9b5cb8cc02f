"""``imfuse demo``: fuse the built-in night scene, so that one can see at once what fusion is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imfuse.cli._fusing import DeviceOption
from imfuse.cli._printing import console, say
from imfuse.core.version import VERSION

SHOWN = ("EN", "SF", "SCD", "VIF", "Qabf")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures.")] = Path("demo"),
    model: Annotated[str | None, typer.Option(help="The method; without it the default one.")] = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Another seed renders another scene.")] = 0,
) -> None:
    """Render a night road scene, fuse its infrared and visible image, print scores, write pictures."""
    import numpy as np

    from imfuse.fusing.fuser import Fuser
    from imfuse.fusing.resume import check_ours
    from imfuse.imaging import write_image
    from imfuse.scenes import render_scene

    files = {name: output / f"{name}.png" for name in ("infrared", "visible", "fused", "side_by_side")}
    for file in files.values():
        check_ours(file)
    scene = render_scene(seed=seed)
    fuser = Fuser(model, device=device)
    fused = fuser(scene.infrared, scene.visible)
    infrared = np.repeat(scene.infrared[..., None], 3, axis=2)
    gap = np.full((len(infrared), 8, 3), 255, np.uint8)
    pictures = {
        "infrared": scene.infrared,
        "visible": scene.visible,
        "fused": fused,
        "side_by_side": np.concatenate([infrared, gap, scene.visible, gap, fused], axis=1),
    }
    for name, pixels in pictures.items():
        write_image(files[name], pixels, metadata={"Software": f"imfuse {VERSION} (demo)"})
    console().print(_scores(scene.infrared, scene.visible, fused, fuser.spec.title))
    say(f"look at {files['side_by_side']}: infrared | visible | fused")


def _scores(infrared: object, visible: object, fused: object, title: str) -> object:
    """A table of what each of the three pictures scores."""
    import numpy as np
    import torch
    from rich.table import Table

    from imfuse.imaging import luminance
    from imfuse.metrics import METRICS, score_images

    def gray(pixels: object) -> torch.Tensor:
        unit = np.asarray(pixels, np.float32) / 255
        return torch.from_numpy(np.ascontiguousarray(luminance(unit) if unit.ndim == 3 else unit))[None, None]

    ir, vi, fu = gray(infrared), gray(visible), gray(fused)
    units = "EN in bit, SF in gray levels; more is better"
    table = Table(title="scores of the luminance", caption=units, caption_justify="left")
    table.add_column("image", no_wrap=True)
    for symbol in SHOWN:
        table.add_column(symbol, justify="right", no_wrap=True)
    for name, image in (("infrared", ir), ("visible", vi), (f"fused by {title}", fu)):
        # What compares an image with its sources does not apply to a source itself.
        scores = score_images(image, ir, vi, metrics=SHOWN)
        alone = image is not fu
        table.add_row(
            name, *("-" if alone and METRICS[key].sources else f"{value.item():.3f}" for key, value in scores.items())
        )
    return table
