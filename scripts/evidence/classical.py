"""Training-free methods on the pairs of TNO against reference means.

``python -m scripts.evidence.classical [METHOD ...] --shared DIR`` prints them; DIR holds ``data/tno``. The references
are means of 8-bit results of separate NumPy programs, which reproduce what the authors of most of the methods
published, pixel by pixel. Prints measured and reference mean of every registered method and mode, and processor seconds
for a rendered pair of 480x640 in float32 on one thread; then TE-MST beside the row MST of Table 3 of the RefineFuse
article. Exit 1 where a mean is off by more than 0.0001 (TIF, faithful: 0.001).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from imfuse.benchmark.published import get_published
from imfuse.core.registry import get_spec, list_models
from imfuse.imaging import luminance, match_folders, read_image
from imfuse.inference.forms import fast_form
from imfuse.metrics import score_images
from imfuse.models import FusionModel, create_model, model_class
from imfuse.scenes import render_scene

Pair = tuple[Tensor, Tensor]
SYMBOLS = ("EN", "SF", "AG", "SCD")
TOLERANCE = 1e-4
# The published TIF blackens pixels whose weight is 0/0, and the rounding of its means decides which few these are.
LOOSER = {("tif", "faithful"): 1e-3}

# Method, mode, pairs (the first so many), and the means of SYMBOLS. AG has forward differences here.
REFERENCES = """
te_mst             clean     42  6.9672  11.9503  6.1353  1.3291
te_mst             faithful  42  6.9676  11.9517  6.1356  1.3287
te_mst/refinefuse  clean     42  6.6840  11.1202  5.7121  1.3722
te_mst/refinefuse  faithful  42  6.6840  11.1203  5.7121  1.3722
laplacian_pyramid  clean     42  6.6695  11.4339  5.8091  1.6571
laplacian_pyramid  faithful  42  6.6697  11.4352  5.8093  1.6571
ratio_pyramid      clean     42  6.6557  14.5964  7.4865  1.5894
ratio_pyramid      faithful  42  6.6464  15.8231  7.8459  1.5810
dwt                clean     42  6.6231  12.9039  6.4502  1.6064
dwt                faithful  42  6.6231  12.9039  6.4502  1.6064
dtcwt              clean     42  6.5392  11.2150  5.6539  1.6168
dtcwt              faithful  42  6.5392  11.2150  5.6539  1.6168
gff                clean     42  6.9163  10.7111  5.3389  1.3322
gff                faithful  42  6.9163  10.7124  5.3404  1.3322
tif                clean     42  6.6251  10.5730  4.9751  1.6622
tif                faithful  42  6.6645  10.4880  4.9702  1.6719
vsm_wls            clean     42  6.8034  12.7042  6.5946  1.7473
vsm_wls            faithful  42  6.8081  12.6520  6.5724  1.7517
ifevip             clean     42  6.8364  10.7434  5.2981  1.6248
ifevip             faithful  42  6.8375  10.7258  5.3306  1.6159
adf                clean     10  6.6027  13.4808  7.2177  1.5070
adf                faithful  10  6.6093  13.7221  7.3731  1.5035
fpde               clean     10  6.5884  12.7258  6.8688  1.5091
fpde               faithful  10  6.5915  12.8316  6.9353  1.5086
gtf                clean     10  6.6620  14.0581  7.1657  1.0004
gtf                faithful  10  6.6620  14.0581  7.1657  1.0004
bayesian           clean     10  6.7288  11.1818  5.7998  1.5108
bayesian           faithful  10  6.7340  11.3211  5.8567  1.5111
"""


@dataclass(frozen=True)
class Reference:
    """Means that a method has on the first ``pairs`` of TNO; none are known where there are no ``pairs``."""

    method: str
    preset: str
    mode: str
    pairs: int = 0
    means: tuple[float, ...] = ()

    def build(self) -> FusionModel:
        """The method with these options; a method without modes is as faithful as it is clean."""
        wanted = {"mode": self.mode, "preset": self.preset}
        offered = {option.name for option in get_spec(self.method).options}
        return create_model(self.method, **{name: value for name, value in wanted.items() if value and name in offered})


def references(chosen: list[str]) -> Iterator[Reference]:
    """Of the methods of ``imfuse.classical``, in the order of their names."""
    rows = [line.split() for line in REFERENCES.strip().splitlines()]
    for name in list_models():
        if not model_class(name).__module__.startswith("imfuse.classical") or (chosen and name not in chosen):
            continue
        found = [row for row in rows if row[0].partition("/")[0] == name]
        for about, mode, pairs, *means in found or [[name, "clean", "0"]]:
            yield Reference(name, about.partition("/")[2], mode, int(pairs), tuple(map(float, means)))


def tno(shared: Path) -> list[Pair]:
    """The 42 gray pairs, (1, 1, H, W) float64 in [0, 1]."""
    folder = shared / "data" / "tno"
    matched = match_folders(folder / "ir", folder / "vi").pairs
    pictures = [(read_image(pair.infrared), read_image(pair.visible)) for pair in matched]
    return [tuple(torch.from_numpy(x.astype(np.float64) / 255)[None, None] for x in both) for both in pictures]


def levels(image: Tensor) -> Tensor:
    """The 8-bit picture: halves are rounded up, as MATLAB does."""
    return torch.floor(255 * image + 0.5).clamp(0, 255)


def fuse(network: torch.nn.Module, pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
    """Gray levels of the fused picture and of its sources."""
    with torch.inference_mode():
        return levels(network(*pair)), levels(pair[0]), levels(pair[1])


def forward_gradient(fused: Tensor) -> Tensor:
    """AG of the textbooks, in gray levels: forward differences, where both exist."""
    down, across = fused.diff(dim=2)[..., :-1], fused.diff(dim=3)[..., :-1, :]
    return ((down.square() + across.square()) / 2).sqrt().mean((1, 2, 3))


def measure(reference: Reference, pairs: list[Pair]) -> list[float]:
    """Means of ``SYMBOLS``."""
    network = fast_form(reference.build())
    scores = []
    for pair in pairs[: reference.pairs]:
        pictures = fuse(network, pair)
        values = score_images(*pictures, data_range=255, metrics=["EN", "SF", "SCD"])
        values["AG"] = forward_gradient(pictures[0])
        scores.append([values[symbol].item() for symbol in SYMBOLS])
    return np.mean(scores, axis=0).tolist()


def seconds(reference: Reference) -> float:
    """Median processor time for a rendered pair of 480x640: three runs, or as many as ten seconds allow."""
    scene = render_scene(480, 640)
    images = scene.infrared.astype(np.float32) / 255, luminance(scene.visible.astype(np.float32) / 255)
    pair = tuple(torch.from_numpy(image)[None, None] for image in images)
    network, taken = fast_form(reference.build()), []
    with torch.inference_mode():
        network(*(image[..., :64, :64] for image in pair))
        while len(taken) < 3 and sum(taken) < 10:
            start = time.process_time()
            network(*pair)
            taken.append(time.process_time() - start)
    return statistics.median(taken)


def show_references(chosen: list[str], pairs: list[Pair]) -> bool:
    """Print measured / reference means; whether all agree."""
    agree = True
    print(f"| method | mode | pairs | {' | '.join(SYMBOLS)} | largest difference | CPU seconds |")
    print("|---|---|---|" + "---|" * (len(SYMBOLS) + 2))
    for reference in references(chosen):
        cells, apart = ["-"] * len(SYMBOLS), "-"
        if reference.pairs:
            measured = measure(reference, pairs)
            # What is left after both are rounded alike: references have four digits.
            largest = max(abs(round(a, 4) - b) for a, b in zip(measured, reference.means, strict=True))
            agree &= largest < 1.01 * LOOSER.get((reference.method, reference.mode), TOLERANCE)
            apart = f"{largest:.4f}"
            cells = [f"{a:.4f} / {b:.4f}" for a, b in zip(measured, reference.means, strict=True)]
        name = f"{reference.method}, preset {reference.preset}" if reference.preset else reference.method
        row = [name, reference.mode, str(reference.pairs or "-"), *cells, apart, f"{seconds(reference):.3f}"]
        print(f"| {' | '.join(row)} |", flush=True)
    others = "".join(f" ({', '.join(row)}: {allowed})" for row, allowed in LOOSER.items())
    print(f"\nMeasured / reference; allowed difference {TOLERANCE}{others}: {'kept' if agree else 'BROKEN'}")
    return agree


def article_means(pairs: list[Pair], symbols: Sequence[str]) -> dict[str, float]:
    """Means of TE-MST as the RefineFuse article ran it, under the article's convention."""
    network = create_model("te_mst", preset="refinefuse", mode="faithful")
    scores = [
        score_images(*fuse(network, pair), data_range=255, metrics=symbols, convention="refinefuse") for pair in pairs
    ]
    return {symbol: float(np.mean([score[symbol].item() for score in scores])) for symbol in symbols}


def show_article(pairs: list[Pair]) -> bool:
    """Print TE-MST beside the row of the article; whether all agree."""
    table = get_published("refinefuse-tno")
    printed = table.rows["MST"]
    ours = article_means(pairs, list(printed))
    agree = all(abs(ours[symbol] - value) < TOLERANCE for symbol, value in printed.items())
    print(f"\nMST in {table.table} of {table.cite}, and te_mst, preset refinefuse, mode faithful:")
    print(f"allowed difference {TOLERANCE}: {'kept' if agree else 'BROKEN'}\n")
    print(f"| | {' | '.join(printed)} |")
    print("|---|" + "---|" * len(printed))
    print(f"| printed | {' | '.join(f'{value:.4f}' for value in printed.values())} |")
    print(f"| ours | {' | '.join(f'{ours[symbol]:.4f}' for symbol in printed)} |")
    print(f"| difference | {' | '.join(f'{ours[symbol] - printed[symbol]:+.5f}' for symbol in printed)} |")
    return agree


def main() -> int:
    """Print both tables; 1 where a reference is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="only these")
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/tno")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pairs = tno(args.shared)
    agree = show_references(args.methods, pairs)
    if not args.methods or "te_mst" in args.methods:
        agree &= show_article(pairs)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
