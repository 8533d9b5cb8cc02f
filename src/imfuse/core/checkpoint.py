"""Opening a foreign checkpoint: with ``weights_only=True`` alone, so that nothing it holds is ever executed.

One of TensorFlow is given by its ``.index`` file; kernels get PyTorch's order of axes.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imfuse.core.errors import WeightsError, first_line
from imfuse.core.tensorflow_bundle import INDEX, read_bundle

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 4 << 30
# What TensorFlow's optimisers keep beside each weight, and of themselves.
SLOTS = ("*/Adam", "*/Adam_1", "*/RMSProp", "*/RMSProp_1", "*/Momentum", "*beta1_power", "*beta2_power", "global_step")
# What checkpoints wrap their entries in, besides what they say of the training.
WRAPPERS = ("weight", "state_dict", "model", "params", "MTAN")


def read_checkpoint(file: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name: unwrapped, without ``module.``, without step counters. Never executes it."""
    import torch

    if file.suffix == INDEX:
        return _read_tensorflow(file)
    if file.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{file}: {file.stat().st_size >> 20} MiB is too large for a checkpoint (4 GiB at most)")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(str(file))
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Published files are tagged for the GPU they were trained on.
                content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f"{first_line(error):.160}"
        raise WeightsError(f"{file}: not a checkpoint of plain tensors, so it is not opened ({reason})") from None
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise WeightsError(f"{file}: expected named tensors, found {type(content).__name__}")
    tensors = {
        name: value
        for name, value in _named(content)
        if isinstance(value, torch.Tensor) and not name.endswith("num_batches_tracked")
    }
    if not tensors:
        raise WeightsError(f"{file}: holds no named tensors")
    if odd := [n for n, v in tensors.items() if v.layout != torch.strided or v.is_quantized or v.is_meta]:
        raise WeightsError(f"{file}: {odd[0]} is not a plain tensor")
    return tensors


def _named(content: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
    """Entries of a state, or, where networks lie side by side in one file, of each under its name."""
    for part, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{part}.{str(name).removeprefix('module.')}", entry) for name, entry in value.items())
        else:
            yield str(part).removeprefix("module."), value


def _read_tensorflow(file: Path) -> dict[str, Tensor]:
    """Weights of a TensorFlow checkpoint; kernels (height, width, inputs, outputs) become (outputs, inputs, ...)."""
    import torch

    weights = {}
    for name, value in read_bundle(file).items():
        if not any(fnmatch.fnmatchcase(name, slot) for slot in SLOTS):
            weights[name] = torch.tensor(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value)
    return weights
