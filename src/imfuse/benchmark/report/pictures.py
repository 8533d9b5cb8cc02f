"""The pictures of a report: small enough that one page holds them all, as text."""

from __future__ import annotations

import base64
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imfuse.benchmark.results import Results
from imfuse.core.errors import ImfuseError
from imfuse.imaging import Range, parse_range, resize
from imfuse.imaging.inputs import MAX_PIXELS, read
from imfuse.scoring.levels import FULL, to_levels

# All pictures together: about 60 MB of page at most. 42 pairs of TNO keep their size, 5,000 pictures do not.
_ALL_PIXELS = 400_000_000
_LARGEST_SIDE = 1024
_QUALITY = 80


def embed_pictures(results: Results, sets: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """For each pair of the sets its key, ``p<set>-<pair>``, and its pictures as JSON: base64 of WebP by role.

    Roles are ``ir``, ``vi`` and the number of the method. A picture that cannot be read is left out.
    """
    jobs = [(f"p{i}-{j}", _files(results, name, pair, folder))
            for i, name in enumerate(sets) for j, pair in enumerate(_pairs(results, name))]  # fmt: skip
    scale = _scale([files for _, files in jobs])
    infrared_range = parse_range(results.range)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        texts = pool.map(lambda job: _embed(job[1], infrared_range, scale), jobs)
        for (key, _), text in zip(jobs, texts, strict=True):
            yield key, text


def _pairs(results: Results, name: str) -> list[str]:
    """Pairs with a result, in the order of their scores."""
    return list(dict.fromkeys(row.image for row in results.scores(name).rows))


def _files(results: Results, name: str, pair: str, folder: Path) -> dict[str, Path]:
    data = results.data[name]
    files = {
        "ir": Path(data.infrared) / data.pairs[pair].infrared,
        "vi": Path(data.visible) / data.pairs[pair].visible,
    }
    for i, method in enumerate(results.methods):
        if pair in data.pictures.get(method, {}):
            # An absolute path stays itself.
            files[str(i)] = folder / data.pictures[method][pair].file
    return files


def _scale(pairs: Sequence[dict[str, Path]]) -> float:
    """By what all pictures are shrunk, at most 1."""
    pixels = sum(_pixels(files["vi"]) * len(files) for files in pairs)
    return min(1.0, math.sqrt(_ALL_PIXELS / max(1, pixels)))


def _pixels(file: Path) -> int:
    """By the header; 0 for what is no picture, which is left out later."""
    try:
        with Image.open(file) as image:
            return image.width * image.height
    except (OSError, ValueError):
        return 0


def _embed(files: dict[str, Path], infrared_range: Range, scale: float) -> str:
    texts = {}
    for role, file in files.items():
        try:
            levels = to_levels(read(file, MAX_PIXELS), infrared_range if role == "ir" else FULL)
        except ImfuseError:
            continue
        texts[role] = base64.b64encode(_webp(levels, scale)).decode("ascii")
    return json.dumps(texts)


def _webp(levels: npt.NDArray[np.uint8], scale: float) -> bytes:
    scale = min(scale, _LARGEST_SIDE / max(levels.shape))
    small: Any = levels
    if scale < 1:
        small = resize(levels, *(max(1, round(side * scale)) for side in levels.shape[:2]))
    buffer = io.BytesIO()
    Image.fromarray(small).convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
