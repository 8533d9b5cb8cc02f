"""Learn the projection of MDLatLRR from a folder of pairs.

``python -m scripts.learn_projection DIR [-o FILE] [--seed 0]`` writes a weights file. DIR has the folders ir and vi.
The shipped file is made from the RoadScene training pairs with seed 0.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor

import imfuse
from imfuse.classical._latlrr import choose_patches, learn_projection
from imfuse.classical.mdlatlrr import SIDE, SPEC, MDLatLRR
from imfuse.core.files import file_hash
from imfuse.core.spec import SHIPPED
from imfuse.core.terms import terms_of
from imfuse.core.weights import save_weights
from imfuse.data.pairs import find_pairs, load_pair
from imfuse.scenes import render_scene


def main() -> int:
    """Learn, write, and print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the pairs")
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED / "mdlatlrr.safetensors", help="the weights file")
    parser.add_argument("--data", default="RoadScene, the 180 FLIR training pairs", help="what DIR is, for the header")
    parser.add_argument("--patches", type=int, default=1000, help="of each kind, with detail and smooth")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of patches")
    arguments = parser.parse_args()

    pairs = [load_pair(files) for files in find_pairs(arguments.folder)]
    pictures = [torch.from_numpy(picture) for pair in pairs for picture in (pair.infrared, pair.visible)]
    samples = choose_patches(pictures, SIDE, arguments.patches, arguments.seed)
    with Progress() as progress:
        task = progress.add_task("learning", total=None)
        projection, steps = learn_projection(
            samples, report=lambda step, error: progress.update(task, description=f"step {step}, error {error:.1e}")
        )
    header = {
        "model": SPEC.name,
        "title": SPEC.title,
        "recipe": f"scripts/learn_projection.py --patches {arguments.patches} --seed {arguments.seed}",
        "data": arguments.data,
        "terms": terms_of(arguments.data),
        "pairs": str(len(pairs)),
        "patches": str(samples.shape[1]),
        "steps": str(steps),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "imfuse": imfuse.__version__,
        "torch": torch.__version__,
        "licence": "Apache-2.0",
    }
    save_weights(arguments.output, {"projection": projection.half()}, header)
    asymmetry = (projection - projection.mT).abs().max().item()
    largest = torch.linalg.matrix_norm(projection, 2).item()
    print(f"{samples.shape[1]} patches of {len(pictures)} pictures, {steps} steps")
    print(f"trace {projection.trace():.1f}, largest singular value {largest:.3f}, asymmetry {asymmetry:.4f}")
    print(f"stored as float16: a fused scene changes by {change_by_float16(projection)} level at most")
    print(f"{arguments.output}: sha256 {file_hash(arguments.output)}")
    return 0


def change_by_float16(projection: Tensor) -> int:
    """How far a rendered pair, fused as an 8-bit picture, moves when the projection loses digits."""
    scene = render_scene(120, 160)
    pair = [torch.from_numpy(x / 255).view(1, 1, 120, 160) for x in (scene.infrared, scene.visible.mean(2))]
    model = MDLatLRR().double()
    fused = []
    for stored in (projection, projection.half().double()):
        model.projection.copy_(stored)
        fused.append((255 * model(*pair)).round())
    return int((fused[0] - fused[1]).abs().max())


if __name__ == "__main__":
    sys.exit(main())
