"""Pictures for tests of metrics, published values, and checks that hold for every metric."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imfuse.imaging import read_image
from imfuse.metrics import Picture

Triple = tuple[Tensor, Tensor, Tensor]
Pictures = tuple[Picture, Picture, Picture]
FormulaPair = Callable[[int, int], tuple[Tensor, Tensor]]


def tensor(image: np.ndarray) -> Tensor:
    """(H, W) or (N, H, W) to (N, 1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image)).reshape(-1, 1, *image.shape[-2:])


def picture(image: np.ndarray) -> Picture:
    """Of levels (H, W) or (N, H, W)."""
    return Picture(tensor(image), 255)


def triple(shared: Path, method: str, image: str, crop: str = "full") -> Triple:
    files = (shared / "truth" / "fused" / method, shared / "data" / "tno" / "ir", shared / "data" / "tno" / "vi")
    images = [tensor(read_image(folder / f"{image}.png")) for folder in files]
    if crop != "full":
        top, left, height, width = map(int, crop.split(":"))
        images = [x[..., top : top + height, left : left + width] for x in images]
    return images[0], images[1], images[2]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return tensor(np.random.default_rng(seed).integers(0, 256, shape).astype(np.float64))


def smooth(height: int, width: int, seed: int) -> Triple:
    """Three related pictures, the first a mix of the others."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    first, second = (128 + 90 * np.sin(y / random.uniform(3, 9) + x / random.uniform(3, 9)) for _ in range(2))
    grain = random.normal(0, 8, (3, height, width))
    images = np.clip(np.stack([0.6 * first + 0.4 * second, first, second]) + grain, 0, 255).round()
    return tensor(images[0]), tensor(images[1]), tensor(images[2])


def unrounded(levels: Tensor) -> Picture:
    """A picture whose levels are not rounded."""
    return Picture.of_levels(levels)


# Published values


def pictures(shared: Path, method: str, image: str, crop: str = "full") -> Pictures:
    """A pair of TNO and what a method fused from it."""
    fused, infrared, visible = triple(shared, method, image, crop)
    return Picture(fused, 255), Picture(infrared, 255), Picture(visible, 255)


def rows(shared: Path, name: str) -> list[dict[str, str]]:
    """A table of published values."""
    with (shared / "truth" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def formula_values(shared: Path, formula_pair: FormulaPair) -> Iterator[tuple[dict[str, str], Pictures]]:
    """What programs of many conventions make of images given by formulas: a row of their table, and the images."""
    known: dict[str, Pictures] = {}
    for row in rows(shared, "other_metrics.csv"):
        if row["input"] not in known:
            height, width = map(int, row["input"].split("x"))
            a, b = ((255 * image.double()).round() for image in formula_pair(height, width))
            known[row["input"]] = Picture(((a + b) / 2).round(), 255), Picture(a, 255), Picture(b, 255)
        yield row, known[row["input"]]


def octave_values(shared: Path, metrics: Sequence[str]) -> list[tuple[Pictures, dict[str, float]]]:
    """What published code run in Octave makes of crops and of pair 08: the images, and a value for each metric."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows(shared, "octave_tno.csv"):
        if row["metric"] in metrics and (row["crop"] != "full" or row["image"] == "08"):
            place = row["method"], row["image"], row["crop"]
            found.setdefault(place, {})[row["metric"]] = float(row["value"])
    return [(pictures(shared, *place), values) for place, values in found.items()]


def check_octave_values(shared: Path, scores: Mapping[str, Callable[..., Tensor]], names: Mapping[str, str]) -> None:
    """``names`` says which of ``scores`` stands for a metric of :func:`octave_values`."""
    values = octave_values(shared, list(names))
    assert len(values) == 21
    for images, wanted in values:
        found = {symbol: scores[names[symbol]](*images).item() for symbol in wanted}
        assert found == pytest.approx(wanted, rel=1e-11)


def check_formula_values(
    shared: Path,
    formula_pair: FormulaPair,
    scores: Mapping[str, Callable[..., Tensor]],
    names: Mapping[str, Mapping[str, str]],
) -> None:
    """``names`` says, by convention, which of ``scores`` stands for a metric of :func:`formula_values`."""
    seen = 0
    for row, images in formula_values(shared, formula_pair):
        if name := names.get(row["convention"], {}).get(row["metric"]):
            assert scores[name](*images).item() == pytest.approx(float(row["value"]), rel=1e-11), row
            seen += 1
    assert seen == 2 * sum(map(len, names.values()))


# What every metric that compares with sources must do


def check_batch(metric: Callable[..., Tensor], images: Sequence[Triple], rel: float = 1e-12) -> None:
    """A batch scores as its images do one by one."""
    together = metric(*(torch.cat(parts) for parts in zip(*images, strict=True)), 255)
    assert together.shape == (len(images),)
    assert together.dtype == torch.float64
    assert together.tolist() == pytest.approx([metric(*each, 255).item() for each in images], rel=rel)


def check_batches(scores: Mapping[str, Callable[..., Tensor]], images: np.ndarray) -> None:
    """Batches (3, N, H, W) of a fused image and its sources score as their images do one by one."""
    together = [picture(image) for image in images]
    alone = [[picture(image[i]) for image in images] for i in range(images.shape[1])]
    for name, score in scores.items():
        found = score(*together)
        assert found.shape == (len(alone),)
        assert found.dtype == torch.float64
        wanted = [score(*each).item() for each in alone]
        assert found.tolist() == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True), name


def check_memory(metric: Callable[..., Tensor], images: Triple, others: Triple) -> None:
    """Pictures score as tensors do, whatever they were asked for before."""
    known = [Picture(image, 255) for image in images]
    wanted = metric(*images, 255).item()
    assert metric(*known).item() == wanted
    for place, other in enumerate(others):
        mixed, plain = [*known], [*images]
        mixed[place], plain[place] = Picture(other, 255), other
        assert metric(*mixed).item() == metric(*plain, 255).item()
    f, a, b = images
    assert metric(known[1], known[0], known[2]).item() == metric(a, f, b, 255).item()
    assert metric(*known).item() == wanted
