"""How large a network is, and how many multiplications and additions one pair costs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from imfuse.core.registry import get_spec
from imfuse.core.spec import Value
from imfuse.models._build import create_model

COUNTED = "convolutions, linear layers and attention products; not counted: norms, activations, sums, filters"


@dataclass(frozen=True)
class Complexity:
    """What a network costs whatever machine it runs on.

    Attributes:
        parameters: numbers that training sets; buffers do not count.
        macs: multiply-accumulate operations of one pair in convolutions, linear layers and attention products.
        convolution_macs: those of convolutions alone, which some articles print, often as "FLOPs".
    """

    parameters: int
    macs: int
    convolution_macs: int


def count(model: str, height: int, width: int, **options: Value) -> Complexity:
    """Count the plain module of a method at a size (padded to what the method needs).

    The counter is torch's (``torch.utils.flop_counter``), which counts a multiplication and an addition as two; a
    multiply-accumulate is both. A training-free method has no such layers: nothing is counted. Raises ``ModelError``
    for an unknown model.

    >>> count("didfuse", 64, 64).parameters
    260935
    """
    spec = get_spec(model)
    if spec.training_free:
        return Complexity(0, 0, 0)
    sides = [spec.size.padded(side) for side in (height, width)]
    return count_module(create_model(model, weights=None, **options), *sides)


def count_module(network: nn.Module, height: int, width: int, *, channels: Sequence[int] = (1, 1)) -> Complexity:
    """Count any network that takes tensors (1, channels, H, W), such as a pair of one channel each."""
    # Tensors without content: only shapes are computed, so a large picture costs no time and no memory.
    network = network.to("meta").eval()
    images = [torch.empty(1, count, height, width, device="meta") for count in channels]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), _attention_in_parts(), counter:
        network(*images)
    by_operation = counter.get_flop_counts()["Global"]
    convolutions = sum(flops for operation, flops in by_operation.items() if "conv" in str(operation))
    return Complexity(
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops() // 2,
        convolutions // 2,
    )


@contextmanager
def _attention_in_parts() -> Iterator[None]:
    """The counter knows products of matrices, but not every fused form of attention."""
    with sdpa_kernel(SDPBackend.MATH):
        yield
