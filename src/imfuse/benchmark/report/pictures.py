"""The pictures of a report: small enough that one page holds them all, as text."""

from __future__ import annotations

import base64
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.benchmark.places import fused_of, infrared_of, visible_of
from imfuse.benchmark.results import Results
from imfuse.core.errors import ImfuseError
from imfuse.core.notes import note
from imfuse.imaging import Range, image_size, parse_range, resize
from imfuse.imaging.inputs import MAX_PIXELS, read
from imfuse.registration.rig import Rig
from imfuse.scoring.levels import FULL, to_levels

# All pictures together: about 60 MB of page at most. 42 pairs of TNO keep their size, 5,000 pictures do not.
_ALL_PIXELS = 400_000_000
_LARGEST_SIDE = 1024
_QUALITY = 80


@dataclass
class _Pictures:
    """The files of a pair by role, and what is wrong with others."""

    files: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """What goes wrong with a picture is noted, and the others continue."""
        try:
            yield
        except ImfuseError as error:
            self.problems.append(error.message)


def embed_pictures(results: Results, sets: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """For each pair of the sets its key, ``p<set>-<pair>``, and its pictures as JSON: base64 of WebP by role.

    Roles are ``ir``, ``vi`` and the number of the method. A picture that cannot be read, or that is not one of these
    results, is left out, and a note says so.
    """
    pairs = [(f"p{i}-{j}", name, pair) for i, name in enumerate(sets) for j, pair in enumerate(_pairs(results, name))]
    infrared_range = parse_range(results.range)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda one: _files(results, one[1], one[2], folder), pairs))
        scale = _scale([pictures.files for pictures in found])
        texts = pool.map(lambda pictures: _embed(pictures, infrared_range, results.rig, scale), found)
        for (key, _, _), text in zip(pairs, texts, strict=True):
            yield key, text
    if problems := [problem for pictures in found for problem in pictures.problems]:
        note(f"report.html: {len(problems)} of the pictures cannot be shown, such as {problems[0]}")


def _pairs(results: Results, name: str) -> list[str]:
    """Pairs with a result, in the order of their scores."""
    return list(dict.fromkeys(row.image for row in results.scores(name).rows))


def _files(results: Results, name: str, pair: str, folder: Path) -> _Pictures:
    data = results.data[name]
    places: dict[str, Callable[[], Path]] = {
        "ir": partial(infrared_of, folder, data, pair),
        "vi": partial(visible_of, folder, data, pair),
    }
    for i, method in enumerate(results.methods):
        if picture := data.pictures.get(method, {}).get(pair):
            places[str(i)] = partial(fused_of, folder, picture)
    pictures = _Pictures()
    for role, place in places.items():
        with pictures.noting():
            pictures.files[role] = place()
    return pictures


def _scale(pairs: Sequence[dict[str, Path]]) -> float:
    """By what all pictures are shrunk, at most 1."""
    pixels = sum(_pixels(files["vi"]) * len(files) for files in pairs if "vi" in files)
    return min(1.0, math.sqrt(_ALL_PIXELS / max(1, pixels)))


def _pixels(file: Path) -> int:
    """By the header; 0 for what is no picture, which is left out later."""
    try:
        height, width = image_size(file)
    except ImfuseError:
        return 0
    return height * width


def _embed(pictures: _Pictures, infrared_range: Range, rig: Rig | None, scale: float) -> str:
    texts = {}
    for role, file in pictures.files.items():
        with pictures.noting():
            levels = to_levels(read(file, MAX_PIXELS), infrared_range if role == "ir" else FULL)
            if role == "ir" and rig is not None and "vi" in pictures.files:
                levels = rig.warped(levels, image_size(pictures.files["vi"]), str(file))[0]
            texts[role] = base64.b64encode(as_webp(levels, scale)).decode("ascii")
    return json.dumps(texts)


def as_webp(levels: npt.NDArray[np.uint8], scale: float = 1) -> bytes:
    """A picture as WebP, shrunk by ``scale``, and further where a side is longer than a page can show."""
    scale = min(scale, _LARGEST_SIDE / max(levels.shape))
    small: Any = levels
    if scale < 1:
        small = resize(levels, *(max(1, round(side * scale)) for side in levels.shape[:2]))
    buffer = io.BytesIO()
    Image.fromarray(small).convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
