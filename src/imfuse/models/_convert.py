"""Authors' checkpoints to our weights files: the method is recognised from the names of the entries."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from imfuse.core.checkpoint import read_checkpoint
from imfuse.core.errors import WeightsError
from imfuse.core.files import input_hash
from imfuse.core.plugins import PluginError
from imfuse.core.registry import list_models
from imfuse.core.safetensors_file import MAX_BYTES, SAFETENSORS
from imfuse.core.tensorflow_bundle import DATA, INDEX, data_file
from imfuse.core.text import printable, shortened
from imfuse.core.weights import CONVERTED, check_finite, check_layout, save_weights
from imfuse.models._base import FusionModel
from imfuse.models._build import model_class

SUFFIXES = frozenset({".pth", ".pt", ".pkl", ".model", ".ckpt", ".bin", SAFETENSORS, INDEX})


def convert(sources: Iterable[Path], target: Path, model: str | None = None) -> str:
    """Turn the authors' checkpoint of a method into a weights file; every name and shape is checked.

    Args:
        sources: files of one checkpoint, or a folder of them; of TensorFlow, the ``.index`` file.
        target: the ``.safetensors`` file to write.
        model: the method, where it is not to be recognised by the names of the entries.

    Returns:
        The name of the method.

    Raises:
        WeightsError: nothing is found, a file is no checkpoint of plain tensors, entries are missing, unexpected or
            misshapen, or the target cannot be written.

    Example:
        ```python
        convert([Path("checkpoints")], Path("authors.safetensors"))  # "auif"
        ```
    """
    files = list(_files(sources))
    entries = _entries(files)
    name = model or recognise(entries, files[0])
    state = to_our_layout(entries, name, files[0])
    header = {
        "model": name,
        "recipe": CONVERTED,
        "files": ", ".join(f"{printable(file.name)} sha256:{_hash(file)}" for file in _with_data(files)),
        "licence": "that of the checkpoint",
    }
    if target.suffix != SAFETENSORS:
        raise WeightsError(f"{printable(target)}: the name of a weights file ends in .safetensors")
    save_weights(target, state, header)
    return name


def _entries(files: Iterable[Path]) -> dict[str, Tensor]:
    """Tensors of all files by name; together these are no larger than one may be."""
    entries: dict[str, Tensor] = {}
    left = MAX_BYTES
    for file in files:
        for name, value in read_checkpoint(file, left).items():
            if name in entries:
                raise WeightsError(
                    f"{printable(file)}: holds {shortened(name)} again; give the files of one checkpoint only"
                )
            entries[name] = value
        left = max(left - file.stat().st_size, 0)
    return entries


def _hash(file: Path) -> str:
    return input_hash(file, WeightsError, "a checkpoint", MAX_BYTES, fixed=True)


def _files(sources: Iterable[Path]) -> Iterable[Path]:
    files = []
    for source in sources:
        if source.is_dir():
            files += sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
        elif source.name.endswith(DATA):
            raise WeightsError(f"{printable(source)}: give its index, {source.name.removesuffix(DATA)}{INDEX}")
        elif source.exists():
            files.append(source)
        elif source.with_name(source.name + INDEX).exists():
            files.append(source.with_name(source.name + INDEX))
        else:
            raise WeightsError(f"{printable(source)}: no such file or folder")
    if not files:
        raise WeightsError(f"no checkpoint found: expected files that end in {', '.join(sorted(SUFFIXES))}")
    return files


def _with_data(files: Iterable[Path]) -> Iterable[Path]:
    for file in files:
        yield file
        if file.suffix == INDEX:
            yield data_file(file)


def recognise(entries: Mapping[str, Tensor], origin: Path) -> str:
    """Name of the method whose published layout shares most names with ``entries``."""
    networks = dict(_networks())
    layouts = {name: network.published_layout().keys() for name, network in networks.items()}
    renamed = {name: network.from_release(entries).keys() for name, network in networks.items()}
    overlap = {n: len(names & renamed[n]) / max(len(names | renamed[n]), 1) for n, names in layouts.items()}
    best = max(overlap, key=lambda name: overlap[name])
    # One of several files is recognised too, so that its user learns what is missing.
    if len(layouts[best] & renamed[best]) < len(entries) / 2:
        published = ", ".join(name for name, layout in layouts.items() if layout)
        some = ", ".join(shortened(name) for name in list(entries)[:3])
        raise WeightsError(
            f"{printable(origin)}: no known method has entries such as {some}; checkpoints are known of {published}"
        )
    return best


def _networks() -> Iterable[tuple[str, type[FusionModel]]]:
    """Networks that may have a published layout; a package of others that is broken has none."""
    for name in list_models():
        with suppress(PluginError):
            network = model_class(name)
            if issubclass(network, FusionModel):
                yield name, network


def to_our_layout(entries: Mapping[str, Tensor], model: str, origin: Path) -> dict[str, Tensor]:
    """Rename published entries to ours; ``WeightsError`` lists what is missing, unexpected or misshapen."""
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
    state = {theirs: entries[theirs].to(ours[name].dtype) for theirs, name in layout.items()}
    check_finite(origin, state)
    return {name: state[theirs] for theirs, name in layout.items()}
