"""Authors' checkpoints to our weights files: the method is recognised from the names of the entries.

A checkpoint is unpickled with ``weights_only=True`` alone, so that nothing it holds is ever executed. One of TensorFlow
is given by its ``.index`` file; kernels get PyTorch's order of axes.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imfuse.core.errors import WeightsError
from imfuse.core.registry import list_models, model_class
from imfuse.core.tensorflow_bundle import DATA, INDEX, data_file, read_bundle
from imfuse.core.weights import check_layout, file_hash, save_weights

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 4 << 30
SUFFIXES = frozenset({".pth", ".pt", ".pkl", ".model", ".ckpt", ".bin", ".safetensors", INDEX})
# What TensorFlow's optimisers keep beside each weight, and of themselves.
SLOTS = ("*/Adam", "*/Adam_1", "*/RMSProp", "*/RMSProp_1", "*/Momentum", "*beta1_power", "*beta2_power", "global_step")
# What checkpoints wrap their entries in, besides what they say of the training.
WRAPPERS = ("weight", "state_dict", "model", "params", "MTAN")


def convert(sources: Iterable[Path], target: Path, model: str | None = None) -> str:
    """Turn the checkpoint in ``sources`` (files, or a folder of them) into ``target``; returns the method's name.

    Every name and shape is checked. ``model`` asks for one method instead of recognising it. Raises ``WeightsError``.
    """
    files = list(_files(sources))
    entries: dict[str, Tensor] = {}
    for file in files:
        for name, value in read_checkpoint(file).items():
            if name in entries:
                raise WeightsError(f"{file}: holds {name} again; give the files of one checkpoint only")
            entries[name] = value
    name = model or recognise(entries, files[0])
    state = to_our_layout(entries, name, files[0])
    header = {
        "model": name,
        "recipe": "converted from the authors' checkpoint",
        "files": ", ".join(f"{file.name} sha256:{file_hash(file)}" for file in _with_data(files)),
        "licence": "that of the checkpoint",
    }
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target}: the name of a weights file ends in .safetensors")
    save_weights(target, state, header)
    return name


def _files(sources: Iterable[Path]) -> Iterable[Path]:
    found = []
    for source in sources:
        if source.is_dir():
            found += sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
        elif source.name.endswith(DATA):
            raise WeightsError(f"{source}: give its index, {source.name.removesuffix(DATA)}{INDEX}")
        elif source.is_file():
            found.append(source)
        elif source.with_name(source.name + INDEX).is_file():
            found.append(source.with_name(source.name + INDEX))
        else:
            raise WeightsError(f"{source}: no such file or folder")
    if not found:
        raise WeightsError(f"no checkpoint found: expected files that end in {', '.join(sorted(SUFFIXES))}")
    return found


def _with_data(files: Iterable[Path]) -> Iterable[Path]:
    for file in files:
        yield file
        if file.suffix == INDEX:
            yield data_file(file)


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
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{file}: not a checkpoint of plain tensors, so it is not opened ({reason:.160})") from None
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

    found = {}
    for name, value in read_bundle(file).items():
        if not any(fnmatch.fnmatchcase(name, slot) for slot in SLOTS):
            found[name] = torch.tensor(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value)
    return found


def recognise(entries: Mapping[str, Tensor], origin: Path) -> str:
    """Name of the method whose published layout shares most names with ``entries``."""
    layouts = {name: model_class(name).published_layout().keys() for name in list_models()}
    given = {name: model_class(name).from_release(entries).keys() for name in layouts}
    overlap = {n: len(names & given[n]) / max(len(names | given[n]), 1) for n, names in layouts.items()}
    best = max(overlap, key=lambda name: overlap[name])
    # One of several files is known too, so that its user learns what is missing.
    if len(layouts[best] & given[best]) < len(entries) / 2:
        known = ", ".join(name for name, layout in layouts.items() if layout)
        some = ", ".join(list(entries)[:3])
        raise WeightsError(f"{origin}: no known method has entries such as {some}; checkpoints are known of {known}")
    return best


def to_our_layout(entries: Mapping[str, Tensor], model: str, origin: Path) -> dict[str, Tensor]:
    """Rename published entries to ours; ``WeightsError`` lists what is missing, unexpected or misshapen."""
    import torch

    # Shapes are all that is asked of it.
    with torch.device("meta"):
        network = model_class(model)()
    layout = network.published_layout()
    if not layout:
        raise WeightsError(f"{model}: no checkpoint of this method was published")
    ours = network.state_dict()
    extras = network.published_extras()
    entries = network.from_release(entries)
    entries = {n: v for n, v in entries.items() if n in layout or not any(fnmatch.fnmatchcase(n, e) for e in extras)}
    check_layout(origin, entries, {theirs: ours[name] for theirs, name in layout.items()})
    return {name: entries[theirs].to(ours[name].dtype) for theirs, name in layout.items()}
