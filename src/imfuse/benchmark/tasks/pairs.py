"""Labelled pairs of a data set, and what each row of the table shows of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from imfuse.benchmark.plan import ModelEntry
from imfuse.benchmark.tasks.levels import colour_levels, infrared_levels
from imfuse.benchmark.tasks.plan import FEATURES, TaskPlan
from imfuse.core.errors import BenchmarkError, PairError
from imfuse.core.text import printable
from imfuse.data.labels import labels_of
from imfuse.data.layouts import DataFolders, Part, find_folders, find_labels, find_stacked
from imfuse.fusing.folder import Progress
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import Pair, find_pairing, luminance, match_fused, quantise, read_image, recombine, write_image
from imfuse.imaging.bands import take_bands
from imfuse.imaging.pairs import pair_with_itself
from imfuse.tasks.detect.labels import label_file
from imfuse.tasks.folders import ExampleFiles

PARTS: tuple[Part, Part] = ("train", "test")
_BANDS = ("red", "green", "blue", "infrared")


@dataclass(frozen=True)
class PairSet:
    """Pairs with labels.

    Args:
        name: of the data set.
        title: in words.
        folders: of each part: infrared and visible, for fusing.
        pairs: by name.
        targets: files of labels by the names of the pairs.
        train: names of the pairs to train on; ``None`` where the set has no parts.
        stacked: one file holds both sides of a pair, as bands; :func:`split_bands` makes two of it.
    """

    name: str
    title: str
    folders: tuple[tuple[Path, Path], ...]
    pairs: dict[str, Pair]
    targets: dict[str, Path]
    train: frozenset[str] | None = None
    stacked: bool = False

    @property
    def tested(self) -> list[str]:
        """Names of the pairs that are not to be trained on; all where the set has no parts."""
        return [name for name in self.pairs if self.train is None or name not in self.train]


def find_set(plan: TaskPlan) -> PairSet:
    """Find the labelled pairs of a data set: of its test part alone where nothing is trained. Raises ``PairError``."""
    assert plan.data is not None
    name, folder = plan.data
    folders: dict[tuple[Path, Path], None] = {}
    pairs: dict[str, Pair] = {}
    targets: dict[str, Path] = {}
    parts: dict[str, set[str]] = {}
    title, stacked = name, False
    for part in PARTS if plan.retrained else PARTS[1:]:
        found, stacked = _sides(folder, part, name)
        title = found.title
        sides = found.infrared, found.visible
        pairing = pair_with_itself(found.visible) if stacked else find_pairing(*sides)
        names = {pair.name: pair for pair in pairing.pairs}
        labelled = _targets(plan, part, list(names))
        folders[sides] = None
        chosen = {one for one in names if one in labelled}
        parts[part] = chosen
        pairs |= {one: pair for one, pair in names.items() if one in chosen}
        targets |= {one: labelled[one] for one in chosen}
    if not targets:
        wanted = "YOLO text or VOC XML" if plan.task == "detect" else "PNG files of class numbers"
        raise PairError(
            f"{printable(folder)}: no labels of its pairs are found, which are {wanted}, named as the pairs",
            "say where they are, labels=...",
        )
    split = bool(parts.get("train")) and parts["train"] != parts["test"]
    train = frozenset(parts["train"] - parts["test"]) if split else None
    return PairSet(name, title, tuple(folders), pairs, targets, train, stacked)


def _sides(folder: Path, part: Part, name: str) -> tuple[DataFolders, bool]:
    """Both folders of a part, and whether they are one whose files hold both sides."""
    try:
        return find_folders(folder, part, name), False
    except PairError:
        if (found := find_stacked(folder, part, name)) is None:
            raise
        return found, True


def split_bands(pairs: PairSet, output: Path) -> PairSet:
    """The same pairs as two files each, made below ``output`` where one holds both sides: R, G, B and infrared.

    Args:
        pairs: the set.
        output: folder of the benchmark.

    Returns:
        A set of which nothing is stacked.

    Raises:
        PairError: a file has other than four bands.
        ImageError: a file cannot be read or written.
    """
    if not pairs.stacked:
        return pairs
    place = output / "split" / pairs.name
    split = {}
    for name, pair in pairs.pairs.items():
        both = Pair(name, place / "infrared" / f"{name}.png", place / "visible" / f"{name}.png")
        pixels = read_image(pair.visible)
        if (bands := pixels.shape[2] if pixels.ndim == 3 else 1) != len(_BANDS):
            raise PairError(
                f"{printable(pair.visible)}: {bands} bands found; {', '.join(_BANDS)} are expected of a set whose "
                "pictures are in one folder, or two folders, such as ir and vi"
            )
        write_image(both.infrared, take_bands(pixels, (4,), str(pair.visible), "infrared"))
        write_image(both.visible, take_bands(pixels, (1, 2, 3), str(pair.visible), "visible"))
        split[name] = both
    return replace(pairs, folders=((place / "infrared", place / "visible"),), pairs=split, stacked=False)


def _targets(plan: TaskPlan, part: Part, names: list[str]) -> dict[str, Path]:
    """Files of labels by the names of pairs; empty where there are none."""
    assert plan.data is not None
    place = plan.data[1] if plan.labels is None else plan.labels
    if plan.task == "segment":
        try:
            return labels_of(place, part)
        except PairError:
            return {}
    folder, listed = find_labels(place, part)
    if not folder.is_dir():
        raise PairError(f"{printable(folder)}: no such folder, a folder of labels is expected")
    found = {name: label_file(folder, name) for name in names if listed is None or name in listed}
    return {name: path for name, path in found.items() if path is not None}


@dataclass
class Pictures:
    """The files that a row of the table shows of a set. Fused ones are made below ``output`` when they are asked for.

    Results of an earlier run with the same files, weights and settings are not made again, those of the usual
    benchmark neither.

    Args:
        plan: the settings.
        pairs: the set.
        output: folder of the benchmark.
        progress: called after each pair that is fused.
        failed: by row, the pairs that could not be fused, each with the reason.
    """

    plan: TaskPlan
    pairs: PairSet
    output: Path
    progress: Callable[[Progress], None] | None = None
    failed: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, row: str) -> dict[str, ExampleFiles]:
        """Files of each pair that the row has a picture of. Raises ``ImfuseError``."""
        if row in ("visible", "stacked", FEATURES):
            pictures = {name: pair.visible for name, pair in self.pairs.pairs.items()}
        elif row == "infrared":
            pictures = {name: pair.infrared for name, pair in self.pairs.pairs.items()}
        elif row == "mean":
            pictures = self._means()
        elif row in self.plan.fused:
            pictures = match_fused(self.plan.fused[row], list(self.pairs.pairs.values()))[0]
            self._note_missing(row, pictures, "no fused picture")
        else:
            pictures = self._fused(next(entry for entry in self.plan.models if entry.label == row))
        pairs = self.pairs.pairs
        heat = {name: pair.infrared for name, pair in pairs.items()} if row in ("stacked", FEATURES) else {}
        return {
            name: ExampleFiles(name, path, self.pairs.targets[name], heat.get(name)) for name, path in pictures.items()
        }

    def _folder(self, row: str) -> Path:
        return self.output / "fused" / self.pairs.name / row

    def _fused(self, entry: ModelEntry) -> dict[str, Path]:
        fuser = load_fuser(entry, self.plan.device)
        folder = self._folder(entry.label)
        for infrared, visible in self.pairs.folders:
            report = fuser.folder(infrared, visible, folder, progress=self.progress)
            if failures := {name: reason for name, reason in report.failed if name in self.pairs.pairs}:
                self.failed.setdefault(entry.label, {}).update(failures)
        done = {name: folder / f"{name}.png" for name in self.pairs.pairs}
        failed = self.failed.get(entry.label, {})
        return {name: path for name, path in done.items() if name not in failed}

    def _means(self) -> dict[str, Path]:
        """The mean of luminance and infrared, with the colours: it is made anew, which takes less than to look."""
        folder = self._folder("mean")
        for name, pair in self.pairs.pairs.items():
            colours = colour_levels(pair.visible).astype(np.float32) / 255
            heat = infrared_levels(pair.infrared).astype(np.float32) / 255
            mixed = (luminance(colours) + heat) / 2
            write_image(folder / f"{name}.png", quantise(recombine(mixed, colours), 8))
        return {name: folder / f"{name}.png" for name in self.pairs.pairs}

    def _note_missing(self, row: str, pictures: dict[str, Path], reason: str) -> None:
        missing = [name for name in self.pairs.pairs if name not in pictures]
        if len(missing) == len(self.pairs.pairs):
            raise BenchmarkError(f"{row}: no fused picture of any of the pairs")
        if missing:
            self.failed.setdefault(row, {}).update(dict.fromkeys(missing, reason))


def load_fuser(entry: ModelEntry, device: str) -> Fuser:
    """What fuses for a row. Raises ``ModelError`` or ``WeightsError``."""
    settings: dict[str, Any] = {"device": device, **entry.options}
    return Fuser(entry.model, entry.weights, **settings)
