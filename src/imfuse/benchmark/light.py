"""Results by day and by night: a mean over both hides methods that lose every night."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imfuse.benchmark.places import visible_of
from imfuse.benchmark.results import DataResults, Results
from imfuse.benchmark.table import Table
from imfuse.imaging import luminance, parse_range, read_image, to_unit
from imfuse.imaging.light import light_of


def tables_by_light(results: Results, data: str, folder: Path) -> dict[str, Table]:
    """One table of the pairs by day and one of those by night, by these words.

    Args:
        results: of a benchmark.
        data: name of a data set.
        folder: of the results, from where the visible pictures are found.

    Returns:
        ``day`` and ``night``; nothing where all pairs are of one of them.

    Raises:
        ImfuseError: a visible picture cannot be read, or is not the one that was scored.
    """
    whole = results.data[data]
    lights = {pair: _light(folder, whole, pair) for pair in whole.pairs}
    if len(set(lights.values())) < 2:
        return {}
    tables = {}
    for light in ("day", "night"):
        part = _part(whole, {pair for pair, one in lights.items() if one == light})
        tables[light] = Table.of(results.model_copy(update={"data": {data: part}}), data)
    return tables


def _light(folder: Path, data: DataResults, pair: str) -> str:
    path = visible_of(folder, data, pair)
    unit, _, _ = to_unit(read_image(path), parse_range("auto"), name=str(path))
    return light_of(float(np.mean(unit if unit.ndim == 2 else luminance(unit))))


def _part(data: DataResults, pairs: set[str]) -> DataResults:
    """These pairs of a data set alone."""
    return DataResults(
        title=data.title,
        infrared=data.infrared,
        visible=data.visible,
        pairs={pair: files for pair, files in data.pairs.items() if pair in pairs},
        pictures={
            method: {pair: picture for pair, picture in pictures.items() if pair in pairs}
            for method, pictures in data.pictures.items()
        },
    )
