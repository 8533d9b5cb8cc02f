"""Do weights make pictures that can be looked at? Seven means of scores do not tell; these checks do.

Each runs a method, its network included, on rendered and formula pictures whose right answer is known: a grid shows in
the spectrum, a frame at the border, haze in black pictures, and what is lost by night in the levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imfuse.core.registry import get_spec
from imfuse.fusing.engine import Prepared
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import luminance
from imfuse.imaging.sensors.display import Limits
from imfuse.scenes import render_scene

Floats = NDArray[np.float32]
HEIGHT, WIDTH = 240, 320
LEVEL = 1 / 255


@dataclass(frozen=True)
class WeightsCheck:
    """What one check found.

    Args:
        name: of the check, as specifications declare exceptions by it.
        found: the worst value of all pictures.
        bound: the largest value that passes.
        unit: of both.
        picture: on which the worst value was found.
        reason: why the method cannot meet the bound by its nature, where its specification declares that.

    Example:
        >>> check = WeightsCheck("black", found=1.2, bound=3, unit="levels", picture="black, black")
        >>> check.passed
        True
    """

    name: str
    found: float
    bound: float
    unit: str
    picture: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the bound is kept, or need not be."""
        return self.found <= self.bound or bool(self.reason)


@dataclass(frozen=True)
class _Case:
    """A pair, what the method makes of it, and what the pair is called."""

    name: str
    infrared: Floats
    visible: Floats
    fused: Floats


Found = Iterator[tuple[float, str]]
"""Values of a check, the worst of which counts, each with the name of its picture."""


def check_weights(
    model: str | None = None, weights: str | Path | None = "default", *, device: str = "auto"
) -> tuple[WeightsCheck, ...]:
    """Check what a method with its weights makes of pictures whose right answer is known.

    - ``grid``: spectral lines of period 2, 4 and 8 beside their neighbours, over those of the sources.
    - ``frame``: step between the 4 outermost pixels and the next, beyond that of the sources.
    - ``black`` and ``white``: two black pictures stay black, two white ones white.
    - ``even`` and ``between``: a pair of even pictures gives an even one, between its sources.
    - ``veil``: the darkest hundredth of a night is not lifted above that of the darker source.
    - ``dim`` and ``bright``: the mean of a night lies between the sources' mean and that of the brighter pixels.
    - ``noise``: that of flat ground is not amplified.
    - ``identity``: a pair of one picture gives this picture.

    Args:
        model: a method, as for :class:`imfuse.Fuser`.
        weights: name of shipped weights, or a file.
        device: "auto", "cpu", "cuda", ...

    Returns:
        What each check found, in this order.

    Raises:
        ModelError, WeightsError: as :class:`imfuse.Fuser`.

    Example:
        >>> [check.name for check in check_weights("laplacian_pyramid") if not check.passed]
        []
    """
    fuser = Fuser(model, weights, device=device)
    cases = {
        kind: [_Case(name, *pair, fuse_by_network(fuser, *pair)) for name, pair in pairs.items()]
        for kind, pairs in _pairs().items()
    }
    entry = next((one for one in get_spec(fuser.spec.name).weights if one.path == fuser.resolved.weights), None)
    declared = {**fuser.spec.exceptions, **(entry.exceptions if entry else {})}
    found = {name: max(function(cases)) for name, (function, _, _) in CHECKS.items()}
    return tuple(
        WeightsCheck(name, found[name][0], bound, unit, found[name][1], declared.get(name, ""))
        for name, (_, bound, unit) in CHECKS.items()
    )


def fuse_by_network(fuser: Fuser, infrared: Floats, visible: Floats) -> Floats:
    """What the network itself makes of a pair; ``fuse_luminance`` asks it nothing about pairs without any detail."""
    pair = Prepared(infrared, visible, None, (Limits(0, 255), Limits(0, 255)), (HEIGHT, WIDTH))
    fused: Floats = fuser.run(pair, fuser.network)[0, 0].float().numpy(force=True).clip(0, 1)
    return fused


@cache
def _pairs() -> dict[str, dict[str, tuple[Floats, Floats]]]:
    """The pairs by what is asked of them; each image on 8-bit levels in [0, 1]."""
    rng = np.random.default_rng(0)
    scenes = {f"scene {seed}": _scene(seed) for seed in (0, 3, 7)}
    night = {
        f"{name}, by night": (_noisy(rng, ir * 0.5, 1.5), _noisy(rng, vi * 0.25, 1.5))
        for name, (ir, vi) in scenes.items()
    }
    day = {f"{name}, by day": (ir, _levels(0.25 + 0.7 * vi**0.6)) for name, (ir, vi) in scenes.items()}
    flat = {f"{a}, {b}": (_even(a), _even(b)) for a in (0, 64, 128, 255) for b in (0, 64, 128, 255)}
    noisy = {f"noise on {level}": (_noisy(rng, _even(level), 4), _noisy(rng, _even(level), 4)) for level in (40, 128)}
    same = {name: (vi, vi) for name, (_, vi) in (night | day).items()}
    return {"night": night, "day": day, "flat": flat, "noise": noisy, "same": same}


