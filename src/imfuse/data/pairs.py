"""Training pairs from disk: checked before the first epoch, cached, cropped the same way in every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from imfuse.core.errors import ImageError, PairError
from imfuse.core.text import printable
from imfuse.data.augment import Augmentation
from imfuse.data.crops import CropPlan
from imfuse.data.layouts import find_folders, labels_beside
from imfuse.imaging import check_same_size, find_pairing, luminance, parse_range, read_image, recombine, to_unit
from imfuse.imaging.read import read_picture
from imfuse.imaging.sensors.display import shown
from imfuse.scenes.conditions import Conditions
from imfuse.scenes.render import render_scene

Floats = NDArray[np.float32]
Maps = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
UNLABELLED = 255
"""Class number of pixels without a label."""


class Cameras(Protocol):
    """What is asked of an :class:`imfuse.Rig`."""

    def warped(self, infrared: NDArray[Any], size: tuple[int, int], name: str = ...) -> tuple[Any, NDArray[np.bool_]]:
        """The infrared picture on the pixels of a visible one of (height, width), and where it shows nothing."""

    def valid_box(self, size: tuple[int, int]) -> Part:
        """What of a visible picture of (height, width) the infrared one covers."""


class Part(Protocol):
    """A rectangle of a picture."""

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""


@dataclass(frozen=True)
class PairFiles:
    """The files of one training pair.

    Args:
        name: by which a pair is called in messages and cached.
        infrared: path of the infrared image.
        visible: path of the visible image.
        labels: path of class numbers, if there are any.
        source: name of the data set, where there are several.
        rig: how the two cameras lie, for a pair that is not registered; what both show is taken.

    Example:
        >>> PairFiles("01", Path("ir/01.png"), Path("vi/01.jpg")).labels is None
        True
    """

    name: str
    infrared: Path
    visible: Path
    labels: Path | None = None
    source: str = ""
    rig: Cameras | None = None

    @property
    def key(self) -> str:
        """Name that no pair of another data set has."""
        return f"{self.source}/{self.name}" if self.source else self.name


@dataclass(frozen=True)
class LoadedPair:
    """A decoded pair.

    Args:
        infrared: (H, W) float32 in [0, 1].
        visible: luminance, (H, W) float32 in [0, 1].
        labels: class numbers, (H, W) uint8, or ``None``.
        colours: of the visible image, (H, W, 3) in [0, 1], float16 to save memory, where they are needed.

    Example:
        >>> LoadedPair(np.zeros((4, 5), np.float32), np.zeros((4, 5), np.float32), None).nbytes
        160
    """

    infrared: Floats
    visible: Floats
    labels: NDArray[np.uint8] | None
    colours: NDArray[np.float16] | None = None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        parts = (self.infrared, self.visible, self.labels, self.colours)
        return sum(part.nbytes for part in parts if part is not None)


def find_pairs(
    folder: Path | None = None,
    visible: Path | None = None,
    *,
    recursive: bool = False,
    pairs: Path | None = None,
    rig: Cameras | None = None,
) -> list[PairFiles]:
    """Find the pairs to train on, and their labels.

    Labels are PNG files in ``labels`` or ``Segmentation_labels`` beside the images, named as the visible ones.

    Args:
        folder: a data set in one of the layouts of ``imfuse.data.layouts``, such as ``ir`` and ``vi``, directly or in
            ``train``; or, with ``visible``, the folder of infrared images.
        visible: the folder of visible images.
        recursive: look into the sub-folders of both, and of labels, as well.
        pairs: a list of pairs, as :func:`imfuse.imaging.read_pairs` takes it, instead of ``folder``; with both folders,
            a list of files in them.
        rig: an :class:`imfuse.Rig`, for pairs that are not registered; what both cameras show is taken.

    Returns:
        The files of each pair, in natural order of their names (2 before 10).

    Raises:
        PairError: no layout is recognised, the folders do not belong together, lines of the list are wrong, or a file
            has no partner.

    Warns:
        ImfuseWarning: pairs were found by a rule that may be wrong.

    Example:
        ```python
        files = find_pairs(Path("data/msrs"))
        files = find_pairs(Path("llvip/infrared/train"), Path("llvip/visible/train"))
        files = find_pairs(pairs=Path("pairs.csv"))
        ```
    """
    infrared = folder
    if folder is not None and visible is None and pairs is None:
        folders = find_folders(folder, "train", recursive=recursive)
        infrared, visible = folders.infrared, folders.visible
    pairing = find_pairing(infrared, visible, recursive=recursive, pairs=pairs)
    if alone := [*pairing.unmatched_infrared, *pairing.unmatched_visible]:
        shown = ", ".join(map(printable, alone[:8]))
        where = f"{printable(infrared)} and {printable(visible)}"
        raise PairError(f"{where}: no partner for {shown} ({len(alone)} in all); remove them")
    beside = labels_beside(infrared) if infrared else None
    labels = label_files(beside, recursive) if beside else {}
    return [PairFiles(pair.name, pair.infrared, pair.visible, labels.get(pair.name), rig=rig) for pair in pairing.pairs]


def label_files(folder: Path, recursive: bool = False) -> dict[str, Path]:
    """The PNG files of a folder of labels, and in ``recursive`` of its sub-folders, by the names of their pairs."""
    files = folder.glob("**/*.png" if recursive else "*.png")
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Class numbers of a file, (H, W) uint8. Raises ``ImageError``."""
    stored = read_image(path)
    if stored.ndim != 2 or stored.dtype != np.uint8:
        raise ImageError(f"{path}: expected class numbers as an 8-bit gray image, found {stored.dtype} {stored.shape}")
    return stored


