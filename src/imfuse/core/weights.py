"""Weights files: safetensors with their provenance in the header. Nothing here executes what a file holds."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imfuse.core.errors import ModelError, WeightsError
from imfuse.core.files import input_hash
from imfuse.core.output import write_output
from imfuse.core.plugins import is_reference
from imfuse.core.registry import DEFAULT_MODEL
from imfuse.core.safetensors_file import MAX_BYTES, SAFETENSORS, entries_of, open_safetensors
from imfuse.core.spec import ModelSpec, Value
from imfuse.core.text import printable, shortened

if TYPE_CHECKING:
    from torch import Tensor

CONVERTED = "converted from the authors' checkpoint"
"""The recipe in the header of weights that were converted, not trained."""


def resolve_weights(spec: ModelSpec, weights: str | Path) -> Path:
    """Path of a shipped entry (by name) or of a file (by path); ``WeightsError`` where there is neither.

    >>> from imfuse.core.registry import get_spec
    >>> resolve_weights(get_spec("auif"), "default").name
    'auif.safetensors'
    """
    path = Path(weights)
    if isinstance(weights, Path) or path.suffix or os.sep in str(weights):
        if path.is_dir() or not path.exists():
            raise WeightsError(
                f"{printable(path)}: no such weights file", "shipped entries go by name, as in weights=default"
            )
        if path.suffix != SAFETENSORS:
            raise WeightsError(
                f"{printable(path)}: not a .safetensors file; turn a checkpoint into one with `imfuse convert`"
            )
        return path
    try:
        entry = spec.find_weights(weights)
    except ModelError as error:
        raise WeightsError(
            str(error), "a file is given by its path, weights=FILE.safetensors", "for random values use weights='none'"
        ) from None
    path = entry.path
    if not path.is_file():
        raise WeightsError(f"{path}: shipped weights are missing; install imfuse again")
    if weights_hash(path) != entry.sha256:
        raise WeightsError(f"{path}: damaged (its sha256 is not {entry.sha256[:12]}…); install imfuse again")
    return path


def model_of(weights: str | Path | None) -> str:
    """The method that a weights file is for by its header; the default method for anything else.

    ``WeightsError`` where the header has ``file.py:Name`` instead: whoever runs code of others says so himself.
    """
    path = Path(weights or "")
    if path.suffix != SAFETENSORS or path.is_dir() or not path.exists():
        return DEFAULT_MODEL
    model = read_header(path).get("model", DEFAULT_MODEL)
    if is_reference(model):
        raise WeightsError(
            f"{printable(path)}: says that it is for {shortened(model)}, whose code is not run because a file says so",
            "give the network as model=...",
        )
    # No name of a method is that long, and the nearest one to a name of megabytes takes hours to find.
    return shortened(model)


def weights_hash(path: Path) -> str:
    """SHA-256 of a weights file, as 64 hexadecimal digits. Raises ``WeightsError``."""
    return input_hash(path, WeightsError, "a .safetensors file", MAX_BYTES, fixed=True)


def read_header(path: Path) -> dict[str, str]:
    """The provenance in a weights file: method, recipe, data, date and what else its maker wrote.

    Args:
        path: of a safetensors file. Its weights are not read.

    Returns:
        Entries of the header by name; empty where the maker wrote none.

    Raises:
        WeightsError: the file is missing, or not in that format.

    Example:
        >>> from imfuse.core.registry import get_spec
        >>> read_header(get_spec("auif").find_weights("default").path)["model"]
        'auif'
    """
    with open_safetensors(path) as file:
        return dict(file.metadata() or {})


def load_weights(path: Path, spec: ModelSpec, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a weights file for a network whose state is ``wanted``; names and shapes must be exactly those.

    Stored float16 becomes the type of the network. Raises ``WeightsError``.
    """
    check_made_for(path, read_header(path), spec)
    return load_state(path, spec, wanted)


def check_made_for(path: Path, header: Mapping[str, str], spec: ModelSpec) -> None:
    """Raise ``WeightsError`` where the header of a weights file names another method."""
    made_for = header.get("model", spec.name)
    if made_for != spec.name:
        made_for = shortened(made_for)
        raise WeightsError(
            f"{printable(path)}: these weights are for {made_for!r}, not for {spec.name!r}", f"use model={made_for}"
        )


