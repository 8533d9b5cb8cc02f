"""How long a network takes for one pair, and how much memory: measured in a fresh process for each model and size."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from imfuse.benchmark.interrupts import interrupts_held, release_interrupts
from imfuse.benchmark.plan import ModelEntry
from imfuse.core.errors import ModelError
from imfuse.core.registry import get_spec
from imfuse.fusing.engine import find_device
from imfuse.fusing.fuser import Fuser

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_FEWEST_RUNS = 5
_MOST_RUNS = 200


@dataclass(frozen=True)
class Latency:
    """What was measured.

    Attributes:
        milliseconds: median wall time of the network for one pair that is on the device, after a warm-up.
        spread: half the distance of the quartiles.
        runs: how many.
        memory: peak bytes above those of the loaded model: resident on a CPU (Linux), allocated on a GPU; else None.
    """

    milliseconds: float
    spread: float
    runs: int
    memory: int | None


def measure(
    entry: ModelEntry, height: int, width: int, *, device: str, dtype: str = "auto", threads: int, seconds: float
) -> Latency:
    """Measure the form that ``Fuser`` runs, whole pictures without tiles, for ``seconds`` in a process of its own.

    Raises ``ModelError`` where the process is killed, as for lack of memory, and what ``Fuser`` raises.
    """
    settings: dict[str, Any] = {"device": device, "dtype": dtype, **entry.options}
    return _in_own_process(entry.label, _measure, entry, settings, (height, width), threads, seconds)


def measure_segmenter(
    name: str, channels: int, height: int, width: int, *, device: str, threads: int, seconds: float
) -> Latency:
    """The same of a network that tells classes, of random weights; its memory is not measured. Raises the same."""
    return _in_own_process(name, _measure_segmenter, name, channels, (height, width), device, threads, seconds)


def _in_own_process(name: str, work: Callable[..., Latency], *arguments: Any) -> Latency:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with interrupts_held():
            measured = pool.submit(work, *arguments)
        try:
            return measured.result()
        except BrokenProcessPool:
            raise ModelError(f"{name}: needs more memory than there is") from None


def load(entry: ModelEntry, **settings: Any) -> Fuser:
    """What is measured. A method without shipped weights gets random ones: they cost the same."""
    weights = None if entry.weights == "default" and not get_spec(entry.model).weights else entry.weights
    return Fuser(entry.model, weights, **settings)


def _measure(
    entry: ModelEntry, settings: Mapping[str, Any], size: tuple[int, int], threads: int, seconds: float
) -> Latency:
    _begin(threads)
    fuser = load(entry, **settings)
    sides = [fuser.spec.size.padded(side) for side in size]
    random = torch.Generator().manual_seed(0)
    pair = [torch.rand(1, 1, *sides, generator=random).to(fuser.device) for _ in range(2)]
    with torch.inference_mode():
        memory = _peak(fuser, pair)
        return _timed(fuser.network, pair, fuser.device, seconds, memory)


def _measure_segmenter(
    name: str, channels: int, size: tuple[int, int], device: str, threads: int, seconds: float
) -> Latency:
    from imfuse.tasks.segment.networks import build_segmenter

    _begin(threads)
    place = find_device(device)
    network = build_segmenter(name, channels=channels).eval().to(place)
    images = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0)).to(place)
    with torch.inference_mode():
        return _timed(network, [images], place, seconds, None)


def _begin(threads: int) -> None:
    release_interrupts()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _timed(
    network: Callable[..., Any], images: list[Tensor], device: torch.device, seconds: float, memory: int | None
) -> Latency:
    network(*images)
    _synchronise(device)
    times: list[float] = []
    while len(times) < _FEWEST_RUNS or (sum(times) < seconds and len(times) < _MOST_RUNS):
        start = time.perf_counter()
        network(*images)
        _synchronise(device)
        times.append(time.perf_counter() - start)
    low, middle, high = (1000 * value for value in statistics.quantiles(times, n=4))
    return Latency(middle, (high - low) / 2, len(times), memory)


def _peak(fuser: Fuser, pair: list[Tensor]) -> int | None:
    """Highest memory of one run above what is held before it."""
    if fuser.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(fuser.device)
        before = torch.cuda.memory_allocated(fuser.device)
        fuser.network(*pair)
        _synchronise(fuser.device)
        return torch.cuda.max_memory_allocated(fuser.device) - before
    # Loading a model may have needed more than holding it.
    with suppress(OSError):
        _CLEAR.write_text("5")
    held = _status("VmRSS")
    fuser.network(*pair)
    highest = _status("VmHWM")
    return None if held is None or highest is None else max(0, highest - held)


def _status(field: str) -> int | None:
    """A field of this process in bytes; Linux alone shows it."""
    with suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
    return None


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
