"""Safetensors files from outside: what is asked of one before the library of that name maps it into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imfuse.core.errors import WeightsError
from imfuse.core.files import open_input
from imfuse.core.text import one_line, printable, shortened

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS = ".safetensors"
MAX_BYTES = 2 << 30
MAX_HEADER = 4 << 20
"""Names, shapes and provenance; a network of 10,000 entries has about 1 MiB of them."""


@dataclass(frozen=True)
class Entry:
    """A tensor of a file by its header alone."""

    shape: tuple[int, ...]


@contextmanager
def open_safetensors(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Any]:
    """The opened file, of which nothing but the header is read yet. Raises ``WeightsError``.

    It is looked at as every input is; the library then opens it by its name, as it knows no other way.
    """
    from safetensors import SafetensorError, safe_open

    with open_input(path, WeightsError, "a .safetensors file", max_bytes, fixed=True) as stream:
        length = int.from_bytes(stream.read(8), "little")
    if length > MAX_HEADER:
        raise WeightsError(f"{printable(path)}: not a readable safetensors file (its header has {length} bytes)")
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        reason = shortened(one_line(error), 160)
        raise WeightsError(f"{printable(path)}: not a readable safetensors file ({reason})") from None


def entries_of(file: Any) -> Mapping[str, Entry]:
    """Shapes of the tensors of an opened file by name."""
    return {name: Entry(tuple(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118 - no mapping


def load_safetensors(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """All tensors of a file by name. Raises ``WeightsError``."""
    with open_safetensors(path, max_bytes) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
