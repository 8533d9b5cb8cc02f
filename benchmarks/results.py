"""Our weights beside the authors' on the test sets of the AUIF-Net and DIDFuse papers: ``results.py --shared DIR``.

Prints a Markdown page with mean scores; ``-o docs/results.md`` writes it and four pictures into ``docs/images``.
The authors' weights run through our code, so that only the weights differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from imfuse.core.convert import convert
from imfuse.core.registry import get_spec
from imfuse.fuser import Fuser
from imfuse.imaging import luminance, match_folders, read_image
from imfuse.metrics import METRICS, score_images

MODELS = ("auif", "didfuse")
SHOWN = ("EN", "SD", "SF", "AG", "SCD")
SETS = {"TNO": "tno", "RoadScene test": "roadscene/test", "NIR country": "nir_country"}
# One pair of each set and a second of RoadScene, chosen for people, lamps and sky before any result was seen.
PICTURES = (("TNO", "25"), ("RoadScene test", 7), ("RoadScene test", 21), ("NIR country", 3))


def unit(pixels: np.ndarray) -> torch.Tensor:
    """Luminance of an 8-bit picture as (1, 1, H, W) in [0, 1]."""
    scaled = pixels.astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(luminance(scaled) if scaled.ndim == 3 else scaled))[None, None]


def fusers(shared: Path, folder: Path) -> dict[tuple[str, str], Fuser]:
    """Each method with our weights and with the authors'."""
    found = {}
    for model in MODELS:
        authors = folder / f"{model}.safetensors"
        convert([shared / "official" / model / "checkpoints"], authors)
        found[model, "authors"] = Fuser(model, authors)
        found[model, "ours"] = Fuser(model)
    return found


def table(name: str, pairs: int, scores: dict[tuple[str, str], list[list[float]]]) -> str:
    """Means of one set as a Markdown table."""
    specs = [METRICS[symbol] for symbol in SHOWN]
    head = " | ".join(f"{spec.symbol}{f' ({spec.unit})' if spec.unit else ''}" for spec in specs)
    lines = [f"## {name}, {pairs} pairs", "", f"| method | weights | {head} |", "|---|---|" + "---|" * len(specs)]
    for (model, weights), rows in scores.items():
        means = " | ".join(f"{value:.3f}" for value in np.nanmean(rows, axis=0))
        lines.append(f"| {get_spec(model).title} | {weights} | {means} |")
    return "\n".join([*lines, ""])


def picture(fused: dict[tuple[str, str], np.ndarray], path: Path) -> None:
    """The fused results of one pair side by side, named, no wider than 1280 pixels."""
    panels = []
    for (model, weights), pixels in fused.items():
        panel = Image.fromarray(pixels).convert("RGB")
        panel.thumbnail((316, 316), Image.Resampling.LANCZOS)
        titled = Image.new("RGB", (panel.width, panel.height + 18), "white")
        titled.paste(panel, (0, 18))
        ImageDraw.Draw(titled).text((4, 3), f"{get_spec(model).title}, {weights}", fill="black")
        panels.append(np.pad(np.asarray(titled), ((0, 0), (0, 4), (0, 0)), constant_values=255))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(panels, axis=1)).save(path, quality=88)


def main() -> int:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with official/ and data/")
    parser.add_argument("-o", "--out", type=Path, help="the Markdown file to write, with pictures in images/ beside it")
    args = parser.parse_args()
    page = [
        "# Results",
        "",
        "Printed by `python benchmarks/results.py --shared DIR -o docs/results.md`. Means over the pairs of each set,",
        "of the luminance, by the definitions of [Metrics](metrics.md); more is better in every column.",
        "*authors*: their published checkpoints, run through this library. *ours*: the weights that ship, trained by",
        "the papers' recipes on the 180 FLIR pairs of RoadScene; see [Training](training/index.md).",
        "Their SD and SF are not comparable with the papers' tables, which use unusual forms of both.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        methods = fusers(args.shared, Path(folder))
        for name, place in SETS.items():
            pairs = match_folders(args.shared / "data" / place / "ir", args.shared / "data" / place / "vi").pairs
            wanted = {key for group, key in PICTURES if group == name}
            scores: dict[tuple[str, str], list[list[float]]] = {key: [] for key in methods}
            for index, pair in enumerate(pairs):
                infrared, visible = read_image(pair.infrared), read_image(pair.visible)
                fused = {key: fuser(infrared, visible) for key, fuser in methods.items()}
                for key, pixels in fused.items():
                    values = score_images(unit(pixels), unit(infrared), unit(visible), metrics=SHOWN)
                    scores[key].append([value.item() for value in values.values()])
                if args.out and wanted & {index, pair.name}:
                    target = args.out.parent / "images" / f"result_{place.split('/')[0]}_{pair.name}.jpg"
                    picture(fused, target)
                    page.append(f"![fused pictures of {name} {pair.name}](images/{target.name})\n")
            page.append(table(name, len(pairs), scores))
            print(page[-1], file=sys.stderr)
    text = "\n".join(page)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