def trained_options(path: Path, header: Mapping[str, str], spec: ModelSpec) -> dict[str, Value]:
    """Options that the header of a weights file names, such as "rule=l1, levels=3": those it was trained with."""
    written = [part.partition("=") for part in header.get("options", "").split(",") if part.strip()]
    given = {name.strip(): text.strip() for name, _, text in written}
    try:
        values = spec.check_options(given)
    except ModelError as error:
        raise WeightsError(f"{printable(path)}: its header names options that cannot be: {error}") from error
    return {name: values[name] for name in given}


def load_state(path: Path, spec: ModelSpec, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """:func:`load_weights` of a file whose header was checked."""
    return read_state(path, wanted, spec.training_parts)


def read_state(path: Path, wanted: Mapping[str, Tensor], left_out: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Entries of a weights file for a network of any kind whose state is ``wanted``.

    Layout first: no more is read than the network holds. Entries whose names begin with one of ``left_out`` may be
    there. Raises ``WeightsError``.
    """
    with open_safetensors(path) as file:
        entries = {n: entry for n, entry in entries_of(file).items() if n in wanted or not n.startswith(left_out)}
        optional = {name for name in wanted if name.endswith("num_batches_tracked")}
        needed = {name: value for name, value in wanted.items() if name in entries or name not in optional}
        check_layout(path, entries, needed)
        stored = {name: file.get_tensor(name) for name in needed}
    check_floating(path, stored, needed)
    stored = {name: value.to(needed[name].dtype) for name, value in stored.items()}
    check_finite(path, stored)
    return {**wanted, **stored}


def check_finite(origin: Path, entries: Mapping[str, Tensor]) -> None:
    """Raise ``WeightsError`` that names the entries with NaN or infinite values: every result would be of these."""
    if odd := [name for name, value in entries.items() if not bool(value.isfinite().all())]:
        raise WeightsError(f"{printable(origin)}: NaN or infinite values in {_some(odd)}; numbers are expected")


def check_floating(origin: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ``WeightsError`` that names integers where the network has fractions, as in files of quantised weights."""
    if odd := [name for name, value in wanted.items() if value.is_floating_point() > found[name].is_floating_point()]:
        raise WeightsError(f"{printable(origin)}: {found[odd[0]].dtype} in {_some(odd)}; floating numbers are expected")


class Shaped(Protocol):
    """A tensor, or what is known of one."""

    @property
    def shape(self) -> Sequence[int]:
        """Its sides."""


def check_layout(origin: Path, found: Mapping[str, Shaped], wanted: Mapping[str, Shaped]) -> None:
    """Raise ``WeightsError`` that lists missing, unexpected and misshapen entries, if there are any."""
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"missing {_some(missing)}")
    if unexpected := [name for name in found if name not in wanted]:
        problems.append(f"unexpected {_some(unexpected)}")
    misshapen = [
        f"{name} {reprlib.repr(tuple(found[name].shape))} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in found and tuple(found[name].shape) != tuple(value.shape)
    ]
    if misshapen:
        problems.append(f"wrong shape {_some(misshapen)}")
    if problems:
        raise WeightsError(f"{printable(origin)}: not the layout of this network: {'; '.join(problems)}")


def save_weights(
    path: Path, state: Mapping[str, Tensor], header: Mapping[str, str], *, through_links: bool = True
) -> None:
    """Write a weights file atomically. BatchNorm's step counters are left out: inference has no use for them.

    ``through_links=False`` replaces a link itself, in a folder that may have come from others.
    """
    from safetensors.torch import save

    tensors = {
        name: value.detach().cpu().contiguous().clone()  # safetensors takes no two entries that share memory
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    write_output(path, _in_order(save(tensors, metadata=dict(header))), WeightsError, through_links=through_links)


def _in_order(data: bytes) -> bytes:
    """Sort the provenance in the header: safetensors shuffles it, and equal weights should have equal hashes."""
    size = int.from_bytes(data[:8], "little")
    content = json.loads(data[8 : 8 + size])
    content["__metadata__"] = dict(sorted(content["__metadata__"].items()))
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    # Tensors begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shortened(name, 120) for name in names[:most]) + more
