"""What a run found in each picture, remembered in files that are named by all it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict

from imfuse.benchmark.bounds import Name, at_most
from imfuse.benchmark.tasks.results import BoxList
from imfuse.core.errors import BenchmarkError, ImageError
from imfuse.core.files import read_input
from imfuse.core.notes import note
from imfuse.core.version import VERSION
from imfuse.imaging import write_file

_MOST_BYTES = 256 << 20
_MOST_PICTURES = 200_000
Matrix = list[list[int]]


class Remembered(BaseModel):
    """Results by picture, in the order of ``names``.

    ``found`` and ``known`` are boxes, of detection; ``counts`` are confusion matrices, of segmentation, true classes in
    rows. ``night`` says which pictures are of the night, where that is known.
    """

    model_config = ConfigDict(extra="forbid")

    names: Annotated[list[Name], at_most(_MOST_PICTURES)]
    found: Annotated[list[BoxList], at_most(_MOST_PICTURES)] = []
    known: Annotated[list[BoxList], at_most(_MOST_PICTURES)] = []
    counts: Annotated[list[Matrix], at_most(_MOST_PICTURES)] = []
    night: Annotated[list[bool | None], at_most(_MOST_PICTURES)] = []


_Kind = TypeVar("_Kind", bound=BaseModel)


def key_of(*parts: object) -> str:
    """Name of what depends on these and on the version."""
    return hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True, default=str).encode()).hexdigest()


def recall(output: Path, key: str, kind: type[_Kind]) -> _Kind | None:
    """What an earlier run left under a key; nothing where there is none, or what is not as it was written."""
    try:
        return kind.model_validate_json(read_input(_file(output, key), BenchmarkError, "results", _MOST_BYTES))
    except (BenchmarkError, ValueError, RecursionError):
        return None


def remember(output: Path, key: str, content: BaseModel) -> None:
    """Write it; where the disk refuses there is a note, since the results are there."""
    try:
        write_file(_file(output, key), content.model_dump_json().encode(), through_links=False)
    except ImageError as error:
        note(f"{error.message}: results are not remembered there", *error.advice)


def _file(output: Path, key: str) -> Path:
    return output / "cache" / f"{key}.json"


def night_of(name: str) -> bool | None:
    """Whether a picture is of the night: names of MSRS and MFNet end in N or D; ``None`` for others.

    >>> night_of("00123N"), night_of("00123D"), night_of("scene 3")
    (True, False, None)
    """
    stem, last = name[:-1], name[-1:]
    return {"N": True, "D": False}.get(last) if stem.isdigit() else None


def nights(names: Sequence[str]) -> list[bool | None]:
    """:func:`night_of` of each."""
    return [night_of(name) for name in names]