def split_pairs(files: Sequence[PairFiles], fraction: float) -> tuple[list[PairFiles], list[PairFiles]]:
    """Training and validation pairs. Of each data set the last are held out: neighbouring names are of one scene."""
    train: list[PairFiles] = []
    validation: list[PairFiles] = []
    for source in dict.fromkeys(entry.source for entry in files):
        own = [entry for entry in files if entry.source == source]
        held_out = round(len(own) * fraction)
        if fraction > 0 and not 0 < held_out < len(own):
            raise PairError(
                f"{len(own)} pairs{' of ' * bool(source)}{source} cannot be split by data.validation={fraction}; give "
                "more pairs or set it to 0"
            )
        train += own[: len(own) - held_out]
        validation += own[len(own) - held_out :]
    return train, validation


def load_pair(files: PairFiles, colour: bool = False) -> LoadedPair:
    """Decode one pair as luminance in [0, 1], and in ``colour`` too. Raises ``ImageError`` or ``PairError``."""
    infrared, visible = _gray(_load(files.infrared, thermal=True)), _load(files.visible, thermal=False)
    labels = None
    if files.labels is not None:
        labels = read_labels(files.labels)
    if files.rig is not None:
        infrared = files.rig.warped(infrared, (visible.shape[0], visible.shape[1]), str(files.infrared))[0]
    for other, path in ((visible, files.visible), (labels, files.labels)):
        if other is not None and path is not None:
            why = "a pair to train on must be registered, and its labels are of every pixel"
            check_same_size(infrared.shape, other.shape, files.infrared, path, why)
    if files.rig is not None:
        part = files.rig.valid_box((visible.shape[0], visible.shape[1])).slices
        infrared, visible = (np.ascontiguousarray(one[part]) for one in (infrared, visible))
        labels = None if labels is None else np.ascontiguousarray(labels[part])
    return LoadedPair(infrared, _gray(visible), labels, _colours(visible) if colour else None)


def _load(path: Path, thermal: bool) -> Floats:
    found, name = read_picture(path), str(path)
    return shown(found.pixels, found.sensor, parse_range("auto"), name).to_unit(thermal=thermal, name=name)[0]


def _gray(unit: Floats) -> Floats:
    return unit if unit.ndim == 2 else luminance(unit)


def _colours(unit: Floats) -> NDArray[np.float16]:
    return (np.repeat(unit[..., None], 3, axis=2) if unit.ndim == 2 else unit).astype(np.float16)


