"""Opening a foreign checkpoint, so that nothing it holds is ever executed, and nothing larger than the file is made.

It is looked through first, then loaded with ``weights_only=True`` alone. One of TensorFlow is given by its ``.index``
file; kernels get PyTorch's order of axes.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imfuse.core.errors import WeightsError
from imfuse.core.files import open_input
from imfuse.core.pickle_scan import Refused
from imfuse.core.safetensors_file import MAX_BYTES, SAFETENSORS, load_safetensors
from imfuse.core.tensorflow_bundle import INDEX, read_bundle
from imfuse.core.text import printable, shortened
from imfuse.core.torch_file import check_torch_file

if TYPE_CHECKING:
    from torch import Tensor

# What TensorFlow's optimisers keep beside each weight, and of themselves.
SLOTS = ("*/Adam", "*/Adam_1", "*/RMSProp", "*/RMSProp_1", "*/Momentum", "*beta1_power", "*beta2_power", "global_step")
# What checkpoints wrap their entries in, besides what they say of the training.
WRAPPERS = ("weight", "state_dict", "model", "params", "MTAN")


def read_checkpoint(file: Path, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name: unwrapped, without ``module.``, without step counters. Never executes it.

    Args:
        file: of PyTorch, safetensors, or the index of TensorFlow.
        max_bytes: the largest file that is read. The tensors take no more than that.

    Returns:
        Plain tensors, which may be expanded ones: far larger than their memory.

    Raises:
        WeightsError: it is no checkpoint of plain tensors, or too large.
    """
    if file.suffix == INDEX:
        return _read_tensorflow(file)
    is_safetensors = file.suffix == SAFETENSORS
    content: Any = load_safetensors(file, max_bytes) if is_safetensors else load_torch_file(file, max_bytes)
    # An entry of a pickled OrderedDict may be called as one of its methods is.
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(dict.get(content, key), dict):
            content = dict.get(content, key)
            break
    if not isinstance(content, dict):
        raise WeightsError(f"{printable(file)}: expected named tensors, found {type(content).__name__}")
    return _plain(file, content)


def load_torch_file(file: Path, max_bytes: int = MAX_BYTES) -> Any:
    """Content of a file of ``torch.save`` that holds nothing but plain tensors, texts and numbers. Never executes it.

    Args:
        file: a checkpoint of anybody.
        max_bytes: the largest file that is read.

    Returns:
        What was saved, on the processor.

    Raises:
        WeightsError: it is anything else, or damaged, or too large.
    """
    import torch

    with open_input(file, WeightsError, "a checkpoint", max_bytes, fixed=True) as stream:
        try:
            check_torch_file(stream)
            stream.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Published files are tagged for the GPU they were trained on.
                return torch.load(stream, map_location="cpu", weights_only=True)
        except Refused as error:
            reason = str(error)
        except Exception:
            # PyTorch's words advise to do without its protection.
            reason = "PyTorch's safe reader does not take it"
    raise WeightsError(
        f"{printable(file)}: not a checkpoint of plain tensors, so it is not opened: {reason}",
        "give a file of tensors alone, as torch.save(network.state_dict(), FILE) writes",
    )


def _plain(file: Path, content: dict[Any, Any]) -> dict[str, Tensor]:
    import torch

    tensors = {
        name: value
        for name, value in _named(content)
        if isinstance(value, torch.Tensor) and not name.endswith("num_batches_tracked")
    }
    if not tensors:
        raise WeightsError(f"{printable(file)}: holds no named tensors")
    if odd := [n for n, v in tensors.items() if v.layout != torch.strided or v.is_quantized or v.is_meta]:
        raise WeightsError(f"{printable(file)}: {shortened(odd[0])} is not a plain tensor")
    return tensors


def _named(content: dict[Any, Any]) -> Iterable[tuple[str, Any]]:
    """Entries of a state, or, where networks lie side by side in one file, of each under its name."""
    for part, value in dict.items(content):
        if isinstance(value, dict):
            yield from ((f"{part}.{str(name).removeprefix('module.')}", entry) for name, entry in dict.items(value))
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