def _scene(seed: int) -> tuple[Floats, Floats]:
    scene = render_scene(HEIGHT, WIDTH, seed)
    return _levels(scene.infrared / 255), _levels(luminance(scene.visible.astype(np.float32)) / 255)


def _even(level: int) -> Floats:
    return np.full((HEIGHT, WIDTH), level / 255, np.float32)


def _noisy(rng: np.random.Generator, image: NDArray[np.floating], levels: float) -> Floats:
    return _levels(image + rng.normal(0, levels * LEVEL, image.shape))


def _levels(image: NDArray[np.floating]) -> Floats:
    return (np.round(image.clip(0, 1) * 255) / 255).astype(np.float32)


Cases = Mapping[str, list[_Case]]


def _grid(cases: Cases) -> Found:
    for case in (*cases["night"], *cases["day"], *cases["noise"]):
        sources = np.maximum(_lines(case.infrared), _lines(case.visible))
        yield float((_lines(case.fused) / np.maximum(sources, 1)).max()), case.name


def _lines(image: Floats) -> NDArray[np.float64]:
    """Energy of the spectral lines of period 2, 4 and 8 beside the median of their neighbours, along both axes."""
    found = []
    for axis in (0, 1):
        rows = image.astype(np.float64) if axis else image.T.astype(np.float64)
        spectrum = (np.abs(np.fft.rfft(rows * np.hanning(rows.shape[1]), axis=1)) ** 2).mean(0) + 1e-9
        for period in (2, 4, 8):
            place = rows.shape[1] // period
            near = [place + step for step in (-9, -8, -7, -6, -5, 5, 6, 7, 8, 9) if place + step < len(spectrum)]
            found.append(spectrum[place] / np.median(spectrum[near]))
    return np.array(found)


def _frame(cases: Cases) -> Found:
    for case in (*cases["night"], *cases["day"]):
        sources = np.maximum(_steps(case.infrared), _steps(case.visible))
        yield float((_steps(case.fused) - sources).max()) / LEVEL, case.name


def _steps(image: Floats, width: int = 4) -> NDArray[np.float64]:
    """How much the mean of the outermost pixels of each side differs from that of their neighbours further in."""
    sides = (image, image[::-1], image.T, image.T[::-1])
    return np.array([abs(side[:width].mean(dtype=float) - side[width : 2 * width].mean(dtype=float)) for side in sides])


def _of_flat(value: Callable[[_Case], float], *names: str) -> Callable[[Cases], Found]:
    """A check of even pairs: of those of these names, or of all."""
    return lambda cases: ((value(case) / LEVEL, case.name) for case in cases["flat"] if not names or case.name in names)


def _beyond(case: _Case) -> float:
    """How far the result lies outside its sources."""
    low, high = sorted((float(case.infrared.flat[0]), float(case.visible.flat[0])))
    return max(low - float(case.fused.min()), float(case.fused.max()) - high)


def _veil(cases: Cases) -> Found:
    for case in cases["night"]:
        darkest = [float(np.percentile(image, 1)) for image in (case.infrared, case.visible, case.fused)]
        yield (darkest[2] - min(darkest[:2])) / LEVEL, case.name


def _dim(cases: Cases) -> Found:
    for case in cases["night"]:
        yield float((case.infrared + case.visible).mean() / 2 - case.fused.mean()) / LEVEL, case.name


def _bright(cases: Cases) -> Found:
    for case in cases["night"]:
        yield float(case.fused.mean() - np.maximum(case.infrared, case.visible).mean()) / LEVEL, case.name


def _noise(cases: Cases) -> Found:
    for case in cases["noise"]:
        yield float(case.fused.std() / max(case.infrared.std(), case.visible.std())), case.name


def _identity(cases: Cases) -> Found:
    for case in cases["same"]:
        yield float(np.abs(case.fused - case.visible).mean()) / LEVEL, case.name


CHECKS: dict[str, tuple[Callable[[Cases], Found], float, str]] = {
    "grid": (_grid, 4, "times"),
    "frame": (_frame, 3, "levels"),
    "black": (_of_flat(lambda case: float(case.fused.max()), "0, 0"), 3, "levels"),
    "white": (_of_flat(lambda case: 1 - float(case.fused.min()), "255, 255"), 3, "levels"),
    "even": (_of_flat(lambda case: float(np.ptp(case.fused))), 1, "levels"),
    "between": (_of_flat(_beyond), 3, "levels"),
    "veil": (_veil, 6, "levels"),
    "dim": (_dim, 1, "levels"),
    "bright": (_bright, 1, "levels"),
    "noise": (_noise, 1.15, "times"),
    "identity": (_identity, 3, "levels"),
}
