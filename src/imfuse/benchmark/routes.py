"""What it costs to tell classes in a pair by way of a fused picture, of fused features, or of four channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from imfuse.benchmark.complexity import Complexity, count_module
from imfuse.benchmark.latency import Latency, measure_segmenter
from imfuse.core.errors import ModelError
from imfuse.tasks.segment.networks import build_segmenter, network_class

HEAD = (
    "system",
    "size",
    "parameters",
    "fusion",
    "segmenter",
    "G MACs",
    "fusion",
    "segmenter",
    "ms",
    "fusion",
    "segmenter",
)
TWO_STREAMS = {"segformer_compact": "two_stream_compact"}
"""The network of two such trunks, whose features are added."""


@dataclass(frozen=True)
class Part:
    """A network of a route; ``measured`` is None where the memory does not suffice."""

    counted: Complexity
    measured: Latency | None

    @property
    def numbers(self) -> tuple[float, float, float | None]:
        """Parameters, G MACs, milliseconds."""
        time = None if self.measured is None else self.measured.milliseconds
        return self.counted.parameters, self.counted.macs / 1e9, time


@dataclass(frozen=True)
class Route:
    """A system at a size: what fuses, if anything does, and what tells classes."""

    system: str
    width: int
    height: int
    fusion: Part | None
    segmenter: Part

    @property
    def totals(self) -> tuple[float, float, float | None]:
        """Parameters, G MACs and milliseconds of the whole chain."""
        first, second = (self.fusion.numbers if self.fusion else (0.0, 0.0, 0.0)), self.segmenter.numbers
        time = None if first[2] is None or second[2] is None else first[2] + second[2]
        return first[0] + second[0], first[1] + second[1], time


def routes_of(
    segmenters: Sequence[str],
    fusions: Sequence[tuple[str, int, int, Part]],
    *,
    device: str,
    threads: int,
    seconds: float | None,
) -> Iterator[Route]:
    """Every way to each segmenter at each size: alone, of four channels, two streams, and behind each fusion method.

    ``fusions`` are names with width, height and costs; without ``seconds`` nothing is measured. Raises ``ModelError``
    for a segmenter that there is not.
    """
    check_segmenters(segmenters)
    sizes = dict.fromkeys((width, height) for _, width, height, _ in fusions)
    for name in segmenters:
        for width, height in sizes:

            def part(network: str, channels: int, width: int = width, height: int = height) -> Part:
                counted = count_module(build_segmenter(network, channels=channels), height, width, channels=(channels,))
                if seconds is None:
                    return Part(counted, None)
                return Part(counted, _measured(network, channels, (height, width), device, threads, seconds))

            alone = part(name, 3)
            yield Route(f"{name}, one picture", width, height, None, alone)
            yield Route(f"{name}, 4 channels (early fusion)", width, height, None, part(name, 4))
            if streams := TWO_STREAMS.get(name):
                yield Route(f"{streams} (fused features)", width, height, None, part(streams, 4))
            for method, *size, fusion in fusions:
                if size == [width, height]:
                    yield Route(f"{method} + {name}", width, height, fusion, alone)


def check_segmenters(names: Sequence[str]) -> None:
    """Raise ``ModelError`` for a segmenter that there is not, or that takes no fused picture."""
    for name in names:
        network_class(name)
        if name in TWO_STREAMS.values():
            raise ModelError(f"{name}: takes no fused picture; it is shown beside its one-picture form")


def route_rows(routes: Sequence[Route]) -> Iterator[list[str]]:
    """The words of each row, below ``HEAD``: the whole, then its parts."""
    for route in routes:
        words = [route.system, f"{route.width}x{route.height}"]
        fusion = route.fusion.numbers if route.fusion else (None, None, None)
        for i, form in enumerate((",.0f", ".2f", ".1f")):
            values = (route.totals[i], fusion[i], route.segmenter.numbers[i])
            words += ["-" if value is None else format(value, form) for value in values]
        yield words


def route_notes() -> Iterator[str]:
    """What the numbers are."""
    yield "a route costs what its parts cost; MACs, of which one is a multiplication and an addition, not FLOPs"
    yield "segmenters: 9 classes, random weights; times of fusion are those of the form that Fuser runs"


def _measured(
    network: str, channels: int, size: tuple[int, int], device: str, threads: int, seconds: float
) -> Latency | None:
    try:
        return measure_segmenter(network, channels, *size, device=device, threads=threads, seconds=seconds)
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        return None
