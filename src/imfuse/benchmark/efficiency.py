"""What models cost: parameters, operations, time and memory at several sizes, beside the table of an article."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from imfuse.benchmark.complexity import COUNTED, Complexity, count
from imfuse.benchmark.latency import Latency, load, measure
from imfuse.benchmark.plan import ModelEntry
from imfuse.benchmark.published import get_published, read_rows
from imfuse.benchmark.routes import HEAD as ROUTES
from imfuse.benchmark.routes import Part, Route, check_segmenters, route_notes, route_rows, routes_of
from imfuse.core.errors import BenchmarkError, ModelError
from imfuse.core.registry import get_spec
from imfuse.core.version import VERSION

SIZES = "256x256,512x512,640x480,1024x768"
HEAD = ("model", "size", "parameters", "G MACs", "G MACs, convolutions", "ms", "peak MiB")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_ARTICLE = "refinefuse-cost"


@dataclass(frozen=True)
class Cost:
    """A model at a size; ``measured`` is None where the memory does not suffice."""

    model: str
    title: str
    width: int
    height: int
    counted: Complexity
    measured: Latency | None


@dataclass(frozen=True)
class Efficiency:
    """Costs, and what they were measured on."""

    costs: tuple[Cost, ...]
    device: str
    threads: int
    dtype: str
    routes: tuple[Route, ...] = ()


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """``WIDTHxHEIGHT,...`` as (width, height); raises ``BenchmarkError``.

    >>> parse_sizes("640x480")
    [(640, 480)]
    """
    sizes = []
    for word in text.split(","):
        match = _SIZE.fullmatch(word.strip())
        if match is None or "0" in match.groups():
            raise BenchmarkError(f"sizes={word!r}: WIDTHxHEIGHT is expected, such as 640x480")
        sizes.append((int(match[1]), int(match[2])))
    return sizes


def measure_models(
    entries: Sequence[ModelEntry],
    sizes: Sequence[tuple[int, int]],
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int = 0,
    seconds: float = 3.0,
    segmenters: Sequence[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> Efficiency:
    """Count and measure every model at every size, each measurement in a process of its own.

    Args:
        entries: the models.
        sizes: width and height in pixels.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        dtype: "auto" or one that every model computes in.
        threads: of the processor; 0 takes as many as torch does.
        seconds: how long one model is measured at one size.
        segmenters: networks that tell classes, to add up what it costs to do so by each route.
        progress: called with how many are done, how many there are, and what comes next.

    Returns:
        The costs, model by model.

    Raises:
        ModelError: a model, the device or the dtype cannot be used; nothing was measured then.
    """
    number = threads or torch.get_num_threads()
    check_segmenters(segmenters)
    place = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    for entry in entries:
        # What is wrong with a model is reported before anything is measured.
        load(entry, device=place, dtype=dtype, **entry.options)
    jobs = [(entry, size) for entry in entries for size in sizes]
    costs = []
    for done, (entry, (width, height)) in enumerate(jobs):
        if progress:
            progress(done, len(jobs), f"{entry.label} {width}x{height}")
        counted = count(entry.model, height, width, **entry.options)
        measured = _measured(entry, height, width, place, dtype, number, seconds)
        costs.append(Cost(entry.label, get_spec(entry.model).title, width, height, counted, measured))
    name = torch.cuda.get_device_name(place) if place.startswith("cuda") else _processor()
    fusions = [(one.model, one.width, one.height, Part(one.counted, one.measured)) for one in costs]
    routes = tuple(routes_of(segmenters, fusions, device=place, threads=number, seconds=seconds))
    return Efficiency(tuple(costs), f"{place}: {name}", number, dtype, routes)


def markdown(efficiency: Efficiency) -> str:
    """Two tables: what was counted and measured, and what an article prints."""
    lines = [f"| {' | '.join(HEAD)} |", f"|---|---|{'---:|' * (len(HEAD) - 2)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows_of(efficiency)]
    lines += ["", *(f"- {note}" for note in notes_of(efficiency)), ""]
    if efficiency.routes:
        lines += [f"| {' | '.join(ROUTES)} |", f"|---|---|{'---:|' * (len(ROUTES) - 2)}"]
        lines += [f"| {' | '.join(row)} |" for row in route_rows(efficiency.routes)]
        lines += ["", *(f"- {note}" for note in route_notes()), ""]
    printed = read_rows(_ARTICLE)
    columns = [name for name in next(iter(printed.values())) if "rank" not in name]
    lines += [f"Printed in Table 11 of {_cite()}:", "", f"| method | {' | '.join(columns)} |"]
    lines += [f"|---|---|{'---:|' * (len(columns) - 1)}"]
    lines += [f"| {method} | {' | '.join(row[name] for name in columns)} |" for method, row in printed.items()]
    return "\n".join([*lines, "", "Its FLOPs are multiply-accumulates of convolutions: the fifth column above.", ""])


def rows_of(efficiency: Efficiency) -> Iterator[list[str]]:
    """The words of each row, below ``HEAD``."""
    for cost in efficiency.costs:
        counted, measured = cost.counted, cost.measured
        words = [cost.model, f"{cost.width}x{cost.height}", f"{counted.parameters:,}"]
        words += [f"{macs / 1e9:.2f}" for macs in (counted.macs, counted.convolution_macs)]
        if measured is None:
            yield [*words, "out of memory", "-"]
            continue
        memory = "-" if measured.memory is None else f"{measured.memory / 2**20:.0f}"
        yield [*words, f"{measured.milliseconds:.1f} ± {measured.spread:.1f}", memory]


def notes_of(efficiency: Efficiency) -> Iterator[str]:
    """What the numbers are."""
    yield f"MACs: multiply-accumulates of one pair in {COUNTED}; of the module that is trained"
    yield (
        f"ms: median ± half the quartile distance, of the form that Fuser runs ({efficiency.dtype} dtype), whole "
        f"pictures on {efficiency.device}, threads: {efficiency.threads}, device synchronised, after a warm-up; "
        f"torch {torch.__version__}, imfuse {VERSION}"
    )
    yield "peak: memory of one run above that of the loaded model, in a fresh process for each row"


def as_json(efficiency: Efficiency) -> str:
    """Everything, for programs."""
    return json.dumps({"imfuse": VERSION, "torch": torch.__version__, **asdict(efficiency)}, indent=1) + "\n"


def _measured(
    entry: ModelEntry, height: int, width: int, device: str, dtype: str, threads: int, seconds: float
) -> Latency | None:
    try:
        return measure(entry, height, width, device=device, dtype=dtype, threads=threads, seconds=seconds)
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        return None


def _cite() -> str:
    return get_published("refinefuse-tno").cite


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
