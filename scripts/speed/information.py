"""What TransFusion's information term costs: ours against the forms of the released code, in one run.

``python -m scripts.speed.information`` times, in processor seconds on one thread, what a training step computes of one
level of features: the term and, where it has one, its gradient.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from imfuse.losses.transfusion import information_loss

BINS = 16


def ours(fused: Tensor, infrared: Tensor, visible: Tensor) -> None:
    """Soft histograms of at most 64 channels and 1024 places, with the gradient."""
    information_loss([(fused, infrared, visible)]).backward()


def released(fused: Tensor, infrared: Tensor, visible: Tensor) -> None:
    """What the released training logs: 256 hard bins of all values at once in NumPy; a constant."""
    values = fused.detach().numpy().ravel()
    total = 0.0
    for source in (infrared, visible):
        others = source.numpy().ravel()
        joint = np.histogram2d(values, others, 256, ((0, 1), (0, 1)))[0]
        first, second = (np.histogram(x, 256, (0, 1))[0] for x in (values, others))
        joint, first, second = joint / joint.sum(), first / first.sum(), second / second.sum()
        # The marginals change places there.
        total += (joint * np.log((joint + 1e-10) / np.outer(second + 1e-10, first + 1e-10))).sum()


def loops(fused: Tensor, infrared: Tensor, visible: Tensor) -> None:
    """The second form of the released code, which nothing uses: loops over images and bins, with the gradient."""
    total = fused.new_zeros(())
    for moving in fused:
        for source in (infrared, visible):
            total = total - _parzen(moving.flatten(), source[0].flatten())
    total.backward()


def _parzen(moving: Tensor, fixed: Tensor) -> Tensor:
    """Mutual information: cubic windows for one image, hard bins for the other; a sum per pair of bins."""
    inner = BINS - 4
    steps = [(x.max() - x.min()) / inner for x in (moving, fixed)]
    place = moving / steps[0] - (moving.min() / steps[0] - 2)
    bins = (fixed / steps[1] - (fixed.min() / steps[1] - 2)).floor().clamp(2, BINS - 3)
    rows = []
    for i in range(BINS):
        window = _cubic(i - place)
        rows.append(torch.stack([(window * (bins == j)).sum() for j in range(BINS)]))
    joint = torch.stack(rows)
    joint = joint / joint.sum()
    expected = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    occupied = joint > 0
    return (joint[occupied] * (joint[occupied] / expected[occupied]).log()).sum()


def _cubic(x: Tensor) -> Tensor:
    size = x.abs()
    near = (4 - 6 * size**2 + 3 * size**3) / 6
    far = (2 - size).clamp_min(0) ** 3 / 6
    return torch.where(size < 1, near, far)


def seconds(form: Callable[[Tensor, Tensor, Tensor], None], shape: tuple[int, ...], repeats: int) -> float:
    """Median processor seconds of a step."""
    generator = torch.Generator().manual_seed(0)
    infrared, visible = (torch.rand(shape, generator=generator) for _ in range(2))
    times = []
    for _ in range(repeats):
        fused = torch.maximum(infrared, visible).requires_grad_()
        start = time.process_time()
        form(fused, infrared, visible)
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="height and width of the features of level 1")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    shape = (args.batch, 64, args.side, args.side)
    print(f"features {'x'.join(map(str, shape))}, one thread, processor seconds of one level in a step\n")
    print("| form | seconds | as many times ours | gradient |\n|---|---|---|---|")
    rows = {"soft histogram (ours)": (ours, "yes"), "256 bins in NumPy (released)": (released, "no")}
    rows["loops over bins (released, unused)"] = (loops, "yes")
    base = None
    for name, (form, gradient) in rows.items():
        form_seconds = seconds(form, shape, args.repeats)
        base = base or form_seconds
        print(f"| {name} | {form_seconds:.3f} | {form_seconds / base:.1f} | {gradient} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
