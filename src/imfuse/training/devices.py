"""Where a training runs: the words of ``device`` as Lightning takes them."""

from __future__ import annotations

import re

import torch

from imfuse.core.errors import ModelError

KINDS = ("auto", "cpu", "cuda", "mps")


def placement(device: str, processes: int | None) -> tuple[str, list[int] | int | str]:
    """Lightning's accelerator and devices.

    Args:
        device: "auto", "cpu", "cuda", "mps", or GPUs by their numbers, "cuda:1" or "cuda:0,3".
        processes: how many devices train together, one process each. ``None``: all GPUs, or one process on a
            processor.

    Raises:
        ModelError: there is no such device, or not as many.

    >>> placement("cpu", None), placement("auto", 2)
    (('cpu', 1), ('auto', 2))
    """
    kind, _, numbers = device.partition(":")
    chosen = [int(number) for number in numbers.split(",")] if re.fullmatch(r"\d+(,\d+)*", numbers) else []
    if kind not in KINDS or bool(chosen) != (":" in device) or (chosen and kind != "cuda"):
        raise _unusable(device, "auto, cpu, cuda, cuda:1, cuda:0,3 or mps is expected")
    if kind == "cuda" and torch.cuda.device_count() <= max(chosen, default=0):
        raise _unusable(device, f"there are {torch.cuda.device_count()} CUDA devices")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise _unusable(device, "there is no such device")
    if chosen and processes not in (None, len(chosen)):
        raise ModelError(f"device={device!r} are {len(chosen)} devices, but processes={processes}")
    return kind, chosen or processes or (1 if kind == "cpu" else "auto")


def _unusable(device: str, reason: str) -> ModelError:
    return ModelError(f"device={device!r} cannot be used ({reason})", "use device='auto'", "use device='cpu'")
