"""Classes of every pixel of a pair, by a method that fuses and segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imfuse.core.errors import ImageError, ImfuseError, ModelError, PairError
from imfuse.core.registry import get_spec, list_models
from imfuse.core.version import VERSION
from imfuse.core.weights import model_of
from imfuse.data.pairs import label_files, read_labels
from imfuse.fusing.engine import Prepared
from imfuse.fusing.folder import FINGERPRINT, Progress, is_finished, make_output
from imfuse.fusing.fuser import Fuser
from imfuse.imaging import Pair, check_same_size, inputs, match_folders, quantise, write_image
from imfuse.imaging.inputs import PathLike, Picture, read
from imfuse.imaging.read import image_hash
from imfuse.scenes.classes import PALETTE
from imfuse.tasks.segment.scores import confusion_matrix

Classes = npt.NDArray[np.uint8]
DEFAULT = "psfusion_compact"
"""The method that segments where none is named."""


@dataclass
class SegmentationReport:
    """What became of the pairs of two folders, by name.

    ``failed`` holds (name, message). ``counts`` is the confusion matrix over all pairs with labels, (classes, classes)
    int64, true classes in rows; None where no labels were given.
    """

    written: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    counts: Tensor | None = None


class Segmenter:
    """A method that tells classes apart, ready to use on pictures of any kind, size and bit depth.

    Args:
        model: name of a method that segments; left out: the one that a file of weights is for, else the default one.
        weights: as for :class:`~imfuse.Fuser`.
        settings: others of :class:`~imfuse.Fuser`, such as ``device`` and ``range``.

    Raises:
        ModelError: the method does not segment, or a setting cannot be used.
        WeightsError: the weights are missing or do not fit.
    """

    def __init__(self, model: str | None = None, weights: str | Path | None = "default", **settings: Any) -> None:
        name = model or (DEFAULT if weights in ("default", None) else model_of(weights))
        self.classes = get_spec(name).classes
        if not self.classes:
            able = [other for other in list_models() if get_spec(other).classes]
            raise ModelError(f"{name}: fuses, but does not segment; these do: {', '.join(able)} (--model)")
        self.fuser = Fuser(name, weights, **settings)
        if self.fuser.fit == "resize":
            raise ModelError("fit='resize' is of fused pictures; classes are found at full size")

    def __call__(self, infrared: Picture, visible: Picture) -> Classes:
        """Class number of every pixel of a registered pair, (H, W) uint8.

        Names and colours are ``imfuse.scenes.CLASSES`` and ``PALETTE``, those of the MSRS data set. Takes one pair of
        what :class:`~imfuse.Fuser` takes.
        """
        first = inputs.load(infrared, "infrared", self.fuser.max_pixels)
        second = inputs.load(visible, "visible", self.fuser.max_pixels)
        if len(first.pictures) != 1 or len(second.pictures) != 1:
            raise PairError("one pair is segmented at a time; a batch of several was given")
        return self.segment(self.fuser.prepare(first.pictures[0], second.pictures[0]))

    def segment(self, pair: Prepared) -> Classes:
        """Class numbers of a prepared pair, (H, W) uint8."""
        logits = self.fuser.run(pair, cast(Any, self.fuser.network).segment)
        return cast(Classes, logits[0].argmax(0).to(torch.uint8).numpy(force=True))

    def files(self, infrared: PathLike, visible: PathLike, out: PathLike, *, overwrite: bool = False) -> bool:
        """Write the classes of two files to ``out/labels/NAME.png`` and a picture of them to ``out/overlay/NAME.png``.

        Returns:
            False where both are already the result of these files and settings, so that nothing was done.
        """
        visible = Path(visible)
        return self._write(Pair(visible.stem, Path(infrared), visible), Path(out), overwrite) is not None

    def folder(
        self,
        infrared: PathLike,
        visible: PathLike,
        out: PathLike,
        *,
        labels: PathLike | None = None,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> SegmentationReport:
        """The same for two folders, paired by name; a pair that fails is reported and the others go on.

        ``labels`` is a folder of true classes, PNG files named as the pairs (gray, 255 where nothing is known).
        """
        infrared, visible, out = Path(infrared), Path(visible), Path(out)
        pairs = match_folders(infrared, visible).pairs
        truths = {} if labels is None else label_files(Path(labels))
        if labels is not None and not truths:
            raise PairError(f"{labels}: no labels there; PNG files of class numbers, named as the pairs, are expected")
        make_output(out, infrared, visible)
        report = SegmentationReport()
        if labels is not None:
            report.counts = torch.zeros(self.classes, self.classes, dtype=torch.int64)
            report.unlabelled = [pair.name for pair in pairs if pair.name not in truths]
        tell = progress or (lambda _: None)
        tell(Progress(0, len(pairs)))
        for done, pair in enumerate(pairs, 1):
            try:
                found = self._write(pair, out, overwrite)
                (report.skipped if found is None else report.written).append(pair.name)
                if report.counts is not None and pair.name in truths:
                    self._count(report.counts, truths[pair.name], found, out / "labels" / f"{pair.name}.png")
            except ImfuseError as error:
                report.failed.append((pair.name, str(error)))
            tell(Progress(done, len(pairs), pair.name))
        return report

    def _write(self, pair: Pair, out: Path, overwrite: bool) -> Classes | None:
        """Segment and write a pair; None where that was done before."""
        targets = [out / kind / f"{pair.name}.png" for kind in ("labels", "overlay")]
        fingerprint = self.fuser.fingerprint(image_hash(pair.infrared), image_hash(pair.visible), "classes")
        finished = not overwrite and [is_finished(target, fingerprint) for target in targets]
        if finished and all(finished):
            return None
        stored = read(pair.visible, self.fuser.max_pixels)
        prepared = self.fuser.prepare(read(pair.infrared, self.fuser.max_pixels), stored)
        classes = self.segment(prepared)
        metadata = {"Software": f"imfuse {VERSION} ({self.fuser.spec.name})", FINGERPRINT: fingerprint}
        visible = prepared.visible if prepared.colours is None else prepared.colours
        for target, pixels in zip(targets, (classes, overlay(visible, classes)), strict=True):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageError(f"{target.parent}: cannot make the folder ({error.strerror}); see --output") from None
            write_image(target, pixels, metadata=metadata)
        return classes

    def _count(self, counts: Tensor, truth: Path, found: Classes | None, written: Path) -> None:
        known = read_labels(truth)
        classes = read_labels(written) if found is None else found
        check_same_size(known.shape, classes.shape, truth, written, "labels are of every pixel of the visible picture")
        counts += confusion_matrix(torch.from_numpy(known), torch.from_numpy(classes), self.classes)


def overlay(visible: npt.NDArray[Any], classes: Classes, strength: float = 0.6) -> npt.NDArray[np.uint8]:
    """A picture with its classes painted over it in the colours of ``imfuse.scenes.PALETTE``, (H, W, 3) uint8.

    ``visible`` is (H, W) or (H, W, 3), floating in [0, 1]. Class 0 stays as it is; of others ``strength`` is paint.
    """
    colours = np.repeat(visible[..., None], 3, axis=2) if visible.ndim == 2 else visible
    painted = colours * (1 - strength) + PALETTE[classes] / np.float32(255) * strength
    mixed = np.where((classes > 0)[..., None], painted, colours).astype(np.float32)
    return cast("npt.NDArray[np.uint8]", quantise(mixed, 8))
