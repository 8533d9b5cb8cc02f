"""How fast metrics are beside public evaluators' algorithms, in one run: ``metrics.py --threads 1 --size 480x640``.

Each peer is such an algorithm written plainly (``metric_peers``), given 8-bit arrays; ours get the same as tensors and
compute in float64. Forms take turns, medians are printed. "alone" is one metric on three tensors, quantisation
included; "in a suite" is what it adds where the three pictures already know what metrics share.

Then the seven metrics of RefineFuse's tables together, against the evaluator's loop over the same seven, and the whole
suite on one triple.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from imfuse.data import render_scene
from imfuse.imaging import luminance
from imfuse.metrics import METRICS, Picture, get_convention, score_images
from metric_peers import PEERS
from metric_peers.information import MOST_COPIED

TABLE = "refinefuse"


def triple(height: int, width: int) -> list[np.ndarray]:
    """Fused image (a mean), infrared and visible of a rendered scene, (H, W) uint8."""
    scene = render_scene(height, width)
    visible = np.rint(luminance(scene.visible.astype(np.float32))).clip(0, 255).astype(np.uint8)
    fused = np.rint((scene.infrared.astype(np.float32) + visible) / 2).astype(np.uint8)
    return [fused, scene.infrared, visible]


def median_ms(call: Callable[[], object], seconds: float, warm: bool = True) -> float:
    """Median wall-clock milliseconds of a call, three to fifty runs."""
    if warm:
        call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def ours(images: list[np.ndarray], symbols: list[str], convention: str = "plain") -> dict[str, torch.Tensor]:
    """Scores of a triple from its arrays."""
    tensors = (torch.from_numpy(image)[None, None] for image in images)
    return score_images(*(Picture(x, 255) for x in tensors), metrics=symbols, convention=convention)


def per_metric(images: list[np.ndarray], seconds: float) -> None:
    """One line per metric."""
    print("| metric | alone, ms | in a suite, ms | fastest peer, ms | peer / alone |\n|---|---|---|---|---|")
    for symbol in METRICS:
        alone = median_ms(lambda s=symbol: ours(images, [s]), seconds)
        known = [Picture(torch.from_numpy(image)[None, None], 255) for image in images]
        score_images(*known)
        within = median_ms(lambda s=symbol, k=known: score_images(*k, metrics=[s]), seconds)
        peer = PEERS.get(symbol)
        if peer is None:
            print(f"| {symbol} | {alone:.2f} | {within:.2f} | none | |", flush=True)
            continue
        other = median_ms(lambda p=peer: p(*images), seconds, warm=not symbol.startswith("FMI"))
        print(f"| {symbol} | {alone:.2f} | {within:.2f} | {other:.1f} | {other / alone:.1f} |", flush=True)


def together(images: list[np.ndarray], seconds: float) -> None:
    """The seven metrics of the tables, and all there are."""
    symbols = list(get_convention(TABLE).definitions)
    peers = [PEERS["SSIM refinefuse"] if symbol == "SSIM" else PEERS[symbol] for symbol in symbols]
    mine = median_ms(lambda: ours(images, symbols, TABLE), seconds)
    other = median_ms(lambda: [peer(*images) for peer in peers], seconds)
    print(f"\n{' '.join(symbols)} together: ours {mine:.1f} ms, evaluator {other:.0f} ms, ratio {other / mine:.1f}")
    copied = median_ms(lambda: MOST_COPIED["MI"](*images), seconds)
    print(f"MI by scikit-learn, as most evaluators: {copied:.1f} ms")
    whole = median_ms(lambda: ours(images, list(METRICS)), seconds)
    print(f"all {len(METRICS)} metrics on one triple: {whole:.0f} ms")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", default="480x640", help="HEIGHTxWIDTH")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each form")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    height, width = (int(side) for side in args.size.split("x"))
    images = triple(height, width)
    print(f"{height}x{width}, threads: {args.threads}, torch {torch.__version__.split('+')[0]}, float64\n")
    with torch.inference_mode():
        per_metric(images, args.seconds)
        together(images, args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