def _size(pixels: NDArray[np.generic]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def check_pairs(files: Sequence[PairFiles], side: int, keep: int = 0, colour: bool = False) -> dict[str, LoadedPair]:
    """Decode every pair once and raise one ``PairError`` that names all that cannot be used.

    A pair must hold at least ``side`` x ``side`` pixels. Decoded pairs are returned while they fit into ``keep`` bytes.
    """
    kept: dict[str, LoadedPair] = {}
    problems = []
    for entry in files:
        try:
            pair = load_pair(entry, colour)
        except (ImageError, PairError) as error:
            problems.append(str(error))
            continue
        if min(pair.infrared.shape) < side:
            problems.append(f"{entry.infrared}: {_size(pair.infrared)} is smaller than the crop of {side}x{side}")
        elif (keep := keep - pair.nbytes) >= 0:
            kept[entry.key] = pair
    if problems:
        raise PairError(f"{len(problems)} of {len(files)} pairs cannot be used:\n  " + "\n  ".join(problems))
    return kept


def rendered_pairs(
    count: int, height: int = 480, width: int = 640, colour: bool = False, varied: bool = False
) -> list[LoadedPair]:
    """Rendered scenes, numbered from 0, as training pairs with their true labels; ``varied``: by night and by day."""
    pairs = []
    for seed in range(count):
        scene = render_scene(height, width, seed, conditions=Conditions.draw(seed) if varied else None)
        infrared, _, _ = to_unit(scene.infrared, parse_range("full"))
        visible, _, _ = to_unit(scene.visible, parse_range("full"))
        pairs.append(LoadedPair(infrared, luminance(visible), scene.labels, _colours(visible) if colour else None))
    return pairs


class TrainingPairs(Dataset[dict[str, Tensor]]):
    """Crops of pairs (``kind="pairs"``) or of single images (``"images"``), (1, size, size) float32 in [0, 1].

    The item ``pairs[epoch, index]`` depends on nothing but these two and the seed, so that a resumed run trains on what
    an uninterrupted one would have. Where some pairs have labels, all items have ``labels`` (size, size), of 255 where
    there is none.

    Args:
        files: pairs, on disk or decoded.
        crop: how parts are drawn.
        kind: ``pairs``, whose items have ``infrared`` and ``visible``, or ``images``: infrared and visible images in
            turns, whose items have ``image``.
        seed: of all that is drawn.
        cache: decoded pairs by ``PairFiles.key``; others are read again for each item.
        augmentation: changes of the crops.
        maps: computes more of whole pairs, (1, 1, H, W) each, by name, that is cropped with them; not with an
            augmentation, which would change what it was computed of.
        colour: all items have ``colours`` (3, size, size), whose luminance is the visible image, changed as that is.
        shares: of the items that each data set gives, by ``PairFiles.source`` ("" is that of pairs without one). Pairs
            are drawn at random then. Left out: each pair once an epoch.

    Raises:
        PairError: from an item, where its files are not of one size.
        ImageError: from an item, where a file cannot be read.

    Example:
        >>> pairs = TrainingPairs(rendered_pairs(1, 48, 64), CropPlan("random", 32))
        >>> {name: tuple(value.shape) for name, value in pairs[0, 0].items()}
        {'infrared': (1, 32, 32), 'visible': (1, 32, 32), 'labels': (32, 32)}
    """

    def __init__(
        self,
        files: Sequence[PairFiles | LoadedPair],
        crop: CropPlan,
        kind: Literal["pairs", "images"] = "pairs",
        seed: int = 0,
        cache: dict[str, LoadedPair] | None = None,
        augmentation: Augmentation | None = None,
        maps: Maps | None = None,
        colour: bool = False,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self.files, self.crop, self.kind, self.seed = list(files), crop, kind, seed
        self.cache = cache or {}
        self.augmentation, self.maps = augmentation, maps if augmentation is None else None
        self.colour = colour
        self.labelled = any(entry.labels is not None for entry in self.files)
        self.chances = _chances(self.files, shares) if shares else None

    def __len__(self) -> int:
        return len(self.files) * (2 if self.kind == "images" else 1)

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Tensor]:
        epoch, index = item
        rng = np.random.default_rng((self.seed, epoch, index))
        number, side = divmod(index, 2) if self.kind == "images" else (index, 0)
        if self.chances is not None:
            number = int(rng.choice(len(self.files), p=self.chances))
        pair = self._pair(number)
        if self.kind == "images":
            image = pair.visible if side else pair.infrared
            crop = self.crop.draw(rng, image.shape).apply(image)
            if self.augmentation is not None:
                crop = self.augmentation.apply_to_image(rng, crop, thermal=not side)
            return {"image": _tensor(crop)}
        part = self.crop.draw(rng, pair.infrared.shape)
        infrared, visible = part.apply(pair.infrared), part.apply(pair.visible)
        if self.augmentation is not None:
            infrared, visible = self.augmentation.apply(rng, infrared, visible)
        crops = {"infrared": _tensor(infrared), "visible": _tensor(visible)}
        if pair.colours is not None:
            channels = [part.apply(pair.colours[..., channel].astype(np.float32)) for channel in range(3)]
            colours = recombine(visible, np.stack(channels, axis=2)).clip(0, 1)
            crops["colours"] = torch.from_numpy(colours.transpose(2, 0, 1).copy())
        if self.maps is not None:
            whole = self.maps(torch.from_numpy(pair.infrared)[None, None], torch.from_numpy(pair.visible)[None, None])
            crops |= {name: _tensor(part.apply_map(value[0, 0].numpy())) for name, value in whole.items()}
        if self.labelled:
            labels = np.full_like(pair.infrared, UNLABELLED, np.uint8) if pair.labels is None else pair.labels
            # Where both images are even there is nothing to see, whatever stood there before.
            empty = not (np.ptp(infrared) or np.ptp(visible))
            crops["labels"] = torch.from_numpy(part.apply_map(labels).astype(np.int64) * (not empty))
        return crops

    def _pair(self, index: int) -> LoadedPair:
        entry = self.files[index]
        if isinstance(entry, LoadedPair):
            return entry
        return self.cache[entry.key] if entry.key in self.cache else load_pair(entry, self.colour)


def _chances(files: Sequence[PairFiles | LoadedPair], shares: Mapping[str, float]) -> NDArray[np.float64] | None:
    """Chance of each pair to be drawn. Raises ``PairError`` where the shares are of other data sets.

    ``None``, each pair once an epoch, for a data set without a name: it is the only one, with nothing to be mixed.
    """
    sources = [entry.source if isinstance(entry, PairFiles) else "rendered" for entry in files]
    if "" in sources and "" not in shares:
        return None
    if other := set(sources) ^ set(shares):
        given = ", ".join(sorted(map(repr, set(sources))))
        raise PairError(f"data.shares is of {', '.join(map(repr, shares))}, but the data sets are {given} ({other})")
    weights = np.array([shares[source] / sources.count(source) for source in sources])
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances


class WholePairs(Dataset[dict[str, Tensor]]):
    """Whole pairs for validation, (1, H, W) float32 in [0, 1], with labels where there are any.

    Args:
        files: pairs, on disk or decoded.
        cache: decoded pairs by name; others are read.
        colour: items have ``colours`` (3, H, W) too.
    """

    def __init__(
        self, files: Sequence[PairFiles | LoadedPair], cache: dict[str, LoadedPair], colour: bool = False
    ) -> None:
        self.files, self.cache, self.colour = files, cache, colour

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        pair = self.files[index]
        if isinstance(pair, PairFiles):
            pair = self.cache.get(pair.key) or load_pair(pair, self.colour)
        whole = {"infrared": torch.from_numpy(pair.infrared)[None], "visible": torch.from_numpy(pair.visible)[None]}
        if pair.colours is not None:
            whole["colours"] = torch.from_numpy(pair.colours.astype(np.float32)).permute(2, 0, 1)
        if pair.labels is not None:
            whole["labels"] = torch.from_numpy(pair.labels.astype(np.int64))
        return whole


def _tensor(image: Floats) -> Tensor:
    return torch.from_numpy(np.array(image))[None]
