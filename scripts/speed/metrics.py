"""How fast metrics are beside public evaluators' algorithms, in one run.

``metrics.py --threads 1 2 --size 480x640 1024x768`` measures every combination of sizes and threads: milliseconds are
those of the first, ratios those of all.

Each peer is such an algorithm written plainly (``metric_peers``), given 8-bit arrays; ours get the same as tensors and
compute in float64. Forms take turns, medians are printed. "alone" is one metric on three tensors, quantisation
included; "in a suite" is what it adds where the three pictures already know what metrics share.

Then the seven metrics of RefineFuse's tables together, against the evaluator's loop over the same seven, and the whole
suite on one triple.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from scripts.speed.metric_peers import PEERS, Peer
from scripts.speed.metric_peers.information import MOST_COPIED

from imfuse.imaging import luminance
from imfuse.metrics import METRICS, Picture, get_convention, score_images
from imfuse.scenes import render_scene

TABLE = "refinefuse"


@lru_cache
def triple(height: int, width: int) -> list[np.ndarray]:
    """Fused image (a mean), infrared and visible of a rendered scene, (H, W) uint8."""
    scene = render_scene(height, width)
    visible = np.rint(luminance(scene.visible.astype(np.float32))).clip(0, 255).astype(np.uint8)
    fused = np.rint((scene.infrared.astype(np.float32) + visible) / 2).astype(np.uint8)
    return [fused, scene.infrared, visible]


@dataclass(frozen=True)
class Setting:
    """A size of images and a number of threads."""

    size: str
    threads: int

    def __str__(self) -> str:
        return f"{self.size}, {self.threads} thread{'s' * (self.threads > 1)}"

    def start(self) -> list[np.ndarray]:
        """Take that many threads from here on; the images."""
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)
        return triple(*(int(side) for side in self.size.split("x")))


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


def own_scores(images: list[np.ndarray], symbols: list[str], convention: str = "plain") -> dict[str, torch.Tensor]:
    """Scores of a triple from its arrays."""
    tensors = (torch.from_numpy(image)[None, None] for image in images)
    return score_images(*(Picture(x, 255) for x in tensors), metrics=symbols, convention=convention)


def per_metric(settings: list[Setting], seconds: float) -> None:
    """One line per metric."""
    ratios = " | ".join(f"peer / alone, {setting}" for setting in settings)
    print(f"| metric | alone, ms | in a suite, ms | fastest peer, ms | {ratios} |")
    print("|---" * (4 + len(settings)) + "|")
    first = settings[0].start()
    shared = [Picture(torch.from_numpy(image)[None, None], 255) for image in first]
    score_images(*shared)
    for symbol in METRICS:
        peer = PEERS.get(symbol)
        timed = [beside(symbol, peer, setting.start(), seconds) for setting in settings]
        settings[0].start()
        within = median_ms(lambda s=symbol: score_images(*shared, metrics=[s]), seconds)
        alone, other = timed[0]
        milliseconds = "none" if peer is None else f"{other:.1f}"
        quotients = " | ".join("" if peer is None else f"{of_peer / own:.1f}" for own, of_peer in timed)
        print(f"| {symbol} | {alone:.2f} | {within:.2f} | {milliseconds} | {quotients} |", flush=True)


def beside(symbol: str, peer: Peer | None, images: list[np.ndarray], seconds: float) -> tuple[float, float]:
    """Milliseconds of our metric alone and of its peer, nan without one."""
    alone = median_ms(lambda: own_scores(images, [symbol]), seconds)
    if peer is None:
        return alone, math.nan
    return alone, median_ms(lambda: peer(*images), seconds, warm=not symbol.startswith("FMI"))


def together(images: list[np.ndarray], seconds: float) -> None:
    """The seven metrics of the tables, and all there are."""
    symbols = list(get_convention(TABLE).definitions)
    peers = [PEERS["SSIM refinefuse"] if symbol == "SSIM" else PEERS[symbol] for symbol in symbols]
    own = median_ms(lambda: own_scores(images, symbols, TABLE), seconds)
    other = median_ms(lambda: [peer(*images) for peer in peers], seconds)
    print(f"\n{' '.join(symbols)} together: ours {own:.1f} ms, evaluator {other:.0f} ms, ratio {other / own:.1f}")
    copied = median_ms(lambda: MOST_COPIED["MI"](*images), seconds)
    print(f"MI by scikit-learn, as most evaluators: {copied:.1f} ms")
    whole = median_ms(lambda: own_scores(images, list(METRICS)), seconds)
    print(f"all {len(METRICS)} metrics on one triple: {whole:.0f} ms")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--size", nargs="+", default=["480x640"], help="HEIGHTxWIDTH")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each form")
    args = parser.parse_args()
    settings = [Setting(size, threads) for size in args.size for threads in args.threads]
    print(f"{settings[0]}, torch {torch.__version__.split('+')[0]}, float64\n")
    with torch.inference_mode():
        per_metric(settings, args.seconds)
        together(settings[0].start(), args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
